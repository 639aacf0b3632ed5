//! `transition-time`: The transition time is that of the status.

use std::cmp::Ordering;

use crate::engine::{Change, Example, Expectation, Findings, Part, Rule};
use crate::rules::tables::AHEAD_MAX;
use crate::scan::conditions::Firsts;
use crate::scan::{ConditionMember, Entry, Field};

pub const RULE: Rule = Rule {
    id: "transition-time",
    title: "The transition time is that of the status.",
    checks: "The `lastTransitionTime` of a condition changes when its status does, and only then; it does not go \
             back, and is at most 5 minutes ahead of now. All of these are warnings.",
    why: "The time says since when a status holds; it shows which results are stale.",
    breaks: "A result that is an hour old passes for a new one.",
    repair: "Set conditions with the helper of your client library, which keeps the time while the status is the \
             same.",
    part: Part::Status,
    check,
    mutate: None,
    examples: &[
        Example {
            title: "a status and a time that changed",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "neither changed",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a status that changed at no time",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Scanning].lastTransitionTime"),
        },
        Example {
            title: "a time that changed by itself",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:02:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Scanning].lastTransitionTime"),
        },
        Example {
            title: "a time that went back",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:00:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Scanning].lastTransitionTime"),
        },
        Example {
            title: "a time far ahead",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2062-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Scanning].lastTransitionTime"),
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
        let mut warn = |message| {
            let name = condition[ConditionMember::Type].string().value().unwrap_or_default();
            let field =
                Field::ConditionMember { entry: Entry::Type(name), member: ConditionMember::LastTransitionTime };
            findings.warning(field, message);
        };
        if at > change.now + AHEAD_MAX {
            warn("is more than 5 minutes in the future: the time of the change would be right");
        }
        let old = old.as_ref().and_then(|old| old.like(condition)).map(|(_, old)| old);
        let Some((old, since)) = old.and_then(|old| Some((old, old.last_transition_time()?))) else { continue };
        match (condition.status() == old.status(), at.cmp(&since)) {
            (_, Ordering::Less) => warn("went back: the time of the last change would be right"),
            (true, Ordering::Greater) => warn("changed, but the status did not: the old time would be right"),
            (false, Ordering::Equal) => {
                warn("did not change, but the status did: the time of the change would be right")
            }
            _ => {}
        }
    }
}
