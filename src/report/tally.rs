//! How many scans there were of each kind of result.

use serde::Serialize;

use crate::engine::Action;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub scans: usize,
    pub denied: usize,
    /// With a warning, and nothing that is denied.
    pub warned: usize,
    /// Without a finding, except for the audit log.
    pub clean: usize,
}

impl Tally {
    /// Counts a scan by what is done about its findings.
    pub fn count(&mut self, actions: impl Iterator<Item = Action>) {
        self.scans += 1;
        match actions.max() {
            None | Some(Action::Audit) => self.clean += 1,
            Some(Action::Warn) => self.warned += 1,
            Some(Action::Deny) => self.denied += 1,
        }
    }
}
