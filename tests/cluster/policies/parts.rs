//! Shows that every part of a match condition and of the mutations is needed: without it, findings or mutations are missed.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::case::Case;
use super::comparison::Compared;
use super::corpora::{self, share};
use super::corruptions;
use super::evaluator::Evaluator;
use super::faults::Sample;
use super::generated::Policies;
use crate::support::status_edits::updates;

/// One of so many match conditions with a part less is tried, or all with POLICIES=all. Each takes seconds to compile.
const CONDITIONS_STEP: usize = 101;

/// The same for the mutations.
const MUTATIONS_STEP: usize = 4;

/// So many match conditions are compiled together.
const TOGETHER: usize = 8;

/// The match condition that is made of the conditions of all rows.
const CONDITION: &str = "may-have-findings";

/// Parts of which no finding depends on one alone: a text in the part, and the reason.
const COVERED: &[(&str, &str)] = &[];

/// A match condition with a part less.
struct Less {
    policy: String,
    part: String,
    text: String,
}

/// Asserts that each part of the match conditions is the only one that holds for some case with a finding.
pub fn of_conditions_are_needed(program: &Path, policies: &Policies, samples: &[Sample]) {
    let all: Vec<Less> = policies.objects.iter().flat_map(conditions_less).collect();
    let tried: Vec<&Less> = all.iter().step_by(share(CONDITIONS_STEP)).collect();
    eprintln!("{} of {} match conditions with a part less", tried.len(), all.len());
    let mut evaluator: Option<Evaluator> = None;
    let mut survivors: Vec<&Less> = Vec::new();
    let cases: Vec<&Case> = samples.iter().map(|sample| &sample.case).collect();
    for together in tried.chunks(TOGETHER) {
        let objects: Vec<Value> = together.iter().enumerate().map(|(at, less)| less.policy(policies, at)).collect();
        match &mut evaluator {
            None => evaluator = Some(Evaluator::start(program, &objects)),
            Some(evaluator) => assert_eq!(evaluator.replace(&objects), [Value::Null; 0]),
        }
        let mut is_needed = vec![false; together.len()];
        for (cases, samples) in cases.chunks(64).zip(samples.chunks(64)) {
            let results = evaluator.as_mut().expect("started").evaluate(cases);
            for (sample, result) in samples.iter().zip(&results) {
                let matched = failed(result);
                for (at, less) in together.iter().enumerate() {
                    let is_matched = matched.contains(&name(&less.policy, at));
                    is_needed[at] |= sample.failed.contains(&less.policy) && !is_matched;
                }
            }
        }
        survivors.extend(together.iter().zip(is_needed).filter(|(_, is_needed)| !is_needed).map(|(less, _)| *less));
    }
    let survivors: Vec<String> = survivors.iter().map(|less| format!("{}: {}", less.policy, less.part)).collect();
    assert!(survivors.is_empty(), "no case needs these parts of {CONDITION}:\n{}", survivors.join("\n"));
}

fn name(policy: &str, at: usize) -> String {
    format!("{policy}-{at}")
}

/// Returns the policies with a failing validation.
pub fn failed(result: &Value) -> BTreeSet<String> {
    let validations = result["validations"].as_array().into_iter().flatten();
    validations.map(|validation| validation["policy"].as_str().unwrap().to_owned()).collect()
}

impl Less {
    /// Returns a policy that fails whenever it is not skipped.
    fn policy(&self, policies: &Policies, at: usize) -> Value {
        let mut policy = policies.named(&self.policy).objects.into_iter().find(is_policy).unwrap();
        policy["metadata"]["name"] = json!(name(&self.policy, at));
        let spec = policy["spec"].as_object_mut().unwrap();
        spec.retain(|key, _| !["variables", "auditAnnotations"].contains(&key.as_str()));
        spec.insert("validations".to_owned(), json!([{"expression": "false"}]));
        let conditions = spec["matchConditions"].as_array_mut().unwrap();
        conditions.iter_mut().find(|condition| condition["name"] == CONDITION).unwrap()["expression"] =
            json!(self.text);
        policy
    }
}

fn is_policy(object: &Value) -> bool {
    !object["spec"]["validations"].is_null()
}

