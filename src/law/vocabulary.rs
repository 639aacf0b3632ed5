//! LAW §2 as data: what each condition may say. Check, mend and docs are derived from these rows.

use super::{Change, Findings, Patch};
use crate::scan::{Condition, ConditionMember, ConditionStatus, ConditionType, Entry, Field, Json, Member};

/// What a condition of one type may say.
pub struct Vocabulary {
    pub condition: ConditionType,
    pub rows: &'static [Row],
}

/// What goes with one status.
pub struct Row {
    pub status: ConditionStatus,
    /// None: any reason.
    pub reason: Option<&'static str>,
    pub message: Message,
    pub error: ErrorText,
}

/// What the message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    Open,
    /// Open, but it or the error should say something.
    Explains,
    Exactly(&'static str, &'static [&'static str]),
    BeginsWith(&'static str),
    /// `Policy violated because of X CVEs`, X ≥ 1.
    Violation,
}

/// What the extra `error` string may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorText {
    Empty,
    Open,
    /// Open, but it should say something.
    Explains,
}

/// Messages of older releases: advice where the row would refuse them.
const OLD_PASSED: &[&str] = &["No non-compliant vulnerabilities found", "No noncompliant vulnerabilities found"];
const OLD_VIOLATION: &str = "Vulnerabilities that failed OPA policy:";

pub const SCANNING: Vocabulary = Vocabulary {
    condition: ConditionType::Scanning,
    rows: &[
        Row {
            status: ConditionStatus::True,
            reason: Some("JobStarted"),
            message: Message::Exactly("The scan job is running", &[]),
            error: ErrorText::Empty,
        },
        Row {
            status: ConditionStatus::False,
            reason: Some("JobFinished"),
            message: Message::Exactly("The scan job terminated", &[]),
            error: ErrorText::Empty,
        },
    ],
};

pub const SUCCEEDED: Vocabulary = Vocabulary {
    condition: ConditionType::Succeeded,
    rows: &[
        Row {
            status: ConditionStatus::True,
            reason: Some("JobFinished"),
            message: Message::Open,
            error: ErrorText::Empty,
        },
        Row {
            status: ConditionStatus::False,
            reason: Some("Error"),
            message: Message::Explains,
            error: ErrorText::Open,
        },
    ],
};

pub const SENDING_RESULTS: Vocabulary = Vocabulary {
    condition: ConditionType::SendingResults,
    rows: &[
        Row { status: ConditionStatus::True, reason: None, message: Message::Open, error: ErrorText::Empty },
        Row { status: ConditionStatus::False, reason: None, message: Message::Explains, error: ErrorText::Open },
        Row { status: ConditionStatus::Unknown, reason: None, message: Message::Explains, error: ErrorText::Open },
    ],
};

pub const POLICY_SUCCEEDED: Vocabulary = Vocabulary {
    condition: ConditionType::PolicySucceeded,
    rows: &[
        Row {
            status: ConditionStatus::True,
            reason: Some("EvaluationPassed"),
            message: Message::Exactly("No CVEs were found that violated the policy", OLD_PASSED),
            error: ErrorText::Empty,
        },
        Row {
            status: ConditionStatus::False,
            reason: Some("EvaluationFailed"),
            message: Message::Violation,
            error: ErrorText::Open,
        },
        Row {
            status: ConditionStatus::Unknown,
            reason: Some("Error"),
            message: Message::BeginsWith("An error has occurred"),
            error: ErrorText::Explains,
        },
    ],
};

/// All four, in the order of the law.
pub const VOCABULARIES: [&Vocabulary; 4] = [&SCANNING, &SUCCEEDED, &SENDING_RESULTS, &POLICY_SUCCEEDED];

impl Vocabulary {
    pub fn row(&self, status: ConditionStatus) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.status == status)
    }
}

