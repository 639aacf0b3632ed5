//! Mutation: fills in and recomputes derived fields. Every write is first made on our own copy of the object, so the
//! patch is known to apply.

use std::collections::{HashMap, HashSet};

use super::change::Change;
use super::comparison::by_index;
use super::finding::{Findings, Severity};
use super::mode::Mode;
use super::patch::{Patch, WRITES_MAX, Write};
use super::rule::{Part, Rule};
use super::validate::check_rule;
use crate::scan::json::printable;
use crate::scan::{Field, Json, Scan};

/// Most characters of a replaced value in a warning of 256 runes, which leaves room for the new value.
const OLD_VALUE_MAX_CHARS: usize = 64;

/// A write that was made on our own copy, and that the patch makes on the object.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchOperation {
    pub rule: &'static str,
    pub field: Field<'static>,
    /// The JSON of the value that was there, if any.
    pub old_value: Option<String>,
    pub value: Json<'static>,
}

impl PatchOperation {
    /// Returns the JSON of the value that the client is warned about. An empty string counts as absent, so nothing was
    /// replaced. In a count it is malformed, and was replaced.
    pub fn replaced_value(&self) -> Option<&str> {
        let is_replaced = |old: &&str| *old != "\"\"" || matches!(self.field, Field::Count { .. });
        self.old_value.as_deref().filter(is_replaced)
    }

    /// Returns the warning about the value that was replaced, if one was.
    pub fn replacement(&self) -> Option<String> {
        let old = printable(self.replaced_value()?, OLD_VALUE_MAX_CHARS);
        Some(format!("was {old}, set to {}", self.value.to_json()))
    }
}

/// The result of the mutations.
#[derive(Debug, Default)]
pub struct Mutated<'a> {
    /// Our own copy; `None` if nothing was written.
    pub scan: Option<Scan<'a>>,
    /// The writes that were made on it, in order.
    pub operations: Vec<PatchOperation>,
}

/// Applies each enabled mutation in table order to the result of the previous ones, until none has anything to write.
///
/// A write is safe if afterwards its own rule has no finding at the field that was written, no rule has a new error,
/// and no error that was downgraded denies the write. Writes that are not safe are skipped: filling in a phase, for
/// example, can turn a warning into an error. One case is excepted: a write that corrects a condition for which the
/// write is denied may reveal the errors of other rules that ignore malformed conditions.
pub fn mutate<'a>(rules: &[Rule], change: &Change<'a>) -> Mutated<'a> {
    // Read the old conditions once, so that every copy of the change shares them.
    change.old_conditions();
    let mut attempts = 0;
    let mut mutated = mutate_once(rules, change, &mut attempts);
    // A write that was skipped may be safe after later writes. Try it again, so that mutating the result would change
    // nothing.
    while let Some(copy) = mutated.scan.as_mut().filter(|_| attempts > 0) {
        let retried = mutate_once(rules, &change.with_new(copy), &mut attempts).operations;
        if retried.is_empty() {
            break;
        }
        for operation in retried {
            if let Some(target) = operation.field.value_mut(copy) {
                *target = operation.value.clone();
            }
            mutated.operations.push(operation);
        }
    }
    // Writes that were not tried would be tried if the result were mutated, and could change it. Write nothing instead.
    if attempts > ATTEMPTS_MAX { Mutated::default() } else { mutated }
}

/// Applies all mutations together if the result is safe; otherwise one by one, skipping those that are not. `attempts`
/// counts the mutations that are tried one by one.
fn mutate_once<'a>(rules: &[Rule], change: &Change<'a>, attempts: &mut usize) -> Mutated<'a> {
    let all = apply_all(rules, change, |_, _| true);
    let Some(copy) = &all.scan else { return all };
    let after = StatusFindings::of(rules, &change.with_new(copy));
    let has_no_own_finding = after.has_no_own_finding(&all.operations);
    // Nearly every result is free of errors, and the errors before the mutation need not be known then.
    if has_no_own_finding && after.errors.is_empty() {
        return all;
    }
    let mut before = StatusFindings::of(rules, change);
    if has_no_own_finding && after.has_no_new_error(&before) {
        return all;
    }
    if !is_small(change) {
        return Mutated::default();
    }
    // Some mutation is not safe. This is rare, so the cost of trying each one is acceptable.
    apply_all(rules, change, |copy, operations| {
        *attempts += 1;
        if *attempts > ATTEMPTS_MAX {
            return false;
        }
        let after = StatusFindings::of(rules, &change.with_new(copy));
        let is_safe = after.has_no_own_finding(operations)
            && (after.has_no_new_error(&before) || after.only_reveals_errors(operations, &before));
        if is_safe {
            before = after;
        }
        is_safe
    })
}

