//! The number of scans by result, and of findings by action.

use serde::Serialize;

use crate::engine::Action;

/// The number of scans by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
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

/// The number of findings by action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct ActionCounts {
    pub deny: u64,
    pub warn: u64,
    pub audit: u64,
}

impl ActionCounts {
    pub fn count(&mut self, action: Action) {
        *match action {
            Action::Deny => &mut self.deny,
            Action::Warn => &mut self.warn,
            Action::Audit => &mut self.audit,
        } += 1;
    }
}
