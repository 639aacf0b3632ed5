//! The mutating policy: fills in and recomputes the derived fields of a status, as the mutating webhook does.

use serde_json::{Value, json};

use super::findings::{Judgement, is_pre_existing, joined};
use super::modes::ModeExpressions;
use super::{Policy, STATIC_SUFFIX, match_constraints, not_break_glass, object, used};
use crate::admission::ReviewSettings;
use crate::engine::cel::literals;
use crate::engine::{Mode, Row, Rule, Severity, View};
use crate::rules::cel::mutations::{
    Enabled, condition_patch, count_patch, is_denied, is_pending, may_lack_a_field, of_conditions, of_scanned_at,
    of_status, phase_patch, scanned_at_patch,
};
use crate::rules::cel::reading::is_same_in_status;
use crate::rules::cel::spec::has_other_status;
use crate::rules::cel::variables::{PolicyVariable, of_both, of_object, of_parts};

/// The name of the policy and of its binding.
pub const NAME: &str = "scan-mutations";

/// Returns the policy and its binding.
pub fn objects(rules: &[Rule], settings: &ReviewSettings, is_static: bool) -> [Value; 2] {
    let suffix = if is_static { STATIC_SUFFIX } else { "" };
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
    let binding = json!({"policyName": format!("{NAME}{suffix}")});
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
        in_parts(format!("variables.deleting ? [] : {}", condition_patch(&is_denied("variables.conditionFields")))),
        all,
        in_parts(format!(
            "(!variables.deleting && variables.isKeptByCounts ? [] : {})\n+ (variables.phase == '' ? [] : {})",
            count_patch(),
            scanned_at_patch()
        )),
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
    let mut variables = of_parts(View::New, status_of("object"), "oldObject");
    variables.extend(of_object(View::Old));
    variables.extend(of_both());
    variables.extend(enabled.modes.variables());
    variables.extend(of_conditions(&enabled));
    variables.extend(without_status(of_parts(View::Filled, String::new(), "oldObject")));
    variables.extend(of_status(&enabled));
    variables.extend(without_status(of_parts(View::Mutated, String::new(), "oldObject")));
    variables.push(of_scanned_at(&enabled));
    let variable = |name: &str, expression: String| PolicyVariable { name: name.to_owned(), expression };
    let writes_counts = "size(variables.countWrites.cveCount) + size(variables.countWrites.CVECount) > 0";
    variables.push(variable("writesCounts", writes_counts.to_owned()));
    variables.push(variable("isPending", is_pending()));
    let judgement = Judgement { policy: Policy::Errors, rules: &judged, modes: &enabled.modes };
    variables.extend(
        judgement
            .variables()
            .into_iter()
            .filter(|variable| variable.name.starts_with("old") || variable.name == "conditionFields"),
    );
    variables.extend(safety(&judged));
    variables
}

fn status_of(object: &str) -> String {
    format!("has({object}.status) && type({object}.status) == map ? {object}.status : {{}}")
}

/// Leaves out the status, which the variables of the mutations define.
fn without_status(variables: Vec<PolicyVariable>) -> impl Iterator<Item = PolicyVariable> {
    variables.into_iter().filter(|variable| !variable.name.ends_with("Status"))
}

/// The variables that say whether all mutations together are safe: no rule has an error that was not there before, and no
/// error that was downgraded denies the write because the phase is filled in.
fn safety(rules: &[&Rule]) -> [PolicyVariable; 5] {
    let errors = |view: View| {
        let rows = rules.iter().flat_map(|rule| rule.cel.rows(view).into_iter().map(move |row| (rule, row)));
        let errors = rows.filter(|(rule, row)| row.severity == Severity::Error && rule.id != "status-writer");
        let lists =
            errors.map(|(rule, row)| row.elements(&row.when, &format!("['{} {}', {}]", rule.id, row.row, row.path)));
        joined("", lists.collect())
    };
    let reads_phase = is_same_in_status("phase");
    let kept = |ids: &[&str], reads: &dyn Fn(&Row) -> bool| {
        let mut kept = Vec::new();
        for rule in rules.iter().filter(|rule| ids.contains(&rule.id)) {
            let rows = rule.cel.rows(View::New).into_iter().filter(|row| row.severity == Severity::Error && reads(row));
            kept.extend(rows.map(|row| {
                let when = format!("{} && {}", row.when, is_pre_existing(rule, &row));
                row.each.as_ref().map_or_else(|| when.clone(), |(name, list)| format!("{list}.exists({name}, {when})"))
            }));
        }
        if kept.is_empty() { "false".to_owned() } else { kept.join("\n|| ") }
    };
    let by_phase =
        kept(&["policy-without-scanpolicy", "compliant-artifact"], &|row| row.unchanged.contains(&reads_phase));
    let by_counts = kept(&["spelling-conflict"], &|_| true);
    let is_safe = "variables.errorsAfter.all(e, e in variables.errorsBefore) \
         && (variables.deleting || (variables.phaseWrite == '' || !variables.isKeptByPhase) \
                   && (!variables.writesCounts || !variables.isKeptByCounts))";
    let variable = |name: &str, expression: String| PolicyVariable { name: name.to_owned(), expression };
    [
        variable("errorsBefore", errors(View::New)),
        variable("errorsAfter", errors(View::Mutated)),
        variable("isKeptByPhase", by_phase),
        variable("isKeptByCounts", by_counts),
        variable("isSafe", is_safe.to_owned()),
    ]
}
