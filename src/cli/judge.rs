//! A scan that is there, judged by itself: what `check` and `audit` have in common.

use std::process::ExitCode;

use serde::Serialize;
use time::OffsetDateTime;

use super::{REFUSED, UNUSABLE};
use crate::admission::Policy;
use crate::law::{self, Change, Findings, Part, RULES, Severity};
use crate::scan::{Kind, Member, Scan};

/// What the verdict depends on besides the scan. Who will write it is not known, so what the policy says of some users or
/// groups is left out, and so are its status writers.
pub struct Judge {
    pub now: OffsetDateTime,
    pub policy: Policy,
}

impl Judge {
    /// Judges a scan as the validating door does where there was none before, and tells what is found.
    pub fn judge<T>(&self, kind: Kind, scan: &Scan<'_>, namespace: &str, tell: impl FnOnce(&Findings<'_>) -> T) -> T {
        let modes = self.policy.modes(namespace, "", &[]);
        let change = Change::new(kind, scan, None, self.now).under(&modes);
        let mut findings = Findings::default();
        law::judge(RULES, Part::Spec, &change, &mut findings);
        if scan.status != Member::Absent {
            law::judge(RULES, Part::Status, &change, &mut findings);
        }
        tell(&findings)
    }
}

/// How many scans there were of each verdict.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Tally {
    pub scans: usize,
    pub refused: usize,
    /// With advice and no refusal.
    pub advised: usize,
    pub clean: usize,
}

impl Tally {
    /// What is for the audit log alone does not count.
    pub fn count(&mut self, findings: &Findings<'_>) {
        self.scans += 1;
        match findings.list().iter().filter(|finding| !finding.is_audited).map(|finding| finding.severity).max() {
            None => self.clean += 1,
            Some(Severity::Advise) => self.advised += 1,
            Some(Severity::Refuse) => self.refused += 1,
        }
    }

    /// The exit of a verb that could not read `errors` things besides.
    pub fn exit_code(&self, errors: usize) -> ExitCode {
        ExitCode::from(match (errors, self.refused) {
            (0, 0) => 0,
            (0, _) => REFUSED,
            _ => UNUSABLE,
        })
    }
}
