//! The mutations in CEL: what each writes, and the status after them.
//!
//! A mutation is left out if it would cause an error, as in `engine::mutate`. So the rules are evaluated on the status before
//! and after the mutations, which [`View::Filled`] and [`View::Mutated`] name.

use super::counts::CountMap;
use super::reading::{
    CONDITIONS_MAX, MEMBERS_MAX, has_valid_type, indices, is_absent, is_count, is_current, is_named, is_phase, is_time,
    text, transition,
};
use super::variables::PolicyVariable;
use crate::engine::cel::{literal, literals};
use crate::engine::{FILLED, View};
use crate::rules::tables::conditions::{ConditionRow, Message, VOCABULARIES, Vocabulary};
use crate::scan::ConditionStatus::{False, True, Unknown};
use crate::scan::field::cve_count_name;
use crate::scan::{ConditionMember, ConditionType, Count, Phase, Spelling, Status};

/// The largest sum that a patch writes as a number: the API server turns larger ones into strings.
const SUM_MAX: i64 = 1 << 53;

/// For which rules the mutations are enabled: a boolean for each rule.
pub trait Enabled {
    fn is_enabled(&self, rule: &str) -> String;
}

/// Returns the variables with what the conditions lack, by index: a map of members, each with its value or the empty string.
pub fn of_conditions(enabled: &dyn Enabled) -> Vec<PolicyVariable> {
    let entries = View::New.variable("conditions");
    let old = format!(
        "(variables.oldWellFormed.filter(o, o.type == c.type) + variables.oldConditions.filter(o, type(o) == map && {} && o.type == c.type))",
        has_valid_type("o")
    );
    let since = format!(
        "{old}.filter(o, o == {old}[0] && {} == {} && has(o.lastTransitionTime) && {}).map(o, o.lastTransitionTime)",
        text("o", "status"),
        text("c", "status"),
        is_time("o.lastTransitionTime")
    );
    let now = "(size(variables.writeTimes) > 0 ? [dyn(string(variables.writeTimes.max()))] : [])";
    let time = format!(
        "({} && {} == '' ? ((has(c.type) ? {since} : []) + {now} + [dyn('')])[0] : '')",
        enabled.is_enabled("condition-fields"),
        text("c", ConditionMember::LastTransitionTime.name())
    );
    let time = unless_unpaired(ConditionMember::LastTransitionTime, &time);
    let fills = format!(
        "{entries}.transformList(i, c, type(c) == map ? {{'lastTransitionTime': {time}, 'reason': {}, 'message': {}}} \
         : {{'lastTransitionTime': dyn(''), 'reason': dyn(''), 'message': dyn('')}})",
        unless_unpaired(ConditionMember::Reason, &of_rows(enabled, ConditionMember::Reason)),
        unless_unpaired(ConditionMember::Message, &of_rows(enabled, ConditionMember::Message))
    );
    let members = literals(ConditionMember::ALL.map(ConditionMember::name));
    let fillable = literals(FILLED.map(ConditionMember::name));
    let filled = format!(
        "{entries}.transformList(i, c, type(c) == map ? {members}.filter(m, m in c || m in {fillable} && variables.fills[i][m] != '')\
         .transformMapEntry(j, m, {{m: m in {fillable} && variables.fills[i][m] != '' ? variables.fills[i][m] : c[m]}}) : c)"
    );
    let status = format!(
        "{}.filter(k, k in variables.status).transformMapEntry(i, k, {{k: k == 'conditions' && type(variables.status[k]) == list \
         && size(variables.conditions) > 0 ? variables.filledEntries : variables.status[k]}})",
        literals(Status::MEMBERS)
    );
    vec![
        PolicyVariable::new("fills", fills),
        PolicyVariable::new("filledEntries", filled),
        PolicyVariable::new("filledStatus", status),
    ]
}

