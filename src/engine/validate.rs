//! Validation: checks a change against rules, and decides what is done about their findings.

use super::change::Change;
use super::finding::{Downgrade, Finding, Findings};
use super::mode::Mode;
use super::ratchet;
use super::rule::{Part, Rule};

/// Checks the rules of `part` that are not off, and adds their findings to `findings`. Errors that are pre-existing, or
/// in an object that is being deleted, are downgraded first; then the mode of each rule is applied.
pub fn validate<'a>(rules: &[Rule], part: Part, change: &Change<'a>, findings: &mut Findings<'a>) {
    for rule in rules.iter().filter(|rule| rule.part == part) {
        let mode = Mode::of(rule.id, change.modes);
        if mode == Mode::Off {
            continue;
        }
        let found = check_rule(rule, change, findings);
        if !found.is_empty() {
            found.iter_mut().for_each(|finding| mode.apply(finding));
            findings.truncate();
        }
    }
}

/// Checks one rule, adds its findings to `findings` and returns them. Errors that are pre-existing, or in an object
/// that is being deleted, are downgraded; the mode of the rule is not applied. [`Part::Writer`] is about the user's
/// rights, so its errors are never downgraded here.
pub(super) fn check_rule<'f, 'a>(
    rule: &Rule,
    change: &Change<'a>,
    findings: &'f mut Findings<'a>,
) -> &'f mut [Finding<'a>] {
    let found = rule.run(change, findings);
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
