//! Shows that the comparison can fail: policies with one fault in an expression are told from the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::case::Case;
use super::comparison::{Compared, compare_findings, program_findings};
use super::corpora::{self, share};
use super::corruptions;
use super::evaluator::{Evaluator, Shared};
use super::findings::Findings;
use super::generated::Policies;
use super::mutants::{Mutant, mutants};
use super::parts;
use super::random;

/// One of so many variants with a row less is tried, or all with POLICIES=all.
const ROWS_STEP: usize = 23;
/// The same for the other variants.
const OTHERS_STEP: usize = 997;

/// Of the other variants this share, in percent, has to be found. The rest is mostly without effect: texts in which only
/// the shown value differs, the limits of shortcuts, and times outside of all that are valid.
const FOUND_MIN_PERCENT: usize = 60;

/// The most cases of one kind of finding.
const ALIKE_MAX: usize = 2;

/// A fault that many validations depend on is first tried with so many of them, since policies take long to compile.
const VALIDATIONS_MAX: usize = 3;

/// The first number of cases that a variant is tried with. It doubles as long as the variant agrees with the program.
const FIRST_CASES: usize = 24;

/// The evaluator holds back the results of more cases than this until they are read.
const CASES_MAX: usize = 96;

/// Variants that no object can tell from the original: policy, expression, a part of the change, and the reason.
const EQUIVALENT: &[(&str, &str, &str, &str)] = &[];

/// A fault in one expression of a validating policy.
struct Variant {
    policy: String,
    /// The pointer of the expression.
    pointer: String,
    mutant: Mutant,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}:\n    {}", self.policy, self.pointer, self.mutant.change.replace('\n', " "))
    }
}

/// A case and what the program finds.
pub struct Sample {
    pub case: Case,
    program: Findings,
    /// The policies without a fault that find something.
    pub failed: BTreeSet<String>,
}

impl Sample {
    fn of(case: Case) -> Sample {
        Sample { program: program_findings(&case), case, failed: BTreeSet::new() }
    }
}

pub fn faults_are_found(program: &Path) {
    let policies = Policies::generated().only("Validating");
    let samples = agreeing(program, &policies, samples());
    parts::of_conditions_are_needed(program, &policies, &samples);
    let all = variants(&policies);
    let (rows, others): (Vec<&Variant>, Vec<&Variant>) = all.iter().partition(|variant| variant.mutant.is_row);
    let rows = rows.into_iter().step_by(share(ROWS_STEP));
    let tried: Vec<&Variant> = rows.chain(others.into_iter().step_by(share(OTHERS_STEP))).collect();
    eprintln!("{} of {} variants, at most {} cases each", tried.len(), all.len(), samples.len());
    let (next, survivors, invalid) = (AtomicUsize::new(0), Mutex::new(Vec::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut trial = Trial::start(program, &policies, &samples);
                tried.get(next.load(Ordering::Relaxed)).iter().for_each(|variant| trial.check_without_fault(variant));
                while let Some(variant) = tried.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match trial.outcome(variant) {
                        Outcome::Found => {}
                        Outcome::Invalid => drop(invalid.fetch_add(1, Ordering::Relaxed)),
                        Outcome::Survived => survivors.lock().unwrap().push(*variant),
                    }
                }
            });
        }
    });
    let (survivors, invalid) = (survivors.into_inner().unwrap(), invalid.into_inner());
    eprintln!("{invalid} variants do not compile; {} agree with the program", survivors.len());
    survivors.iter().for_each(|variant| eprintln!("{variant}"));
    let rows: Vec<String> =
        survivors.iter().filter(|variant| variant.mutant.is_row).map(|variant| variant.to_string()).collect();
    assert!(rows.is_empty(), "no case tells these policies, which lack a row, from the original:\n{}", rows.join("\n"));
    let found = tried.len() - invalid - survivors.len();
    assert!(100 * found >= FOUND_MIN_PERCENT * tried.len(), "only {found} of {} variants were found", tried.len());
    assert!(invalid * 5 < tried.len().max(5), "{invalid} of {} variants do not compile", tried.len());
}

fn is_equivalent(variant: &Variant) -> bool {
    let is = |(policy, pointer, change, _): &(&str, &str, &str, &str)| {
        *policy == variant.policy && *pointer == variant.pointer && variant.mutant.change.contains(change)
    };
    EQUIVALENT.iter().any(is)
}

/// Returns every variant.
fn variants(policies: &Policies) -> Vec<Variant> {
    let mut all = Vec::new();
    for object in policies.objects.iter().filter(|object| !object["spec"]["validations"].is_null()) {
        let policy = object["metadata"]["name"].as_str().unwrap().to_owned();
        for list in ["variables", "validations"] {
            for (index, entry) in object["spec"][list].as_array().into_iter().flatten().enumerate() {
                let pointer = format!("/spec/{list}/{index}/expression");
                let found = mutants(entry["expression"].as_str().unwrap()).into_iter();
                all.extend(found.map(|mutant| Variant { policy: policy.clone(), pointer: pointer.clone(), mutant }));
            }
        }
    }
    all.retain(|variant| !is_equivalent(variant));
    all
}

