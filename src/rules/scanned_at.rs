//! `scanned-at`: the time of the scan is the time when the last successful run ended.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Patch, Rule};
use crate::rules::cel;
use crate::rules::tables::{AHEAD_MAX, values};
use crate::scan::{ConditionMember, ConditionStatus, ConditionType, Field, Json, Member, Phase, Status, time};

pub const RULE: Rule = Rule {
    id: "scanned-at",
    title: "The time of the scan is the time when the last successful run ended.",
    checks: "`scannedAt` must be an RFC 3339 time; anything else is an error. A time is a warning if it is more than 5 \
             minutes in the future. It is also a warning if it is earlier than the old one, unless the old one is in the \
             future. A missing time is a warning on phase Completed or Failed. To set or change the time is a warning in three \
             cases: the phase is Pending; the current `Succeeded` is False; or the phase is Scanning, and there is no current \
             `Succeeded` True.",
    why: "It is the time at which a scan last finished successfully. It tells people how old a result is.",
    breaks: "An old result looks like a new one, or a new result looks like an old one.",
    repair: "Write the time together with `Succeeded` True, and do not change it afterwards. If it is missing on phase \
             Completed or Failed and `Succeeded` is True, the mutating webhook fills in the time of `Succeeded` or of \
             `Scanning` False, whichever is later.",
    part: Part::Status,
    check,
    mutate: Some(mutate),
    cel: Cel::Exact(cel::times::scanned_at),
    examples: &[
        Example {
            title: "the time of a success",
            old: None,
            new: r#"{"status": {"phase": "Completed", "scannedAt": "2026-11-20T08:03:00Z"}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a time that is not RFC 3339",
            old: None,
            new: r#"{"status": {"scannedAt": "2026-11-20 08:03:00"}}"#,
            expect: Expectation::Denies("status.scannedAt"),
        },
        Example {
            title: "a time that is earlier than before",
            old: Some(r#"{"status": {"scannedAt": "2026-11-20T08:22:00Z"}}"#),
            new: r#"{"status": {"scannedAt": "2026-11-20T08:03:00Z"}}"#,
            expect: Expectation::Warns("status.scannedAt"),
        },
        Example {
            title: "a time in the future that is corrected",
            old: Some(r#"{"status": {"scannedAt": "2062-11-20T08:22:00Z"}}"#),
            new: r#"{"status": {"scannedAt": "2026-11-20T08:03:00Z"}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "no time on phase Failed",
            old: None,
            new: r#"{"status": {"phase": "Failed"}}"#,
            expect: Expectation::Warns("status.scannedAt"),
        },
        Example {
            title: "a time that changes during a scan",
            old: Some(r#"{"status": {"phase": "Completed", "scannedAt": "2026-11-20T08:03:00Z"}}"#),
            new: r#"{"status": {"phase": "Scanning", "scannedAt": "2026-11-20T08:20:00Z"}}"#,
            expect: Expectation::Warns("status.scannedAt"),
        },
        Example {
            title: "the time of a success before the policy is evaluated",
            old: Some(r#"{"status": {"phase": "Scanning"}}"#),
            new: r#"{"status": {"phase": "Scanning", "scannedAt": "2026-11-20T08:03:00Z", "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a missing time is filled in from the conditions",
            old: None,
            new: r#"{"status": {"phase": "Completed", "conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:04:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Mutates(
                r#"[{"op": "add", "path": "/status/scannedAt", "value": "2026-11-20T08:04:00Z"}]"#,
            ),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let phase = status.phase();
    if status.scanned_at.string() == Member::Absent {
        if let Some(phase @ (Phase::Completed | Phase::Failed)) = phase {
            let detail = format!("must say when the scan succeeded (RFC 3339) while phase is \"{}\"", phase.name());
            findings.warning(Field::ScannedAt, FieldError::required(detail));
        }
        return;
    }
    let Some(at) = status.scanned_at() else {
        findings.error(Field::ScannedAt, values::not_a_time(&status.scanned_at));
        return;
    };
    let mut warn = |detail: &str| {
        findings.warning(Field::ScannedAt, FieldError::invalid(&status.scanned_at, detail));
    };
    if at > change.now + AHEAD_MAX {
        warn("must not be more than 5 minutes in the future");
    }
    let Some(old) = change.old.map(|old| old.status()) else { return };
    let before = old.and_then(Status::scanned_at).filter(|before| at < *before && *before <= change.now);
    if let Some(before) = before.and_then(time::format) {
        warn(&format!("must not be earlier than \"{before}\", the time before this change"));
    }
    if old.is_some_and(|old| old.scanned_at.is_same_text(&status.scanned_at)) {
        return;
    }
    let reason = match (phase, change.conditions().current(ConditionType::Succeeded)) {
        (Some(Phase::Pending), _) => "phase is \"Pending\"",
        (_, Some(ConditionStatus::False)) => "Succeeded is \"False\"",
        (Some(Phase::Scanning), succeeded) if succeeded != Some(ConditionStatus::True) => {
            "phase is \"Scanning\" and Succeeded is not \"True\""
        }
        _ => return,
    };
    warn(&format!("must not change while {reason}; must be the time of the last success"));
}

/// Sets a missing time to the later of the times of Succeeded and of Scanning False, unless that is earlier than the old
/// scannedAt or in the future.
fn mutate(change: &Change<'_>, patch: &mut Patch) {
    let Some(status) = change.new.status().filter(|status| status.scanned_at.string() == Member::Absent) else {
        return;
    };
    let conditions = change.conditions();
    let is_done = matches!(status.phase(), Some(Phase::Completed | Phase::Failed));
    if !is_done || conditions.current(ConditionType::Succeeded) != Some(ConditionStatus::True) {
        return;
    }
    let ended =
        conditions.get(ConditionType::Scanning).filter(|scanning| scanning.status() == Some(ConditionStatus::False));
    let times = [conditions.get(ConditionType::Succeeded), ended].into_iter().flatten();
    let latest =
        times.filter_map(|condition| Some((condition.last_transition_time()?, condition))).max_by_key(|(at, _)| *at);
    let old = change.old.and_then(|old| old.status()).and_then(Status::scanned_at);
    let is_right = |at: ::time::OffsetDateTime| at <= change.now && old.is_none_or(|old| at >= old);
    if let Some((_, condition)) = latest.filter(|(at, _)| is_right(*at)) {
        let time = condition[ConditionMember::LastTransitionTime].string().value().unwrap_or_default();
        patch.set(Field::ScannedAt, Json::from_text(time));
    }
}