/// Returns whether the mutations may be tried one by one. Each attempt checks all rules, so in a larger status nothing
/// is written if any mutation is not safe.
fn is_small(change: &Change<'_>) -> bool {
    let old_bytes = change.old.map_or(0, |old| old.status_json.len());
    change.conditions().entries().len() <= ENTRIES_TRIED_MAX
        && change.new.status_json.len() + old_bytes <= STATUSES_TRIED_MAX_BYTES
}

/// The most conditions of a status whose mutations are tried one by one. A scan has four.
const ENTRIES_TRIED_MAX: usize = 16;

/// The largest size of the old and the new status together whose mutations are tried one by one. A status has about 2
/// KB, and an attempt costs about 10 ns per byte.
const STATUSES_TRIED_MAX_BYTES: usize = 16 << 10;

/// The most attempts for one object. Four conditions, both spellings of the counts, a phase and a time can lack 26
/// values, which 8 rules write: one attempt for each value and each rule makes 34, and the retries of skipped writes
/// make as many again. Within the two limits above, all attempts together take about 15 ms.
const ATTEMPTS_MAX: usize = 68;

/// The most writes of one rule that are tried one by one if they are not safe together. A scan has four conditions, and
/// each attempt checks all rules.
const WRITES_TRIED_MAX: usize = 16;

/// Makes the writes of every enabled mutation, except those whose result `accepts` rejects.
fn apply_all<'a>(
    rules: &[Rule],
    change: &Change<'a>,
    mut accepts: impl FnMut(&Scan<'a>, &[PatchOperation]) -> bool,
) -> Mutated<'a> {
    let mut mutated = Mutated::default();
    let mut skipped = HashSet::new();
    let (mut next, mut made_before) = (0, 0);
    loop {
        let pending =
            next_pending(rules, &skipped, next, &change.with_new(mutated.scan.as_ref().unwrap_or(change.new)));
        if let Some(PendingMutation { index, writes }) = pending {
            next = index + 1;
            let rule = rules[index].id;
            let copy = mutated.scan.get_or_insert_with(|| change.new.clone());
            let mut attempt = |writes: &[Write]| apply(rule, writes, copy, &mut mutated.operations, &mut accepts);
            if attempt(&writes) {
                continue;
            }
            let singly = if writes.len() <= WRITES_TRIED_MAX { &writes[..] } else { &[] };
            let is_made: Vec<bool> = singly.iter().map(|write| attempt(std::slice::from_ref(write))).collect();
            let failed = writes.iter().enumerate().filter(|(index, _)| is_made.get(*index) != Some(&true));
            skipped.extend(failed.map(|(_, write)| (rule, write.field)));
        } else if mutated.operations.len() > made_before {
            // A write can give another mutation something to write, and mutating the result must change nothing: start
            // again.
            (next, made_before) = (0, mutated.operations.len());
        } else {
            mutated.scan = mutated.scan.filter(|_| made_before > 0);
            return mutated;
        }
    }
}

/// A mutation that has something to write: the index of its rule and the writes.
struct PendingMutation {
    index: usize,
    writes: Vec<Write>,
}

