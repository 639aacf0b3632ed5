//! The variables of the policies: the parts of a scan that several rules read, each read once.

use super::artifacts::{differs, is_plain, parts, ships, texts};
use super::counts::{comparable, counted, counts, others, plain, sum, total_value};
use super::reading::{
    CONDITIONS_MAX, MEMBERS_MAX, indices, is_phase, is_there, is_time, is_well_formed, known as known_entry, of_type,
    same_name, sources_name, text, timestamp, transition, types,
};
use crate::engine::View;
pub use crate::engine::cel::PolicyVariable;
use crate::engine::cel::literal;
use crate::scan::field::{Artifact, cve_count_name};
use crate::scan::{ConditionMember, ConditionType, Phase, Spelling};

/// Returns the variables of one object. Each uses only those before it.
pub fn of_object(view: View) -> Vec<PolicyVariable> {
    of_parts(view, map(view.object(), "status"), view.object())
}

/// A member that is an object, or an empty object.
pub fn map(from: &str, key: &str) -> String {
    format!("has({from}.{key}) && type({from}.{key}) == map ? {from}.{key} : {{}}")
}

/// Returns the variables of a status with the metadata and the spec of an object.
pub fn of_parts(view: View, status: String, object: &str) -> Vec<PolicyVariable> {
    let mut variables = vec![variable(view, "status", status), variable(view, "spec", map(object, "spec"))];
    variables.extend(of_fields(view, object));
    variables.extend(of_conditions(view));
    variables.extend(of_artifacts(view));
    variables.extend(of_counts(view));
    variables
}

fn variable(view: View, name: &str, expression: String) -> PolicyVariable {
    PolicyVariable::new(view.name(name), expression)
}

fn of_fields(view: View, object: &str) -> Vec<PolicyVariable> {
    let (status, spec) = (view.variable("status"), view.variable("spec"));
    let (observed, scanned_at) = (format!("{status}.observedGeneration"), format!("{status}.scannedAt"));
    let is_observed = format!("has({observed}) && type({observed}) == int");
    vec![
        variable(view, "phase", format!("{} ? {status}.phase : ''", is_there(&status, "phase"))),
        variable(view, "scanPolicy", format!("{} ? {spec}.scanPolicy : ''", is_there(&spec, "scanPolicy"))),
        variable(view, "generation", generation(object)),
        variable(view, "caughtUp", format!("{is_observed} && {observed} == {}", view.variable("generation"))),
        // Lower than every generation if there is none.
        variable(view, "observed", format!("{is_observed} ? {observed} : {}", i64::MIN)),
        variable(
            view,
            "scannedTime",
            format!("has({scanned_at}) && {} ? [{}] : []", is_time(&scanned_at), timestamp(&scanned_at)),
        ),
    ]
}

fn of_conditions(view: View) -> Vec<PolicyVariable> {
    let list = format!("{}.conditions", view.variable("status"));
    let is_read = format!("has({list}) && type({list}) == list && size({list}) <= {CONDITIONS_MAX}");
    let conditions = view.variable("conditions");
    let mut variables = vec![
        variable(view, "conditions", format!("{is_read} ? {list} : []")),
        variable(view, "wellFormed", format!("{conditions}.filter(c, {})", is_well_formed("c"))),
        variable(view, "suspects", super::conditions::suspects(view)),
        variable(view, "known", known(view)),
        variable(view, "names", names(view)),
        variable(view, "stale", stale(view)),
    ];
    if view != View::Old {
        variables.push(variable(view, "absent", absent(view)));
    }
    variables
}

fn of_artifacts(view: View) -> Vec<PolicyVariable> {
    let status = view.variable("status");
    let mut variables = Vec::new();
    for artifact in Artifact::BOTH {
        let name = sources_name(artifact);
        variables.push(variable(view, name, map(&status, artifact.name())));
        variables.push(variable(view, &format!("{name}Plain"), is_plain(&view.variable(name))));
    }
    let [ships, is_shipped] = ships(view);
    variables.extend([variable(view, "ships", ships), variable(view, "isShipped", is_shipped)]);
    variables.push(variable(view, "differs", differs(view)));
    for name in Artifact::BOTH.map(sources_name).into_iter().chain(["spec"]) {
        let (texts_name, parts_name) = (format!("{name}Texts"), format!("{name}Parts"));
        variables.push(variable(view, &texts_name, texts(view, &view.variable(name))));
        variables.push(variable(view, &parts_name, parts(view, &view.variable(&texts_name))));
    }
    variables
}

/// Returns the expression of a container of counts.
type OfContainer = fn(View, Spelling) -> String;

fn of_counts(view: View) -> Vec<PolicyVariable> {
    let status = view.variable("status");
    let names = Spelling::BOTH.map(cve_count_name);
    let mut variables = names.map(|name| variable(view, name, map(&status, name))).to_vec();
    variables.push(variable(view, "counted", counted(view)));
    variables.push(variable(view, "plain", plain(view)));
    let by_container: [(&str, OfContainer); 5] =
        [("counts", counts), ("others", others), ("sum", sum), ("total", total_value), ("comparable", comparable)];
    for (name, of) in by_container {
        let [wire, documented] =
            Spelling::BOTH.map(|container| format!("'{}': {}", cve_count_name(container), of(view, container)));
        variables.push(variable(view, name, format!("{{{wire},\n{documented}}}")));
    }
    variables
}

