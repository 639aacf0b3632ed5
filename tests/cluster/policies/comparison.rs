//! Compares what the policies do with what the program does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use scan_admission::admission::Webhook;
use scan_admission::engine::Cel;
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use super::case::Case;
use super::evaluator::{Evaluator, Shared};
use super::findings::{ByRule, Findings};
use super::generated::Policies;
use super::mutations::compare_mutations;

/// Mismatches of more rules than this are counted only.
const REPORTED_MAX: usize = 30;

/// A reported object is cut after this many characters.
const SHOWN_MAX_CHARS: usize = 2000;

/// Policies do not read longer texts where their rule says so: the time that they take grows faster than the text.
const LONG_TEXT_CHARS: usize = 1024;

/// Policies read no more conditions.
const CONDITIONS_MAX: usize = 16;

/// How findings of a rule differ that both have.
const OTHER_MESSAGES: &str = "with other messages";

/// A longer text is shortened in a reported object.
const REPORTED_TEXT_CHARS: usize = 40;

/// A difference between the program and the policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The rule, or the part of a policy.
    pub what: String,
    pub how: String,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The findings in an object.
    Findings,
    /// The object after the mutations.
    Mutations,
}

impl Compared {
    /// Returns the policies that are evaluated.
    pub fn policies(self) -> Policies {
        Policies::generated().only(match self {
            Compared::Findings => "Validating",
            Compared::Mutations => "Mutating",
        })
    }

    /// Compares the result of a case with the program.
    pub fn mismatches(self, policies: &Policies, case: &Case, result: &Value) -> Vec<Mismatch> {
        match self {
            Compared::Findings => compare_findings(policies, &program_findings(case), result),
            Compared::Mutations => {
                let after = if result["mutated"].is_null() { &case.new } else { &result["mutated"] };
                let mut found = errors(result);
                found.extend(compare_mutations(case, after));
                found
            }
        }
    }
}

fn errors(result: &Value) -> Vec<Mismatch> {
    Policies::errors(result).into_iter().map(|error| mismatch("an error", &error, "")).collect()
}

pub fn program_findings(case: &Case) -> Findings {
    let has_long_text = has_long_text(&case.new) || case.old.as_ref().is_some_and(has_long_text);
    let has_several_unnamed = unnamed_conditions(&case.new) > 1;
    Findings {
        has_long_text,
        is_read_in_part: is_read_in_part(case),
        is_old_read_in_part: case.old.as_ref().is_some_and(has_unread_conditions),
        has_several_unnamed,
        ..Findings::of_program(&case.answer(Webhook::Validating))
    }
}

/// Whether an object has conditions or a time of the scan that the policies do not read.
pub fn is_read_in_part(case: &Case) -> bool {
    [Some(&case.new), case.old.as_ref()]
        .into_iter()
        .flatten()
        .any(|object| has_unread_conditions(object) || has_long_text(&object["status"]["scannedAt"]))
}

/// Whether an object has more conditions than the policies read, or a condition with a longer time.
fn has_unread_conditions(object: &Value) -> bool {
    object["status"]["conditions"].as_array().is_some_and(|all| {
        all.len() > CONDITIONS_MAX || all.iter().any(|entry| has_long_text(&entry["lastTransitionTime"]))
    })
}

/// Returns the number of conditions without a type, or with one that others have too.
fn unnamed_conditions(object: &Value) -> usize {
    let types: Vec<&Value> =
        object["status"]["conditions"].as_array().into_iter().flatten().map(|entry| &entry["type"]).collect();
    let is_unnamed = |name: &&&Value| !name.is_string() || types.iter().filter(|other| other == name).count() > 1;
    types.iter().filter(is_unnamed).count()
}

fn has_long_text(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().count() > LONG_TEXT_CHARS,
        Value::Array(entries) => entries.iter().any(has_long_text),
        Value::Object(members) => members.values().any(has_long_text),
        _ => false,
    }
}

/// Whether the policies may miss findings of a rule: of any where a list or a time is long, and of those that say so where another
/// text is.
/// They may not deny what the program does not deny.
fn may_miss(rule: &str, program: &Findings) -> bool {
    let is_near = RULES.iter().any(|other| other.id == rule && matches!(other.cel, Cel::Near(..)));
    program.is_read_in_part || is_near && program.has_long_text
}

