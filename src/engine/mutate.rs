//! Mutations: derived fields, filled in or recomputed on our own copy first, so that the patch is known to apply.

use super::change::Change;
use super::finding::Findings;
use super::mode::Mode;
use super::patch::{Patch, Write};
use super::rule::{Part, Rule};
use super::validate::validate_rule;
use crate::scan::{Field, Json, Scan};

/// One write that was made on our own copy.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchOperation {
    pub rule: &'static str,
    pub field: Field<'static>,
    /// What was there, where something was: the client is then warned that it was replaced.
    pub was: Option<String>,
    pub value: Json<'static>,
}

/// What the mutations make of an object.
#[derive(Debug, Default)]
pub struct Mutated<'a> {
    /// Our own copy; none where nothing was written.
    pub scan: Option<Scan<'a>>,
    /// The writes that made it.
    pub operations: Vec<PatchOperation>,
}

/// Applies each enabled mutation in table order, each to what the ones before it left.
///
/// A mutation that would make a valid status invalid is left out: a phase that is filled in can turn a warning into an
/// error.
pub fn mutate<'a>(rules: &[Rule], change: &Change<'a>) -> Mutated<'a> {
    let all = mutate_without(None, rules, change);
    let Some(copy) = &all.scan else { return all };
    let Some(denial) = first_denial(rules, &change.with(copy)) else { return all };
    // A status that was denied before is not denied because of a mutation.
    let before = first_denial(std::slice::from_ref(denial.rule), change);
    if before.is_some_and(|before| before.path == denial.path) {
        return all;
    }
    let mut wrote: Vec<_> = all.operations.iter().map(|operation| operation.rule).collect();
    wrote.dedup();
    let fewer = wrote.into_iter().map(|rule| mutate_without(Some(rule), rules, change));
    let is_valid = |mutated: &Mutated<'_>| {
        let left = mutated.scan.as_ref().unwrap_or(change.new);
        first_denial(rules, &change.with(left)).is_none()
    };
    fewer.chain(std::iter::once_with(Mutated::default)).find(is_valid).unwrap_or(all)
}

/// The first error that denies a status: its rule and its path.
struct Denial<'r> {
    rule: &'r Rule,
    path: String,
}

fn first_denial<'r>(rules: &'r [Rule], change: &Change<'_>) -> Option<Denial<'r>> {
    rules.iter().filter(|rule| rule.part == Part::Status).find_map(|rule| {
        let mut findings = Findings::default();
        validate_rule(rule, change, &mut findings);
        Some(Denial { rule, path: findings.denial()?.field.to_string() })
    })
}

fn mutate_without<'a>(left_out: Option<&str>, rules: &[Rule], change: &Change<'a>) -> Mutated<'a> {
    let mut copy: Option<Scan<'a>> = None;
    let mut operations = Vec::new();
    let (mut next, mut before) = (0, 0);
    loop {
        let pending = next_pending(left_out, rules, next, &change.with(copy.as_ref().unwrap_or(change.new)));
        if let Some(PendingMutation { index, patch }) = pending {
            next = index + 1;
            operations.extend(apply(&rules[index], patch, copy.get_or_insert_with(|| change.new.clone())));
        } else if operations.len() > before {
            // A write can enable another mutation, and the mutation of a mutated object has to be empty.
            (next, before) = (0, operations.len());
        } else {
            return Mutated { scan: copy.filter(|_| before > 0), operations };
        }
    }
}

/// A rule whose mutation has something to write.
struct PendingMutation {
    index: usize,
    patch: Patch,
}

/// The first such rule from `next` on. All rules are asked about one change, which reads the conditions once.
fn next_pending(left_out: Option<&str>, rules: &[Rule], next: usize, change: &Change<'_>) -> Option<PendingMutation> {
    rules.iter().enumerate().skip(next).find_map(|(index, rule)| {
        let is_enabled = left_out != Some(rule.id) && Mode::of(rule.id, change.modes).mutates();
        let mutate = rule.mutate.filter(|_| is_enabled)?;
        let mut patch = Patch::default();
        mutate(change, &mut patch);
        (!patch.writes.is_empty()).then_some(PendingMutation { index, patch })
    })
}

/// Makes the writes of one rule on our own copy; what cannot be written there is left out.
fn apply(rule: &Rule, patch: Patch, copy: &mut Scan<'_>) -> Vec<PatchOperation> {
    let write = |Write { field, value }| {
        let place = field.value_mut(copy).filter(|place| **place != value)?;
        let was = (!place.is_absent()).then(|| place.as_str().to_owned());
        *place = value.clone();
        Some(PatchOperation { rule: rule.id, field, was, value })
    };
    patch.writes.into_iter().filter_map(write).collect()
}
