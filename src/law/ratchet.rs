//! The ratchet: one old bad object must never freeze its controller.

use std::collections::HashSet;

use super::{Change, Finding, Findings, Rule, Severity, Softened};
use crate::scan::Scan;

/// Softens the refusals that the old object already deserved from `rule` at the same path, where nothing that the
/// rule read for them changed.
pub fn soften<'a>(rule: &Rule, change: &Change<'a>, old: &'a Scan<'a>, found: &mut [Finding<'a>]) {
    let is_excusable = |finding: &Finding<'_>| {
        finding.severity == Severity::Refuse && finding.reads.iter().all(|field| field.is_same(change.new, old))
    };
    if !found.iter().any(is_excusable) {
        return;
    }
    let mut standing = Findings::default();
    let before = change.before(old);
    let paths: HashSet<String> = standing
        .of(rule, &before)
        .iter()
        .filter(|finding| finding.severity == Severity::Refuse)
        .map(|finding| finding.field.to_string())
        .collect();
    for finding in found {
        if is_excusable(finding) && paths.contains(&finding.field.to_string()) {
            finding.soften(Softened::Standing);
        }
    }
}