/// Compares the findings of the rules that these policies have, the errors of expressions, and the audit annotations.
pub fn compare_findings(policies: &Policies, program: &Findings, result: &Value) -> Vec<Mismatch> {
    let mut found = errors(result);
    if !found.is_empty() {
        return found;
    }
    let wrong = policies.wrong_annotations(result).into_iter();
    found.extend(wrong.map(|how| mismatch("annotation", "a wrong annotation", how)));
    let (rules, of_policies) = (policies.rules(), policies.findings(result));
    let (near, rules): (BTreeSet<_>, BTreeSet<_>) = rules.into_iter().partition(|rule| may_miss(rule, program));
    // Errors of old conditions that the policies do not read are no errors that the new object had before.
    let may_deny = |rule: &str| program.is_old_read_in_part && program.warned.contains_key(rule);
    for rule in near.iter().filter(|rule| !program.denied.contains_key(*rule) && !may_deny(rule)) {
        let denied = of_policies.denied.get(rule);
        found.extend(denied.map(|_| mismatch(rule, "denied by the policies only", "a text or a list is long")));
    }
    if policies.acts(true) {
        compare("denied", &rules, [&program.denied, &of_policies.denied], &mut found);
    }
    if policies.acts(false) {
        compare("warned of", &rules, [&program.warned, &of_policies.warned], &mut found);
    }
    if program.has_several_unnamed {
        found.retain(|mismatch| {
            !(mismatch.what.starts_with("condition-fields") && mismatch.what.ends_with(OTHER_MESSAGES))
        });
    }
    found
}

pub fn mismatch(what: &str, kind: &str, how: impl fmt::Display) -> Mismatch {
    Mismatch { what: format!("{what}: {kind}"), how: how.to_string() }
}

fn compare(action: &str, rules: &BTreeSet<String>, [program, policies]: [&ByRule; 2], found: &mut Vec<Mismatch>) {
    for rule in rules {
        let (how, program, policies) = match (program.get(rule), policies.get(rule)) {
            (Some(program), None) => ("by the program only", program.messages.as_slice(), &[][..]),
            (None, Some(policies)) => ("by the policies only", &[][..], policies.messages.as_slice()),
            // A policy shows its fixed message if the others are too long together.
            (Some(program), Some(policies)) if program.is_complete() && !policies.messages.is_empty() => {
                (OTHER_MESSAGES, program.messages.as_slice(), policies.messages.as_slice())
            }
            _ => continue,
        };
        if how != OTHER_MESSAGES || program != policies {
            let how_long = format!("program:  {program:?}\n  policies: {policies:?}");
            found.push(mismatch(rule, &format!("{action} {how}"), how_long));
        }
    }
}

/// Returns the members that differ, by pointer.
pub fn differences(expected: &Value, found: &Value) -> String {
    fn collect(path: &str, expected: &Value, found: &Value, all: &mut Vec<String>) {
        match (expected, found) {
            (Value::Object(one), Value::Object(other)) => {
                let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
                keys.into_iter().for_each(|key| collect(&format!("{path}/{key}"), &expected[key], &found[key], all));
            }
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                (0..one.len()).for_each(|at| collect(&format!("{path}/{at}"), &one[at], &other[at], all));
            }
            _ if expected == found => {}
            _ => all.push(format!("{path}: the program has {expected}, the policies have {found}")),
        }
    }
    let mut all = Vec::new();
    collect("", expected, found, &mut all);
    all.join("; ")
}

/// Compares all cases, and panics with the smallest example of each mismatch. Returns the number of cases.
pub fn prove(program: &Path, compared: Compared, cases: impl Iterator<Item = Case> + Send) -> usize {
    let policies = compared.policies();
    let mut evaluator = Shared::of(program, compared, &policies);
    let mut count = 0;
    let mut found: BTreeMap<String, (usize, Case)> = BTreeMap::new();
    evaluator.evaluate_all(cases, |case, result| {
        count += 1;
        for mismatch in compared.mismatches(&policies, &case, &result) {
            found.entry(mismatch.what).or_insert_with(|| (0, case.clone())).0 += 1;
        }
    });
    if found.is_empty() {
        evaluator.give_back();
        return count;
    }
    let mut report = format!("{} kinds of mismatches in {count} cases", found.len());
    for (number, (what, (times, case))) in found.iter().enumerate() {
        report += &format!("\n\n{what}, {times} times");
        if number < REPORTED_MAX {
            let mut shrinker = Shrinker { evaluator: &mut evaluator, policies: &policies, compared, what };
            report += &shrinker.report(case);
        }
    }
    panic!("{report}");
}

