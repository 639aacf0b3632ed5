//! Values as Kubernetes writes them: durations and amounts of memory.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serializer;
use serde::de::{Deserializer, Error, Visitor};

/// The range of limits of time: shorter ones are too short for any request, longer ones have no effect in practice.
const DURATION_RANGE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
/// At least twice the largest body: with less, such a body would be shed although little else is in flight.
const MEMORY_RANGE_BYTES: RangeInclusive<usize> = 16 << 20..=64 << 30;
/// The maximum exceeds the number of file descriptors of any process.
const COUNT_RANGE: RangeInclusive<usize> = 1..=1_000_000;

const DURATION_EXPECTED: &str = "a duration from 100ms to 1h, such as 5s";
const MEMORY_EXPECTED: &str = "an amount of memory from 16Mi to 64Gi, such as 64Mi";
const COUNT_EXPECTED: &str = "an integer from 1 to 1000000";

/// The pattern of a duration in the schema. [`parse_duration`] accepts every match.
const DURATION_PATTERN: &str = r"^([0-9]{1,9}(\.[0-9]{1,9})?(h|m|s|ms|us)|[0-9]{1,9}ns)+$";

/// A duration in the schema.
#[derive(JsonSchema)]
#[schemars(inline)]
pub struct Time(
    #[expect(dead_code, reason = "for the schema")]
    #[schemars(regex(pattern = DURATION_PATTERN))]
    String,
);

/// An amount of memory in the schema.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub enum Memory {
    Bytes(#[schemars(range(min = 16_777_216))] u64),
    Amount(#[schemars(regex(pattern = r"^[0-9]+(k|M|G|Ki|Mi|Gi)?$"))] String),
}

pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let parse = |text: &str| parse_duration(text).filter(|value| DURATION_RANGE.contains(value));
    deserializer.deserialize_any(ScalarVisitor(parse, DURATION_EXPECTED, PhantomData))
}

pub fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let parse = |text: &str| bytes(text).filter(|value| MEMORY_RANGE_BYTES.contains(value));
    deserializer.deserialize_any(ScalarVisitor(parse, MEMORY_EXPECTED, PhantomData))
}

pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let parse = |text: &str| text.parse().ok().filter(|value| COUNT_RANGE.contains(value));
    deserializer.deserialize_any(ScalarVisitor(parse, COUNT_EXPECTED, PhantomData))
}

/// Writes a default in the schema.
pub fn write_duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{duration:?}"))
}

/// Writes a default in the schema.
pub fn write_memory<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}Mi", bytes >> 20))
}

/// Reads a scalar from its text: the function that parses it, and a description of valid values.
struct ScalarVisitor<F, T>(F, &'static str, PhantomData<T>);

impl<F: Fn(&str) -> Option<T>, T> Visitor<'_> for ScalarVisitor<F, T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.1)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.parse(text, &format!("{text:?}"))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.parse_unquoted(number)
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.parse_unquoted(number)
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.parse_unquoted(number)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        self.parse_unquoted(value)
    }
    fn visit_unit<E: Error>(self) -> Result<T, E> {
        self.parse_unquoted("null")
    }
}

impl<F: Fn(&str) -> Option<T>, T> ScalarVisitor<F, T> {
    /// Parses a number, a boolean or null, which messages show without quotes.
    fn parse_unquoted<E: Error>(self, value: impl fmt::Display) -> Result<T, E> {
        let text = value.to_string();
        self.parse(&text, &text)
    }

    fn parse<E: Error>(self, text: &str, shown: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::custom(format_args!("Invalid value: {shown}: must be {}", self.1)))
    }
}

/// Parses an amount of memory as Kubernetes writes it: `64Mi`, `1Gi`, `500M`, or plain bytes.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: usize = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

/// Parses a duration as Kubernetes writes it, numbers with units: `5s`, `1m30s`, `500ms`, `1.5h`. Returns `None` for
/// every other text.
pub fn parse_duration(text: &str) -> Option<Duration> {
    // jiff also accepts spaces, signs, `5 seconds` and `PT5S`.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || b".hmsun".contains(&byte)) {
        return None;
    }
    // jiff accepts a fraction in the last unit only, and each unit once and in order, so each unit is parsed by itself.
    let mut sum = Duration::ZERO;
    let mut rest = text;
    while let Some(unit) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let end = rest[unit..].find(|c: char| !c.is_ascii_alphabetic()).map_or(rest.len(), |letters| unit + letters);
        let part: jiff::SignedDuration = rest[..end].parse().ok()?;
        sum = sum.checked_add(part.try_into().ok()?)?;
        rest = &rest[end..];
    }
    (rest.is_empty() && !text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::string::string_regex;

    use super::*;

    #[test]
    fn durations_are_parsed_as_in_kubernetes() {
        assert_eq!(parse_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("2h45m"), Some(Duration::from_secs(9900)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        // As in Go: a fraction in any unit, and units in any order.
        assert_eq!(parse_duration("1.5m30s"), Some(Duration::from_secs(120)));
        assert_eq!(parse_duration("30s1m1m"), Some(Duration::from_secs(150)));
        assert_eq!(parse_duration("0.000000001s"), Some(Duration::from_nanos(1)));
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "+5s",
            "5x",
            "1..5s",
            "1,5s",
            "5 s",
            " 5s",
            "5s ",
            "5s\n",
            "5sec",
            "1min",
            "1d",
            "PT5S",
            "00:05",
            "5s5",
            "1m ago",
            "99999999999999999999999999h",
            "5s.",
            "1e3ms",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// An editor that validates a configuration by its schema must not accept durations that the program rejects.
        #[test]
        fn every_match_of_the_schema_is_a_duration(text in string_regex(DURATION_PATTERN.trim_matches(['^', '$'])).unwrap()) {
            prop_assert!(parse_duration(&text).is_some(), "{text}");
        }
    }

    #[test]
    fn memory_is_parsed_as_in_kubernetes() {
        for (text, value) in [
            ("7", Some(7)),
            ("64Mi", Some(64 << 20)),
            ("1Gi", Some(1 << 30)),
            ("3Ki", Some(3072)),
            ("500M", Some(500_000_000)),
            ("2k", Some(2000)),
            ("1G", Some(1_000_000_000)),
            ("", None),
            ("Mi", None),
            ("64MB", None),
            ("64mi", None),
            ("1.5Gi", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("99999999999Gi", None),
        ] {
            assert_eq!(bytes(text), value, "{text}");
        }
    }
}
