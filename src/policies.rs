//! Admission policies in CEL: the twins of the rules, as manifests that need no server.
//!
//! The actions of a binding apply to all validations of its policy, so findings that deny and findings that warn are in different
//! policies.

pub mod files;
mod findings;
pub mod metadata;
pub mod modes;
pub mod mutating;
mod prefilter;
pub mod release;

use serde_json::{Value, json};

use crate::admission::{FaultPolicy, ReviewSettings};
use crate::engine::cel::literals;
use crate::engine::{Part, Rule, View};
use crate::rules::cel::spec::has_other_status;
use crate::rules::cel::variables::{PolicyVariable, of_both, of_object};
use crate::scan::{GROUP, Kind};
use findings::Judgement;
use modes::ModeExpressions;

pub use findings::variable_name;
pub use metadata::{digest_of_spec, rules_digest};

/// The suffix of the names of the webhooks and of the annotations, since the API server requires domain names.
pub const DOMAIN: &str = "scan-admission.dev";
/// The user group whose writes bypass the webhooks and the policies.
pub const BREAK_GLASS: &str = "scan-admission:break-glass";

/// The end of the name of a policy in a static manifest, which the API server requires.
const STATIC_SUFFIX: &str = ".static.k8s.io";

/// The policies. Names are short, since the API server adds those of the policy and of its binding to each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Errors in a status, which deny the write.
    Errors,
    /// Errors in a status that do not deny the write, as warnings.
    Downgraded,
    /// Warnings about a status.
    Warnings,
    /// Errors in a spec, which deny the write.
    SpecErrors,
    /// Warnings about a spec, and errors in it that do not deny the write.
    SpecWarnings,
}

impl Policy {
    pub const ALL: [Policy; 5] =
        [Policy::Errors, Policy::Downgraded, Policy::Warnings, Policy::SpecErrors, Policy::SpecWarnings];

    pub fn name(self) -> &'static str {
        match self {
            Policy::Errors => "scan-errors",
            Policy::Downgraded => "scan-downgraded",
            Policy::Warnings => "scan-warnings",
            Policy::SpecErrors => "scan-spec-errors",
            Policy::SpecWarnings => "scan-spec-warnings",
        }
    }

    /// Whether the findings of the policy deny the write.
    fn denies(self) -> bool {
        matches!(self, Policy::Errors | Policy::SpecErrors)
    }

    /// Whether the policy warns of errors that do not deny the write.
    fn has_downgraded(self) -> bool {
        matches!(self, Policy::Downgraded | Policy::SpecWarnings)
    }

    /// Whether the policy has the warnings of the rules.
    fn has_warnings(self) -> bool {
        matches!(self, Policy::Warnings | Policy::SpecWarnings)
    }

    fn is_about_spec(self) -> bool {
        matches!(self, Policy::SpecErrors | Policy::SpecWarnings)
    }

    /// Whether the policy judges the rules of a part.
    fn judges(self, part: Part) -> bool {
        match part {
            // The rule about rights is never downgraded, but its mode can turn its error into a warning.
            Part::Status | Part::Writer => !self.is_about_spec(),
            Part::Spec => self.is_about_spec(),
            Part::Create => false,
        }
    }

    fn subresources(self) -> &'static [&'static str] {
        if self.is_about_spec() { &[""] } else { &["", "/status"] }
    }

    fn failure_policy(self, settings: &ReviewSettings) -> &'static str {
        let is_failing = self == Policy::Errors && settings.faults != FaultPolicy::Allow;
        if is_failing { "Fail" } else { "Ignore" }
    }

    fn validation_actions(self) -> &'static [&'static str] {
        if self.denies() { &["Deny"] } else { &["Warn", "Audit"] }
    }
}

/// Returns the policies and their bindings as the API has them, with every default spelled out.
pub fn objects(rules: &[Rule], settings: &ReviewSettings, is_static: bool) -> Vec<Value> {
    let of_policy = |policy| [validating(policy, rules, settings, is_static), binding(policy, is_static)];
    let validating = Policy::ALL.into_iter().flat_map(of_policy);
    let mut objects: Vec<Value> = validating.chain(mutating::objects(rules, settings, is_static)).collect();
    let digest = rules_digest(rules);
    objects.iter_mut().for_each(|object| metadata::add(object, &digest, settings));
    objects
}

/// Returns the policies that judge a rule if its mode is deny.
pub fn policies_of(rule: &Rule) -> Vec<Policy> {
    let settings = ReviewSettings::default();
    let modes = ModeExpressions::new(&settings);
    let judges = |policy: &Policy| {
        policy.judges(rule.part)
            && !Judgement { policy: *policy, rules: &[rule], modes: &modes }.validations().is_empty()
    };
    Policy::ALL.into_iter().filter(judges).collect()
}

