//! Mutations: derived fields are filled in or recomputed on our own copy first, so that the patch is known to apply.

use std::collections::{HashMap, HashSet};

use super::change::Change;
use super::comparison::by_index;
use super::finding::{Findings, Severity};
use super::mode::Mode;
use super::patch::{Patch, WRITES_MAX, Write};
use super::rule::{Part, Rule};
use super::validate::find;
use crate::scan::{Field, Json, Scan};

/// A write that was made on our own copy.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchOperation {
    pub rule: &'static str,
    pub field: Field<'static>,
    /// The JSON that was replaced, if any: the client is then warned.
    pub was: Option<String>,
    pub value: Json<'static>,
}

/// The result of the mutations.
#[derive(Debug, Default)]
pub struct Mutated<'a> {
    /// Our own copy; none where nothing was written.
    pub scan: Option<Scan<'a>>,
    /// The writes that made it.
    pub operations: Vec<PatchOperation>,
}

/// Applies each enabled mutation in table order, each to the result of the ones before it, until none has anything to write.
///
/// Every mutation keeps this promise: afterwards its own rule finds nothing at the fields that it wrote, and no rule has an error
/// that was not there before, or that was downgraded and now is not. A write that would break the promise is left out: to fill in
/// a phase, for instance, can turn a warning into an error.
pub fn mutate<'a>(rules: &[Rule], change: &Change<'a>) -> Mutated<'a> {
    // Read once here; every copy of the change shares them.
    change.old_conditions();
    let mut tries = 0;
    let mut mutated = mutate_once(rules, change, &mut tries);
    // A write that was left out may keep the promise once others were made. It is tried again, so that mutating the result
    // again changes nothing.
    while let Some(copy) = mutated.scan.as_mut().filter(|_| tries > 0) {
        let more = mutate_once(rules, &change.with_new(copy), &mut tries).operations;
        if more.is_empty() {
            break;
        }
        for operation in more {
            if let Some(place) = operation.field.value_mut(copy) {
                *place = operation.value.clone();
            }
            mutated.operations.push(operation);
        }
    }
    // Writes that were not tried here would be tried when the result comes again, and change it: rather write nothing.
    if tries > TRIES_MAX { Mutated::default() } else { mutated }
}

fn mutate_once<'a>(rules: &[Rule], change: &Change<'a>, tries: &mut usize) -> Mutated<'a> {
    let all = apply_all(rules, change, |_, _| true);
    let Some(copy) = &all.scan else { return all };
    let mut before = Judged::of(rules, change);
    if Judged::of(rules, &change.with_new(copy)).is_kept_by(&all.operations, &before) {
        return all;
    }
    if !is_small(change) {
        return Mutated::default();
    }
    // This is rare, so each mutation is then tried by itself.
    apply_all(rules, change, |copy, operations| {
        *tries += 1;
        if *tries > TRIES_MAX {
            return false;
        }
        let after = Judged::of(rules, &change.with_new(copy));
        let is_kept = after.is_kept_by(operations, &before) || after.shows_hidden_errors(operations, &before);
        if is_kept {
            before = after;
        }
        is_kept
    })
}

/// Whether mutations may be tried one by one. Each try asks all rules, so in a larger status nothing is written where one mutation
/// cannot keep the promise.
fn is_small(change: &Change<'_>) -> bool {
    let old_bytes = change.old.map_or(0, |old| old.status_json.len());
    change.conditions().entries().len() <= ENTRIES_TRIED_MAX
        && change.new.status_json.len() + old_bytes <= STATUSES_TRIED_MAX_BYTES
}

/// Conditions of a status whose mutations are tried one by one. A scan has four.
const ENTRIES_TRIED_MAX: usize = 16;

/// Size of both statuses together, likewise. One has some 2 KB; a try costs some 10 ns a byte.
const STATUSES_TRIED_MAX_BYTES: usize = 16 << 10;

/// Tries for an object. Four conditions, both spellings of the counts, a phase and a time can lack 26 values, which 8 rules write:
/// one try for each value and each rule are 34, and as many again for the writes that are left out at first. Within the limits
/// above all tries take some 15 ms.
const TRIES_MAX: usize = 68;

/// Writes of one rule that are tried one by one where they cannot be made together. A scan has four conditions, and the rules
/// are asked about each try.
const TRIED_MAX: usize = 16;

/// Makes the writes of every mutation whose result `keeps` accepts.
fn apply_all<'a>(
    rules: &[Rule],
    change: &Change<'a>,
    mut keeps: impl FnMut(&Scan<'a>, &[PatchOperation]) -> bool,
) -> Mutated<'a> {
    let mut mutated = Mutated::default();
    let mut left_out = HashSet::new();
    let (mut next, mut before) = (0, 0);
    loop {
        let pending =
            next_pending(rules, &left_out, next, &change.with_new(mutated.scan.as_ref().unwrap_or(change.new)));
        if let Some(PendingMutation { index, writes }) = pending {
            next = index + 1;
            let rule = rules[index].id;
            let copy = mutated.scan.get_or_insert_with(|| change.new.clone());
            let mut attempt = |writes: &[Write]| apply(rule, writes, copy, &mut mutated.operations, &mut keeps);
            if attempt(&writes) {
                continue;
            }
            let singly = if writes.len() <= TRIED_MAX { &writes[..] } else { &[] };
            let is_kept: Vec<bool> = singly.iter().map(|write| attempt(std::slice::from_ref(write))).collect();
            let failed = writes.iter().enumerate().filter(|(at, _)| !is_kept.get(*at).is_some_and(|kept| *kept));
            left_out.extend(failed.map(|(_, write)| (rule, write.field)));
        } else if mutated.operations.len() > before {
            // A write can enable another mutation, and the mutation of a mutated object has to be empty.
            (next, before) = (0, mutated.operations.len());
        } else {
            mutated.scan = mutated.scan.filter(|_| before > 0);
            return mutated;
        }
    }
}

