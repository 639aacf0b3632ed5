//! Converts YAML scalars to JSON as kubectl's parser does (sigs.k8s.io/yaml with go-yaml v2), so that a manifest is
//! judged as the API server would see it. The parser follows YAML 1.1, in which `yes` is a boolean and `010` is eight.

use std::borrow::Cow;
use std::io::Write as _;

use base64::Engine as _;

/// A resolved scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'a> {
    Null,
    Boolean(bool),
    /// An int64 or a uint64.
    Integer(i128),
    Float(f64),
    Text(Cow<'a, str>),
}

/// The reason why a scalar has no JSON form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScalarError {
    #[error("\"{shown}\" does not match its tag !!{tag}: remove the tag or correct the value")]
    Tag { shown: String, tag: String },
    #[error("a value with the tag !!binary must be base64: remove the tag or correct the value")]
    Base64,
    #[error("a key must not be null: quote it")]
    NullKey,
    #[error("a key must not be a number beyond int64: quote it")]
    LargeKey,
    #[error("JSON has no infinity and no NaN: quote the value if it is text")]
    NotFinite,
    #[error("the value cannot be written as JSON")]
    Write,
}

/// The namespace of tags such as `!!int`.
pub const TAGS: &str = "tag:yaml.org,2002:";

/// Resolves a scalar. Without a tag, only plain scalars may be other than text. Dates stay text, with any tag.
pub fn resolve<'a>(
    text: Cow<'a, str>,
    is_plain: bool,
    tag: Option<&granit_parser::Tag>,
) -> Result<Scalar<'a>, ScalarError> {
    let Some(tag) = tag else {
        return Ok(if is_plain { resolve_plain(text) } else { Scalar::Text(text) });
    };
    let name = tag.suffix_in_namespace(TAGS).unwrap_or_default();
    match &*name {
        "null" | "bool" | "int" | "float" => {
            let shown = crate::scan::json::printable(&text, TEXT_MAX_CHARS);
            match (&*name, resolve_plain(text)) {
                ("null", Scalar::Null) => Ok(Scalar::Null),
                ("bool", Scalar::Boolean(boolean)) => Ok(Scalar::Boolean(boolean)),
                ("int", Scalar::Integer(integer)) => Ok(Scalar::Integer(integer)),
                ("float", Scalar::Float(float)) => Ok(Scalar::Float(float)),
                ("float", Scalar::Integer(integer)) => Ok(Scalar::Float(integer as f64)),
                _ => Err(ScalarError::Tag { shown, tag: name.into() }),
            }
        }
        "binary" => match base64::engine::general_purpose::STANDARD.decode(text.replace(['\n', '\r'], "")) {
            Ok(bytes) => Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned().into())),
            Err(_) => Err(ScalarError::Base64),
        },
        _ => Ok(Scalar::Text(text)),
    }
}

/// The number of characters of a value that a message shows.
const TEXT_MAX_CHARS: usize = 64;

/// Resolves a plain scalar without a tag.
fn resolve_plain(text: Cow<'_, str>) -> Scalar<'_> {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Boolean(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Boolean(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => float(&text),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let digits = text.replace('_', "");
            integer(&digits).map(Scalar::Integer).or_else(|| float(&digits))
        }
        _ => None,
    };
    number.unwrap_or(Scalar::Text(text))
}

/// Parses a float. Returns `None` if it is not finite, so that `1e400` stays text.
fn float(text: &str) -> Option<Scalar<'static>> {
    text.parse().ok().filter(|float: &f64| float.is_finite()).map(Scalar::Float)
}

/// Parses an integer as Go's `ParseInt` and then `ParseUint` with base 0: the prefix determines the base, and `0` is
/// the prefix of octal numbers.
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Rust would accept a second sign.
    if !digits.as_bytes().first()?.is_ascii_alphanumeric() {
        return None;
    }
    let integer = sign * i128::from(u64::from_str_radix(digits, radix).ok()?);
    let is_signed = text.starts_with(['+', '-']);
    (i64::try_from(integer).is_ok() || !is_signed).then_some(integer)
}

impl<'a> Scalar<'a> {
    /// The scalar as a key.
    pub fn key(self) -> Result<Cow<'a, str>, ScalarError> {
        match self {
            Scalar::Text(text) => Ok(text),
            Scalar::Boolean(boolean) => Ok(Cow::Borrowed(if boolean { "true" } else { "false" })),
            Scalar::Integer(integer) if i64::try_from(integer).is_ok() => Ok(integer.to_string().into()),
            Scalar::Float(float) => Ok(format_float(float).into()),
            Scalar::Null => Err(ScalarError::NullKey),
            Scalar::Integer(_) => Err(ScalarError::LargeKey),
        }
    }

    /// Writes the scalar as Go's JSON encoder does: `22.0` becomes `22`.
    pub fn write(&self, json: &mut Vec<u8>) -> Result<(), ScalarError> {
        let written = match self {
            Scalar::Null => json.write_all(b"null"),
            Scalar::Boolean(boolean) => write!(json, "{boolean}"),
            Scalar::Integer(integer) => write!(json, "{integer}"),
            Scalar::Float(float) if !float.is_finite() => return Err(ScalarError::NotFinite),
            Scalar::Float(float) => json.write_all(format_float(*float).as_bytes()),
            Scalar::Text(text) => serde_json::to_writer(json, text).map_err(Into::into),
        };
        written.map_err(|_| ScalarError::Write)
    }

    /// The approximate number of bytes of the scalar in JSON.
    pub fn size(&self) -> usize {
        if let Scalar::Text(text) = self { text.len() + "\"\"".len() } else { "false".len() }
    }
}

fn format_float(float: f64) -> String {
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{float:e}");
        if size > 1.0 { text.replace('e', "e+") } else { text }
    } else {
        float.to_string()
    }
}
