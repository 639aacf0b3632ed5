//! Asks rules about a change, and decides what is done about what they find.

use super::change::Change;
use super::finding::{Downgrade, Finding, Findings};
use super::mode::Mode;
use super::ratchet;
use super::rule::{Part, Rule};

/// Asks the rules of `part` that are not off. Errors in an object that is being deleted are downgraded, and so are, where
/// there is an old object, those that the ratchet excuses; then the mode of each rule is applied.
pub fn validate<'a>(rules: &[Rule], part: Part, change: &Change<'a>, findings: &mut Findings<'a>) {
    for rule in rules.iter().filter(|rule| rule.part == part) {
        let mode = Mode::of(rule.id, change.modes);
        if mode == Mode::Off {
            continue;
        }
        let found = find(rule, change, findings);
        if !found.is_empty() {
            found.iter_mut().for_each(|finding| mode.apply(finding));
            findings.shorten();
        }
    }
}

/// The findings of a rule. Errors that are pre-existing, or in an object that is being deleted, are downgraded; the mode of the
/// rule is not applied yet.
pub(super) fn find<'f, 'a>(rule: &Rule, change: &Change<'a>, findings: &'f mut Findings<'a>) -> &'f mut [Finding<'a>] {
    let found = rule.find(change, findings);
    if found.is_empty() || rule.part == Part::Writer {
        return found;
    }
    if change.new.is_deleting() {
        found.iter_mut().for_each(|finding| finding.downgrade(Downgrade::Deleting));
    } else {
        ratchet::downgrade(rule, change, found);
    }
    found
}
