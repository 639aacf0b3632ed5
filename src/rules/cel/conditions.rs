//! The twins of the rules about conditions.

use super::reading::{
    CONDITIONS_MAX, condition_path, indices, is_absent, is_current, is_malformed, is_named, is_same_entry,
    is_same_generations, is_same_in_status, is_same_member, is_same_policy, is_there, lacks_reason, not_an_integer,
    status, text, types,
};
use crate::engine::cel::{OTHER, VALUE, literal, literals, message, text_message};
use crate::engine::{FieldError, Row, View, quoted_list};
use crate::rules::tables::conditions::{MUST_BE_REASON, MUST_BE_TYPE, MUST_HAVE_TIME, VOCABULARIES, Vocabulary};
use crate::rules::tables::values::MUST_BE_TIME;
use crate::scan::ConditionStatus::{False, True};
use crate::scan::conditions::{MESSAGE_MAX_CHARS, REASON_MAX_CHARS, TYPE_MAX_CHARS};
use crate::scan::json;
use crate::scan::{ConditionMember, ConditionStatus, ConditionType, Json, Phase};

/// The entries for which a rule about single entries may have a finding, which are few. Each is a map of
///
/// - `entry`: the entry itself,
/// - `path`: its path, which names it by its type if it is the only entry of that type,
/// - `named`: whether it does,
/// - `first`: the index of the first well-formed entry of the same type.
pub fn suspects(view: View) -> String {
    let (entries, well_formed) = (view.variable("conditions"), view.variable("wellFormed"));
    let is_suspect = format!(
        "{entries}[i] != null && !({entries}[i] in {well_formed} && {entries}[i].type in {types} && !({lacks}) \
         && {well_formed}.exists_one(d, d.type == {entries}[i].type))",
        types = types(),
        lacks = lacks_reason(&format!("{entries}[i]")),
    );
    let is_usual = format!(
        "size({well_formed}) == size({entries}) && {well_formed}.all(c, c.type in {} && !({}) \
         && {well_formed}.exists_one(d, d.type == c.type))",
        types(),
        lacks_reason("c")
    );
    let entry = "e[1]";
    let is_named = is_named(entry, &entries);
    let first = format!(
        "({entry} in {well_formed} ? {}.filter(j, j < size({entries}) && {entries}[j] in {well_formed} && {entries}[j].type == {entry}.type)[0] : -1)",
        indices()
    );
    format!(
        "({is_usual}) ? [] : {}.filter(i, i < size({entries}) && {is_suspect}).map(i, [dyn(i), {entries}[i]]).map(e, [e[0], {entry}, \
         dyn({is_named})]).map(e, {{'index': dyn(e[0]), 'entry': {entry}, 'named': e[2], 'first': dyn({first}), \
         'path': dyn('status.conditions[' + (e[2] ? {entry}.type : string(e[0])) + ']')}})",
        indices()
    )
}

fn suspect_rows(view: View, row: Row, when: &str, path: &str, member: &str) -> Row {
    let list = view.variable("suspects");
    let index = if view == View::Old { "e.index" } else { "variables.pairs[e.index]" };
    let row = Row { when: when.to_owned(), ..row }.for_each("e", list, format!("e.path + '{path}'"));
    row.identities(vec![format!("[dyn('{member}'), dyn({index})]")])
}

pub fn fields(view: View) -> Vec<Row> {
    let status = view.variable("status");
    let list = format!("has({status}.conditions) && type({status}.conditions) == list");
    let size = format!("size({status}.conditions)");
    let no_object = message(&FieldError::type_invalid(&VALUE, "must be an object"), "e.entry", "");
    let is_malformed_entry = format!("!(e.entry in {})", view.variable("wellFormed"));
    let mut rows = vec![
        Row::error(
            format!("{list} && {size} > {}", json::ENTRIES_MAX),
            "status.conditions",
            message(&FieldError::too_many(json::ENTRIES_MAX), "", ""),
        )
        .unchanged([format!("{size} == size(variables.oldStatus.conditions)")]),
        Row::warning(
            format!("{list} && {size} > {CONDITIONS_MAX} && {size} <= {}", json::ENTRIES_MAX),
            "status.conditions",
            text_message(&format!(
                "Too many: policies judge at most {CONDITIONS_MAX} conditions, so none of these is judged"
            )),
        ),
        suspect_rows(view, Row::error("", "", no_object), "type(e.entry) != map", "", ""),
    ];
    let old = "[variables.oldConditions[variables.pairs[e.index]]]";
    for member in ConditionMember::ALL {
        let name = member.name();
        let when = format!("type(e.entry) == map && {is_malformed_entry} && {}", is_malformed("e.entry", member));
        let row = Row::error("", "", malformed_message("e.entry", member));
        let row = suspect_rows(view, row, &when, &format!(".{name}"), name);
        rows.push(row.unchanged([format!("{old}.all(d, {} == {})", text("e.entry", name), text("d", name))]));
    }
    let reason = ConditionMember::Reason;
    let when = format!("type(e.entry) == map && {}", lacks_reason("e.entry"));
    let required = format!("[dyn('Required value: ' + {})]", details(reason, "e.entry"));
    rows.push(suspect_rows(view, Row::warning("", "", required), &when, ".reason", ""));
    rows
}

