//! Compares the objects after the mutations of the policies with those after the mutations of the program.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::case::{Case, Request};
use super::comparison::{Mismatch, differences, is_read_in_part, mismatch, program_findings};

/// A policy writes no larger count.
const WRITTEN_MAX: u64 = 1 << 53;

/// The members that hold the counts.
const COUNTS: [&str; 2] = ["cveCount", "CVECount"];

/// The program writes nothing in larger statuses, old and new together, if it had to try its mutations one by one.
const STATUSES_TRIED_MAX_BYTES: usize = 16 << 10;

/// The parts of a status in which policies may write less if the old object has an error of a rule. Policies try the
/// mutations in parts, and not one by one, so they do not know which value would reveal an error.
const LESS: [(&str, &str); 7] = [
    ("conditions", "condition-fields"),
    ("phase", "condition-fields"),
    ("phase", "compliant-artifact"),
    ("phase", "policy-without-scanpolicy"),
    ("scannedAt", "condition-fields"),
    ("cveCount", "spelling-conflict"),
    ("CVECount", "spelling-conflict"),
];

/// The rules that deny a write with counts that policies do not correct.
const OF_COUNTS: [&str; 3] = ["cve-total", "cve-count-values", "spelling-conflict"];

/// Compares the objects. Policies may write less in the cases of [`LESS`], where conditions
/// are not read, and where a count is above 2^53. Where the statuses are large, they may also write more. They may never cause a denial.
pub fn compare_mutations(case: &Case, after: &Value) -> Vec<Mismatch> {
    let (sent, mutated, read) = (as_read(case.new.clone()), case.mutated(), as_read(after.clone()));
    let expected = as_read(mutated.new.clone());
    if read == expected {
        return Vec::new();
    }
    let mut found = Vec::new();
    let allowed = allowed(case, [&sent, &expected, &read]);
    let as_sent = with_large_counts_as_sent(allowed.clone(), &mutated.new, &sent);
    if read != allowed && read != as_sent {
        found.push(mismatch("mutations", "another object", differences(&expected, &read)));
    }
    let denied = |new: Value| program_findings(&Case { new, ..case.clone() }).denied.into_keys().collect();
    let before: BTreeSet<String> = denied(mutated.new.clone());
    let mut more: BTreeSet<String> = denied(as_sent_where_unchanged(&case.new, after));
    // Wrong counts stay wrong if the right ones cannot be written.
    let has_wrong_counts = COUNTS.into_iter().any(|name| has_large_count(&mutated.new["status"][name]));
    more.retain(|rule| !(before.contains(rule) || has_wrong_counts && OF_COUNTS.contains(&rule.as_str())));
    // In a large object, a condition that is filled in can reveal errors beside the one that denies the write anyway.
    let is_denied = is_large(case) && !before.is_empty();
    if !more.is_empty() && !is_denied {
        found.push(mismatch("mutations", "a denial", format!("{more:?}")));
    }
    found
}

/// Returns the expected object with what the policies have written, where they may differ.
fn allowed(case: &Case, [sent, expected, found]: [&Value; 3]) -> Value {
    let mut allowed = expected.clone();
    if expected == sent && is_large(case) || is_read_in_part(case) && is_less(sent, expected, found) {
        return found.clone();
    }
    let old_errors = old_errors(case);
    for (part, rule) in LESS {
        let [sent, expected, written] = [sent, expected, found].map(|object| &object["status"][part]);
        if !old_errors.contains(rule) || !is_less(sent, expected, written) {
            continue;
        }
        let Some(status) = allowed["status"].as_object_mut() else { continue };
        match found["status"].get(part) {
            None => status.remove(part),
            Some(written) => status.insert(part.to_owned(), written.clone()),
        };
    }
    allowed
}

fn is_large(case: &Case) -> bool {
    let statuses = [Some(&case.new), case.old.as_ref()].map(|object| object.map(|object| object["status"].to_string()));
    statuses.iter().flatten().map(String::len).sum::<usize>() > STATUSES_TRIED_MAX_BYTES
}

/// Returns an object with the numbers as they were sent, where the API server has only read and written them.
fn as_sent_where_unchanged(sent: &Value, after: &Value) -> Value {
    match after {
        Value::Number(_) if as_read(after.clone()) == as_read(sent.clone()) => sent.clone(),
        Value::Array(all) => {
            all.iter().enumerate().map(|(at, entry)| as_sent_where_unchanged(&sent[at], entry)).collect()
        }
        Value::Object(all) => {
            let members = all.iter().map(|(key, value)| (key.clone(), as_sent_where_unchanged(&sent[key], value)));
            members.collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// Whether each part of an object is as it should be after the mutations, or as it was sent.
fn is_less(sent: &Value, expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        _ if found == expected || found == sent => true,
        (Value::Object(all), Value::Object(_)) => {
            let mut keys = all.keys().chain(found.as_object().into_iter().flat_map(|found| found.keys()));
            keys.all(|key| is_less(&sent[key], &expected[key], &found[key]))
        }
        (Value::Array(all), Value::Array(some)) if all.len() == some.len() => {
            (0..all.len()).all(|at| is_less(&sent[at], &expected[at], &some[at]))
        }
        _ => false,
    }
}

/// Returns the rules of which the old object has errors.
fn old_errors(case: &Case) -> BTreeSet<String> {
    let Some(old) = &case.old else { return BTreeSet::new() };
    let written = Case { new: old.clone(), ..case.clone() }.sent_as(Request::Create);
    program_findings(&written).denied.into_keys().collect()
}

/// Returns a value as it comes back from the API server: an integer that does not fit int64 is a float, and a whole float is
/// written as an integer. The last digits of large numbers are left out, since serde_json does not read them exactly.
fn as_read(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_none_or(is_large_count) => {
            let float = number.as_f64().unwrap_or_default();
            let is_whole = float.fract() == 0.0 && float.abs() <= WRITTEN_MAX as f64;
            if is_whole { json!(float as i64) } else { json!(format!("{float:.9e}")) }
        }
        Value::Array(entries) => entries.into_iter().map(as_read).collect(),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, as_read(value))).collect(),
        other => other,
    }
}

/// Takes the counts as they were sent where the program wrote one above 2^53. The API server makes a string of such an
/// integer when it applies a patch of a policy, so the policy writes none.
fn with_large_counts_as_sent(mut allowed: Value, mutated: &Value, sent: &Value) -> Value {
    for name in COUNTS.into_iter().filter(|name| has_large_count(&mutated["status"][name])) {
        allowed["status"][name] = sent["status"][name].clone();
    }
    allowed
}

fn has_large_count(counts: &Value) -> bool {
    counts
        .as_object()
        .into_iter()
        .flat_map(|counts| counts.values())
        .any(|count| count.as_i64().is_some_and(is_large_count))
}

fn is_large_count(count: i64) -> bool {
    count.unsigned_abs() > WRITTEN_MAX
}
