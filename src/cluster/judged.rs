//! What the view of all scans knows of one scan.

use time::OffsetDateTime;

use super::scan_totals::PhaseLabel;
use crate::engine::{Part, Severity};
use crate::offline::stored::StoredScan;
use crate::offline::stuck::Waiting;
use crate::report::ReportedFinding;
use crate::rules::RULES;
use crate::rules::tables::AHEAD_MAX;
use crate::scan::{Count, CveCount, Member, Phase, Spelling, Status};

/// What is known of a scan, in at most 64 bytes. Times are in Unix seconds, and 0 stands for none.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    /// The hash of the report that the scan should have; 0 if it should have none.
    pub report: u64,
    /// The rules with errors and with warnings, as bits in the order of [`RULES`].
    pub rules: [u32; 2],
    /// The CVE counts by severity, in the order of [`Count::SEVERITIES`].
    pub counts: [u32; 5],
    /// When the status changed last.
    pub changed: u32,
    pub waiting_since: u32,
    /// When the scan has to be judged again, since a finding depends on the time.
    pub due: u32,
    pub phase: PhaseLabel,
    pub has_status_error: bool,
    pub has_counts: bool,
    pub is_without_evidence: bool,
}

const _: () = assert!(size_of::<Judged>() <= 64);

impl Judged {
    /// Returns what is known of a scan apart from its report, and from when it has to be judged again.
    pub fn of(stored: &StoredScan<'_>, findings: &[ReportedFinding], waiting: Option<Waiting>) -> Self {
        let (mut rules, mut has_status_error) = ([0, 0], false);
        for finding in findings {
            let Some(index) = RULES.iter().position(|rule| Some(rule.id) == finding.rule) else { continue };
            rules[finding.severity as usize] |= 1 << index;
            has_status_error |= finding.severity == Severity::Error && RULES[index].part == Part::Status;
        }
        let status = stored.scan.status();
        let cve_count =
            status.and_then(|status| Spelling::BOTH.into_iter().find_map(|key| status.cve_count.get(key).present()));
        let count = |counts: &CveCount<'_>, severity| {
            u32::try_from(counts.count(severity).value().unwrap_or_default()).unwrap_or(u32::MAX)
        };
        let is_completed = status.and_then(Status::phase) == Some(Phase::Completed);
        let has_scanner = status.is_some_and(|status| !matches!(status.scanned_by, Member::Absent));
        Self {
            report: 0,
            rules,
            counts: cve_count
                .map(|counts| Count::SEVERITIES.map(|severity| count(counts, severity)))
                .unwrap_or_default(),
            // The last transition of a condition, or the creation of the scan.
            changed: transitions(stored).chain(stored.metadata.created()).max().map_or(0, seconds),
            waiting_since: waiting.map_or(0, |waiting| seconds(waiting.since)),
            due: 0,
            phase: PhaseLabel::of(status),
            has_status_error,
            has_counts: cve_count.is_some(),
            is_without_evidence: is_completed && !has_scanner && cve_count.is_none(),
        }
    }
}

/// Returns when a scan has to be judged again, in Unix seconds: when it will be stuck, or when a time that is too far in the
/// future no longer is: that of the scan, or that of a condition.
pub fn due(stored: &StoredScan<'_>, stuck_at: Option<OffsetDateTime>, now: OffsetDateTime) -> u32 {
    let scanned_at = stored.scan.status().and_then(Status::scanned_at);
    let ahead = scanned_at.into_iter().chain(transitions(stored)).map(|at| at - AHEAD_MAX);
    let due = stuck_at.into_iter().chain(ahead).filter(|due| *due > now).min();
    // The next whole second, at which the finding has certainly changed.
    due.map_or(0, |due| seconds(due).saturating_add(1))
}

/// The times at which the conditions of a scan have changed.
fn transitions<'s>(stored: &'s StoredScan<'_>) -> impl Iterator<Item = OffsetDateTime> + 's {
    let conditions = stored.scan.status().map(|status| status.conditions()).unwrap_or_default();
    conditions.iter().filter_map(|entry| entry.present()?.last_transition_time())
}

/// Returns a time in Unix seconds, from 1970 to 2106.
pub fn seconds(time: OffsetDateTime) -> u32 {
    u32::try_from(time.unix_timestamp().max(0)).unwrap_or(u32::MAX)
}