/// What a member must be, for the type and the status of its entry: a string.
fn details(member: ConditionMember, entry: &str) -> String {
    let of_type = |known: ConditionType| format!("has({entry}.type) && {entry}.type == '{}'", known.name());
    let mut choices = String::new();
    match member {
        ConditionMember::Type => literal(MUST_BE_TYPE),
        ConditionMember::LastTransitionTime => literal(MUST_HAVE_TIME),
        ConditionMember::Status => {
            let all = ConditionStatus::ALL.map(ConditionStatus::name);
            for vocabulary in VOCABULARIES.iter().filter(|one| one.rows.len() < all.len()) {
                let names = statuses(vocabulary);
                let detail = literal(&format!("must be {}", quoted_list(&names, " or ")));
                choices += &format!("{} ? {detail} : ", of_type(vocabulary.condition));
            }
            format!("({choices}{})", literal(&format!("must be {}", quoted_list(&all, " or "))))
        }
        _ => {
            for (vocabulary, row) in VOCABULARIES.iter().flat_map(|all| all.rows.iter().map(move |row| (all, row))) {
                let (Some(reason), name) = (row.reason, row.status.name()) else { continue };
                let detail = literal(&format!("must be \"{reason}\" while the status is \"{name}\""));
                let of_status = format!("has({entry}.status) && {entry}.status == '{name}'");
                choices += &format!("{} && {of_status} ? {detail} : ", of_type(vocabulary.condition));
            }
            format!("({choices}{})", literal(MUST_BE_REASON))
        }
    }
}

fn statuses(vocabulary: &Vocabulary) -> Vec<&'static str> {
    vocabulary.rows.iter().map(|row| row.status.name()).collect()
}

/// The message of a member that is malformed.
fn malformed_message(entry: &str, member: ConditionMember) -> String {
    let value = format!("{entry}.{}", member.name());
    let details = details(member, entry);
    let invalid = |detail: &str| format!("[dyn('Invalid value: '), dyn({value}), dyn(': ' + {detail})]");
    let too_long = |max: usize, otherwise: String| {
        let text = message(&FieldError::too_long(max), "", "");
        format!("(type({value}) == string && size({value}) > {max} ? {text} : {otherwise})")
    };
    let or_required = |otherwise: String| {
        format!("({} == '' ? [dyn('Required value: ' + {details})] : {otherwise})", text(entry, member.name()))
    };
    match member {
        ConditionMember::Type => or_required(too_long(TYPE_MAX_CHARS, invalid(&details))),
        ConditionMember::Reason => or_required(too_long(REASON_MAX_CHARS, invalid(&details))),
        ConditionMember::Status => or_required(unsupported_status(entry, &value)),
        ConditionMember::LastTransitionTime => or_required(invalid(&literal(MUST_BE_TIME))),
        ConditionMember::Message | ConditionMember::Error => {
            too_long(MESSAGE_MAX_CHARS, invalid(&literal("must be a string")))
        }
        ConditionMember::ObservedGeneration => not_an_integer(&value),
    }
}

/// The message of a status that is none of those of the type.
fn unsupported_status(entry: &str, value: &str) -> String {
    let all = ConditionStatus::ALL.map(ConditionStatus::name);
    let not_supported = |names: &[&str]| message(&FieldError::not_supported(&VALUE, names), value, "");
    let mut choices = String::new();
    for vocabulary in VOCABULARIES.iter().filter(|one| one.rows.len() < all.len()) {
        let name = vocabulary.condition.name();
        choices +=
            &format!("has({entry}.type) && {entry}.type == '{name}' ? {} : ", not_supported(&statuses(vocabulary)));
    }
    format!("({choices}{})", not_supported(&all))
}

