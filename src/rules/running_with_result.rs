//! `running-with-result`: a running scan has no result of this run.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::scan::ConditionStatus::True;
use crate::scan::ConditionType::{PolicySucceeded, Scanning, Succeeded};
use crate::scan::{ConditionMember, Json};

pub const RULE: Rule = Rule {
    id: "running-with-result",
    title: "A running scan has no result of this run.",
    checks: "While a current `Scanning` is True, a current `Succeeded` or `PolicySucceeded` is an error. Results of an \
             earlier run may stay. Their times are not later than the time of `Scanning`.",
    why: "`Scanning` says that the scan is running. A result says that the scan has ended.",
    breaks: "The supply chain uses the result of a scan that is still running, or waits for one that has ended.",
    repair: "When the job ends, set `Scanning` to False in the same write as the results. When a new job starts, set the \
             `lastTransitionTime` of `Scanning` to now, so that older results are stale.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::conditions::running_with_result),
    examples: &[
        Example {
            title: "a running scan",
            old: None,
            new: r#"{"status": {"phase": "Scanning", "conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a rescan that keeps the results of the last run",
            old: None,
            new: r#"{"status": {"phase": "Scanning", "conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:20:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a result that is newer than the run",
            old: None,
            new: r#"{"status": {"phase": "Scanning", "conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Scanning].status"),
        },
        Example {
            title: "a running scan on phase Completed",
            old: None,
            new: r#"{"status": {"phase": "Completed", "conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:20:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Scanning].status"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    if conditions.current(Scanning) != Some(True) {
        return;
    }
    let results: Vec<_> =
        [Succeeded, PolicySucceeded].into_iter().filter(|known| conditions.current(*known).is_some()).collect();
    if results.is_empty() {
        return;
    }
    let names: Vec<_> = results.iter().map(|known| known.name()).collect();
    let detail = format!("must be \"False\" beside a result of this run ({})", names.join(", "));
    let status = |known| conditions.member(known, ConditionMember::Status);
    findings
        .error(status(Scanning), FieldError::invalid(&Json::from_text(True.name()), detail))
        .reads
        .extend(results.into_iter().map(status));
}