/// Checks the condition against its row.
pub fn check<'a>(vocabulary: &'static Vocabulary, change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(condition) = change.conditions().get(vocabulary.condition) else { return };
    let Some(status) = condition.status() else { return };
    let field = |member| Field::ConditionMember(Entry::from(vocabulary.condition), member);
    let Some(row) = vocabulary.row(status) else {
        let allowed: Vec<_> = vocabulary.rows.iter().map(|row| row.status.name()).collect();
        findings.refuse(
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
    let mut say = Say { row, condition, status: field(ConditionMember::Status), findings };
    say.reason(field(ConditionMember::Reason));
    say.message(field(ConditionMember::Message));
    say.error(field(ConditionMember::Error));
}

/// One condition beside its row.
struct Say<'f, 'a> {
    row: &'static Row,
    condition: &'a Condition<'a>,
    status: Field<'a>,
    findings: &'f mut Findings<'a>,
}

impl<'a> Say<'_, 'a> {
    fn text(&self, member: ConditionMember) -> Option<std::borrow::Cow<'a, str>> {
        self.condition[member].string().value()
    }

    fn refuse(&mut self, field: Field<'a>, member: ConditionMember, right: &str) {
        let found = super::finding::quote(&self.condition[member]);
        let status = self.row.status.name();
        self.findings
            .refuse(field, format!("is {found}; with status {status} {right}"))
            .reads
            .push(self.status.clone());
    }

    fn reason(&mut self, field: Field<'a>) {
        if let (Some(found), Some(due)) = (self.text(ConditionMember::Reason), self.row.reason)
            && found != due
        {
            self.refuse(field, ConditionMember::Reason, &format!("{due} would be right"));
        }
    }

    fn message(&mut self, field: Field<'a>) {
        let due = || self.row.message.due();
        let Some(found) = self.text(ConditionMember::Message) else {
            let is_explained = self.text(ConditionMember::Error).is_some();
            match (self.row.message, due()) {
                (Message::Explains, _) if !is_explained => {
                    self.findings.advise(field, "is absent and so is error: one of them should say what happened");
                }
                (_, Some(due)) => {
                    self.findings.advise(field, format!("is absent: {due} would be right"));
                }
                _ => {}
            }
            return;
        };
        let is_old = match self.row.message.judge(&found) {
            // Nearly all messages: no words are made for them.
            Heard::Right => return,
            Heard::Old => true,
            Heard::Wrong => false,
        };
        match due() {
            None => {}
            Some(due) if is_old => {
                self.findings.advise(field, format!("is the wording of an older release: {due} would be right"));
            }
            Some(due) => self.refuse(field, ConditionMember::Message, &format!("{due} would be right")),
        }
    }

    fn error(&mut self, field: Field<'a>) {
        match (self.row.error, self.text(ConditionMember::Error)) {
            (ErrorText::Empty, Some(_)) => self.refuse(field, ConditionMember::Error, "no error would be right"),
            (ErrorText::Explains, None) => {
                self.findings.advise(field, "is absent: it should say what went wrong");
            }
            _ => {}
        }
    }
}

enum Heard {
    Right,
    Old,
    Wrong,
}

impl Message {
    /// What would be right, in words; none where anything is.
    pub fn due(self) -> Option<String> {
        match self {
            Message::Open | Message::Explains => None,
            Message::Exactly(due, _) => Some(format!("\"{due}\"")),
            Message::BeginsWith(due) => Some(format!("a message that begins with \"{due}\"")),
            Message::Violation => Some("\"Policy violated because of X CVEs\" with X ≥ 1".to_owned()),
        }
    }

    fn judge(self, found: &str) -> Heard {
        let is_right = match self {
            Message::Open | Message::Explains => true,
            Message::Exactly(due, _) => found == due,
            Message::BeginsWith(due) => found.starts_with(due),
            Message::Violation => violations(found).is_some(),
        };
        let is_old = match self {
            Message::Exactly(_, old) => old.contains(&found),
            Message::Violation => found.starts_with(OLD_VIOLATION),
            _ => false,
        };
        match (is_right, is_old) {
            (true, _) => Heard::Right,
            (false, true) => Heard::Old,
            (false, false) => Heard::Wrong,
        }
    }
}

/// X of `Policy violated because of X CVEs`: a decimal number ≥ 1, as text since it has no bound.
pub fn violations(message: &str) -> Option<&str> {
    let (count, noun) = message.strip_prefix("Policy violated because of ")?.split_once(' ')?;
    let is_count = !count.starts_with('0') && !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    (is_count && (noun == "CVEs" || noun == "CVE" && count == "1")).then_some(count)
}

/// Fills the reason and the message where the row fixes them and the entry says nothing.
pub fn mend(vocabulary: &'static Vocabulary, change: &Change<'_>, patch: &mut Patch) {
    let Some(status) = change.new.status() else { return };
    for (index, entry) in status.conditions().iter().enumerate() {
        let Some(condition) = entry.is().filter(|entry| entry.known_type() == Some(vocabulary.condition)) else {
            continue;
        };
        let Some(row) = condition.status().and_then(|status| vocabulary.row(status)) else { continue };
        let message = if let Message::Exactly(due, _) = row.message { Some(due) } else { None };
        for (member, due) in [(ConditionMember::Reason, row.reason), (ConditionMember::Message, message)] {
            if let (Member::Absent, Some(due)) = (condition[member].string(), due) {
                patch.set(Field::ConditionMember(Entry::Index(index), member), Json::from_text(due));
            }
        }
    }
}
