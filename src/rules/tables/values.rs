//! The errors that several rules share: of integers, times, strings and images.

use crate::engine::{FieldError, VALUE_MAX_CHARS};
use crate::scan::{Field, Json, JsonType};

/// The form of a valid image, as a message says it.
pub const MUST_BE_IMAGE: &str = "must be an image reference such as \"registry.example.com/team/app:v1\"";

/// The form of a valid URL and of a valid time, as a message says it.
pub const MUST_BE_URL: &str = "must be an absolute http(s) URL with a host";
pub const MUST_BE_TIME: &str = "must be an RFC 3339 time such as \"2026-11-20T08:01:00Z\"";

/// What an integer from 0 to the largest int64 must be: if it is negative, if it is out of range, and if it is none.
pub const NEGATIVE: &str = "must be greater than or equal to 0";
pub const OUT_OF_RANGE: &str = "must be from 0 to 9223372036854775807";
pub const NOT_AN_INTEGER: &str = "must be an integer";

/// Returns the error of a value that is not an integer from 0 to the largest int64.
pub fn not_an_integer(json: &Json<'_>) -> FieldError {
    let text = json.to_json();
    match text.parse::<f64>() {
        Ok(number) if json.json_type() == JsonType::Number => {
            // 2^63. The next lower f64 is 1024 less, so no f64 is between it and the largest int64.
            if number.abs() >= 9_223_372_036_854_775_808.0 {
                FieldError::invalid(json, OUT_OF_RANGE)
            } else if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
                FieldError::invalid(json, NEGATIVE)
            } else {
                FieldError::type_invalid(json, NOT_AN_INTEGER)
            }
        }
        _ => FieldError::type_invalid(json, NOT_AN_INTEGER),
    }
}

/// Returns the error of a value that is not a string.
pub fn not_a_string(json: &Json<'_>) -> FieldError {
    FieldError::type_invalid(json, "must be a string")
}

/// Returns the error of a value that is not a time.
pub fn not_a_time(json: &Json<'_>) -> FieldError {
    invalid_string(json, MUST_BE_TIME)
}

/// Returns the part of a message which says that a value must equal that of another field.
pub fn must_equal(right: &Json<'_>, field: Field<'_>) -> String {
    format!("must be the value of {field}, {}", right.quoted(VALUE_MAX_CHARS))
}

/// Returns the error of a value that is not a string of the required form.
pub fn invalid_string(json: &Json<'_>, detail: impl std::fmt::Display) -> FieldError {
    match json.json_type() {
        JsonType::String => FieldError::invalid(json, detail),
        _ => FieldError::type_invalid(json, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::not_an_integer;
    use crate::engine::CauseReason::{Invalid, TypeInvalid};
    use crate::scan::Json;

    #[test]
    fn integers_out_of_range_are_told_from_values_of_another_type() {
        for (json, reason, detail) in [
            ("-1", Invalid, "must be greater than or equal to 0"),
            ("9223372036854775808", Invalid, "must be from 0 to 9223372036854775807"),
            ("-9223372036854775809", Invalid, "must be from 0 to 9223372036854775807"),
            ("1e300", Invalid, "must be from 0 to 9223372036854775807"),
            ("1.5", TypeInvalid, "must be an integer"),
            ("1.0", TypeInvalid, "must be an integer"),
            ("true", TypeInvalid, "must be an integer"),
            ("[1]", TypeInvalid, "must be an integer"),
        ] {
            let error = not_an_integer(&Json::Other(json));
            assert_eq!((error.reason, error.message), (reason, format!("Invalid value: {json}: {detail}")));
        }
        let error = not_an_integer(&Json::from_text("1"));
        assert_eq!((error.reason, error.message.as_str()), (TypeInvalid, "Invalid value: \"1\": must be an integer"));
    }
}
