//! Checks and fills in a condition by its row of [`conditions`](super::conditions): what the rules of the four types share.

use super::conditions::{ConditionRow, ErrorText, Message, Vocabulary, Wording};
use crate::engine::finding::quote;
use crate::engine::{Change, Findings, Patch};
use crate::scan::{Condition, ConditionMember, Entry, Field, Json, Member};

/// Checks the condition against its row.
pub fn check<'a>(vocabulary: &'static Vocabulary, change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    let Some(condition) = conditions.get(vocabulary.condition) else { return };
    let Some(status) = condition.status() else { return };
    let field = |member| conditions.member(vocabulary.condition, member);
    let Some(row) = vocabulary.row(status) else {
        let allowed: Vec<_> = vocabulary.rows.iter().map(|row| row.status.name()).collect();
        findings.error(
            field(ConditionMember::Status),
            format!(
                "is {}, which {} never is: {} would be right",
                status.name(),
                vocabulary.condition.name(),
                allowed.join(" or ")
            ),
        );
        return;
    };
    let mut check = RowCheck { row, condition, status: field(ConditionMember::Status), findings };
    check.reason(field(ConditionMember::Reason));
    check.message(field(ConditionMember::Message));
    check.error(field(ConditionMember::Error));
}

/// One condition beside its row.
struct RowCheck<'f, 'a> {
    row: &'static ConditionRow,
    condition: &'a Condition<'a>,
    status: Field<'a>,
    findings: &'f mut Findings<'a>,
}

impl<'a> RowCheck<'_, 'a> {
    fn text(&self, member: ConditionMember) -> Option<&'a str> {
        self.condition[member].string().value()
    }

    fn contradiction(&mut self, field: Field<'a>, member: ConditionMember, right: &str) {
        let found = quote(&self.condition[member]);
        let status = self.row.status.name();
        self.findings.error(field, format!("is {found}; with status {status} {right}")).reads.push(self.status);
    }

    fn reason(&mut self, field: Field<'a>) {
        if let (Some(found), Some(expected)) = (self.text(ConditionMember::Reason), self.row.reason)
            && found != expected
        {
            self.contradiction(field, ConditionMember::Reason, &format!("{expected} would be right"));
        }
    }

    fn message(&mut self, field: Field<'a>) {
        let expected = || self.row.message.expected();
        let Some(found) = self.text(ConditionMember::Message) else {
            let is_explained = self.text(ConditionMember::Error).is_some();
            match (self.row.message, expected()) {
                (Message::Explains, _) if !is_explained => {
                    self.findings.warning(field, "is absent and so is error: one of them should say what happened");
                }
                (_, Some(expected)) => {
                    self.findings.warning(field, format!("is absent: {expected} would be right"));
                }
                _ => {}
            }
            return;
        };
        let is_old = match self.row.message.compare(found) {
            // Nearly all messages: no text is made for them.
            Wording::Right => return,
            Wording::Old => true,
            Wording::Wrong => false,
        };
        match expected() {
            None => {}
            Some(expected) if is_old => {
                self.findings.warning(field, format!("is the wording of an older release: {expected} would be right"));
            }
            Some(expected) => {
                self.contradiction(field, ConditionMember::Message, &format!("{expected} would be right"))
            }
        }
    }

    fn error(&mut self, field: Field<'a>) {
        match (self.row.error, self.text(ConditionMember::Error)) {
            (ErrorText::Empty, Some(_)) => self.contradiction(field, ConditionMember::Error, "no error would be right"),
            (ErrorText::Explains, None) => {
                self.findings.warning(field, "is absent: it should say what went wrong");
            }
            _ => {}
        }
    }
}

/// Fills the reason and the message where the row fixes them and the entry says nothing.
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
