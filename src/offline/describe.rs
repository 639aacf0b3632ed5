//! Describes a stored scan: what its status says in plain words, its findings, and what happens next.

use super::Judge;
use super::contents::contents;
use super::stored::StoredScan;
use super::stuck::{Waiting, WaitingState};
use crate::engine::Action;
use crate::report::describe::{DescribedScan, DescribedWait, Description};
use crate::report::{ReportedEvent, ReportedFinding};
use crate::rules::tables::phases::{self, MEANINGS, PhaseMeaning};
use crate::scan::time::format;
use crate::scan::{Conditions, Phase, Scan};

/// Describes a scan as of the time of `judge`.
pub fn describe<'s>(
    stored: &'s StoredScan<'_>,
    judge: &Judge,
    events: Result<Vec<ReportedEvent>, String>,
) -> Description<'s> {
    let (metadata, scan) = (&stored.metadata, &stored.scan);
    let findings = stored.findings(judge);
    let waiting = Waiting::of(stored);
    let next = next(scan, &Conditions::of(scan), waiting, &findings);
    let scan = DescribedScan {
        created: metadata.created().and_then(format),
        waiting: waiting
            .and_then(|Waiting { state, since }| Some(DescribedWait { state: state.name(), since: format(since)? })),
        next,
        ..contents(scan)
    };
    Description { subject: stored.subject(), now: judge.now, scan, findings, events }
}

/// Returns what happens next.
fn next(
    scan: &Scan<'_>,
    conditions: &Conditions<'_>,
    waiting: Option<Waiting>,
    findings: &[ReportedFinding],
) -> Vec<String> {
    if scan.is_deleting() {
        return vec!["The scan is being deleted. It is gone when its finalizers are removed.".to_owned()];
    }
    let mut next = Vec::new();
    if waiting.is_some_and(|waiting| waiting.state == WaitingState::Behind) {
        next.push(
            "The spec has changed since the status was written, so the controller runs the scan again.".to_owned(),
        );
    } else {
        let phase = match scan.status() {
            None => Some(Phase::Pending),
            Some(status) => status.phase().or_else(|| phases::of_conditions(conditions, scan.has_scan_policy())),
        };
        let row = phase.and_then(|phase| MEANINGS.iter().find(|row| row.phase == phase));
        match row {
            Some(PhaseMeaning { next: sentence, .. }) => next.push((*sentence).to_owned()),
            None => next.push("The controller has to write one of the phases.".to_owned()),
        }
    }
    if findings.iter().any(|finding| finding.action == Action::Deny) {
        next.push(
            "The webhook denies the next change of a field with an error, unless the change corrects it.".to_owned(),
        );
    }
    next
}