/// The value to fill in, or nothing where the entry would no longer be the same one as in the old object: it is not named by its
/// type, and the old entry has a member that it lacks. The errors that both have would then deny the write.
fn unless_unpaired(member: ConditionMember, value: &str) -> String {
    let is_other = |other: ConditionMember| {
        let value = if other == member { "v".to_owned() } else { text("c", other.name()) };
        format!("{0} != '' && {0} != {value}", text("o", other.name()))
    };
    let is_other = FILLED.map(is_other).join(" || ");
    let old = text("o", member.name());
    format!(
        "([{value}].filter(v, v == '' || {} || variables.pairs[i] < 0 || [variables.oldConditions[variables.pairs[i]]].all(o, \
         type(o) != map || {old} == v || o in variables.oldWellFormed && !({is_other}))).map(v, dyn(v)) + [dyn('')])[0]",
        is_named("c", &View::New.variable("conditions"))
    )
}

/// The reason or the message of the row of an entry, if it is absent and the row has exactly one.
fn of_rows(enabled: &dyn Enabled, member: ConditionMember) -> String {
    let mut choices = String::new();
    for vocabulary in VOCABULARIES {
        for row in vocabulary.rows {
            let text = match (member, row.message) {
                (ConditionMember::Reason, _) => row.reason,
                (_, Message::Exactly(text, _)) => Some(text),
                _ => None,
            };
            let Some(text) = text else { continue };
            let rule = rule_of(vocabulary.condition);
            choices += &format!(
                "{} && c.type == '{}' && c.status == '{}' ? {} : ",
                enabled.is_enabled(rule),
                vocabulary.condition.name(),
                row.status.name(),
                literal(text)
            );
        }
    }
    format!("({} == '' && has(c.type) && has(c.status) ? ({choices}'') : '')", text("c", member.name()))
}

fn rule_of(known: ConditionType) -> &'static str {
    match known {
        ConditionType::Scanning => "scanning-vocabulary",
        ConditionType::Succeeded => "succeeded-vocabulary",
        ConditionType::SendingResults => "sending-results-vocabulary",
        ConditionType::PolicySucceeded => "policy-vocabulary",
    }
}

/// Returns the variables with the phase and the counts to write, and with the status after all mutations.
pub fn of_status(enabled: &dyn Enabled) -> Vec<PolicyVariable> {
    let current = |known, status| format!("({})", is_current(View::Filled, known, &[status]));
    let (succeeded, policy) = (ConditionType::Succeeded, ConditionType::PolicySucceeded);
    let phase = format!(
        "{} && variables.phase == '' ? ({} ? 'Scanning' : {} || {} ? 'Error' : !{} ? '' : {} ? 'Failed' \
         : {} || {} && variables.filledScanPolicy == '' ? 'Completed' : '') : ''",
        enabled.is_enabled("phase-unknown"),
        current(ConditionType::Scanning, True),
        current(succeeded, False),
        current(policy, Unknown),
        current(succeeded, True),
        current(policy, False),
        current(policy, True),
        is_absent(View::Filled, policy),
    );
    let [wire, documented] =
        Spelling::BOTH.map(|spelling| format!("'{}': {}", cve_count_name(spelling), count_writes(enabled, spelling)));
    let containers = literals(Spelling::BOTH.map(cve_count_name));
    let container = "(variables.status[k].map(m, m) + variables.countWrites[k].map(m, m).filter(m, !(m in variables.status[k])))\
                     .transformMapEntry(j, m, {m: m in variables.countWrites[k] ? variables.countWrites[k][m] : variables.status[k][m]})";
    let status = format!(
        "{}.filter(k, k in variables.filledStatus || k == 'phase' && variables.phaseWrite != '').transformMapEntry(i, k, \
         {{k: k == 'phase' && variables.phaseWrite != '' ? dyn(variables.phaseWrite) : \
         k in {containers} && size(variables.countWrites[k]) > 0 ? {container} : variables.filledStatus[k]}})",
        literals(Status::MEMBERS)
    );
    vec![
        PolicyVariable::new("phaseWrite", phase),
        PolicyVariable::new("countWrites", format!("{{{wire},\n{documented}}}")),
        PolicyVariable::new("mutatedStatus", status),
    ]
}

