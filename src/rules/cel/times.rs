//! The twins of the rules about times and generations.
//!
//! CEL has no clock: the time of the request is the latest time in the managed fields. Where there is none, the rows that
//! need the time do not hold.

use super::reading::{
    is_count, is_current, is_phase, is_same_in_status, is_there, is_too_long, not_an_integer, of_type, text, transition,
};
use crate::engine::cel::{OTHER, VALUE, literal, message, shown};
use crate::engine::{FieldError, Row, View};
use crate::rules::tables::AHEAD_MAX;
use crate::rules::tables::values::MUST_BE_TIME;
use crate::scan::ConditionStatus::{False, True};
use crate::scan::{ConditionType, Phase};

const TIMES: &str = "variables.writeTimes";

/// Whether a timestamp is too far in the future.
fn is_ahead(time: &str) -> String {
    format!("size({TIMES}) > 0 && {TIMES}.all(w, {time} > w + duration('{}s'))", AHEAD_MAX.whole_seconds())
}

pub fn scanned_at(view: View) -> Vec<Row> {
    let status = view.variable("status");
    let (value, old) = (format!("{status}.scannedAt"), "variables.oldStatus.scannedAt");
    let found = text(&status, "scannedAt");
    let is_set = format!("{found} != ''");
    let [times, old_times] = [view, View::Old].map(|view| view.variable("scannedTime"));
    let is_valid = format!("size({times}) > 0");
    let (at, before) = (format!("{times}[0]"), format!("{old_times}[0]"));
    let done = is_phase(view, &[Phase::Completed, Phase::Failed]);
    let invalid = |detail: &str, other: &str| message(&FieldError::invalid(&VALUE, detail), &value, other);
    let required = format!("must say when the scan succeeded (RFC 3339) while phase is {OTHER}");
    let succeeded = |statuses| is_current(view, ConditionType::Succeeded, statuses);
    let phase = |phase| is_phase(view, &[phase]);
    let reasons = [
        (phase(Phase::Pending), "phase is \"Pending\""),
        (succeeded(&[False]), "Succeeded is \"False\""),
        (
            format!("{} && !({})", phase(Phase::Scanning), succeeded(&[True])),
            "phase is \"Scanning\" and Succeeded is not \"True\"",
        ),
    ];
    let [first, second, third] = reasons.map(|(when, reason)| (format!("({when})"), literal(reason)));
    let reason = format!("({} ? {} : {} ? {} : {})", first.0, first.1, second.0, second.1, third.1);
    vec![
        Row::warning(
            format!("{found} == '' && {done}"),
            "status.scannedAt",
            message(&FieldError::required(required), "", &shown(view.variable("phase"))),
        ),
        Row::error(
            format!("{is_set} && size({times}) == 0 && !({})", is_too_long(&value)),
            "status.scannedAt",
            invalid(MUST_BE_TIME, ""),
        )
        .unchanged([is_same_in_status("scannedAt")]),
        Row::warning(
            format!("{is_valid} && {}", is_ahead(&at)),
            "status.scannedAt",
            invalid("must not be more than 5 minutes in the future", ""),
        ),
        Row::warning(
            format!("{is_valid} && size({old_times}) > 0 && {at} < {before} && {TIMES}.exists(w, {before} <= w)"),
            "status.scannedAt",
            invalid(
                &format!("must not be earlier than \"{OTHER}\", the time before this change"),
                &format!("string(timestamp(string({before}).substring(0, 19) + 'Z'))"),
            ),
        ),
        Row::warning(
            format!(
                "{is_valid} && oldObject != null && !(has({old}) && {old} == {value}) && ({} || {} || {})",
                first.0, second.0, third.0
            ),
            "status.scannedAt",
            invalid(&format!("must not change while {OTHER}; must be the time of the last success"), &reason),
        ),
    ]
}