/// Leaves out empty lists of the spec, as the API server does when it stores the object.
fn object(kind: &str, name: &str, is_static: bool, spec: &Value) -> Value {
    let is_kept = |value: &Value| value.as_array().is_none_or(|list| !list.is_empty());
    let members = spec.as_object().into_iter().flatten().filter(|(_, value)| is_kept(value));
    let spec: serde_json::Map<String, Value> = members.map(|(key, value)| (key.clone(), value.clone())).collect();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": full_name(name, is_static)},
        "spec": spec,
    })
}

fn full_name(name: &str, is_static: bool) -> String {
    format!("{name}{}", if is_static { STATIC_SUFFIX } else { "" })
}

fn binding(policy: Policy, is_static: bool) -> Value {
    let spec = json!({
        "policyName": full_name(policy.name(), is_static),
        "validationActions": policy.validation_actions(),
    });
    object("ValidatingAdmissionPolicyBinding", policy.name(), is_static, &spec)
}

fn validating(policy: Policy, rules: &[Rule], settings: &ReviewSettings, is_static: bool) -> Value {
    let modes = ModeExpressions::new(settings);
    let judged: Vec<&Rule> =
        rules.iter().filter(|rule| policy.judges(rule.part)).filter(|rule| is_on(rule, settings)).collect();
    let judgement = Judgement { policy, rules: &judged, modes: &modes };
    let condition = prefilter::condition(&judgement, status_writers(settings));
    let mut variables: Vec<PolicyVariable> = [View::New, View::Old]
        .into_iter()
        .flat_map(of_object)
        .chain(of_both("object"))
        .chain(modes.variables())
        .collect();
    variables.extend(status_writers(settings));
    let of_rules = judgement.variables();
    let mut annotations = vec![json!({"key": "rules", "valueExpression": judgement.rule_ids("", &of_rules)})];
    let audited = judgement.audited();
    if !audited.is_empty() {
        annotations.push(json!({"key": "audited", "valueExpression": judgement.rule_ids("Audited", &audited)}));
    }
    let validations = judgement.validations();
    variables.extend(of_rules.into_iter().chain(audited));
    let spec = json!({
        "failurePolicy": policy.failure_policy(settings),
        "matchConstraints": match_constraints(policy.subresources(), &["CREATE", "UPDATE"]),
        "matchConditions": match_conditions(policy, &condition),
        "variables": used(variables, &[&validations, &annotations]),
        "validations": validations,
        "auditAnnotations": annotations,
    });
    object("ValidatingAdmissionPolicy", policy.name(), is_static, &spec)
}

/// The variable with the users who may write a status, if they are configured.
fn status_writers(settings: &ReviewSettings) -> Option<PolicyVariable> {
    let variable = PolicyVariable::new("statusWriters", literals(&settings.status_writers));
    (!settings.status_writers.is_empty()).then_some(variable)
}

/// Whether a rule can have findings. The rule about rights is off without a list of users.
fn is_on(rule: &Rule, settings: &ReviewSettings) -> bool {
    rule.part != Part::Writer || !settings.status_writers.is_empty()
}

/// Leaves out the variables that neither a later variable nor one of the other expressions uses.
fn used(variables: Vec<PolicyVariable>, others: &[&[Value]]) -> Vec<Value> {
    let mut texts: Vec<String> = others.iter().copied().flatten().map(Value::to_string).collect();
    let mut kept = Vec::new();
    for variable in variables.into_iter().rev() {
        if texts.iter().any(|text| prefilter::is_used(text, &variable.name)) {
            kept.push(json!({"name": variable.name, "expression": variable.expression}));
            texts.push(variable.expression);
        }
    }
    kept.reverse();
    kept
}

fn match_constraints(subresources: &[&str], operations: &[&str]) -> Value {
    let resources: Vec<String> = subresources
        .iter()
        .flat_map(|subresource| Kind::ALL.map(|kind| format!("{}{subresource}", kind.plural())))
        .collect();
    json!({
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "resourceRules": [{
            "apiGroups": [GROUP],
            "apiVersions": ["*"],
            "operations": operations,
            "resources": resources,
            "scope": "Namespaced",
        }],
    })
}

/// The requests that are judged. A status that is written through the object itself, which is possible only without a
/// status subresource, is judged if it differs from the old one.
fn match_conditions(policy: Policy, may_have_findings: &str) -> Value {
    let mut conditions = vec![not_break_glass()];
    if !policy.is_about_spec() {
        let expression =
            format!("has(request.subResource) && request.subResource == 'status' || {}", has_other_status());
        conditions.push(json!({"name": "writes-status", "expression": expression}));
    }
    conditions.push(json!({"name": "may-have-findings", "expression": may_have_findings}));
    Value::from(conditions)
}

fn not_break_glass() -> Value {
    let expression = format!("!has(request.userInfo.groups) || !('{BREAK_GLASS}' in request.userInfo.groups)");
    json!({"name": "not-break-glass", "expression": expression})
}
