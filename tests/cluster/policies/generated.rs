//! The generated policies, and what their parts are.

use std::collections::{BTreeMap, BTreeSet};

use scan_admission::policies;
use scan_admission::rules::RULES;
use serde_json::Value;

use super::case::SETTINGS;
use super::findings::{Findings, split_rule};

/// The names of the lists of errors in a result, besides those of its validations.
const ERRORS: [&str; 5] = ["matchErrors", "variableErrors", "messageErrors", "annotationErrors", "mutationErrors"];

/// Policies with their bindings.
#[derive(Clone)]
pub struct Policies {
    pub objects: Vec<Value>,
    validating: BTreeMap<String, Validating>,
}

/// A validating policy.
#[derive(Clone)]
struct Validating {
    denies: bool,
    has_annotation: bool,
    /// The static message of each validation.
    messages: Vec<String>,
}

impl Policies {
    /// Returns the policies that are generated from the rules.
    pub fn generated() -> Policies {
        Policies::new(policies::objects(RULES, &SETTINGS, false))
    }

    pub fn new(objects: Vec<Value>) -> Policies {
        let mut validating = BTreeMap::new();
        for policy in of_kind(&objects, "ValidatingAdmissionPolicy") {
            let name = policy["metadata"]["name"].as_str().unwrap();
            let binding = of_kind(&objects, "ValidatingAdmissionPolicyBinding")
                .find(|binding| binding["spec"]["policyName"] == name)
                .unwrap_or_else(|| panic!("{name} has no binding"));
            let actions = binding["spec"]["validationActions"].as_array().unwrap();
            let denies = actions.iter().any(|action| action == "Deny");
            assert!(denies || actions.iter().any(|action| action == "Warn"), "{name}: {actions:?}");
            let messages = policy["spec"]["validations"].as_array().unwrap().iter();
            let messages = messages.map(|validation| validation["message"].as_str().unwrap().to_owned()).collect();
            let annotations = policy["spec"]["auditAnnotations"].as_array().into_iter().flatten();
            let has_annotation = annotations.into_iter().any(|annotation| annotation["key"] == "rules");
            validating.insert(name.to_owned(), Validating { denies, has_annotation, messages });
        }
        Policies { objects, validating }
    }

    /// Returns the policies of this kind with their bindings.
    pub fn only(&self, kind: &str) -> Policies {
        let is_kept = |object: &&Value| object["kind"].as_str().is_some_and(|found| found.starts_with(kind));
        Policies::new(self.objects.iter().filter(is_kept).cloned().collect())
    }

    /// Returns one policy with its binding.
    pub fn named(&self, name: &str) -> Policies {
        let is_kept = |object: &&Value| object["metadata"]["name"] == name || object["spec"]["policyName"] == name;
        Policies::new(self.objects.iter().filter(is_kept).cloned().collect())
    }

    /// Returns whether a policy denies, or whether one warns.
    pub fn acts(&self, denies: bool) -> bool {
        self.validating.values().any(|policy| policy.denies == denies)
    }

    /// Returns the rules of all validations.
    pub fn rules(&self) -> BTreeSet<String> {
        let messages = self.validating.values().flat_map(|policy| &policy.messages);
        messages.map(|message| rule(message).to_owned()).collect()
    }

    /// Returns the findings in a result.
    pub fn findings(&self, result: &Value) -> Findings {
        let mut findings = Findings::default();
        for (policy, fixed, validation) in self.failed(result) {
            let text = validation["message"].as_str().unwrap_or_default();
            findings.add(policy.denies, rule(fixed), Some(text).filter(|text| *text != fixed));
        }
        findings
    }

    fn failed<'a>(&'a self, result: &'a Value) -> impl Iterator<Item = (&'a Validating, &'a str, &'a Value)> {
        result["validations"].as_array().into_iter().flatten().filter_map(|validation| {
            let policy = &self.validating[validation["policy"].as_str()?];
            let fixed = policy.messages.get(usize::try_from(validation["index"].as_i64()?).ok()?)?;
            Some((policy, fixed.as_str(), validation))
        })
    }

    /// Returns the errors of all expressions, which a failurePolicy may hide from a client.
    pub fn errors(result: &Value) -> BTreeSet<String> {
        let mut errors = BTreeSet::new();
        for name in ERRORS {
            for error in result[name].as_array().into_iter().flatten() {
                let [at, text] = ["expression", "error"].map(|key| error[key].as_str().unwrap_or_default());
                errors.insert(format!("{name}: {at}: {text}"));
            }
        }
        for validation in result["validations"].as_array().into_iter().flatten() {
            if let Some(text) = validation["error"].as_str() {
                errors.insert(format!("a validation of {}: {text}", validation["policy"]));
            }
        }
        errors.extend(result["error"].as_str().map(str::to_owned));
        // The error of a variable is one of everything that uses it, too.
        let is_cause = |error: &String| !error.contains("composited variable");
        if errors.iter().any(is_cause) {
            errors.retain(is_cause);
        }
        errors
    }

    /// Returns the audit annotations `rules` that are wrong: each lists the rules of the failing validations of its policy.
    pub fn wrong_annotations(&self, result: &Value) -> Vec<String> {
        let mut due: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (_, fixed, validation) in self.failed(result) {
            due.entry(validation["policy"].as_str().unwrap()).or_default().push(rule(fixed));
        }
        let mut wrong = Vec::new();
        for name in self.validating.iter().filter(|(_, policy)| policy.has_annotation).map(|(name, _)| name) {
            let due = due.get(name.as_str()).map(|rules| rules.join(", ")).unwrap_or_default();
            let found = result["auditAnnotations"][format!("{name}/rules")].as_str().unwrap_or_default();
            if due != found {
                wrong.push(format!("{name}/rules is {found:?}, and the failing validations are of {due:?}"));
            }
        }
        wrong
    }
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

/// Returns the rule of a static message.
fn rule(message: &str) -> &str {
    split_rule(message).unwrap_or_else(|| panic!("{message:?} should end with the id of a rule")).1
}
