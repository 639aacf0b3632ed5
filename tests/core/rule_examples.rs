//! Tests of the examples of every rule, and of the captured reviews, which pass both webhooks.

use scan_admission::admission::Webhook;
use scan_admission::engine::rule::EXAMPLE_WRITER;
use scan_admission::engine::{Action, Change, Expectation, Findings, Part, PatchOperation, Rule, mutate, validate};
use scan_admission::rules::RULES;
use scan_admission::scan::{Container, Kind, Scan, reader};
use serde_json::Value;

use crate::answers::{answer, patched};
use crate::support::review_context;
use crate::support::reviews::{patch, review, scan};

/// Calls `then` with the change between two objects.
fn with_change<T>(new: &Value, old: Option<&Value>, then: impl FnOnce(&Change<'_>) -> T) -> T {
    let (text, old) = (new.to_string(), old.map(Value::to_string));
    let scan: Container<'_, Scan<'_>> = reader::read(&text).unwrap();
    let old: Option<Container<'_, Scan<'_>>> = old.as_ref().map(|old| reader::read(old).unwrap());
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == new["kind"]).unwrap();
    let user = new["user"].as_str().unwrap_or(EXAMPLE_WRITER);
    let writers = [EXAMPLE_WRITER.to_owned()];
    let change = Change::new(
        kind,
        scan.present().unwrap(),
        old.as_ref().map(|old| old.present().unwrap()),
        review_context::now(),
    );
    then(&change.with_user(user, &writers))
}

/// Returns the findings of one rule for one change.
fn findings(rule: &Rule, new: &Value, old: Option<&Value>) -> Vec<(Action, String)> {
    with_change(new, old, |change| {
        let mut findings = Findings::default();
        validate(std::slice::from_ref(rule), rule.part, change, &mut findings);
        findings.list().iter().map(|finding| (finding.action, finding.field.to_string())).collect()
    })
}

#[test]
fn every_example_is_judged_as_expected() {
    for rule in RULES {
        for example in rule.examples {
            let new = scan(example.new);
            let old = example.old.map(scan);
            let found = findings(rule, &new, old.as_ref());
            let case = format!("{}: {}: {found:?}", rule.id, example.title);
            match example.expect {
                Expectation::Passes => assert!(found.is_empty(), "{case}"),
                Expectation::Warns(field) => assert_eq!(found, [(Action::Warn, field.to_owned())], "{case}"),
                Expectation::Denies(field) => assert_eq!(found, [(Action::Deny, field.to_owned())], "{case}"),
                Expectation::Mutates(expected) => {
                    let operations = mutations(rule, &new, old.as_ref());
                    let made: Value =
                        serde_json::from_str(&scan_admission::admission::patch::to_json(&operations)).unwrap();
                    assert_eq!(made, serde_json::from_str::<Value>(expected).unwrap(), "{case}");
                }
            }
        }
    }
}

fn mutations(rule: &Rule, new: &Value, old: Option<&Value>) -> Vec<PatchOperation> {
    with_change(new, old, |change| mutate(std::slice::from_ref(rule), change).operations)
}

#[test]
fn every_rule_has_an_example_with_and_without_a_finding_and_one_of_its_mutation() {
    for rule in RULES {
        let has = |is: fn(&Expectation) -> bool| rule.examples.iter().any(|example| is(&example.expect));
        assert!(has(|expect| *expect == Expectation::Passes), "{} has no example that passes", rule.id);
        assert!(
            has(|expect| matches!(expect, Expectation::Denies(_) | Expectation::Warns(_))),
            "{} has no example with a finding",
            rule.id
        );
        assert_eq!(has(|expect| matches!(expect, Expectation::Mutates(_))), rule.mutate.is_some(), "{}", rule.id);
    }
}

#[test]
fn every_example_is_answered_by_both_webhooks() {
    for rule in RULES {
        for example in rule.examples {
            let (new, old) = (scan(example.new), example.old.map(scan));
            let (_, body) = answer(&review(&new, old.as_ref()), Webhook::Validating);
            // Status writers are configured only in the examples, and a spec is not judged in a status update.
            let is_judged = rule.id != "status-writer" && rule.part == Part::Status;
            if is_judged && matches!(example.expect, Expectation::Denies(_)) {
                assert_eq!(body["response"]["allowed"], false, "{}: {}", rule.id, example.title);
                assert!(body["response"]["status"]["message"].as_str().unwrap().contains(&format!("[{}]", rule.id)));
            }
            let (_, body) = answer(&review(&new, old.as_ref()), Webhook::Mutating);
            assert_eq!(body["response"]["allowed"], true, "{}: {}", rule.id, example.title);
            let mutated = patched(&new, &body);
            let (_, again) = answer(&review(&mutated, old.as_ref()), Webhook::Mutating);
            assert_eq!(patch(&again), serde_json::json!([]), "{}: {}", rule.id, example.title);
        }
    }
}

#[test]
fn captured_reviews_are_allowed_without_a_patch() {
    let mut count = 0;
    for file in std::fs::read_dir("tests/fixtures/reviews").unwrap() {
        let path = file.unwrap().path();
        let review: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for webhook in [Webhook::Validating, Webhook::Mutating] {
            let (answer, body) = answer(&review, webhook);
            assert_eq!(answer.http, 200, "{path:?}");
            assert_eq!(body["response"]["uid"], review["request"]["uid"], "{path:?}");
            assert_eq!(body["response"]["allowed"], true, "{path:?}: {body}");
            assert!(body["response"]["patch"].is_null(), "{path:?}: {body}");
        }
        count += 1;
    }
    assert!(count > 100, "{count}");
}
