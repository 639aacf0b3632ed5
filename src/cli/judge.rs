//! A scan that is there, judged by itself: what `check` and `audit` have in common.

use time::OffsetDateTime;

use crate::admission::Policy;
use crate::law::{self, Change, Findings, Part, RULES};
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
