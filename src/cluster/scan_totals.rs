//! The totals of all stored scans, as metrics.

use crate::rules::RULES;
use crate::scan::{Phase, Status};

/// The number of rules that fit the bits of a judged scan.
const RULES_MAX: usize = 32;
const _: () = assert!(RULES.len() <= RULES_MAX);

/// A phase as a label. Clients can write any text as a phase, so that all but the five are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseLabel {
    None,
    Pending,
    Scanning,
    Completed,
    Failed,
    Error,
    Other,
}

impl PhaseLabel {
    pub const ALL: [PhaseLabel; 7] = [
        PhaseLabel::None,
        PhaseLabel::Pending,
        PhaseLabel::Scanning,
        PhaseLabel::Completed,
        PhaseLabel::Failed,
        PhaseLabel::Error,
        PhaseLabel::Other,
    ];

    pub fn of(status: Option<&Status<'_>>) -> Self {
        match status.map(|status| (status.phase(), status.phase.is_absent())) {
            None | Some((None, true)) => Self::None,
            Some((None, false)) => Self::Other,
            Some((Some(Phase::Pending), _)) => Self::Pending,
            Some((Some(Phase::Scanning), _)) => Self::Scanning,
            Some((Some(Phase::Completed), _)) => Self::Completed,
            Some((Some(Phase::Failed), _)) => Self::Failed,
            Some((Some(Phase::Error), _)) => Self::Error,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => Phase::Pending.name(),
            Self::Scanning => Phase::Scanning.name(),
            Self::Completed => Phase::Completed.name(),
            Self::Failed => Phase::Failed.name(),
            Self::Error => Phase::Error.name(),
            Self::Other => "other",
        }
    }
}

/// The totals of all stored scans.
#[derive(Debug, Default)]
pub struct ScanTotals {
    /// By kind and phase.
    pub scans: [[u64; 7]; 2],
    /// By phase: how long ago the status of the oldest scan changed.
    pub age_seconds: [u32; 7],
    /// By kind.
    pub stuck: [u64; 2],
    /// The scans with findings, by rule and severity.
    pub findings: [[u64; 2]; RULES_MAX],
    /// The scans with counts and without an error in the status.
    pub verified: u64,
    /// The sums of the counts of those scans, by severity.
    pub counts: [u64; 5],
    pub with_errors: u64,
    /// The scans that are Completed, and have neither a scanner nor counts.
    pub without_evidence: u64,
    /// How long ago the view of the collection that is furthest behind was last known to have every change.
    pub pass_age_seconds: f64,
    pub reports: u64,
    pub queued: u64,
}
