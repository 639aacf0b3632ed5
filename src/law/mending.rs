//! Mends: derived fields, filled in or recomputed on our own copy first, so that the patch is known to apply.

use super::{Change, Findings, Mode, Part, Rule, Severity};
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

/// What the mends have made of an object: our own copy, where there was something to do, and the writes that made it.
pub type Mended<'a> = (Option<Scan<'a>>, Vec<Operation>);

/// Has every rule whose mode mends mend the new object, each on what the ones before it left.
///
/// A mend that would have a status refused which passes without it is left out: filling in a phase makes strict what was
/// advice.
pub fn mend<'a>(rules: &[Rule], change: &Change<'a>) -> Mended<'a> {
    let all = mend_without(None, rules, change);
    let (Some(copy), operations) = &all else { return all };
    let Some((rule, field)) = refusal(rules, &change.with(copy)) else { return all };
    // Where it was refused so before, it is not for what was mended.
    if refusal(std::slice::from_ref(rule), change).is_some_and(|(_, before)| before == field) {
        return all;
    }
    let mut wrote: Vec<_> = operations.iter().map(|operation| operation.rule).collect();
    wrote.dedup();
    let fewer = wrote.into_iter().map(|rule| mend_without(Some(rule), rules, change));
    let passes = |(copy, _): &Mended<'_>| {
        let left = copy.as_ref().unwrap_or(change.new);
        refusal(rules, &change.with(left)).is_none()
    };
    fewer.chain(std::iter::once_with(|| (None, Vec::new()))).find(passes).unwrap_or(all)
}

/// The first refusal of a status: its rule, and its field in words.
fn refusal<'r>(rules: &'r [Rule], change: &Change<'_>) -> Option<(&'r Rule, String)> {
    rules.iter().filter(|rule| rule.part == Part::Status).find_map(|rule| {
        let mut findings = Findings::default();
        super::ask(rule, change, &mut findings);
        let refused = findings.list().iter().find(|finding| finding.severity == Severity::Refuse)?;
        Some((rule, refused.field.to_string()))
    })
}

fn mend_without<'a>(left_out: Option<&str>, rules: &[Rule], change: &Change<'a>) -> Mended<'a> {
    let mut copy: Option<Scan<'a>> = None;
    let mut operations = Vec::new();
    let (mut next, mut before) = (0, 0);
    loop {
        let found = due(left_out, rules, next, &change.with(copy.as_ref().unwrap_or(change.new)));
        if let Some((index, patch)) = found {
            next = index + 1;
            operations.extend(apply(&rules[index], patch, copy.get_or_insert_with(|| change.new.clone())));
        } else if operations.len() > before {
            // What is written may make another mend due, so that the mend of a mended object is empty.
            (next, before) = (0, operations.len());
        } else {
            return (copy.filter(|_| before > 0), operations);
        }
    }
}

/// The first rule from `next` on with something to mend. All of them are asked of one change, which looks at the conditions
/// once.
fn due(left_out: Option<&str>, rules: &[Rule], next: usize, change: &Change<'_>) -> Option<(usize, Patch)> {
    rules.iter().enumerate().skip(next).find_map(|(index, rule)| {
        let mend = rule.mend.filter(|_| left_out != Some(rule.id) && Mode::of(rule, change.modes).mends())?;
        let mut patch = Patch::default();
        mend(change, &mut patch);
        (!patch.writes.is_empty()).then_some((index, patch))
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
