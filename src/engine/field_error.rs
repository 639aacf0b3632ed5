//! What is wrong with a field, in the words of Kubernetes' own field errors (`field.Error` of k8s.io/apimachinery).

use std::fmt::{self, Display};

use super::nearest::nearest;
use crate::scan::Json;

/// Most characters of a value that a message shows. The URLs of source artifacts
/// have about 130.
pub const VALUE_MAX_CHARS: usize = 160;

/// The reason of a cause, by which clients of the API tell errors apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseReason {
    Required,
    Invalid,
    TypeInvalid,
    NotSupported,
    Duplicate,
    Forbidden,
    TooLong,
    TooMany,
}

impl CauseReason {
    /// The reason as the API has it.
    pub fn name(self) -> &'static str {
        match self {
            CauseReason::Required => "FieldValueRequired",
            CauseReason::Invalid => "FieldValueInvalid",
            CauseReason::TypeInvalid => "FieldValueTypeInvalid",
            CauseReason::NotSupported => "FieldValueNotSupported",
            CauseReason::Duplicate => "FieldValueDuplicate",
            CauseReason::Forbidden => "FieldValueForbidden",
            CauseReason::TooLong => "FieldValueTooLong",
            CauseReason::TooMany => "FieldValueTooMany",
        }
    }
}

/// An error of one field: what is wrong with it and what is right instead.
#[derive(Debug)]
pub struct FieldError {
    pub reason: CauseReason,
    /// One sentence, without the path of the field.
    pub message: String,
}

impl FieldError {
    /// Returns the error of a required value that is absent.
    pub fn required(detail: impl Display) -> Self {
        Self::new(CauseReason::Required, format_args!("Required value: {detail}"))
    }

    /// Returns the error of a wrong value.
    pub fn invalid(value: &Json<'_>, detail: impl Display) -> Self {
        Self::new(CauseReason::Invalid, format_args!("Invalid value: {}: {detail}", value.quoted(VALUE_MAX_CHARS)))
    }

    /// Returns the error of a value of the wrong JSON type.
    pub fn type_invalid(value: &Json<'_>, detail: impl Display) -> Self {
        Self { reason: CauseReason::TypeInvalid, ..Self::invalid(value, detail) }
    }

    /// Returns the error of a value that is not one of the supported ones, and suggests the nearest of these.
    pub fn not_supported(value: &Json<'_>, supported: &[&str]) -> Self {
        let word = match value {
            Json::Other(text) => text,
            value => value.string().value().unwrap_or_default(),
        };
        let (shown, list) = (value.quoted(VALUE_MAX_CHARS), quoted_list(supported, ", "));
        let mut message = format!("Unsupported value: {shown}: supported values: {list}");
        // Few typos are in the first letter, and without it short words are often near by chance: Running is not Pending.
        let first = |word: &str| word.chars().next().map(|letter| letter.to_ascii_lowercase());
        let begins_alike = |known: &&str| first(known) == first(word);
        if let Some(nearest) = nearest(word, supported).filter(begins_alike) {
            message += &format!("; did you mean \"{nearest}\"?");
        }
        Self { reason: CauseReason::NotSupported, message }
    }

    /// Returns the error of a value that occurs twice.
    pub fn duplicate(value: &Json<'_>, detail: impl Display) -> Self {
        Self::new(CauseReason::Duplicate, format_args!("Duplicate value: {}: {detail}", value.quoted(VALUE_MAX_CHARS)))
    }

    /// Returns the error of a value that must be absent, or must not change.
    pub fn forbidden(detail: impl Display) -> Self {
        Self::new(CauseReason::Forbidden, format_args!("Forbidden: {detail}"))
    }

    /// Returns the error of a text of more than `max_chars` characters.
    pub fn too_long(max_chars: usize) -> Self {
        Self::new(CauseReason::TooLong, format_args!("Too long: may not be more than {max_chars} characters"))
    }

    /// Returns the error of a list of more than `max_items` items.
    pub fn too_many(max_items: usize) -> Self {
        Self::new(CauseReason::TooMany, format_args!("Too many: must have at most {max_items} items"))
    }

    fn new(reason: CauseReason, message: impl Display) -> Self {
        Self { reason, message: message.to_string() }
    }
}

/// Displays words in quotes, with `separator` between them.
pub fn quoted_list<'w>(words: &'w [&'w str], separator: &'w str) -> impl Display + 'w {
    fmt::from_fn(move |f| {
        for (index, word) in words.iter().enumerate() {
            let separator = if index == 0 { "" } else { separator };
            write!(f, "{separator}\"{word}\"")?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::{CauseReason, FieldError};
    use crate::scan::Json;

    #[test]
    fn messages_are_those_of_kubernetes() {
        let text = Json::from_text;
        for (error, reason, message) in [
            (FieldError::required("must be set"), CauseReason::Required, "Required value: must be set"),
            (FieldError::invalid(&Json::Integer(4), "must be 3"), CauseReason::Invalid, "Invalid value: 4: must be 3"),
            (
                FieldError::type_invalid(&text("1"), "must be an integer"),
                CauseReason::TypeInvalid,
                "Invalid value: \"1\": must be an integer",
            ),
            (
                FieldError::not_supported(&text("Complete"), &["Completed", "Failed"]),
                CauseReason::NotSupported,
                "Unsupported value: \"Complete\": supported values: \"Completed\", \"Failed\"; did you mean \"Completed\"?",
            ),
            (
                FieldError::not_supported(&text("Done"), &["Completed", "Failed"]),
                CauseReason::NotSupported,
                "Unsupported value: \"Done\": supported values: \"Completed\", \"Failed\"",
            ),
            (
                FieldError::not_supported(&text("Running"), &["Pending"]),
                CauseReason::NotSupported,
                "Unsupported value: \"Running\": supported values: \"Pending\"",
            ),
            (
                FieldError::not_supported(&Json::Other("true"), &["True", "False"]),
                CauseReason::NotSupported,
                "Unsupported value: true: supported values: \"True\", \"False\"; did you mean \"True\"?",
            ),
            (
                FieldError::duplicate(&text("A"), "must be unique"),
                CauseReason::Duplicate,
                "Duplicate value: \"A\": must be unique",
            ),
            (FieldError::forbidden("no status on CREATE"), CauseReason::Forbidden, "Forbidden: no status on CREATE"),
            (FieldError::too_long(316), CauseReason::TooLong, "Too long: may not be more than 316 characters"),
            (FieldError::too_many(4), CauseReason::TooMany, "Too many: must have at most 4 items"),
        ] {
            assert_eq!((error.reason, error.message.as_str()), (reason, message));
        }
    }
}
