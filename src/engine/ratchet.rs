//! The ratchet: an error that the old object already has does not deny the write. Otherwise one bad object, for
//! example from before the webhook was installed, would block every later write of its controller.

use std::collections::HashSet;

use super::change::Change;
use super::comparison::by_index;
use super::finding::{Downgrade, Finding, Findings, Severity};
use super::rule::Rule;

/// Downgrades each error that `rule` also finds in the old object, at the same path and in the same row, if no field
/// that the rule read for it has changed.
pub fn downgrade<'a>(rule: &Rule, change: &Change<'a>, found: &mut [Finding<'a>]) {
    if !found.iter().any(|finding| finding.severity == Severity::Error) {
        return;
    }
    let (Some(comparison), Some(old_object)) = (change.comparison(), change.for_old_object()) else { return };
    let mut pre_existing = Findings::default();
    let errors = rule.run(&old_object, &mut pre_existing).iter().filter(|finding| finding.severity == Severity::Error);
    let errors: HashSet<_> = errors.map(|error| (by_index(error.field, old_object.conditions()), error.row)).collect();
    if errors.is_empty() {
        return;
    }
    for finding in found.iter_mut().filter(|finding| finding.severity == Severity::Error) {
        let is_pre_existing =
            comparison.old_field(finding.field).is_some_and(|field| errors.contains(&(field, finding.row)));
        if is_pre_existing && finding.reads.iter().all(|read| comparison.is_unchanged(*read)) {
            finding.downgrade(Downgrade::PreExisting);
        }
    }
}
