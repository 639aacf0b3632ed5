//! The statuses, reasons, messages and errors that each condition may have. Rules, mutations and docs use these rows.

use super::values;
use crate::engine::{FieldError, quoted_list};
use crate::scan::conditions::{MESSAGE_MAX_CHARS, REASON_MAX_CHARS, TYPE_MAX_CHARS};
use crate::scan::{Condition, ConditionMember, ConditionStatus, ConditionType, Json, Member};

/// The rows of one condition type.
pub struct Vocabulary {
    pub condition: ConditionType,
    pub rows: &'static [ConditionRow],
}

/// The reason, message and error that belong to one status of a condition.
pub struct ConditionRow {
    pub status: ConditionStatus,
    /// `None` if any reason is allowed.
    pub reason: Option<&'static str>,
    pub message: Message,
    pub error: ErrorText,
}

/// The messages that a row allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    Open,
    /// Any message is allowed. If both the message and the error are empty, this is a warning.
    Explains,
    /// This message is right. The messages of older releases, the second field, are a warning.
    Exactly(&'static str, &'static [&'static str]),
    BeginsWith(&'static str),
    /// `Policy violated because of X CVEs`, X ≥ 1.
    Violation,
}

/// The values that a row allows for the extra `error` string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorText {
    Empty,
    Open,
    /// Any text is allowed. An empty text is a warning.
    Explains,
}

// A message of an older release is a warning. Any other wrong message is an error.
const OLD_PASSED: &[&str] = &["No non-compliant vulnerabilities found", "No noncompliant vulnerabilities found"];
pub const OLD_VIOLATION: &str = "Vulnerabilities that failed OPA policy:";

/// What a type, a reason without a row, and an absent time must be.
pub const MUST_BE_TYPE: &str = "must be a qualified name such as \"Succeeded\"";
pub const MUST_BE_REASON: &str = "must be a CamelCase word such as \"ResultsSent\"";
pub const MUST_HAVE_TIME: &str = "must say when the status last changed (RFC 3339)";

/// The beginning of the message about violations, before their number.
pub const VIOLATION_START: &str = "Policy violated because of ";

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

/// The vocabularies of all four types, in the order of the docs.
pub const VOCABULARIES: [&Vocabulary; 4] = [&SCANNING, &SUCCEEDED, &SENDING_RESULTS, &POLICY_SUCCEEDED];

impl Vocabulary {
    pub fn row(&self, status: ConditionStatus) -> Option<&'static ConditionRow> {
        self.rows.iter().find(|row| row.status == status)
    }
}

/// The result of comparing a message with its row.
pub enum Wording {
    Right,
    /// The message of an older release.
    Old,
    Wrong,
}

impl Message {
    /// Describes the message that is expected, to follow `must be`; `None` if any is allowed.
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

/// Returns X of `Policy violated because of X CVEs`: a decimal number ≥ 1, as text since it has no upper limit.
pub fn violations(message: &str) -> Option<&str> {
    let (count, noun) = message.strip_prefix(VIOLATION_START)?.split_once(' ')?;
    let is_count = !count.starts_with('0') && !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    (is_count && (noun == "CVEs" || noun == "CVE" && count == "1")).then_some(count)
}

/// Returns the error of a malformed member of a condition.
pub fn malformed(condition: &Condition<'_>, member: ConditionMember) -> FieldError {
    let json = &condition[member];
    let text = json.string();
    let is_absent = text == Member::Absent;
    let length = text.value().map_or(0, |text| text.chars().count());
    let vocabulary =
        condition.known_type().and_then(|known| VOCABULARIES.into_iter().find(|one| one.condition == known));
    match member {
        ConditionMember::Status => {
            let all = ConditionStatus::ALL.map(ConditionStatus::name);
            let of_type = |one: &Vocabulary| one.rows.iter().map(|row| row.status.name()).collect();
            let statuses: Vec<_> = vocabulary.map_or_else(|| all.to_vec(), of_type);
            if is_absent {
                return FieldError::required(format_args!("must be {}", quoted_list(&statuses, " or ")));
            }
            FieldError::not_supported(json, &statuses)
        }
        ConditionMember::LastTransitionTime if is_absent => FieldError::required(MUST_HAVE_TIME),
        ConditionMember::LastTransitionTime => values::not_a_time(json),
        ConditionMember::ObservedGeneration => values::not_an_integer(json),
        ConditionMember::Type if length > TYPE_MAX_CHARS => FieldError::too_long(TYPE_MAX_CHARS),
        ConditionMember::Type => word(json, is_absent, MUST_BE_TYPE),
        ConditionMember::Reason if length > REASON_MAX_CHARS => FieldError::too_long(REASON_MAX_CHARS),
        ConditionMember::Reason => {
            let row = vocabulary.zip(condition.status()).and_then(|(vocabulary, status)| vocabulary.row(status));
            let detail = match row.and_then(|row| Some((row.status, row.reason?))) {
                Some((status, reason)) => format!("must be \"{reason}\" while the status is \"{}\"", status.name()),
                None => MUST_BE_REASON.to_owned(),
            };
            word(json, is_absent, &detail)
        }
        ConditionMember::Message | ConditionMember::Error if length > MESSAGE_MAX_CHARS => {
            FieldError::too_long(MESSAGE_MAX_CHARS)
        }
        ConditionMember::Message | ConditionMember::Error => values::not_a_string(json),
    }
}

fn word(json: &Json<'_>, is_absent: bool, detail: &str) -> FieldError {
    if is_absent { FieldError::required(detail) } else { values::invalid_string(json, detail) }
}
