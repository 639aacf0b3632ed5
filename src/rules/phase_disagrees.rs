//! `phase-disagrees`: the phase agrees with the conditions.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule, Severity};
use crate::rules::cel;
use crate::rules::tables::phases;
use crate::scan::{Field, Json};

pub const RULE: Rule = Rule {
    id: "phase-disagrees",
    title: "The phase agrees with the conditions.",
    checks: "The current conditions do not contradict the phase. The table of phases (docs/decides.md) lists the \
             contradictions, and says which are errors and which are warnings. A stale condition is one of an earlier run. \
             Where a phase requires a condition, a stale condition is enough. A stale condition never causes an error or a \
             warning.",
    why: "Some readers use the phase and others use the conditions, so both must say the same.",
    breaks: "The GUI shows a completed scan while the supply chain waits. Or a vulnerable image is shipped, because either \
             the phase or the conditions allowed it.",
    repair: "Write the phase and the conditions in one update, so that they agree with the table of phases.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::phases::disagrees),
    examples: &[
        Example {
            title: "a running scan",
            old: None,
            new: r#"{"status": {"phase": "Scanning", "conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a scan that passed its policy",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Completed", "conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a finished job whose policy has not been evaluated yet",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Scanning", "observedGeneration": 1, "conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a completed scan that violated its policy",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Completed", "conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.phase"),
        },
        Example {
            title: "phase Failed without a verdict",
            old: None,
            new: r#"{"status": {"phase": "Failed", "conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.phase"),
        },
        Example {
            title: "phase Error although no condition shows a failure",
            old: None,
            new: r#"{"status": {"phase": "Error", "conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.phase"),
        },
        Example {
            title: "phase Error without any condition",
            old: None,
            new: r#"{"status": {"phase": "Error", "conditions": []}}"#,
            expect: Expectation::Warns("status.phase"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(phase) = change.new.status().and_then(|status| status.phase()) else { return };
    let conditions = change.conditions();
    for (index, row) in phases::ROWS.iter().enumerate().filter(|(_, row)| row.phase == phase) {
        if !row.when.iter().all(|when| when.holds(conditions, change)) {
            continue;
        }
        let error = FieldError::invalid(&Json::from_text(phase.name()), row.detail());
        match row.severity {
            Severity::Error => {
                let finding = findings.error(Field::Phase, error);
                finding.row = index;
                finding.reads.extend(row.when.iter().flat_map(|when| when.reads(conditions)));
            }
            Severity::Warning => {
                findings.warning(Field::Phase, error);
            }
        }
    }
}