/// Returns the variables that compare both objects. They use those of both. `object` is the one that says whether it is being
/// deleted.
pub fn of_both(object: &str) -> Vec<PolicyVariable> {
    let variable = |name: &str, expression: String| variable(View::New, name, expression);
    let any_old =
        format!("(variables.oldWellFormed.filter(c, c.type == t) + {})", of_type("variables.oldConditions", "t"));
    let mut variables = super::pairs::of_entries().map(|(name, expression)| variable(name, expression)).to_vec();
    variables.push(variable("repeated", super::pairs::repeated()));
    variables.push(variable("elsewhere", super::pairs::elsewhere()));
    let members = [ConditionMember::Status, ConditionMember::Reason, ConditionMember::Message, ConditionMember::Error];
    for member in members {
        let name = member.name();
        let same = format!(
            "{}.filter(t, variables.known[t].status == '' ? variables.oldKnown[t].status == '' : \
             t in variables.repeated ? {} : ({any_old} + [dyn({{}})]).map(c, {})[0] == variables.known[t].{name})",
            types(),
            super::pairs::is_same_in_pair(member),
            text("c", name)
        );
        variables.push(variable(&same_name(member), same));
    }
    let moved = "variables.conditions != variables.oldConditions ? \
                 variables.wellFormed.filter(c, !(variables.oldWellFormed.filter(d, d.type == c.type).map(d, d == c) \
                 + [false])[0] && variables.wellFormed.filter(d, d.type == c.type)[0] == c) : []";
    variables.extend([
        variable("changed", moved.to_owned()),
        variable("deleting", deleting(object)),
        variable("writeTimes", write_times()),
    ]);
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

fn deleting(object: &str) -> String {
    let metadata = format!("{object}.metadata");
    format!(
        "has({metadata}) && type({metadata}) == map && has({metadata}.deletionTimestamp) \
         && !({metadata}.deletionTimestamp in [dyn(null), dyn('')])"
    )
}

/// The times of the writes of the object. The latest is the time of the request, since CEL has no clock: the API server
/// writes it into the managed fields of an object that changes. There is none where a client clears the managed fields.
fn write_times() -> String {
    format!(
        "(has(object.metadata) && type(object.metadata) == map && has(object.metadata.managedFields) \
         && type(object.metadata.managedFields) == list && size(object.metadata.managedFields) <= {MEMBERS_MAX} \
         ? object.metadata.managedFields : []).filter(f, type(f) == map && has(f.time) && {}).map(f, {})",
        is_time("f.time"),
        timestamp("f.time")
    )
}

/// The condition of each type: its first well-formed entry.
fn known(view: View) -> String {
    let entries = view.variable("wellFormed");
    let text = |member: ConditionMember| format!("'{0}': dyn({1})", member.name(), text("c", member.name()));
    let [reason, message, error] =
        [ConditionMember::Reason, ConditionMember::Message, ConditionMember::Error].map(text);
    let of_type = |known: ConditionType| {
        format!(
            "'{0}': ({entries}.filter(c, c.type == '{0}').map(c, {{'status': c.status, {reason}, {message}, {error}, \
             'entry': c}}) + [dyn({{'status': ''}})])[0]",
            known.name()
        )
    };
    format!("{{{}}}", ConditionType::ALL.map(of_type).join(",\n"))
}

/// How findings name the condition of each type: by its type, or by its index if other entries have the same type.
fn names(view: View) -> String {
    let (entries, known) = (view.variable("conditions"), view.variable("known"));
    let name = |of: ConditionType| {
        let name = of.name();
        format!(
            "'{name}': {known}.{name}.status != '' && size({}) > 1 \
             ? string({}.filter(i, i < size({entries}) && {entries}[i] == {known}.{name}.entry)[0]) : '{name}'",
            of_type(&entries, &literal(name)),
            indices()
        )
    };
    format!("{{{}}}", ConditionType::ALL.map(name).join(",\n"))
}

/// The types of the stale conditions, as `scan::conditions` finds them.
fn stale(view: View) -> String {
    let [scanning, succeeded, policy] =
        [ConditionType::Scanning, ConditionType::Succeeded, ConditionType::PolicySucceeded]
            .map(|known| known_entry(view, known));
    let (observed, of_type) = (view.variable("observed"), format!("{}[t]", view.variable("known")));
    let is_older = |condition: &str| {
        format!(
            "({} && {condition}.entry.observedGeneration < {observed})",
            is_there(&format!("{condition}.entry"), "observedGeneration")
        )
    };
    let time = |condition: &str| transition(&format!("{condition}.entry"));
    let is_before = |other: &str| format!("{other}.status != '' && {} < {}", time(&policy), time(other));
    let is_policy_older = format!("({} || {})", is_before(&scanning), is_before(&succeeded));
    format!(
        "{done} \
         ? ({scan_policy} == '' && {policy}.status != '' && ({is_policy_older} || {}) ? ['PolicySucceeded'] : [])\n\
         : {types}.filter(t, {of_type}.status != '' && ({}\n\
         || t != 'Scanning' && {scanning}.status == 'True' && !{} && {} <= {}\n\
         || t == 'PolicySucceeded' && {is_policy_older}))",
        is_older(&policy),
        is_older(&of_type),
        is_older(&scanning),
        time(&of_type),
        time(&scanning),
        done = is_phase(view, &[Phase::Completed, Phase::Failed]),
        scan_policy = view.variable("scanPolicy"),
        types = types(),
    )
}

/// The types of which there is no entry. A type is neither there nor absent if its entries are malformed, and so are all
/// types if the list is no list or too long to be read.
fn absent(view: View) -> String {
    let (status, conditions) = (view.variable("status"), view.variable("conditions"));
    format!(
        "{} && (type({status}.conditions) != list || size({status}.conditions) > {CONDITIONS_MAX}) ? [] : \
         {}.filter(t, !{conditions}.exists(c, type(c) == map && has(c.type) && c.type == t))",
        is_there(&status, "conditions"),
        types()
    )
}
