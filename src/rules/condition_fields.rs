//! `condition-fields`: each entry of the conditions list is a well-formed `metav1.Condition`.

use std::collections::HashMap;

use crate::engine::finding::quote;
use crate::engine::{Change, Example, Expectation, Findings, Part, Patch, Rule};
use crate::rules::tables::conditions::right;
use crate::scan::conditions::{Form, duplicate_types, is_type, member_form};
use crate::scan::json::ENTRIES_MAX;
use crate::scan::{Condition, ConditionMember, Entry, Field, Json, Member, Status, time};

pub const RULE: Rule = Rule {
    id: "condition-fields",
    title: "Every condition is well formed.",
    checks: "Each entry of `status.conditions` is an object with a `type` (a qualified name of at most 316 characters), \
             a `status` (True, False or Unknown), a `lastTransitionTime` (RFC 3339) and a `reason` (a CamelCase word of \
             at most 1,024 characters); `message` and `error` are strings of at most 32,768 characters, \
             `observedGeneration` an integer ≥ 0. A missing reason is a warning on SendingResults and on types that are \
             not ours. An entry with an error is left out of all other rules.",
    why: "These are the limits of `metav1.Condition`, which every Kubernetes client decodes conditions into.",
    breaks: "One malformed entry makes Cartographer drop the whole list: the workload hangs without a word.",
    repair: "Set conditions with the helper of your client library (meta.SetStatusCondition in Go). The webhook fills \
             in a missing lastTransitionTime.",
    part: Part::Status,
    check,
    mutate: Some(mutate),
    examples: &[
        Example {
            title: "a whole condition",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "an entry that is null",
            old: None,
            new: r#"{"status": {"conditions": [null]}}"#,
            expect: Expectation::Denies("status.conditions[0]"),
        },
        Example {
            title: "a status in lower case",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "true", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Scanning].status"),
        },
        Example {
            title: "no type",
            old: None,
            new: r#"{"status": {"conditions": [{"status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[0].type"),
        },
        Example {
            title: "a reason that is a sentence",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "it broke", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Succeeded].reason"),
        },
        Example {
            title: "no reason on SendingResults, whose reasons are not public",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[SendingResults].reason"),
        },
        Example {
            title: "a missing time is the old one while the status is the same",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted"}]}}"#,
            expect: Expectation::Mutates(
                r#"[{"op": "add", "path": "/status/conditions/0/lastTransitionTime", "value": "2026-11-20T08:01:00Z"}]"#,
            ),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let is_short = status.conditions().len() <= ENTRIES_MAX;
    if is_short && change.conditions().are_well_formed() {
        return;
    }
    if !is_short {
        findings.error(Field::Conditions, format!("has more than {ENTRIES_MAX} entries: one a type would be right"));
    }
    let duplicates = duplicate_types(status);
    for (index, entry) in status.conditions().iter().enumerate() {
        let Some(condition) = entry.present() else {
            let found =
                if let Member::WrongType(found) = entry { found.to_string() } else { "null or empty".to_owned() };
            findings
                .error(Field::Condition(Entry::Index(index)), format!("is {found}: a condition object would be right"));
            continue;
        };
        let name = condition[ConditionMember::Type].string().value();
        let name = name.filter(|name| is_type(name) && !duplicates.contains(name));
        let entry = name.map_or(Entry::Index(index), Entry::Type);
        for member in ConditionMember::ALL {
            let form = member_form(condition, member);
            if form == Form::WellFormed {
                continue;
            }
            let field = Field::ConditionMember { entry: entry.clone(), member };
            let message = format!("is {}: {} would be right", quote(&condition[member]), right(condition, member));
            match form {
                Form::Malformed => findings.error(field, message),
                _ => findings.warning(field, message),
            };
        }
    }
}

/// A missing time is the old one while the status is the same, else now.
fn mutate(change: &Change<'_>, patch: &mut Patch) {
    let Some(status) = change.new.status() else { return };
    let is_missing =
        |condition: &Condition<'_>| condition[ConditionMember::LastTransitionTime].string() == Member::Absent;
    if !status.conditions().iter().any(|entry| entry.present().is_some_and(is_missing)) {
        return;
    }
    let mut old = HashMap::new();
    for condition in
        change.old.and_then(|old| old.status()).map_or(&[][..], Status::conditions).iter().filter_map(Member::present)
    {
        if let Member::Present(name) = condition[ConditionMember::Type].string() {
            old.entry(name).or_insert(condition);
        }
    }
    for (index, entry) in status.conditions().iter().enumerate() {
        let Some(condition) = entry.present().filter(|condition| is_missing(condition)) else { continue };
        let standing = condition[ConditionMember::Type].string().value().and_then(|name| old.get(&name));
        let since = standing
            .filter(|old| old[ConditionMember::Status] == condition[ConditionMember::Status])
            .filter(|old| old.status().is_some() && old.last_transition_time().is_some())
            .and_then(|old| old[ConditionMember::LastTransitionTime].string().value());
        let Some(since) = since.map(|since| since.into_owned()).or_else(|| time::format(change.now)) else { continue };
        let field = Field::ConditionMember { entry: Entry::Index(index), member: ConditionMember::LastTransitionTime };
        patch.set(field, Json::from_text(&since));
    }
}
