//! What each condition may say. Checks, mutations and docs are made from these rows.

use super::counts::right_integer;
use crate::scan::{Condition, ConditionMember, ConditionStatus, ConditionType, Member};

/// What a condition of one type may say.
pub struct Vocabulary {
    pub condition: ConditionType,
    pub rows: &'static [ConditionRow],
}

/// What goes with one status of the condition.
pub struct ConditionRow {
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

/// Messages of older releases: a warning where another message would be an error.
const OLD_PASSED: &[&str] = &["No non-compliant vulnerabilities found", "No noncompliant vulnerabilities found"];
const OLD_VIOLATION: &str = "Vulnerabilities that failed OPA policy:";

pub const SCANNING: Vocabulary = Vocabulary {
    condition: ConditionType::Scanning,
    rows: &[
        ConditionRow {
            status: ConditionStatus::True,
            reason: Some("JobStarted"),
            message: Message::Exactly("The scan job is running", &[]),
            error: ErrorText::Empty,
        },
        ConditionRow {
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
        ConditionRow {
            status: ConditionStatus::True,
            reason: Some("JobFinished"),
            message: Message::Open,
            error: ErrorText::Empty,
        },
        ConditionRow {
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
        ConditionRow { status: ConditionStatus::True, reason: None, message: Message::Open, error: ErrorText::Empty },
        ConditionRow {
            status: ConditionStatus::False,
            reason: None,
            message: Message::Explains,
            error: ErrorText::Open,
        },
        ConditionRow {
            status: ConditionStatus::Unknown,
            reason: None,
            message: Message::Explains,
            error: ErrorText::Open,
        },
    ],
};

pub const POLICY_SUCCEEDED: Vocabulary = Vocabulary {
    condition: ConditionType::PolicySucceeded,
    rows: &[
        ConditionRow {
            status: ConditionStatus::True,
            reason: Some("EvaluationPassed"),
            message: Message::Exactly("No CVEs were found that violated the policy", OLD_PASSED),
            error: ErrorText::Empty,
        },
        ConditionRow {
            status: ConditionStatus::False,
            reason: Some("EvaluationFailed"),
            message: Message::Violation,
            error: ErrorText::Open,
        },
        ConditionRow {
            status: ConditionStatus::Unknown,
            reason: Some("Error"),
            message: Message::BeginsWith("An error has occurred"),
            error: ErrorText::Explains,
        },
    ],
};

/// All four, in the order of the docs.
pub const VOCABULARIES: [&Vocabulary; 4] = [&SCANNING, &SUCCEEDED, &SENDING_RESULTS, &POLICY_SUCCEEDED];

impl Vocabulary {
    pub fn row(&self, status: ConditionStatus) -> Option<&'static ConditionRow> {
        self.rows.iter().find(|row| row.status == status)
    }
}

/// How a message compares with its row.
pub enum Wording {
    Right,
    /// That of an older release.
    Old,
    Wrong,
}

impl Message {
    /// The right message; none where anything is right.
    pub fn expected(self) -> Option<String> {
        match self {
            Message::Open | Message::Explains => None,
            Message::Exactly(text, _) => Some(format!("\"{text}\"")),
            Message::BeginsWith(start) => Some(format!("a message that begins with \"{start}\"")),
            Message::Violation => Some("\"Policy violated because of X CVEs\" with X ≥ 1".to_owned()),
        }
    }

    pub fn compare(self, found: &str) -> Wording {
        let is_right = match self {
            Message::Open | Message::Explains => true,
            Message::Exactly(text, _) => found == text,
            Message::BeginsWith(start) => found.starts_with(start),
            Message::Violation => violations(found).is_some(),
        };
        let is_old = match self {
            Message::Exactly(_, old) => old.contains(&found),
            Message::Violation => found.starts_with(OLD_VIOLATION),
            _ => false,
        };
        match (is_right, is_old) {
            (true, _) => Wording::Right,
            (false, true) => Wording::Old,
            (false, false) => Wording::Wrong,
        }
    }
}

/// X of `Policy violated because of X CVEs`: a decimal number ≥ 1, as text since it has no bound.
pub fn violations(message: &str) -> Option<&str> {
    let (count, noun) = message.strip_prefix("Policy violated because of ")?.split_once(' ')?;
    let is_count = !count.starts_with('0') && !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    (is_count && (noun == "CVEs" || noun == "CVE" && count == "1")).then_some(count)
}

/// What a member of any condition has to be.
pub fn right(condition: &Condition<'_>, member: ConditionMember) -> &'static str {
    let json = &condition[member];
    match member {
        ConditionMember::Type => "a qualified name of at most 316 characters, such as Succeeded, would be right",
        // YAML takes it for a boolean.
        ConditionMember::Status if json.to_json() == "true" => "\"True\" in quotes would be right",
        ConditionMember::Status if json.to_json() == "false" => "\"False\" in quotes would be right",
        ConditionMember::Status => "True, False or Unknown would be right",
        ConditionMember::Reason if json.string() == Member::Absent => {
            "a CamelCase word, such as JobFinished, would be right"
        }
        ConditionMember::Reason => "a CamelCase word of at most 1,024 characters would be right",
        ConditionMember::Message | ConditionMember::Error => "a string of at most 32,768 characters would be right",
        ConditionMember::LastTransitionTime => "an RFC 3339 time, such as 2026-11-20T08:01:00Z, would be right",
        ConditionMember::ObservedGeneration => right_integer(json),
    }
}
