//! Shows that the comparison can fail: policies with one fault in an expression are told from the program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::case::Case;
use super::comparison::{compare_findings, program_findings};
use super::corpora::{self, share};
use super::corruptions;
use super::evaluator::Evaluator;
use super::findings::Findings;
use super::generated::Policies;
use super::mutants::{Mutant, mutants};
use super::random;

/// One of so many variants is tried, or all with POLICIES=all.
const STEP: usize = 397;

/// The most cases of one kind of finding.
const ALIKE_MAX: usize = 6;

/// The first number of cases that a variant is tried with. It doubles as long as the variant agrees with the program.
const FIRST_CASES: usize = 24;
/// The evaluator holds back the results of more cases than this until they are read.
const CASES_MAX: usize = 96;

/// Variants that no object can tell from the original: policy, expression, a part of the change, and the reason.
const EQUIVALENT: &[(&str, &str, &str, &str)] = &[];

/// A validating policy with a fault in one of its expressions, and without the validations that do not depend on it.
struct Variant {
    name: String,
    expression: String,
    mutant: Mutant,
    policies: Policies,
}

/// A case and what the program finds.
struct Sample {
    case: Case,
    program: Findings,
}

pub fn faults_are_found(program: &Path) {
    let policies = Policies::generated().only("Validating");
    let samples = agreeing(program, &policies, samples());
    let all = variants(&policies);
    let tried: Vec<&(String, String, Mutant)> = all.iter().step_by(share(STEP)).collect();
    eprintln!("{} of {} variants, at most {} cases each", tried.len(), all.len(), samples.len());
    let (next, survivors, refused) = (AtomicUsize::new(0), Mutex::new(Vec::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut trial = Trial::start(program, &policies, &samples);
                while let Some((name, expression, mutant)) = tried.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let policies = with_fault(&policies, name, expression, mutant);
                    let variant = Variant {
                        name: name.clone(),
                        expression: expression.clone(),
                        mutant: mutant.clone(),
                        policies,
                    };
                    match trial.outcome(&variant) {
                        Outcome::Found => {}
                        Outcome::Refused => drop(refused.fetch_add(1, Ordering::Relaxed)),
                        Outcome::Survived => survivors.lock().unwrap().push(description(&variant)),
                    }
                }
            });
        }
    });
    let (survivors, refused) = (survivors.into_inner().unwrap(), refused.into_inner());
    eprintln!("{refused} variants do not compile; {} agree with the program", survivors.len());
    assert!(survivors.is_empty(), "no case tells these variants from the original:\n{}", survivors.join("\n"));
    assert!(refused * 5 < tried.len().max(5), "{refused} of {} variants do not compile", tried.len());
}

fn description(variant: &Variant) -> String {
    format!("{}, {}:\n    {}", variant.name, variant.expression, variant.mutant.change.replace('\n', " "))
}

fn is_equivalent(name: &str, expression: &str, mutant: &Mutant) -> bool {
    EQUIVALENT
        .iter()
        .any(|(policy, of, change, _)| *policy == name && *of == expression && mutant.change.contains(change))
}

/// Returns every variant: the name of the policy, the pointer of the expression, and the fault.
fn variants(policies: &Policies) -> Vec<(String, String, Mutant)> {
    let mut all = Vec::new();
    for policy in policies.objects.iter().filter(|object| !object["spec"]["validations"].is_null()) {
        let name = policy["metadata"]["name"].as_str().unwrap();
        for list in ["variables", "validations"] {
            for (index, entry) in policy["spec"][list].as_array().into_iter().flatten().enumerate() {
                let pointer = format!("/spec/{list}/{index}/expression");
                let found = mutants(entry["expression"].as_str().unwrap());
                all.extend(found.into_iter().map(|mutant| (name.to_owned(), pointer.clone(), mutant)));
            }
        }
    }
    all.retain(|(name, pointer, mutant)| !is_equivalent(name, pointer, mutant));
    all
}

/// Returns a policy with a fault, with its validations that depend on it, and with the variables that these need.
fn with_fault(policies: &Policies, name: &str, pointer: &str, mutant: &Mutant) -> Policies {
    let mut objects = policies.named(name).objects;
    let policy = objects.iter_mut().find(|object| !object["spec"]["validations"].is_null()).unwrap();
    *policy.pointer_mut(pointer).unwrap() = json!(mutant.text);
    let spec = &mut policy["spec"];
    spec.as_object_mut().unwrap().remove("auditAnnotations");
    // It only decides when the policy may be skipped, and takes longer to compile than all else.
    let conditions = spec["matchConditions"].as_array_mut().unwrap();
    conditions.retain(|condition| condition["name"] != "may-have-findings");
    let mut parts = pointer.split('/').skip(2);
    let (list, index) = (parts.next().unwrap(), parts.next().unwrap().parse::<usize>().unwrap());
    if list == "validations" {
        spec["validations"] = json!([spec["validations"][index]]);
    } else {
        let reached = dependents(spec, spec["variables"][index]["name"].as_str().unwrap());
        spec["validations"].as_array_mut().unwrap().retain(|validation| uses(validation, &reached));
    }
    let needed = needed(spec);
    let is_needed = |variable: &Value| needed.contains(variable["name"].as_str().unwrap());
    spec["variables"].as_array_mut().unwrap().retain(is_needed);
    Policies::new(objects)
}

