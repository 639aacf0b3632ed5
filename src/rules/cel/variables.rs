//! The variables of the policies: the parts of a scan that several rules read, each read once.

use super::artifacts::{parts, ships, texts};
use super::counts::{counted, counts, others, sum, total_value};
use super::reading::{
    ENTRIES_MAX, is_there, is_time, is_well_formed, same_name, sources_name, timestamp, transition, types,
};
use crate::engine::View;
use crate::scan::field::{Artifact, cve_count_name};
use crate::scan::{ConditionMember, ConditionType, Phase, Spelling};

/// A variable of a policy.
pub struct PolicyVariable {
    pub name: String,
    pub expression: String,
}

/// Returns the variables of one object. Each uses only those before it.
pub fn of_object(view: View) -> Vec<PolicyVariable> {
    let variable = |name: &str, expression: String| PolicyVariable { name: view.name(name), expression };
    let (object, status) = (view.object(), view.variable("status"));
    let conditions = view.variable("conditions");
    let map = |from: &str, key: &str| format!("has({from}.{key}) && type({from}.{key}) == map ? {from}.{key} : {{}}");
    let mut variables = vec![
        variable("status", map(object, "status")),
        variable("phase", format!("{} ? {status}.phase : ''", is_there(&status, "phase"))),
        variable("spec", map(object, "spec")),
        variable(
            "scanPolicy",
            format!("{0} ? {1}.scanPolicy : ''", is_there(&view.variable("spec"), "scanPolicy"), view.variable("spec")),
        ),
        variable("generation", generation(object)),
        variable(
            "caughtUp",
            format!(
                "has({status}.observedGeneration) && type({status}.observedGeneration) == int \
                 && {status}.observedGeneration == {}",
                view.variable("generation")
            ),
        ),
        // Lower than every generation if there is none.
        variable(
            "observed",
            format!(
                "has({status}.observedGeneration) && type({status}.observedGeneration) == int ? {status}.observedGeneration : {}",
                i64::MIN
            ),
        ),
        variable(
            "conditions",
            format!(
                "has({status}.conditions) && type({status}.conditions) == list && size({status}.conditions) <= {ENTRIES_MAX} \
                 ? {status}.conditions : []"
            ),
        ),
        variable("wellFormed", format!("{conditions}.filter(c, {})", is_well_formed("c"))),
        variable("suspects", super::conditions::suspects(view)),
        variable("known", known(view)),
        variable("stale", stale(view)),
    ];
    if view == View::New {
        variables.push(variable("absent", absent()));
    }
    for artifact in Artifact::BOTH {
        variables.push(variable(sources_name(artifact), map(&status, artifact.name())));
    }
    for name in Artifact::BOTH.map(sources_name).into_iter().chain(["spec"]) {
        let of = |what: &str| format!("{name}{what}");
        variables.push(variable(&of("Texts"), texts(&view.variable(name))));
        variables.push(variable(&of("Parts"), parts(&view.variable(&of("Texts")))));
    }
    let [ships, is_shipped] = ships(view);
    variables.extend([variable("ships", ships), variable("isShipped", is_shipped)]);
    for container in Spelling::BOTH {
        let name = cve_count_name(container);
        variables.push(variable(name, map(&status, name)));
    }
    variables.push(variable("counted", counted(view)));
    let by_container = |of: fn(View, Spelling) -> String| {
        let [wire, documented] =
            Spelling::BOTH.map(|container| format!("'{}': {}", cve_count_name(container), of(view, container)));
        format!("{{{wire},\n{documented}}}")
    };
    for (name, of) in
        [("counts", counts as fn(View, Spelling) -> String), ("others", others), ("sum", sum), ("total", total_value)]
    {
        variables.push(variable(name, by_container(of)));
    }
    variables
}

/// Returns the variables that compare both objects. They use those of both.
pub fn of_both() -> Vec<PolicyVariable> {
    let variable = |name: &str, expression: String| PolicyVariable { name: name.to_owned(), expression };
    let has_type = |list: &str| format!("{list}.filter(c, type(c) == map && has(c.type) && c.type == t)");
    let any_old = format!("(variables.oldWellFormed.filter(c, c.type == t) + {})", has_type("variables.oldConditions"));
    let mut variables = vec![
        // A condition that only the new object has twice is paired by its contents.
        variable("repeated", format!("{}.filter(t, size({}) > 1)", types(), has_type("variables.conditions"))),
    ];
    let members = [ConditionMember::Status, ConditionMember::Reason, ConditionMember::Message, ConditionMember::Error];
    for member in members {
        let name = member.name();
        let same = format!(
            "{}.filter(t, variables.known[t].status == '' ? variables.oldKnown[t].status == '' : \
             t in variables.repeated ? variables.known[t].entry in variables.oldConditions : \
             {any_old}.map(c, {})[0] == variables.known[t].{name})",
            types(),
            super::reading::text("c", name)
        );
        variables.push(variable(&same_name(member), same));
    }
    variables.extend([variable("deleting", deleting()), variable("writeTimes", write_times())]);
    variables
}

