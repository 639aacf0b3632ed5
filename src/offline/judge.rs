//! Judges a scan without a request, as the validating webhook judges a scan without an old object.

use time::OffsetDateTime;

use crate::admission::ReviewSettings;
use crate::engine::{Change, Findings, Part, PatchOperation, Rule, mutate, validate};
use crate::rules::RULES;
use crate::scan::{Json, Kind, Member, Scan, Spec};

/// The values that the findings depend on besides the scan. The user who writes the scan is unknown, so overrides for
/// users or groups do not match, and the rule `status-writer` is skipped.
pub struct Judge {
    pub now: OffsetDateTime,
    pub settings: ReviewSettings,
}

impl Judge {
    /// Applies the rules of `parts` as the validating webhook does without an old object, and passes the findings to
    /// `then`.
    pub fn judge<T>(
        &self,
        kind: Kind,
        scan: &Scan<'_>,
        namespace: &str,
        parts: &[Part],
        then: impl FnOnce(&Findings<'_>) -> T,
    ) -> T {
        let modes = self.settings.modes(namespace, "", &[]);
        let change = Change::new(kind, scan, None, self.now).with_modes(&modes);
        let mut findings = Findings::default();
        for part in parts.iter().filter(|part| **part != Part::Status || !matches!(scan.status, Member::Absent)) {
            validate(RULES, *part, &change, &mut findings);
        }
        then(&findings)
    }

    /// Returns the writes that the mutating webhook would make to a scan without an old object, by these rules.
    pub fn mutations(&self, kind: Kind, scan: &Scan<'_>, namespace: &str, rules: &[Rule]) -> Vec<PatchOperation> {
        let modes = self.settings.modes(namespace, "", &[]);
        mutate(rules, &Change::new(kind, scan, None, self.now).with_modes(&modes)).operations
    }
}

/// Returns a status alone as that of a scan with a policy. Its spec is unknown, and rules read little else of a spec than
/// whether it names a policy.
pub fn with_any_policy(scan: Scan<'_>) -> Scan<'_> {
    let spec = Spec { scan_policy: Json::from_text("any"), ..Spec::default() };
    Scan { spec: Member::Present(spec), ..scan }
}
