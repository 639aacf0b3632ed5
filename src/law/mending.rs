//! Mends: derived fields, filled in or recomputed on our own copy first, so that the patch is known to apply.

use super::{Change, Findings, Mode, Part, Rule};
use crate::scan::{Entry, Field, Json, Member, Scan};

/// What the mends of one rule want written.
#[derive(Debug, Default)]
pub struct Patch {
    writes: Vec<(Field<'static>, Json<'static>)>,
}

impl Patch {
    /// Writes `value` at `field`; a field that is there is replaced.
    pub fn set(&mut self, field: Field<'static>, value: Json<'static>) {
        self.writes.push((field, value));
    }
}

/// One write that was made on our own copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub rule: &'static str,
    pub field: Field<'static>,
    /// What was there, where something was: the change is then told to the user.
    pub was: Option<String>,
    pub value: Json<'static>,
}

/// Asks every rule whose mode mends to mend the new object, each on what the ones before it left, and returns the mended copy (none
/// where there was nothing to do) and the writes that made it.
///
/// A mend that would have a status refused which passes without it is left out: filling in a phase makes strict what
/// was advice.
pub fn mend<'a>(rules: &[Rule], change: &Change<'a>) -> (Option<Scan<'a>>, Vec<Operation>) {
    let mut copy: Option<Scan<'a>> = None;
    let mut operations = Vec::new();
    let mut is_refused = None;
    // A mend that was left out may be due after another, so that the mend of a mended object is empty: until a round
    // writes nothing.
    loop {
        let before = operations.len();
        for (rule, mend) in rules.iter().filter_map(|rule| Some((rule, rule.mend?))) {
            if !Mode::of(rule, change.modes).mends() {
                continue;
            }
            let mut patch = Patch::default();
            mend(&change.with(copy.as_ref().unwrap_or(change.new)), &mut patch);
            if patch.writes.is_empty() {
                continue;
            }
            let mut mended = copy.as_ref().unwrap_or(change.new).clone();
            let written = apply(rule, patch, &mut mended);
            let was_refused = *is_refused.get_or_insert_with(|| has_refusal(rules, change));
            if written.is_empty() || !was_refused && has_refusal(rules, &change.with(&mended)) {
                continue;
            }
            operations.extend(written);
            copy = Some(mended);
        }
        if operations.len() == before {
            return (copy, operations);
        }
    }
}

fn has_refusal(rules: &[Rule], change: &Change<'_>) -> bool {
    let mut findings = Findings::default();
    rules.iter().filter(|rule| rule.part == Part::Status).any(|rule| {
        super::ask(rule, change, &mut findings);
        findings.is_refused()
    })
}

/// Makes the writes of one rule on our own copy; what cannot be written there is left out.
fn apply(rule: &Rule, patch: Patch, copy: &mut Scan<'_>) -> Vec<Operation> {
    let write = |(field, value): (Field<'static>, Json<'static>)| {
        let place = place(copy, &field).filter(|place| **place != value)?;
        let was = (!place.is_absent()).then(|| place.as_str().to_owned());
        *place = value.clone();
        Some(Operation { rule: rule.id, field, was, value })
    };
    patch.writes.into_iter().filter_map(write).collect()
}

/// The place of a derived field, where its parent is there. No other field can be written.
fn place<'s, 'a>(scan: &'s mut Scan<'a>, field: &Field<'_>) -> Option<&'s mut Json<'a>> {
    let status = scan.status.is_mut()?;
    match field {
        Field::Phase => Some(&mut status.phase),
        Field::ScannedAt => Some(&mut status.scanned_at),
        Field::ConditionMember(Entry::Index(index), member) => {
            Some(&mut status.conditions.is_mut()?.get_mut(*index).and_then(Member::is_mut)?[*member])
        }
        Field::Count(container, count, key) => {
            Some(status.cve_count.get_mut(*container).is_mut()?.get_mut(*count, *key))
        }
        _ => None,
    }
}
