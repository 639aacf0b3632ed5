//! The twins of the four rules about the vocabulary of a condition.

use super::reading::{condition_path, is_same_entry, is_same_member, is_violation, known as known_entry, status};
use crate::engine::cel::{VALUE, literal, literals, message};
use crate::engine::{FieldError, Row, View};
use crate::rules::tables::conditions::{
    ConditionRow, ErrorText, Message, OLD_VIOLATION, POLICY_SUCCEEDED, SCANNING, SENDING_RESULTS, SUCCEEDED, Vocabulary,
};
use crate::scan::{ConditionMember, ConditionStatus, ConditionType};

pub fn scanning(view: View) -> Vec<Row> {
    vocabulary(view, &SCANNING)
}

pub fn succeeded(view: View) -> Vec<Row> {
    vocabulary(view, &SUCCEEDED)
}

pub fn sending_results(view: View) -> Vec<Row> {
    vocabulary(view, &SENDING_RESULTS)
}

pub fn policy(view: View) -> Vec<Row> {
    vocabulary(view, &POLICY_SUCCEEDED)
}

fn vocabulary(view: View, vocabulary: &'static Vocabulary) -> Vec<Row> {
    let known = vocabulary.condition;
    let path = |member: ConditionMember| condition_path(view, known, &format!(".{}", member.name()));
    let supported: Vec<_> = vocabulary.rows.iter().map(|row| row.status.name()).collect();
    let found = status(view, known);
    let mut rows = Vec::new();
    if supported.len() < ConditionStatus::ALL.len() {
        let other: Vec<_> = ConditionStatus::ALL
            .into_iter()
            .map(ConditionStatus::name)
            .filter(|name| !supported.contains(name))
            .collect();
        let error = FieldError::not_supported(&VALUE, &supported);
        rows.push(
            Row::error(
                format!("{found} in {}", literals(other)),
                ConditionMember::Status.name(),
                message(&error, &found, ""),
            )
            .at(path(ConditionMember::Status))
            .unchanged([is_same_entry(known), is_same_member(known, ConditionMember::Status)]),
        );
    }
    for row in vocabulary.rows {
        let is_row = format!("{found} == '{}'", row.status.name());
        rows.extend(row_of(view, known, row, &is_row, path));
    }
    rows
}

fn row_of(
    view: View,
    known: ConditionType,
    row: &'static ConditionRow,
    is_row: &str,
    path: impl Fn(ConditionMember) -> String,
) -> Vec<Row> {
    let with_status = format!("while {} is \"{}\"", known.name(), row.status.name());
    let condition = known_entry(view, known);
    let value = |member: ConditionMember| format!("{condition}.{}", member.name());
    let error = |member: ConditionMember, when: String, error: FieldError| {
        Row::error(format!("{is_row} && {when}"), member.name(), message(&error, &value(member), ""))
            .at(path(member))
            .unchanged([is_same_entry(known)])
            .unchanged([member, ConditionMember::Status].map(|member| is_same_member(known, member)))
    };
    let warning = |member: ConditionMember, when: String, error: FieldError| {
        Row::warning(format!("{is_row} && {when}"), member.name(), message(&error, &value(member), "")).at(path(member))
    };
    let (reason, found, said) =
        (value(ConditionMember::Reason), value(ConditionMember::Message), value(ConditionMember::Error));
    let mut rows = Vec::new();
    if let Some(expected) = row.reason {
        let detail = format!("must be \"{expected}\" {with_status}");
        let when = format!("!({reason} in {})", literals(["", expected]));
        rows.push(error(ConditionMember::Reason, when, FieldError::invalid(&VALUE, detail)));
    }
    let (is_wrong, is_old) = wording(row.message, &found);
    if let Some(expected) = row.message.expected() {
        let member = ConditionMember::Message;
        let detail = format!("must be {expected} {with_status}");
        rows.extend(is_wrong.map(|when| error(member, when, FieldError::invalid(&VALUE, &detail))));
        let old = format!("must be {expected}; this is the wording of an older release");
        rows.extend(is_old.map(|when| warning(member, when, FieldError::invalid(&VALUE, old))));
        rows.push(warning(member, format!("{found} == ''"), FieldError::required(&detail)));
    } else if row.message == Message::Explains {
        let error = FieldError::required("message or error must say what happened");
        rows.push(warning(ConditionMember::Message, format!("{found} == '' && {said} == ''"), error));
    }
    match row.error {
        ErrorText::Empty => {
            let forbidden = FieldError::forbidden(format_args!("no error {with_status}"));
            rows.push(error(ConditionMember::Error, format!("{said} != ''"), forbidden));
        }
        ErrorText::Explains => {
            let required = FieldError::required("must say what went wrong");
            rows.push(warning(ConditionMember::Error, format!("{said} == ''"), required));
        }
        ErrorText::Open => {}
    }
    rows
}

/// Whether a message is wrong, and whether it is that of an older release; `None` if it cannot be.
fn wording(expected: Message, found: &str) -> (Option<String>, Option<String>) {
    match expected {
        Message::Open | Message::Explains => (None, None),
        Message::Exactly(right, old) => {
            let all = ["", right].into_iter().chain(old.iter().copied());
            let is_old = (!old.is_empty()).then(|| format!("{found} in {}", literals(old)));
            (Some(format!("!({found} in {})", literals(all))), is_old)
        }
        Message::BeginsWith(start) => (Some(format!("{found} != '' && !{found}.startsWith({})", literal(start))), None),
        Message::Violation => {
            let is_old = format!("{found}.startsWith({})", literal(OLD_VIOLATION));
            (Some(format!("{found} != '' && !{} && !{is_old}", is_violation(found))), Some(is_old))
        }
    }
}
