//! What a run counts: files, scans by result, findings by action.

use std::collections::BTreeMap;

use serde::Serialize;

use super::counted;
use super::origins::Origins;
use super::stuck::StuckScans;
use crate::engine::Action;

/// The number of findings of each rule in each namespace.
pub type RuleTable = BTreeMap<(String, &'static str), ActionCounts>;

/// What was counted in a run.
#[derive(Debug, Default)]
pub struct Totals {
    pub tally: Tally,
    pub rules: RuleTable,
    /// The findings in a cluster by whose they are.
    pub origins: Origins,
    /// The files that could be opened; `None` for a cluster.
    pub files: Option<usize>,
    /// The objects of other kinds; `None` for a cluster.
    pub skipped: Option<usize>,
    /// The inputs that could not be read.
    pub errors: usize,
    /// The stuck scans of a cluster; `None` if they are not looked for.
    pub stuck: Option<StuckScans>,
}

impl Totals {
    /// Returns the totals of a run on files, before the first file.
    pub fn of_files() -> Self {
        Totals { files: Some(0), skipped: Some(0), ..Totals::default() }
    }

    /// Returns the totals in one line.
    pub fn summary(&self) -> String {
        let Tally { scans, denied, warned, clean } = self.tally;
        let (results, scans_counted) = (format!("{warned} with warnings, {clean} clean"), counted(scans, "scan"));
        let mut summary = match (self.files, scans) {
            (Some(files), 0) => format!("no scan in {}", counted(files, "file")),
            (Some(files), _) => {
                format!("{scans_counted} checked in {}: {denied} denied, {results}", counted(files, "file"))
            }
            (None, _) => format!("{scans_counted}: {denied} would be denied, {results}"),
        };
        if let Some(skipped @ 1..) = self.skipped {
            summary += &format!("; {} skipped", counted(skipped, "other object"));
        }
        if let Some(stuck) = &self.stuck {
            summary += &format!("; {} stuck", stuck.count);
        }
        if self.errors > 0 {
            let errors = counted(self.errors, "error");
            summary += &match self.files {
                Some(_) => format!("; {errors}, see above"),
                None => format!("; {} could not be read, see above", self.errors),
            };
        }
        summary
    }
}

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
