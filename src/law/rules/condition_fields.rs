//! `condition-fields`: each entry of the conditions list is a well-formed `metav1.Condition`.

use std::collections::HashMap;

use crate::law::conditions::{self, doubled, fault};
use crate::law::finding::quote;
use crate::law::{Change, Example, Findings, Part, Patch, Rule, Severity, Verdict};
use crate::scan::json::ENTRIES_MAX;
use crate::scan::{Condition, ConditionMember, Entry, Field, Json, Member, Status, time};

pub const RULE: Rule = Rule {
    id: "condition-fields",
    title: "Every condition is well formed.",
    checks: "Each entry of `status.conditions` is an object with a `type` (a qualified name of at most 316 characters), \
             a `status` (True, False or Unknown), a `lastTransitionTime` (RFC 3339) and a `reason` (a CamelCase word of \
             at most 1,024 characters); `message` and `error` are strings of at most 32,768 characters, \
             `observedGeneration` an integer ≥ 0. A missing reason is advice on SendingResults and on types that are \
             not ours. An entry that is refused is left out of all other rules.",
    why: "These are the limits of `metav1.Condition`, which every Kubernetes client decodes conditions into.",
    breaks: "One malformed entry makes Cartographer drop the whole list: the workload hangs without a word.",
    repair: "Set conditions with the helper of your client library (meta.SetStatusCondition in Go). The webhook fills \
             in a missing lastTransitionTime.",
    part: Part::Status,
    check,
    mend: Some(mend),
    examples: &[
        Example {
            says: "a whole condition",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "an entry that is null",
            old: None,
            new: r#"{"status": {"conditions": [null]}}"#,
            verdict: Verdict::Refused("status.conditions[0]"),
        },
        Example {
            says: "a status in lower case",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "true", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[Scanning].status"),
        },
        Example {
            says: "no type",
            old: None,
            new: r#"{"status": {"conditions": [{"status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[0].type"),
        },
        Example {
            says: "a reason that is a sentence",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "it broke", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[Succeeded].reason"),
        },
        Example {
            says: "no reason on SendingResults, whose reasons are not public",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[SendingResults].reason"),
        },
        Example {
            says: "a missing time is the old one while the status is the same",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted"}]}}"#,
            verdict: Verdict::Mended(
                r#"[{"op": "add", "path": "/status/conditions/0/lastTransitionTime", "value": "2026-11-20T08:01:00Z"}]"#,
            ),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let is_short = status.conditions().len() <= ENTRIES_MAX;
    if is_short && change.conditions().are_sound() {
        return;
    }
    if !is_short {
        findings.refuse(Field::Conditions, format!("has more than {ENTRIES_MAX} entries: one a type would be right"));
    }
    let doubled = doubled(status);
    for (index, entry) in status.conditions().iter().enumerate() {
        let Some(condition) = entry.is() else {
            let found = if let Member::Wrong(found) = entry { found.to_string() } else { "null or empty".to_owned() };
            findings.refuse(
                Field::Condition(Entry::Index(index)),
                format!("is {found}: a condition object would be right"),
            );
            continue;
        };
        let name = condition[ConditionMember::Type].string().value();
        let name = name.filter(|name| conditions::is_type(name) && !doubled.contains(name));
        let entry = name.map_or(Entry::Index(index), Entry::Type);
        for member in ConditionMember::ALL {
            let Some((severity, right)) = fault(condition, member) else { continue };
            let field = Field::ConditionMember(entry.clone(), member);
            let message = format!("is {}: {right} would be right", quote(&condition[member]));
            match severity {
                Severity::Refuse => findings.refuse(field, message),
                Severity::Advise => findings.advise(field, message),
            };
        }
    }
}

/// A missing time is the old one while the status is the same, else now.
fn mend(change: &Change<'_>, patch: &mut Patch) {
    let Some(status) = change.new.status() else { return };
    let is_missing =
        |condition: &Condition<'_>| condition[ConditionMember::LastTransitionTime].string() == Member::Absent;
    if !status.conditions().iter().any(|entry| entry.is().is_some_and(is_missing)) {
        return;
    }
    let mut old = HashMap::new();
    for condition in
        change.old.and_then(|old| old.status()).map_or(&[][..], Status::conditions).iter().filter_map(Member::is)
    {
        if let Member::Is(name) = condition[ConditionMember::Type].string() {
            old.entry(name).or_insert(condition);
        }
    }
    for (index, entry) in status.conditions().iter().enumerate() {
        let Some(condition) = entry.is().filter(|condition| is_missing(condition)) else { continue };
        let standing = condition[ConditionMember::Type].string().value().and_then(|name| old.get(&name));
        let since = standing
            .filter(|old| old[ConditionMember::Status] == condition[ConditionMember::Status])
            .filter(|old| old.status().is_some() && old.last_transition_time().is_some())
            .and_then(|old| old[ConditionMember::LastTransitionTime].string().value());
        let Some(since) = since.map(|since| since.into_owned()).or_else(|| time::format(change.now)) else { continue };
        let field = Field::ConditionMember(Entry::Index(index), ConditionMember::LastTransitionTime);
        patch.set(field, Json::from_text(&since));
    }
}
