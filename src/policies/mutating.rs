//! The mutating policy: fills in and recomputes the derived fields of a status, as the mutating webhook does.

use serde_json::{Value, json};

use super::findings::{Judgement, is_pre_existing, joined};
use super::modes::ModeExpressions;
use super::{Policy, full_name, match_constraints, not_break_glass, object, used};
use crate::admission::ReviewSettings;
use crate::engine::cel::literals;
use crate::engine::{Mode, Row, Rule, Severity, View};
use crate::rules::cel::counts::CountMap;
use crate::rules::cel::mutations::{
    Enabled, condition_patch, count_patch, is_pending, lacks_what_scanned_at_reads, may_lack_a_field, of_conditions,
    of_scanned_at, of_status, phase_patch, reveals_nothing, scanned_at_patch,
};
use crate::rules::cel::reading::is_same_in_status;
use crate::rules::cel::spec::has_other_status;
use crate::rules::cel::variables::{PolicyVariable, map, of_both, of_object, of_parts};
use crate::scan::Spelling;

/// The name of the policy and of its binding.
pub const NAME: &str = "scan-mutations";

/// Returns the policy and its binding.
pub fn objects(rules: &[Rule], settings: &ReviewSettings, is_static: bool) -> [Value; 2] {
    let mutations: Vec<Value> = mutations()
        .iter()
        .map(|expression| json!({"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}))
        .collect();
    let spec = json!({
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "Never",
        "matchConstraints": match_constraints(&["/status"], &["UPDATE"]),
        "matchConditions": match_conditions(settings),
        "variables": used(variables(rules, settings), &[&mutations]),
        "mutations": mutations,
    });
    let binding = json!({"policyName": full_name(NAME, is_static)});
    [
        object("MutatingAdmissionPolicy", NAME, is_static, &spec),
        object("MutatingAdmissionPolicyBinding", NAME, is_static, &binding),
    ]
}

/// Writes of a user who may not write a status are denied, so they are not mutated unless they change nothing.
fn match_conditions(settings: &ReviewSettings) -> Value {
    let mut conditions = vec![not_break_glass(), json!({"name": "lacks-a-field", "expression": may_lack_a_field()})];
    if !settings.status_writers.is_empty() {
        let writers = literals(&settings.status_writers);
        let expression = format!("request.userInfo.username in {writers} || {}", has_other_status());
        conditions.push(json!({"name": "is-mutated", "expression": expression}));
    }
    Value::from(conditions)
}

/// The mutations. Variables are evaluated anew for each, on the object as the ones before have left it.
fn mutations() -> Vec<String> {
    let all = [condition_patch("true"), phase_patch(), count_patch(), scanned_at_patch()].join("\n+ ");
    let all = format!("variables.isPending && variables.isSafe ? ({all}) : []");
    let in_parts = |patch: String| format!("variables.isPending && !variables.isSafe ? ({patch}) : []");
    vec![
        all.clone(),
        in_parts(condition_patch(&reveals_nothing("variables.conditionFields"))),
        all,
        in_parts(format!("{}\n+ ({} ? [] : {})", count_patch(), lacks_what_scanned_at_reads(), scanned_at_patch())),
    ]
}

struct EnabledRules<'s> {
    modes: ModeExpressions<'s>,
    rules: &'s [Rule],
}

impl Enabled for EnabledRules<'_> {
    fn is_enabled(&self, rule: &str) -> String {
        let rule = self.rules.iter().find(|known| known.id == rule);
        rule.and_then(|rule| self.modes.is_one_of(rule, &[Mode::Deny, Mode::Warn]))
            .unwrap_or_else(|| "false".to_owned())
    }
}

/// The metadata and the spec are those of the old object, since a write of the status does not change them.
fn variables(rules: &[Rule], settings: &ReviewSettings) -> Vec<PolicyVariable> {
    let enabled = EnabledRules { modes: ModeExpressions::new(settings), rules };
    let judged: Vec<&Rule> = rules.iter().filter(|rule| Policy::Errors.judges(rule.part)).collect();
    let mut variables = of_parts(View::New, map("object", "status"), "oldObject");
    variables.extend(of_object(View::Old));
    variables.extend(of_both("oldObject"));
    variables.extend(enabled.modes.variables());
    let judgement = Judgement { policy: Policy::Errors, rules: &judged, modes: &enabled.modes };
    variables.extend(judgement.variables().into_iter().filter(|variable| {
        // The errors of the old object, and those that the conditions have.
        variable.name.starts_with("old") || variable.name == "conditionFields"
    }));
    variables.extend(kept_errors(&judged));
    variables.extend(of_conditions(&enabled));
    variables.extend(without_status(of_parts(View::Filled, String::new(), "oldObject")));
    variables.extend(of_status(&enabled));
    variables.extend(without_status(of_parts(View::Mutated, String::new(), "oldObject")));
    variables.push(of_scanned_at(&enabled));
    variables.push(PolicyVariable::new("isPending", is_pending()));
    variables.extend(safety(&judged));
    variables
}

/// Leaves out the status, which the variables of the mutations define.
fn without_status(variables: Vec<PolicyVariable>) -> impl Iterator<Item = PolicyVariable> {
    variables.into_iter().filter(|variable| !variable.name.ends_with("Status"))
}

/// The variables that say whether an error of the old object, which does not deny the write, would deny it if a mutation
/// changed what its rule reads: if it fills in the phase, or writes counts.
fn kept_errors(rules: &[&Rule]) -> [PolicyVariable; 2] {
    let kept = |ids: &[&str], reads: &dyn Fn(&Row) -> bool| {
        let mut kept = Vec::new();
        for rule in rules.iter().filter(|rule| ids.contains(&rule.id)) {
            let rows = rule.cel.rows(View::New).into_iter().filter(|row| row.severity == Severity::Error && reads(row));
            kept.extend(rows.map(|row| row.exists(&format!("{} && {}", row.when, is_pre_existing(rule, &row)))));
        }
        if kept.is_empty() { "false".to_owned() } else { format!("!variables.deleting && ({})", kept.join("\n|| ")) }
    };
    let reads_phase = is_same_in_status("phase");
    let by_phase =
        kept(&["policy-without-scanpolicy", "compliant-artifact"], &|row| row.unchanged.contains(&reads_phase));
    let by_counts = Spelling::BOTH.map(|spelling| {
        let container = CountMap::of(View::New, spelling);
        let reads = [container.is_same_container(), container.is_same("p")];
        let by_counts = kept(&["spelling-conflict"], &|row| row.unchanged.iter().any(|read| reads.contains(read)));
        format!("'{}': {by_counts}", container.name)
    });
    [
        PolicyVariable::new("isKeptByPhase", by_phase),
        PolicyVariable::new("isKeptByCounts", format!("{{{}}}", by_counts.join(",\n"))),
    ]
}

/// The variables that say whether all mutations together are safe: no rule has an error that was not there before, and no
/// error that was downgraded denies the write because the phase is filled in.
fn safety(rules: &[&Rule]) -> [PolicyVariable; 3] {
    let errors = |view: View| {
        let rows = rules.iter().flat_map(|rule| rule.cel.rows(view).into_iter().map(move |row| (rule, row)));
        let errors = rows.filter(|(rule, row)| row.severity == Severity::Error && rule.id != "status-writer");
        let lists =
            errors.map(|(rule, row)| row.elements(&row.when, &format!("['{} {}', {}]", rule.id, row.row, row.path)));
        joined("", lists.collect())
    };
    let is_safe = "variables.errorsAfter.all(e, e in variables.errorsBefore) \
         && (variables.phaseWrite == '' || !variables.isKeptByPhase)";
    [
        PolicyVariable::new("errorsBefore", errors(View::New)),
        PolicyVariable::new("errorsAfter", errors(View::Mutated)),
        PolicyVariable::new("isSafe", is_safe),
    ]
}