/// `metadata.generation`, or a list if it is not an integer, which equals no generation.
fn generation(object: &str) -> String {
    let metadata = format!("has({object}.metadata) && type({object}.metadata) == map");
    format!(
        "{metadata} && has({object}.metadata.generation) && type({object}.metadata.generation) == int \
         ? dyn({object}.metadata.generation) : dyn([])"
    )
}

fn deleting() -> String {
    "has(object.metadata) && type(object.metadata) == map && has(object.metadata.deletionTimestamp) \
     && !(object.metadata.deletionTimestamp in [dyn(null), dyn('')])"
        .to_owned()
}

/// The times of the writes of the object. The latest is the time of the request, since CEL has no clock: the API server
/// writes it into the managed fields of an object that changes. There is none where a client clears the managed fields.
fn write_times() -> String {
    format!(
        "(has(object.metadata) && type(object.metadata) == map && has(object.metadata.managedFields) \
         && type(object.metadata.managedFields) == list && size(object.metadata.managedFields) <= {ENTRIES_MAX} \
         ? object.metadata.managedFields : []).filter(f, type(f) == map && has(f.time) && {}).map(f, {})",
        is_time("f.time"),
        timestamp("f.time")
    )
}

/// The condition of each type: its first well-formed entry.
fn known(view: View) -> String {
    let entries = view.variable("wellFormed");
    let text = |member: ConditionMember| {
        let name = member.name();
        format!("'{name}': dyn({})", super::reading::text("c", name))
    };
    let [reason, message, error] =
        [ConditionMember::Reason, ConditionMember::Message, ConditionMember::Error].map(text);
    let read = format!(
        "{entries}.filter(c, c.type == t).map(c, {{'status': c.status, {reason}, {message}, {error}, \
         'time': dyn({}), 'generation': {} ? c.observedGeneration : dyn({}), 'entry': c}})",
        transition("c"),
        is_there("c", "observedGeneration"),
        i64::MAX
    );
    let all = ConditionType::ALL.map(|known| {
        let name = known.name();
        format!("'{name}': ({} + [{NONE}])[0]", read.replace("c.type == t", &format!("c.type == '{name}'")))
    });
    format!("{{{}}}", all.join(",\n"))
}

/// In place of a condition that is absent or malformed.
const NONE: &str = "dyn({'status': ''})";

/// The types of the stale conditions, as `scan::conditions` finds them.
fn stale(view: View) -> String {
    let condition = |known| super::reading::known(view, known);
    let [scanning, succeeded, policy] =
        [ConditionType::Scanning, ConditionType::Succeeded, ConditionType::PolicySucceeded].map(condition);
    let (observed, of_type) = (view.variable("observed"), format!("{}[t]", view.variable("known")));
    let is_before = |other: &str| format!("{other}.status != '' && {policy}.time < {other}.time");
    let is_policy_older = format!("({} || {})", is_before(&scanning), is_before(&succeeded));
    format!(
        "{done} \
         ? ({scan_policy} == '' && {policy}.status != '' && ({is_policy_older} || {policy}.generation < {observed}) \
         ? ['PolicySucceeded'] : [])\n: {types}.filter(t, {of_type}.status != '' && ({of_type}.generation < {observed}\n\
         || t != 'Scanning' && {scanning}.status == 'True' && {scanning}.generation >= {observed} && {of_type}.time <= {scanning}.time\n\
         || t == 'PolicySucceeded' && {is_policy_older}))",
        done = super::reading::is_phase(view, &[Phase::Completed, Phase::Failed]),
        scan_policy = view.variable("scanPolicy"),
        types = types(),
    )
}

/// The types of which there is no entry. A type is neither there nor absent if its entries are malformed, and so are all
/// types if the list is no list or too long to be read.
fn absent() -> String {
    format!(
        "{} && (type(variables.status.conditions) != list || size(variables.status.conditions) > {ENTRIES_MAX}) ? [] : \
         {}.filter(t, !variables.conditions.exists(c, type(c) == map && has(c.type) && c.type == t))",
        is_there("variables.status", "conditions"),
        types()
    )
}