/// Returns a variable and those that depend on it.
fn dependents(spec: &Value, name: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::from([name.to_owned()]);
    // A variable uses earlier ones only.
    for variable in spec["variables"].as_array().unwrap() {
        if uses(variable, &reached) {
            reached.insert(variable["name"].as_str().unwrap().to_owned());
        }
    }
    reached
}

/// Returns the variables that the validations use.
fn needed(spec: &Value) -> BTreeSet<String> {
    let validations = spec["validations"].as_array().unwrap().iter();
    let mut needed: BTreeSet<String> = validations.flat_map(used).collect();
    for variable in spec["variables"].as_array().unwrap().iter().rev() {
        if needed.contains(variable["name"].as_str().unwrap()) {
            needed.extend(used(variable));
        }
    }
    needed
}

fn uses(entry: &Value, names: &BTreeSet<String>) -> bool {
    !used(entry).is_disjoint(names)
}

fn used(entry: &Value) -> BTreeSet<String> {
    let texts = ["expression", "messageExpression"].into_iter().filter_map(|key| entry[key].as_str());
    let names = texts.flat_map(|text| text.split("variables.").skip(1));
    names.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()).collect()
}

enum Outcome {
    Found,
    /// The API server would not store the policy.
    Refused,
    Survived,
}

/// Tries variants, one after another.
struct Trial<'s> {
    evaluator: Evaluator,
    /// All samples. Those that found a fault come first, since the next variant is often alike.
    samples: Vec<&'s Sample>,
}

impl<'s> Trial<'s> {
    fn start(program: &Path, policies: &Policies, samples: &'s [Sample]) -> Trial<'s> {
        Trial { evaluator: Evaluator::start(program, &policies.objects), samples: samples.iter().collect() }
    }

    fn outcome(&mut self, variant: &Variant) -> Outcome {
        if !self.evaluator.replace(&variant.policies.objects).is_empty() {
            return Outcome::Refused;
        }
        let (mut start, mut count) = (0, FIRST_CASES);
        while start < self.samples.len() {
            let end = self.samples.len().min(start + count);
            let cases: Vec<&Case> = self.samples[start..end].iter().map(|sample| &sample.case).collect();
            let results = self.evaluator.evaluate(&cases);
            let differs = |(at, result): (usize, &Value)| {
                !compare_findings(&variant.policies, &self.samples[start + at].program, result).is_empty()
            };
            if let Some(at) = results.iter().enumerate().position(differs) {
                self.samples[..=start + at].rotate_right(1);
                return Outcome::Found;
            }
            (start, count) = (end, (2 * count).min(CASES_MAX));
        }
        Outcome::Survived
    }
}

/// Returns cases with every kind of finding, and cases without any.
fn samples() -> Vec<Sample> {
    let all = corpora::examples()
        .chain(corpora::steps().step_by(3))
        .chain(corruptions::structures().step_by(3))
        .chain(corruptions::fields().step_by(2))
        .chain(corruptions::times().step_by(8))
        .chain(corpora::product().step_by(7))
        .chain(corpora::generations_and_artifacts().step_by(5))
        .chain(random::cases().step_by(2));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut samples = Vec::new();
    for case in all {
        let program = program_findings(&case);
        let mut is_new = false;
        for kind in kinds(&program) {
            let count = counts.entry(kind).or_default();
            is_new |= *count < ALIKE_MAX;
            *count += 1;
        }
        if is_new {
            samples.push(Sample { case, program });
        }
    }
    samples
}

/// Returns the samples on which the policies without a fault agree with the program.
fn agreeing(program: &Path, policies: &Policies, samples: Vec<Sample>) -> Vec<Sample> {
    let mut evaluator = Evaluator::start(program, &policies.objects);
    let cases: Vec<Case> = samples.iter().map(|sample| sample.case.clone()).collect();
    let mut results = Vec::new();
    evaluator.evaluate_all(cases.into_iter(), |_, result| results.push(result));
    let all = samples.len();
    let agree = samples.into_iter().zip(results);
    let agree = agree.filter(|(sample, result)| compare_findings(policies, &sample.program, result).is_empty());
    let samples: Vec<Sample> = agree.map(|(sample, _)| sample).collect();
    eprintln!("{} of {all} cases agree without a fault", samples.len());
    samples
}

/// Returns what tells findings apart: the rule, the action, and the messages without their values.
fn kinds(findings: &Findings) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for (action, by_rule) in [("deny", &findings.denied), ("warn", &findings.warned)] {
        for (rule, listed) in by_rule {
            let alike = |message: &String| message.split(|c: char| !c.is_ascii_alphabetic()).collect::<String>();
            kinds.extend(listed.messages.iter().map(|message| format!("{action} {rule} {}", alike(message))));
            kinds.insert(format!("{action} {rule} {}", listed.count));
        }
    }
    if kinds.is_empty() {
        kinds.insert("none".to_owned());
    }
    kinds
}