/// Returns the first pending mutation of the rules from index `next` on. All of them share one change, which reads the
/// conditions once.
fn next_pending(
    rules: &[Rule],
    skipped: &HashSet<(&str, Field<'static>)>,
    next: usize,
    change: &Change<'_>,
) -> Option<PendingMutation> {
    rules.iter().enumerate().skip(next).find_map(|(index, rule)| {
        let mutate = rule.mutate.filter(|_| Mode::of(rule.id, change.modes).mutates())?;
        let mut patch = Patch::default();
        mutate(change, &mut patch);
        let mut writes = patch.writes;
        writes.retain(|write| !skipped.contains(&(rule.id, write.field)));
        (1..=WRITES_MAX).contains(&writes.len()).then_some(PendingMutation { index, writes })
    })
}

/// Makes writes of one rule on our own copy. Undoes them and returns false if `accepts` rejects the result. Skips
/// fields that the copy has no place for.
fn apply<'a>(
    rule: &'static str,
    writes: &[Write],
    copy: &mut Scan<'a>,
    operations: &mut Vec<PatchOperation>,
    accepts: &mut impl FnMut(&Scan<'a>, &[PatchOperation]) -> bool,
) -> bool {
    let first = operations.len();
    let mut replaced = Vec::new();
    for Write { field, value } in writes {
        let Some(target) = field.value_mut(copy).filter(|target| **target != *value) else { continue };
        let old_value = (!target.is_absent()).then(|| target.to_json().into_owned());
        replaced.push(std::mem::replace(target, value.clone()));
        operations.push(PatchOperation { rule, field: *field, old_value, value: value.clone() });
    }
    if operations.len() == first || accepts(copy, &operations[first..]) {
        return true;
    }
    for (operation, value) in operations.drain(first..).zip(replaced).rev() {
        if let Some(target) = operation.field.value_mut(copy) {
            *target = value;
        }
    }
    false
}

/// The findings of the rules in a status. Paths name conditions by index.
struct StatusFindings {
    /// The rule and path of each finding.
    findings: HashSet<(&'static str, String)>,
    /// The rule, path and row of each error, and whether it is downgraded.
    errors: HashMap<(&'static str, String, usize), bool>,
    /// The paths of errors that deny the write, as neither the ratchet nor the mode of the rule downgrades them.
    denied: HashSet<String>,
}

impl StatusFindings {
    /// Checks all rules of the status that are not off.
    fn of(rules: &[Rule], change: &Change<'_>) -> Self {
        let mut all = StatusFindings { findings: HashSet::new(), errors: HashMap::new(), denied: HashSet::new() };
        for rule in rules.iter().filter(|rule| rule.part == Part::Status) {
            let mode = Mode::of(rule.id, change.modes);
            if mode == Mode::Off {
                continue;
            }
            for finding in check_rule(rule, change, &mut Findings::default()) {
                let path = by_index(finding.field, change.conditions()).to_string();
                if finding.severity == Severity::Error {
                    all.errors.insert((rule.id, path.clone(), finding.row), finding.downgraded.is_some());
                    if finding.downgraded.is_none() && mode == Mode::Deny {
                        all.denied.insert(path.clone());
                    }
                }
                all.findings.insert((rule.id, path));
            }
        }
        all
    }

    /// Returns whether no rule has a finding at a field that it wrote.
    fn has_no_own_finding(&self, operations: &[PatchOperation]) -> bool {
        operations.iter().all(|operation| !self.findings.contains(&(operation.rule, operation.field.to_string())))
    }

    /// Returns whether every error is one of `before`, and still downgraded if it was.
    fn has_no_new_error(&self, before: &StatusFindings) -> bool {
        self.errors.iter().all(|(error, is_downgraded)| {
            before.errors.get(error).is_some_and(|was_downgraded| *is_downgraded || !*was_downgraded)
        })
    }

    /// Returns whether each of `operations` corrected a member of a condition for which the write was denied. Other
    /// rules ignore a malformed condition, so the new errors were hidden by it and are not caused by the mutation.
    fn only_reveals_errors(&self, operations: &[PatchOperation], before: &StatusFindings) -> bool {
        operations.iter().all(|operation| {
            let path = operation.field.to_string();
            matches!(operation.field, Field::ConditionMember { .. })
                && before.denied.contains(&path)
                && !self.denied.contains(&path)
        })
    }
}
