//! `transition-time`: The transition time is that of the status.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::law::conditions::is_well_formed;
use crate::law::finding::AHEAD_MAX;
use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::{Condition, ConditionMember, Entry, Field, Member, Status};

pub const RULE: Rule = Rule {
    id: "transition-time",
    title: "The transition time is that of the status.",
    checks: "The `lastTransitionTime` of a condition changes when its status does, and only then; it does not go \
             back, and is at most 5 minutes ahead of now. All of it is advice.",
    why: "The time says since when a status holds; left-over results are told by it.",
    breaks: "A result that is an hour old passes for a new one.",
    repair: "Set conditions with the helper of your client library, which keeps the time while the status is the \
             same.",
    part: Part::Status,
    check,
    mend: None,
    examples: &[
        Example {
            says: "a status and a time that changed",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "neither changed",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a status that changed at no time",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[Scanning].lastTransitionTime"),
        },
        Example {
            says: "a time that changed by itself",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:02:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[Scanning].lastTransitionTime"),
        },
        Example {
            says: "a time that went back",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:00:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[Scanning].lastTransitionTime"),
        },
        Example {
            says: "a time far ahead",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2062-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[Scanning].lastTransitionTime"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let old = change.old.and_then(|old| old.status()).map_or(Default::default(), first_by_type);
    for (name, condition) in first_by_type(status) {
        let Some(at) = condition.last_transition_time() else { continue };
        let before = old.get(&name).and_then(|old| Some((old.status()?, old.last_transition_time()?)));
        let mut advise = |message| {
            let entry = Entry::Type(name.clone());
            findings.advise(Field::ConditionMember(entry, ConditionMember::LastTransitionTime), message);
        };
        if at > change.now + AHEAD_MAX {
            advise("is more than 5 minutes in the future: the time of the change would be right");
        }
        let Some((before, since)) = before else { continue };
        match (condition.status() == Some(before), at.cmp(&since)) {
            (_, Ordering::Less) => advise("went back: the time of the last change would be right"),
            (true, Ordering::Greater) => advise("changed, but the status did not: the old time would be right"),
            (false, Ordering::Equal) => {
                advise("did not change, but the status did: the time of the change would be right")
            }
            _ => {}
        }
    }
}

/// The first well-formed entry of each type, whatever the type, in the order of the types.
fn first_by_type<'a>(status: &'a Status<'a>) -> BTreeMap<Cow<'a, str>, &'a Condition<'a>> {
    let mut first = BTreeMap::new();
    for condition in status.conditions().iter().filter_map(Member::is).filter(|condition| is_well_formed(condition)) {
        if let Member::Is(name) = condition[ConditionMember::Type].string() {
            first.entry(name).or_insert(condition);
        }
    }
    first
}
