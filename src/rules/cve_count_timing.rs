//! `cve-count-timing`: the counts belong to a scan that has ended.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::counts::{FAILED, total};
use crate::scan::{
    ConditionStatus, ConditionType, Container, Count, CveCount, Field, Json, Member, Phase, Scan, Spelling,
};

pub const RULE: Rule = Rule {
    id: "cve-count-timing",
    title: "The counts belong to a scan that has ended.",
    checks: "All findings of this rule are warnings, since a policy may fail for reasons other than CVEs. The rule warns of \
             counts on phase Pending, of counts that change while a current `Scanning` is True, and of counts that are absent \
             or have the total 0 on phase Failed.",
    why: "The counts are a result of a run.",
    breaks: "A dashboard shows counts of a scan that has not finished, or a failed scan without any CVEs.",
    repair: "Write the counts together with `Succeeded`. Keep the old counts while a new scan is running.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::counts::timing),
    examples: &[
        Example {
            title: "counts of a scan that ended",
            old: None,
            new: r#"{"status": {"phase": "Completed", "cveCount": {"low": 1, "total": 1}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a rescan that keeps the counts of the last scan",
            old: Some(r#"{"status": {"cveCount": {"low": 1}}}"#),
            new: r#"{"status": {"phase": "Scanning", "cveCount": {"low": 1}, "conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:20:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "absent counts that are set to 0 during a rescan",
            old: Some(r#"{"status": {"cveCount": {"low": 1}}}"#),
            new: r#"{"status": {"phase": "Scanning", "cveCount": {"critical": 0, "low": 1, "total": 1}, "conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:20:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "counts before a scan",
            old: None,
            new: r#"{"status": {"phase": "Pending", "cveCount": {"low": 1, "total": 1}}}"#,
            expect: Expectation::Warns("status.cveCount"),
        },
        Example {
            title: "counts that change during a scan",
            old: Some(r#"{"status": {"cveCount": {"low": 1}}}"#),
            new: r#"{"status": {"phase": "Scanning", "cveCount": {"low": 2}, "conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:20:00Z"}]}}"#,
            expect: Expectation::Warns("status.cveCount"),
        },
        Example {
            title: "counts that change while only a stale Scanning is True",
            old: Some(r#"{"status": {"cveCount": {"low": 1}}}"#),
            new: r#"{"metadata": {"generation": 2}, "status": {"phase": "Scanning", "observedGeneration": 2, "cveCount": {"low": 2}, "conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "observedGeneration": 1, "lastTransitionTime": "2026-11-20T08:20:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a failed scan without counts",
            old: None,
            new: r#"{"status": {"phase": "Failed"}}"#,
            expect: Expectation::Warns("status.cveCount"),
        },
        Example {
            title: "a failed scan that found nothing",
            old: None,
            new: r#"{"status": {"phase": "Failed", "CVECount": {"CVETOTAL": 0}}}"#,
            expect: Expectation::Warns("status.CVECount"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let is_running = change.conditions().current(ConditionType::Scanning) == Some(ConditionStatus::True);
    let is_failed = status.phase() == Some(Phase::Failed);
    let containers = Spelling::BOTH.map(|spelling| (spelling, status.cve_count.get(spelling)));
    let there = containers.into_iter().filter(|(_, counts)| **counts != Member::Absent);
    for (spelling, counts) in there.clone() {
        let field = Field::CveCount(spelling);
        if status.phase() == Some(Phase::Pending) {
            findings.warning(field, FieldError::forbidden("no counts while phase is \"Pending\""));
        }
        if is_running && change.old.is_some_and(|old| has_changed(spelling, counts, old)) {
            findings.warning(field, FieldError::forbidden("must not change while Scanning is \"True\""));
        }
        if is_failed && counts.present().is_some_and(is_zero) {
            findings.warning(field, FieldError::invalid(&Json::Integer(0), FAILED));
        }
    }
    if is_failed && there.count() == 0 {
        let field = Field::CveCount(Spelling::Wire);
        findings.warning(field, FieldError::required(FAILED));
    }
}

/// Reports whether the counts differ from those of the old status, in either spelling. An absent count is 0.
fn has_changed<'a>(spelling: Spelling, new: &Container<'a, CveCount<'a>>, old: &Scan<'a>) -> bool {
    let other = if spelling == Spelling::Wire { Spelling::Documented } else { Spelling::Wire };
    let old = [spelling, other]
        .into_iter()
        .find_map(|spelling| old.status().map(|old| old.cve_count.get(spelling)).filter(|old| **old != Member::Absent));
    let none = CveCount::default();
    let (new, old) = match (new, old) {
        (Member::Present(new), Some(Member::Present(old))) => (new, old),
        (Member::Present(new), _) => (new, &none),
        (new, old) => return Some(new) != old,
    };
    let is_same = |severity| match (new.count(severity), old.count(severity)) {
        (Member::WrongType(_), _) | (_, Member::WrongType(_)) => new.is_same_count(severity, old),
        (new, old) => new.value().unwrap_or_default() == old.value().unwrap_or_default(),
    };
    !Count::SEVERITIES.into_iter().all(is_same) || total(new).unwrap_or_default() != total(old).unwrap_or_default()
}

fn is_zero(counts: &CveCount<'_>) -> bool {
    match counts.count(Count::Total) {
        Member::Present(total) => total == 0,
        _ => counts.sum() == Some(0),
    }
}