/// Returns the match condition of a policy without each of its parts, which are joined by `||` within all macros that bind
/// variables.
fn conditions_less(object: &Value) -> Vec<Less> {
    let conditions = object["spec"]["matchConditions"].as_array().into_iter().flatten();
    let Some(condition) = conditions.into_iter().find(|condition| condition["name"] == CONDITION) else {
        return Vec::new();
    };
    let text = condition["expression"].as_str().unwrap();
    // The maps of variables are called `a1`, `a2` and so on.
    let levels = text
        .match_indices("}].exists(a")
        .filter(|(at, start)| text[at + start.len()..].starts_with(|c: char| c.is_ascii_digit()));
    let levels: Vec<usize> = levels.map(|(at, _)| at).collect();
    let start = levels.last().map_or(0, |at| at + text[*at..].find('\n').unwrap() + 1);
    let end = text.len() - levels.len();
    let mut all = Vec::new();
    let mut at = start;
    for part in text[start..end].split("\n|| ") {
        let less = format!("{}false{}", &text[..at], &text[at + part.len()..]);
        if !COVERED.iter().any(|(covered, _)| part.contains(covered)) {
            let policy = object["metadata"]["name"].as_str().unwrap().to_owned();
            all.push(Less { policy, part: part.to_owned(), text: less });
        }
        at += part.len() + "\n|| ".len();
    }
    assert!(all.len() > 1, "{CONDITION} should have parts: {text}");
    all
}

/// Asserts that each part of the mutations writes what nothing else writes.
pub fn of_mutations_are_needed(program: &Path) {
    let policies = Compared::Mutations.policies();
    let all = mutations_less(&policies);
    let cases: Vec<Case> = corpora::examples()
        .chain(corpora::steps().step_by(7))
        .chain(corruptions::structures().step_by(3))
        .chain([held_back()])
        .filter(|case| case.if_mutated().is_some())
        .collect();
    eprintln!("{} mutations with a part less, {} cases", all.len(), cases.len());
    let mut evaluator: Option<Evaluator> = None;
    for (part, objects) in all.into_iter().step_by(share(MUTATIONS_STEP)) {
        match &mut evaluator {
            None => evaluator = Some(Evaluator::start(program, &objects)),
            Some(evaluator) => assert_eq!(evaluator.replace(&objects), [Value::Null; 0]),
        }
        let mut chunks = cases.chunks(64);
        let is_needed = chunks.any(|cases| {
            let results = evaluator.as_mut().expect("started").evaluate(&cases.iter().collect::<Vec<_>>());
            let mut pairs = cases.iter().zip(&results);
            pairs.any(|(case, result)| !Compared::Mutations.mismatches(&policies, case, result).is_empty())
        });
        assert!(is_needed, "no case needs this part of the mutations: {part}");
    }
}

/// Returns an update that lacks counts, where all mutations together are not safe: the result of the policy, which may not be
/// there without a ScanPolicy, is ignored while its condition lacks a time, as it did before.
fn held_back() -> Case {
    let mut new = updates()[0].lean["request"]["object"].clone();
    new["spec"].as_object_mut().unwrap().remove("scanPolicy");
    let mut old = new.clone();
    let scanning = json!({"type": "Scanning", "status": "True", "lastTransitionTime": "2026-11-20T08:02:00Z"});
    let policy = json!({"type": "PolicySucceeded", "status": "True"});
    new["status"] = json!({"conditions": [scanning, policy], "cveCount": {"critical": 1}});
    old["status"] = json!({"conditions": [{"type": "PolicySucceeded"}]});
    Case::update("held back", new, old)
}

/// Returns the mutating policy without each part of its mutations. The same mutation occurs twice, since a later one may
/// write what an earlier one could not; so a part is left out of both.
fn mutations_less(policies: &Policies) -> Vec<(String, Vec<Value>)> {
    let policy = policies.objects.iter().find(|object| !object["spec"]["mutations"].is_null()).unwrap();
    let expression = |mutation: &Value| mutation["jsonPatch"]["expression"].as_str().unwrap().to_owned();
    let mut expressions: Vec<String> = policy["spec"]["mutations"].as_array().unwrap().iter().map(expression).collect();
    expressions.sort();
    expressions.dedup();
    let mut all = Vec::new();
    for text in expressions {
        let (start, end) = (text.find("? (").unwrap() + "? (".len(), text.rfind(") : []").unwrap());
        let mut at = start;
        for part in text[start..end].split("\n+ ") {
            // An empty list of patches, with the type that the API server requires.
            let none = "[JSONPatch{op: 'test', path: ''}].filter(p, false)";
            let less = format!("{}{none}{}", &text[..at], &text[at + part.len()..]);
            let mut objects = policies.objects.clone();
            let policy = objects.iter_mut().find(|object| !object["spec"]["mutations"].is_null()).unwrap();
            for mutation in policy["spec"]["mutations"].as_array_mut().unwrap() {
                if expression(mutation) == text {
                    mutation["jsonPatch"]["expression"] = json!(less);
                }
            }
            all.push((part.to_owned(), objects));
            at += part.len() + "\n+ ".len();
        }
    }
    all
}