pub fn duplicate(view: View) -> Vec<Row> {
    let detail = format!("must not repeat the type of status.conditions[{OTHER}]");
    let text = message(&FieldError::duplicate(&VALUE, detail), "e.entry.type", "string(e.first)");
    vec![suspect_rows(view, Row::error("", "", text), "e.first >= 0 && e.first < e.index", ".type", "duplicate")]
}

pub fn unknown_type(view: View) -> Vec<Row> {
    let known = ConditionType::ALL.map(ConditionType::name);
    let text = message(&FieldError::not_supported(&VALUE, &known), "e.entry.type", "");
    let when = format!("e.first >= 0 && !(e.entry.type in {})", types());
    vec![suspect_rows(view, Row::warning("", "", text), &when, ".type", "")]
}

pub fn running_with_result(view: View) -> Vec<Row> {
    let is_running = is_current(view, ConditionType::Scanning, &[True]);
    let results = [ConditionType::Succeeded, ConditionType::PolicySucceeded];
    let is_result = |known| format!("({})", is_current(view, known, &ConditionStatus::ALL));
    let [succeeded, policy] = results.map(is_result);
    let names = format!("({succeeded} ? ({policy} ? 'Succeeded, PolicySucceeded' : 'Succeeded') : 'PolicySucceeded')");
    let detail = format!("must be \"False\" beside a result of this run ({OTHER})");
    let same = |known| is_same_member(known, ConditionMember::Status);
    let same_result = |known| format!("(!{} || {})", is_result(known), same(known));
    vec![
        Row::error(
            format!("{is_running} && ({succeeded} || {policy})"),
            "status.conditions[Scanning].status",
            message(&FieldError::invalid(&Json::from_text(True.name()), detail), "", &names),
        )
        .at(condition_path(view, ConditionType::Scanning, ".status"))
        .unchanged([is_same_entry(ConditionType::Scanning), same(ConditionType::Scanning)])
        .unchanged([same_result(results[0]), same_result(results[1])]),
    ]
}

pub fn policy_without_success(view: View) -> Vec<Row> {
    let (succeeded, policy) = (ConditionType::Succeeded, ConditionType::PolicySucceeded);
    let is_verdict = is_current(view, policy, &[True, False]);
    let found = status(view, policy);
    let text = |detail: &str| message(&FieldError::invalid(&VALUE, detail), &found, "");
    let path = "status.conditions[PolicySucceeded].status";
    let at = condition_path(view, policy, ".status");
    vec![
        Row::error(
            format!("{is_verdict} && {}", is_current(view, succeeded, &[False])),
            path,
            text("must be \"Unknown\" or absent while Succeeded is \"False\""),
        )
        .at(at.clone())
        .unchanged([is_same_entry(policy)])
        .unchanged([policy, succeeded].map(|known| is_same_member(known, ConditionMember::Status))),
        Row::warning(
            format!("{is_verdict} && {}", is_absent(view, succeeded)),
            path,
            text("must have a condition Succeeded beside it"),
        )
        .at(at),
    ]
}

pub fn policy_without_scan_policy(view: View) -> Vec<Row> {
    let policy = ConditionType::PolicySucceeded;
    let phase = view.variable("phase");
    let ended = literals([Phase::Completed, Phase::Failed, Phase::Error].map(Phase::name).into_iter().chain([""]));
    let has_ended = format!("{phase} in {ended} && {}", view.variable("caughtUp"));
    let is_verdict =
        format!("{} == '' && {}", view.variable("scanPolicy"), is_current(view, policy, &ConditionStatus::ALL));
    let text = message(&FieldError::forbidden("no PolicySucceeded while spec.scanPolicy is not set"), "", "");
    let path = "status.conditions[PolicySucceeded]";
    let at = condition_path(view, policy, "");
    vec![
        Row::error(format!("{is_verdict} && {has_ended}"), path, text.clone())
            .at(at.clone())
            .unchanged([is_same_entry(policy)])
            .unchanged([is_same_member(policy, ConditionMember::Status), is_same_in_status("phase"), is_same_policy()])
            .unchanged(is_same_generations()),
        Row::warning(format!("{is_verdict} && !({has_ended})"), path, text).at(at),
    ]
}

/// Whether a status has a well-formed condition.
pub fn has_well_formed(view: View) -> String {
    format!(
        "(size({}) > 0 || {} && type({2}.conditions) == list && size({2}.conditions) > {CONDITIONS_MAX})",
        view.variable("wellFormed"),
        is_there(&view.variable("status"), "conditions"),
        view.variable("status")
    )
}