/// The counts of a container that are filled in or recomputed: a map of keys and values. It is empty where an error of the old
/// object would deny the write if a count were written.
fn count_writes(enabled: &dyn Enabled, spelling: Spelling) -> String {
    let container = CountMap::of(View::New, spelling);
    let (map, sum) = (&container.map, container.variable("sum"));
    let keys = Spelling::BOTH.map(|key| Count::Total.name(key));
    let totals = format!(
        "({} ? {}.filter(m, m in {map} && {map}[m] != null ? !({} && {map}[m] == {sum}) : m == '{}' && {}) : [])",
        enabled.is_enabled("cve-total"),
        literals(keys),
        is_count(&format!("{map}[m]")),
        Count::Total.name(spelling),
        container.has_no_total(),
    );
    let severities = Count::SEVERITIES.map(|count| literals(Spelling::BOTH.map(|key| count.name(key))));
    let own = usize::from(spelling == Spelling::Documented);
    let zeros = format!(
        "({} ? [{}].filter(p, p.all(m, !(m in {map}) || {map}[m] == null)).map(p, p[{own}]) : [])",
        enabled.is_enabled("cve-count-values"),
        severities.join(", ")
    );
    format!(
        "size({map}) > 0 && size({map}) <= {MEMBERS_MAX} && {sum} >= 0 && {sum} <= {SUM_MAX} && {} && !{} && !{} \
         ? ({totals}.map(m, [dyn(m), dyn({sum})]) + {zeros}.map(m, [dyn(m), dyn(0)])).transformMapEntry(i, x, {{x[0]: x[1]}}) \
         : {{}}",
        container.has_severity(),
        container.has_other_number(),
        container.variable("isKeptByCounts")
    )
}

/// Returns the variable with the time to write to `scannedAt`: a list, which is empty if there is none.
pub fn of_scanned_at(enabled: &dyn Enabled) -> PolicyVariable {
    let view = View::Mutated;
    let [scanning, succeeded] = [ConditionType::Scanning, ConditionType::Succeeded]
        .map(|known| format!("{}.entry", super::reading::known(view, known)));
    let [ended, done] = [&scanning, &succeeded].map(|entry| transition(entry));
    let later = format!(
        "({} == 'False' && {ended} >= {done} ? {scanning}.lastTransitionTime : {succeeded}.lastTransitionTime)",
        super::reading::status(view, ConditionType::Scanning)
    );
    let time = super::reading::timestamp("t");
    let times = format!(
        "{} && {} == '' && {} && {} ? [{later}].filter(t, variables.writeTimes.exists(w, {time} <= w) \
         && (size(variables.oldScannedTime) == 0 || {time} >= variables.oldScannedTime[0])) : []",
        enabled.is_enabled("scanned-at"),
        text("variables.status", "scannedAt"),
        is_phase(view, &[Phase::Completed, Phase::Failed]),
        is_current(view, ConditionType::Succeeded, &[True]),
    );
    PolicyVariable::new("scannedAtWrite", times)
}

/// Whether to fill in the entry `i` reveals no error that would deny a write which is not denied: the entry is well-formed, or
/// the write is denied for it. `errors` are the messages of the rule about its fields.
pub fn reveals_nothing(errors: &str) -> String {
    let entry = "variables.conditions[i]";
    let is_named = is_named(entry, &View::New.variable("conditions"));
    format!(
        "({entry} in variables.wellFormed \
         || {errors}.exists(e, e.startsWith('status.conditions[' + ({is_named} ? {entry}.type : string(i)) + ']')))"
    )
}

