//! `transition-time`: The transition time is that of the status.

use std::cmp::Ordering;

use time::Duration;

use crate::engine::{Change, Example, Expectation, Findings, Part, Rule};
use crate::rules::tables::AHEAD_MAX;
use crate::scan::{ConditionMember, Field};

pub const RULE: Rule = Rule {
    id: "transition-time",
    title: "The transition time is that of the status.",
    checks: "The `lastTransitionTime` of a condition changes when its status does, and only then; it does not go back, and \
             does not change to more than 5 minutes ahead of now. All of these are warnings. Two changes may have one time \
             when it is at most 2 seconds before now.",
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
            title: "a status that changes twice in a second",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-24T11:59:58Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-24T11:59:58Z"}]}}"#,
            expect: Expectation::Passes,
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

/// Two changes within one second have the same time, since times are whole seconds, and the second is written a moment later.
const SAME_TIME_MAX: Duration = Duration::seconds(2);

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    for (index, condition) in conditions.first_of_each_type() {
        let Some(at) = condition.last_transition_time() else { continue };
        let old = change.old_conditions().and_then(|old| old.first_of_same_type(condition));
        let old = old.and_then(|(_, old)| Some((old, old.last_transition_time()?)));
        let mut warn = |message| {
            let entry = conditions.name(index);
            findings.warning(Field::ConditionMember { entry, member: ConditionMember::LastTransitionTime }, message);
        };
        if at > change.now + AHEAD_MAX && old.is_none_or(|(_, since)| at != since) {
            warn("is more than 5 minutes in the future: the time of the change would be right");
        }
        let Some((old, since)) = old else { continue };
        match (condition.status() == old.status(), at.cmp(&since)) {
            (_, Ordering::Less) => warn("went back: the time of the last change would be right"),
            (true, Ordering::Greater) => warn("changed, but the status did not: the old time would be right"),
            (false, Ordering::Equal) if (change.now - at).abs() > SAME_TIME_MAX => {
                warn("did not change, but the status did: the time of the change would be right")
            }
            _ => {}
        }
    }
}