/// Finds a small case with a mismatch.
struct Shrinker<'a> {
    evaluator: &'a mut Evaluator,
    policies: &'a Policies,
    compared: Compared,
    what: &'a str,
}

impl Shrinker<'_> {
    fn report(&mut self, case: &Case) -> String {
        let small = self.shrink(case.clone());
        let how = self.mismatch(&small).map(|mismatch| mismatch.how).unwrap_or_default();
        let old = small.old.as_ref().map_or("none".to_owned(), shown);
        let (title, request, new) = (&small.title, small.request, shown(&small.new));
        format!("\n  {how}\n  case:   {title} ({request:?})\n  object: {new}\n  old:    {old}")
    }

    fn mismatch(&mut self, case: &Case) -> Option<Mismatch> {
        let result = self.evaluator.evaluate(&[case]).remove(0);
        let all = self.compared.mismatches(self.policies, case, &result);
        all.into_iter().find(|mismatch| mismatch.what == self.what)
    }

    /// Removes members, and shortens texts, as long as the mismatch stays.
    fn shrink(&mut self, mut case: Case) -> Case {
        loop {
            let old = case.old.as_ref().map(pointers).unwrap_or_default().into_iter().map(|pointer| (true, pointer));
            let new = pointers(&case.new).into_iter().map(|pointer| (false, pointer));
            let mut is_smaller = false;
            for (is_old, pointer) in old.chain(new) {
                for edit in [remove, shorten] {
                    let mut candidate = case.clone();
                    let object = if is_old { candidate.old.as_mut().unwrap() } else { &mut candidate.new };
                    if edit(object, &pointer) && self.mismatch(&candidate).is_some() {
                        (case, is_smaller) = (candidate, true);
                    }
                }
            }
            if !is_smaller {
                return case;
            }
        }
    }
}

/// Returns what rules read of an object, up to a length that a person reads.
fn shown(object: &Value) -> String {
    let mut parts = json!({});
    for pointer in ["/metadata/generation", "/metadata/deletionTimestamp", "/spec", "/status"] {
        if let Some(part) = object.pointer(pointer) {
            parts[pointer.rsplit('/').next().unwrap()] = part.clone();
        }
    }
    parts.to_string().chars().take(SHOWN_MAX_CHARS).collect()
}

/// Returns the pointers of all members that an API server can do without: outer ones first, and the last entry of a list
/// first, so that a removal does not change what is behind the next pointer.
fn pointers(object: &Value) -> Vec<String> {
    fn collect(path: &str, value: &Value, all: &mut Vec<String>) {
        let mut below = |key: &str, value: &Value| {
            let path = format!("{path}/{key}");
            all.push(path.clone());
            collect(&path, value, all);
        };
        match value {
            Value::Object(members) => members.iter().for_each(|(key, value)| below(key, value)),
            Value::Array(entries) => {
                entries.iter().enumerate().rev().for_each(|(at, value)| below(&at.to_string(), value));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    for key in ["spec", "status"] {
        all.push(format!("/{key}"));
        collect(&format!("/{key}"), &object[key], &mut all);
    }
    all.extend(["/metadata/generation", "/metadata/deletionTimestamp"].map(str::to_owned));
    all
}

/// Removes a member, and returns whether it was there.
fn remove(object: &mut Value, pointer: &str) -> bool {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match object.pointer_mut(parent) {
        Some(Value::Object(members)) => members.remove(key).is_some(),
        Some(Value::Array(entries)) => {
            let at = key.parse().ok().filter(|at| *at < entries.len());
            at.map(|at: usize| entries.remove(at)).is_some()
        }
        _ => false,
    }
}

/// Halves a long text, and returns whether there was one.
fn shorten(object: &mut Value, pointer: &str) -> bool {
    match object.pointer_mut(pointer) {
        Some(Value::String(text)) if text.chars().count() > REPORTED_TEXT_CHARS => {
            *text = text.chars().take(text.chars().count() / 2).collect();
            true
        }
        _ => false,
    }
}
