//! `transition-time`: the transition time changes with the status of the condition.

use std::cmp::Ordering;

use time::Duration;

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::AHEAD_MAX;
use crate::scan::{ConditionMember, Field};

pub const RULE: Rule = Rule {
    id: "transition-time",
    title: "The transition time changes with the status of the condition.",
    checks: "All findings of this rule are warnings. The `lastTransitionTime` of a condition must change when the status of \
             the condition changes, and only then. It must not become earlier. It must not change to a time more than 5 \
             minutes in the future. Two changes within 2 seconds may have the same time.",
    why: "It says since when the condition has its status. It also decides which results are stale.",
    breaks: "A result that is an hour old looks like a new one.",
    repair: "Set conditions with the helper function of your client library, such as `meta.SetStatusCondition` in Go. It \
             keeps the time while the status is unchanged.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::times::transition_time),
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
            title: "neither the status nor the time changed",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a status that changed without its time",
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
            title: "a time that changed without its status",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:02:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Scanning].lastTransitionTime"),
        },
        Example {
            title: "a time that is earlier than before",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:00:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Scanning].lastTransitionTime"),
        },
        Example {
            title: "a time far in the future",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2062-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Scanning].lastTransitionTime"),
        },
    ],
};

/// The longest time from a change to a later change that may have the same time. Times are whole seconds, so two changes within a
/// second have the same time, and the review of the second change follows a moment later.
const SAME_TIME_MAX: Duration = Duration::seconds(2);

/// The most characters of a time that a message shows: 35 for a time with nanoseconds and an offset, and 2 quotes.
const TIME_MAX_CHARS: usize = 37;

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    for (index, condition) in conditions.first_of_each_type() {
        let Some(at) = condition.last_transition_time() else { continue };
        let old = change.old_conditions().and_then(|old| old.first_of_same_type(condition));
        let old = old.and_then(|(_, old)| Some((old, old.last_transition_time()?)));
        let mut warn = |detail: &str| {
            let member = ConditionMember::LastTransitionTime;
            let field = Field::ConditionMember { entry: conditions.name(index), member };
            findings.warning(field, FieldError::invalid(&condition[member], detail));
        };
        if at > change.now + AHEAD_MAX && old.is_none_or(|(_, since)| at != since) {
            warn("must not be more than 5 minutes in the future");
        }
        let Some((old, since)) = old else { continue };
        let before = || old[ConditionMember::LastTransitionTime].quoted(TIME_MAX_CHARS);
        match (condition.status() == old.status(), at.cmp(&since)) {
            (_, Ordering::Less) => {
                warn(&format!("must not be earlier than {}, the time before this change", before()));
            }
            (true, Ordering::Greater) => {
                warn(&format!("must still be {} while the status is the same", before()));
            }
            (false, Ordering::Equal) if (change.now - at).abs() > SAME_TIME_MAX => {
                warn("must change with the status, to the time of this change");
            }
            _ => {}
        }
    }
}