/// A rule whose mutation has something to write.
struct PendingMutation {
    index: usize,
    writes: Vec<Write>,
}

/// The first such rule from `next` on. All rules are asked about one change, which reads the conditions once.
fn next_pending(
    rules: &[Rule],
    left_out: &HashSet<(&str, Field<'static>)>,
    next: usize,
    change: &Change<'_>,
) -> Option<PendingMutation> {
    rules.iter().enumerate().skip(next).find_map(|(index, rule)| {
        let mutate = rule.mutate.filter(|_| Mode::of(rule.id, change.modes).mutates())?;
        let mut patch = Patch::default();
        mutate(change, &mut patch);
        let mut writes = patch.writes;
        writes.retain(|write| !left_out.contains(&(rule.id, write.field)));
        (1..=WRITES_MAX).contains(&writes.len()).then_some(PendingMutation { index, writes })
    })
}

/// Makes writes of one rule on our own copy, and undoes them where `keeps` does not accept the result. A field that cannot be
/// written there is left out.
fn apply<'a>(
    rule: &'static str,
    writes: &[Write],
    copy: &mut Scan<'a>,
    operations: &mut Vec<PatchOperation>,
    keeps: &mut impl FnMut(&Scan<'a>, &[PatchOperation]) -> bool,
) -> bool {
    let first = operations.len();
    let mut replaced = Vec::new();
    for Write { field, value } in writes {
        let Some(place) = field.value_mut(copy).filter(|place| **place != *value) else { continue };
        let was = (!place.is_absent()).then(|| place.to_json().into_owned());
        replaced.push(std::mem::replace(place, value.clone()));
        operations.push(PatchOperation { rule, field: *field, was, value: value.clone() });
    }
    if operations.len() == first || keeps(copy, &operations[first..]) {
        return true;
    }
    for (operation, value) in operations.drain(first..).zip(replaced).rev() {
        if let Some(place) = operation.field.value_mut(copy) {
            *place = value;
        }
    }
    false
}

/// The findings of the rules in a status, each at its path with entries named by index.
struct Judged {
    /// Rule and path of each finding.
    findings: HashSet<(&'static str, String)>,
    /// Rule, path and row of each error, and whether it is downgraded.
    errors: HashMap<(&'static str, String, usize), bool>,
    /// The paths of errors that deny the write: neither the ratchet nor the mode of the rule downgrades them.
    denied: HashSet<String>,
}

impl Judged {
    fn of(rules: &[Rule], change: &Change<'_>) -> Self {
        let mut judged = Judged { findings: HashSet::new(), errors: HashMap::new(), denied: HashSet::new() };
        for rule in rules.iter().filter(|rule| rule.part == Part::Status) {
            let mode = Mode::of(rule.id, change.modes);
            if mode == Mode::Off {
                continue;
            }
            for finding in find(rule, change, &mut Findings::default()) {
                let path = by_index(finding.field, change.conditions()).to_string();
                if finding.severity == Severity::Error {
                    judged.errors.insert((rule.id, path.clone(), finding.row), finding.downgraded.is_some());
                    if finding.downgraded.is_none() && mode == Mode::Deny {
                        judged.denied.insert(path.clone());
                    }
                }
                judged.findings.insert((rule.id, path));
            }
        }
        judged
    }

    /// Whether `operations`, which led here, keep the promise of [`mutate`].
    fn is_kept_by(&self, operations: &[PatchOperation], before: &Judged) -> bool {
        self.has_no_own_finding(operations)
            && self.errors.iter().all(|(error, is_downgraded)| {
                before.errors.get(error).is_some_and(|was_downgraded| *is_downgraded || !*was_downgraded)
            })
    }

    /// Whether `operations` correct members of conditions for which the write was denied. Other rules ignore a malformed
    /// condition, so the errors that they find once it is correct were hidden, and are not caused by the mutation.
    fn shows_hidden_errors(&self, operations: &[PatchOperation], before: &Judged) -> bool {
        self.has_no_own_finding(operations)
            && operations.iter().all(|operation| {
                let path = operation.field.to_string();
                matches!(operation.field, Field::ConditionMember { .. })
                    && before.denied.contains(&path)
                    && !self.denied.contains(&path)
            })
    }

    fn has_no_own_finding(&self, operations: &[PatchOperation]) -> bool {
        operations.iter().all(|operation| !self.findings.contains(&(operation.rule, operation.field.to_string())))
    }
}
