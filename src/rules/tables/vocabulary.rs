//! The check and the mutation that the four vocabulary rules share, by the rows of [`conditions`](super::conditions).

use super::conditions::{ConditionRow, ErrorText, Message, Vocabulary, Wording};
use crate::engine::{Change, FieldError, Findings, Patch};
use crate::scan::{Condition, ConditionMember, ConditionType, Entry, Field, Json, Member};

/// Checks a condition against the row of its status.
pub fn check<'a>(vocabulary: &'static Vocabulary, change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    let Some(condition) = conditions.get(vocabulary.condition) else { return };
    let Some(status) = condition.status() else { return };
    let field = |member| conditions.member(vocabulary.condition, member);
    let Some(row) = vocabulary.row(status) else {
        let supported: Vec<_> = vocabulary.rows.iter().map(|row| row.status.name()).collect();
        let error = FieldError::not_supported(&condition[ConditionMember::Status], &supported);
        findings.error(field(ConditionMember::Status), error);
        return;
    };
    let mut check =
        RowCheck { known: vocabulary.condition, row, condition, status: field(ConditionMember::Status), findings };
    check.reason(field(ConditionMember::Reason));
    check.message(field(ConditionMember::Message));
    check.error(field(ConditionMember::Error));
}

/// A condition and the row of its status.
struct RowCheck<'f, 'a> {
    known: ConditionType,
    row: &'static ConditionRow,
    condition: &'a Condition<'a>,
    status: Field<'a>,
    findings: &'f mut Findings<'a>,
}

impl<'a> RowCheck<'_, 'a> {
    fn text(&self, member: ConditionMember) -> Option<&'a str> {
        self.condition[member].string().value()
    }

    /// The status that the row belongs to, as a message names it.
    fn with_status(&self) -> String {
        format!("while {} is \"{}\"", self.known.name(), self.row.status.name())
    }

    fn contradiction(&mut self, field: Field<'a>, error: FieldError) {
        self.findings.error(field, error).reads.push(self.status);
    }

    fn reason(&mut self, field: Field<'a>) {
        if let (Some(found), Some(expected)) = (self.text(ConditionMember::Reason), self.row.reason)
            && found != expected
        {
            let detail = format!("must be \"{expected}\" {}", self.with_status());
            self.contradiction(field, FieldError::invalid(&self.condition[ConditionMember::Reason], detail));
        }
    }

    fn message(&mut self, field: Field<'a>) {
        let expected = || self.row.message.expected();
        let json = &self.condition[ConditionMember::Message];
        let Some(found) = self.text(ConditionMember::Message) else {
            let is_explained = self.text(ConditionMember::Error).is_some();
            match (self.row.message, expected()) {
                (Message::Explains, _) if !is_explained => {
                    let error = FieldError::required("message or error must say what happened");
                    self.findings.warning(field, error);
                }
                (_, Some(expected)) => {
                    let error = FieldError::required(format_args!("must be {expected} {}", self.with_status()));
                    self.findings.warning(field, error);
                }
                _ => {}
            }
            return;
        };
        let is_old = match self.row.message.compare(found) {
            // Nearly every message is right, so the text of the error is made only below.
            Wording::Right => return,
            Wording::Old => true,
            Wording::Wrong => false,
        };
        match expected() {
            None => {}
            Some(expected) if is_old => {
                let detail = format!("must be {expected}; this is the wording of an older release");
                self.findings.warning(field, FieldError::invalid(json, detail));
            }
            Some(expected) => {
                let detail = format!("must be {expected} {}", self.with_status());
                self.contradiction(field, FieldError::invalid(json, detail));
            }
        }
    }

    fn error(&mut self, field: Field<'a>) {
        match (self.row.error, self.text(ConditionMember::Error)) {
            (ErrorText::Empty, Some(_)) => {
                let error = FieldError::forbidden(format_args!("no error {}", self.with_status()));
                self.contradiction(field, error);
            }
            (ErrorText::Explains, None) => {
                self.findings.warning(field, FieldError::required("must say what went wrong"));
            }
            _ => {}
        }
    }
}

/// Fills in an absent reason or message if the row allows exactly one.
pub fn mutate(vocabulary: &'static Vocabulary, change: &Change<'_>, patch: &mut Patch) {
    let Some(status) = change.new.status() else { return };
    for (index, entry) in status.conditions().iter().enumerate() {
        if patch.is_full() {
            return;
        }
        let Some(condition) = entry.present().filter(|entry| entry.known_type() == Some(vocabulary.condition)) else {
            continue;
        };
        let Some(row) = condition.status().and_then(|status| vocabulary.row(status)) else { continue };
        let message = if let Message::Exactly(text, _) = row.message { Some(text) } else { None };
        for (member, text) in [(ConditionMember::Reason, row.reason), (ConditionMember::Message, message)] {
            if let (Member::Absent, Some(text)) = (condition[member].string(), text) {
                patch.set(Field::ConditionMember { entry: Entry::Index(index), member }, Json::from_text(text));
            }
        }
    }
}
