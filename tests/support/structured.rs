//! What the fuzz target `structured` checks: the validating webhook has the findings of the table of states and of the
//! naive evaluation of RULES, and a write that it allows stays allowed after the mutating webhook.

mod scans;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scan_admission::admission::{self, Answer, Context, ReviewSettings, Webhook};
use scan_admission::engine::{Action, Severity};
use serde_json::Value;

use super::naive::{self, Judged};
use super::review_checks::{check_mutation, check_old_object};
use super::review_context::{context, now};

/// Makes a review of plausible scans from the bytes and checks the answers to it.
pub fn scans(bytes: &[u8]) {
    let scans::Sent { review, writers, expected } = scans::sent(bytes);
    let judged = judged_alike(&review, &writers);
    if let Some(expected) = expected {
        let of = |is_denied| judged.iter().filter(|it| it.2 == is_denied).map(|it| it.0).collect::<BTreeSet<_>>();
        assert_eq!((of(true), of(false)), (expected.denied, expected.warned), "{review:#}");
    }
    let text = review.to_string();
    if review["request"]["operation"] == "UPDATE" {
        check_mutation(&text, &review);
        check_old_object(&text);
    }
    let Some(mutated) = mutated(&review, &writers) else { return };
    let judged_mutated = judged_alike(&mutated, &writers);
    let is_denied = |judged: &Judged| judged.iter().any(|it| it.2);
    assert!(is_denied(&judged) || !is_denied(&judged_mutated), "the mutation is denied: {review:#} {mutated:#}");
}

/// Checks that the validating webhook has the findings of the naive evaluation, and returns them.
pub fn judged_alike(review: &Value, writers: &[String]) -> Judged {
    let answer = answer(review, writers, Webhook::Validating);
    let finding = |it: &admission::RuleFinding| (it.rule, it.severity == Severity::Error, it.action == Action::Deny);
    let judged: Judged = answer.summary.findings.iter().map(finding).collect();
    let expected = naive::judge(&review["request"], writers, now());
    assert_eq!(judged, expected, "the engine is left, RULES are right (rule, is an error, is denied): {review:#}");
    assert_eq!(answer.is_allowed, !judged.iter().any(|it| it.2), "{review:#}");
    judged
}

/// Returns the review after the patch of the mutating webhook, if there is one.
fn mutated(review: &Value, writers: &[String]) -> Option<Value> {
    let answer = answer(review, writers, Webhook::Mutating);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let patch = STANDARD.decode(body["response"]["patch"].as_str()?).unwrap();
    let mut review = review.clone();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    json_patch::patch(&mut review["request"]["object"], &patch).unwrap();
    Some(review)
}

fn answer(review: &Value, writers: &[String], webhook: Webhook) -> Answer {
    let settings = ReviewSettings { status_writers: writers.to_vec(), ..ReviewSettings::default() };
    let context = Context { settings: &settings, ..context(webhook) };
    let answer = admission::answer(review.to_string().as_bytes(), &context);
    assert_eq!(answer.http, 200, "{review:#}");
    answer
}

pub fn survey(bytes: &[u8]) -> Option<(String, Value)> {
    let scans::Sent { review, writers, .. } = scans::sent(bytes);
    let answer = answer(&review, &writers, Webhook::Validating);
    let finding = |it: &admission::RuleFinding| (it.rule, it.severity == Severity::Error, it.action == Action::Deny);
    let judged: Judged = answer.summary.findings.iter().map(finding).collect();
    let expected = naive::judge(&review["request"], &writers, now());
    let only = |a: &Judged, b: &Judged| a.difference(b).copied().collect::<Vec<_>>();
    let key = format!("engine only {:?}, naive only {:?}", only(&judged, &expected), only(&expected, &judged));
    (judged != expected).then_some((key, review))
}