pub fn transition_time(view: View) -> Vec<Row> {
    let old = "variables.oldWellFormed";
    let before = format!("{old}.filter(d, d.type == c.type)");
    let (at, since) = (transition("c"), format!("{before}.map(d, {})[0]", transition("d")));
    let has_old = format!("{old}.exists(d, d.type == c.type)");
    let same_status = format!("{before}[0].status == c.status");
    let name = path_of(view, "lastTransitionTime");
    let was = shown(format_args!("{before}[0].lastTransitionTime"));
    let row = |when: String, detail: &str| {
        let error = FieldError::invalid(&VALUE, detail);
        Row::warning(when, "", message(&error, "c.lastTransitionTime", &was)).for_each(
            "c",
            "variables.changed",
            name.clone(),
        )
    };
    vec![
        row(
            format!("{} && !({has_old} && {since} == {at})", is_ahead(&at)),
            "must not be more than 5 minutes in the future",
        ),
        row(
            format!("{has_old} && {at} < {since}"),
            &format!("must not be earlier than {OTHER}, the time before this change"),
        ),
        row(
            format!("{has_old} && {same_status} && {at} > {since}"),
            &format!("must still be {OTHER} while the status is the same"),
        ),
        row(
            format!(
                "{has_old} && !({same_status}) && {at} == {since} && size({TIMES}) > 0 \
                 && !({TIMES}.exists(w, w >= {at} - duration('2s')) && {TIMES}.all(w, w <= {at} + duration('2s')))"
            ),
            "must change with the status, to the time of this change",
        ),
    ]
}

/// The path of a member of the entry `c`.
fn path_of(view: View, member: &str) -> String {
    let conditions = view.variable("conditions");
    format!(
        "'status.conditions[' + (size({}) == 1 ? c.type : string({conditions}.map(d, d == c).indexOf(true))) + '].{member}'",
        of_type(&conditions, "c.type")
    )
}

pub fn observed_generation(view: View) -> Vec<Row> {
    let status = view.variable("status");
    let observed = format!("{status}.observedGeneration");
    let is_valid =
        |map: &str| format!("has({map}.observedGeneration) && {}", is_count(&format!("{map}.observedGeneration")));
    let generation = view.variable("generation");
    let path = "status.observedGeneration";
    let invalid = |value: &str, detail: String, other: &str| {
        message(&FieldError::invalid(&VALUE, detail), value, &format!("string({other})"))
    };
    let most = format!("must be at most {OTHER}, the metadata.generation");
    let least = format!("must be at least {OTHER}, the value before this change");
    let same = format!("must be {OTHER}, the status.observedGeneration, while phase is \"Completed\" or \"Failed\"");
    let entries = view.variable("wellFormed");
    let name = path_of(view, "observedGeneration");
    let of_entry =
        |when: String, text: String| Row::warning(when, "", text).for_each("c", entries.clone(), name.clone());
    let old = "variables.oldStatus";
    vec![
        Row::error(
            format!("{} && !({})", is_there(&status, "observedGeneration"), is_count(&observed)),
            path,
            not_an_integer(&observed),
        )
        .unchanged([is_same_in_status("observedGeneration")]),
        Row::warning(
            format!("{} && type({generation}) == int && {observed} > {generation}", is_valid(&status)),
            path,
            invalid(&observed, most.clone(), &generation),
        ),
        of_entry(
            format!("{} && type({generation}) == int && c.observedGeneration > {generation}", is_valid("c")),
            invalid("c.observedGeneration", most, &generation),
        ),
        of_entry(
            format!(
                "{} && {} && {} && c.observedGeneration < {observed} && !(c.type in {}) && {entries}.filter(d, d.type == c.type)[0] == c",
                is_phase(view, &[Phase::Completed, Phase::Failed]),
                is_valid("c"),
                is_valid(&status),
                view.variable("stale")
            ),
            invalid("c.observedGeneration", same, &observed),
        ),
        Row::warning(
            format!(
                "{} && oldObject != null && {} && {observed} < {old}.observedGeneration",
                is_valid(&status),
                is_valid(old)
            ),
            path,
            invalid(&observed, least, &format!("{old}.observedGeneration")),
        ),
    ]
}
