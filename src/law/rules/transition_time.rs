//! `transition-time`: The transition time is that of the status.

use std::cmp::Ordering;

use crate::law::conditions::Firsts;
use crate::law::finding::AHEAD_MAX;
use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::{ConditionMember, Entry, Field};

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
    let old = change.old.and_then(|old| old.status()).map(|old| Firsts::of(old, None));
    let firsts = Firsts::of(status, Some(change.conditions()));
    for (index, condition) in firsts.well_formed() {
        if firsts.like(condition).is_some_and(|(first, _)| first < index) {
            continue;
        }
        let Some(at) = condition.last_transition_time() else { continue };
        let mut advise = |message| {
            let name = condition[ConditionMember::Type].string().value().unwrap_or_default();
            let field = Field::ConditionMember(Entry::Type(name), ConditionMember::LastTransitionTime);
            findings.advise(field, message);
        };
        if at > change.now + AHEAD_MAX {
            advise("is more than 5 minutes in the future: the time of the change would be right");
        }
        let old = old.as_ref().and_then(|old| old.like(condition)).map(|(_, old)| old);
        let Some((old, since)) = old.and_then(|old| Some((old, old.last_transition_time()?))) else { continue };
        match (condition.status() == old.status(), at.cmp(&since)) {
            (_, Ordering::Less) => advise("went back: the time of the last change would be right"),
            (true, Ordering::Greater) => advise("changed, but the status did not: the old time would be right"),
            (false, Ordering::Equal) => {
                advise("did not change, but the status did: the time of the change would be right")
            }
            _ => {}
        }
    }
}
