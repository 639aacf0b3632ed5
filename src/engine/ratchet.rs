//! The ratchet: one old bad object must never freeze its controller.

use std::collections::HashSet;

use super::change::Change;
use super::finding::{Downgrade, Finding, Findings, Severity};
use super::rule::Rule;
use crate::scan::Scan;

/// Downgrades the errors that `rule` already finds in the old object at the same path, where nothing that the rule read
/// for them changed.
pub fn downgrade<'a>(rule: &Rule, change: &Change<'a>, old: &'a Scan<'a>, found: &mut [Finding<'a>]) {
    let is_unchanged = |finding: &Finding<'_>| {
        finding.severity == Severity::Error && finding.reads.iter().all(|field| field.is_same(change.new, old))
    };
    if !found.iter().any(is_unchanged) {
        return;
    }
    let mut pre_existing = Findings::default();
    let paths: HashSet<String> = rule
        .find(&change.before(old), &mut pre_existing)
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.field.to_string())
        .collect();
    for finding in found {
        if is_unchanged(finding) && paths.contains(&finding.field.to_string()) {
            finding.downgrade(Downgrade::PreExisting);
        }
    }
}