/// Returns a policy with this text of an expression, with some validations that depend on it, and with the variables
/// that these need.
fn with_expression(policies: &Policies, variant: &Variant, text: &str, validations_max: usize) -> Policies {
    let pointer = &variant.pointer;
    let mut objects = policies.named(&variant.policy).objects;
    let policy = objects.iter_mut().find(|object| !object["spec"]["validations"].is_null()).unwrap();
    *policy.pointer_mut(pointer).unwrap() = json!(text);
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
        let validations = spec["validations"].as_array_mut().unwrap();
        validations.retain(|validation| uses(validation, &reached));
        validations.truncate(validations_max);
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

#[derive(Debug, PartialEq)]
enum Outcome {
    Found,
    /// The API server would not store the policy.
    Invalid,
    Survived,
}

/// Tries variants, one after another.
struct Trial<'s> {
    evaluator: Evaluator,
    policies: &'s Policies,
    /// All samples. Those that found a fault come first, since the next variant is often alike.
    samples: Vec<&'s Sample>,
}

impl<'s> Trial<'s> {
    fn start(program: &Path, policies: &'s Policies, samples: &'s [Sample]) -> Trial<'s> {
        // Any small policy will do until the first variant.
        let evaluator = Evaluator::start(program, &policies.named("scan-spec-errors").objects);
        Trial { evaluator, policies, samples: samples.iter().collect() }
    }

    fn outcome(&mut self, variant: &Variant) -> Outcome {
        let with_fault = |most| with_expression(self.policies, variant, &variant.mutant.text, most);
        let [few, all] = [VALIDATIONS_MAX, usize::MAX].map(with_fault);
        match self.try_policies(&few) {
            Outcome::Survived if all.rules() != few.rules() => self.try_policies(&all),
            outcome => outcome,
        }
    }

    /// Asserts that the policy without the fault agrees with the program, or the fault would not be what is found.
    fn check_without_fault(&mut self, variant: &Variant) {
        let policy = self.policies.named(&variant.policy);
        let text = policy.objects.iter().find_map(|object| object.pointer(&variant.pointer)?.as_str()).unwrap();
        let outcome = self.try_policies(&with_expression(self.policies, variant, text, VALIDATIONS_MAX));
        assert_eq!(outcome, Outcome::Survived, "without the fault: {variant}");
    }

    fn try_policies(&mut self, policies: &Policies) -> Outcome {
        if !self.evaluator.replace(&policies.objects).is_empty() {
            return Outcome::Invalid;
        }
        let (mut start, mut count) = (0, FIRST_CASES);
        while start < self.samples.len() {
            let end = self.samples.len().min(start + count);
            let tried = &self.samples[start..end];
            let results = self.evaluator.evaluate(&tried.iter().map(|sample| &sample.case).collect::<Vec<_>>());
            let mut pairs = tried.iter().zip(&results);
            let found =
                pairs.position(|(sample, result)| !compare_findings(policies, &sample.program, result).is_empty());
            if let Some(at) = found {
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
        .chain(corruptions::repeated_before())
        .chain(corruptions::fields().step_by(2))
        .chain(corruptions::times().step_by(8))
        .chain(corpora::product().step_by(7))
        .chain(corpora::generations_and_artifacts().step_by(5))
        .chain(random::cases().step_by(4));
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
            // As an update of itself, an object shows whether its errors are found in the old object, too.
            if !program.denied.is_empty() {
                let case = Case::update(case.title.clone(), case.new.clone(), case.new.clone());
                samples.push(Sample::of(case));
            }
            samples.push(Sample { case, program, failed: BTreeSet::new() });
        }
    }
    samples
}

/// Returns the samples on which the policies without a fault agree with the program.
fn agreeing(program: &Path, policies: &Policies, samples: Vec<Sample>) -> Vec<Sample> {
    let mut evaluator = Shared::of(program, Compared::Findings, policies);
    let cases: Vec<Case> = samples.iter().map(|sample| sample.case.clone()).collect();
    let mut results = Vec::new();
    evaluator.evaluate_all(cases.into_iter(), |_, result| results.push(result));
    evaluator.give_back();
    let all = samples.len();
    let agree = samples.into_iter().zip(results);
    let agree = agree.filter(|(sample, result)| compare_findings(policies, &sample.program, result).is_empty());
    let samples: Vec<Sample> =
        agree.map(|(sample, result)| Sample { failed: parts::failed(&result), ..sample }).collect();
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
