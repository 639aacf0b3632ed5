//! The number of scans by result.

use serde::Serialize;

use crate::engine::Action;

/// The number of scans by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub scans: usize,
    /// Scans with a denied finding.
    pub denied: usize,
    /// Scans with warnings and without a denied finding.
    pub warned: usize,
    /// Scans without findings, or with findings for the audit log only.
    pub clean: usize,
}

impl Tally {
    /// Counts a scan by the actions of its findings.
    pub fn count(&mut self, actions: impl Iterator<Item = Action>) {
        self.scans += 1;
        match actions.max() {
            None | Some(Action::Audit) => self.clean += 1,
            Some(Action::Warn) => self.warned += 1,
            Some(Action::Deny) => self.denied += 1,
        }
    }
}