/// The patch of the conditions for which a condition holds: a list of operations.
pub fn condition_patch(when: &str) -> String {
    let fillable = literals(FILLED.map(ConditionMember::name));
    format!(
        "{}.filter(i, i < size(variables.conditions) && {when}).map(i, {fillable}.filter(m, variables.fills[i][m] != '').map(m, \
         JSONPatch{{op: 'add', path: '/status/conditions/' + string(i) + '/' + m, value: variables.fills[i][m]}})).flatten()",
        indices()
    )
}

pub fn phase_patch() -> String {
    "(variables.phaseWrite == '' ? [] : [JSONPatch{op: 'add', path: '/status/phase', value: variables.phaseWrite}])"
        .to_owned()
}

pub fn count_patch() -> String {
    let containers = literals(Spelling::BOTH.map(cve_count_name));
    format!(
        "{containers}.map(k, variables.countWrites[k].map(m, JSONPatch{{op: 'add', path: '/status/' + k + '/' + m, \
         value: variables.countWrites[k][m]}})).flatten()"
    )
}

pub fn scanned_at_patch() -> String {
    "variables.scannedAtWrite.map(t, JSONPatch{op: 'add', path: '/status/scannedAt', value: t})".to_owned()
}

/// Whether there is anything to write.
pub fn is_pending() -> String {
    format!(
        "{} || variables.phaseWrite != '' || variables.countWrites.exists(k, size(variables.countWrites[k]) > 0) \
         || size(variables.scannedAtWrite) > 0",
        is_condition_pending()
    )
}

/// Whether a condition has anything to fill in.
fn is_condition_pending() -> String {
    let fillable = literals(FILLED.map(ConditionMember::name));
    format!("variables.fills.exists(f, {fillable}.exists(m, f[m] != ''))")
}

/// Whether the phase, or a member of a condition, has not been filled in, so that the time of the scan is not known.
pub fn lacks_what_scanned_at_reads() -> String {
    format!("(variables.phase == '' || {})", is_condition_pending())
}

/// Whether a status may lack a derived field, so that the policy has to be evaluated: an expression without variables.
pub fn may_lack_a_field() -> String {
    let lacks = |map: &str, key: &str| format!("{} == ''", text(map, key));
    let phases = literals([Phase::Completed, Phase::Failed].map(Phase::name));
    let of_types = |has_text: fn(&ConditionRow) -> bool| {
        let has_row = |vocabulary: &&&Vocabulary| vocabulary.rows.iter().any(has_text);
        literals(VOCABULARIES.iter().filter(has_row).map(|vocabulary| vocabulary.condition.name()))
    };
    let entry = format!(
        "{} || has(c.type) && (c.type in {} && {} || c.type in {} && {})",
        lacks("c", ConditionMember::LastTransitionTime.name()),
        of_types(|row| row.reason.is_some()),
        lacks("c", ConditionMember::Reason.name()),
        of_types(|row| matches!(row.message, Message::Exactly(..))),
        lacks("c", ConditionMember::Message.name()),
    );
    let keys = Count::ALL.map(|count| count.name(Spelling::Wire));
    let has_all = keys.map(|key| format!("has(n.{key}) && type(n.{key}) == int")).join(" && ");
    let sum = Count::SEVERITIES.map(|count| format!("double(n.{})", count.name(Spelling::Wire))).join(" + ");
    let documented = cve_count_name(Spelling::Documented);
    format!(
        "has(object.status) && type(object.status) == map && [object.status].exists(s, {phase}\n\
         || has(s.phase) && s.phase in {phases} && {scanned_at}\n\
         || has(s.conditions) && type(s.conditions) == list && size(s.conditions) <= {CONDITIONS_MAX} \
         && s.conditions.exists(c, type(c) == map && ({entry}))\n\
         || has(s.{documented})\n\
         || has(s.cveCount) && type(s.cveCount) == map \
         && [s.cveCount].exists(n, size(n) != {counts} || !({has_all}) || double(n.total) != {sum}))",
        counts = Count::ALL.len(),
        phase = lacks("s", "phase"),
        scanned_at = lacks("s", "scannedAt"),
    )
}
