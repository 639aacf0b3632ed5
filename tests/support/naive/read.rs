//! §2 "Reading values" and "Stale".

use serde_json::Value;

use super::conditions::{Entry, entries};

/// A value as it is read. A condition is `Wrong` if it is malformed: "it is neither there nor absent".
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Read<T> {
    Absent,
    Wrong,
    Is(T),
}

impl<T> Read<T> {
    pub fn there(self) -> Option<T> {
        match self {
            Read::Is(value) => Some(value),
            _ => None,
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Read::Absent)
    }

    pub fn is_wrong(&self) -> bool {
        matches!(self, Read::Wrong)
    }

    pub fn is_there(&self) -> bool {
        matches!(self, Read::Is(_))
    }
}

/// "null and, for strings, "" count as absent."
pub fn text(value: &Value) -> Read<&str> {
    match value {
        Value::Null => Read::Absent,
        Value::String(text) if text.is_empty() => Read::Absent,
        Value::String(text) => Read::Is(text),
        _ => Read::Wrong,
    }
}

/// "Integers are JSON integers that fit int64."
fn integer(value: &Value) -> Read<i64> {
    match value {
        Value::Null => Read::Absent,
        value => value.as_i64().map_or(Read::Wrong, Read::Is),
    }
}

/// An integer ≥ 0.
pub fn count(value: &Value) -> Read<i64> {
    match integer(value) {
        Read::Is(integer) if integer < 0 => Read::Wrong,
        other => other,
    }
}

/// A time in nanoseconds since 1970: RFC 3339 in upper case with a `T` and `Z` or an offset, and nothing that Go does not
/// parse, such as the second 60.
pub fn time(value: &Value) -> Read<i128> {
    match text(value) {
        Read::Is(text) => parsed_time(text).map_or(Read::Wrong, Read::Is),
        Read::Absent => Read::Absent,
        Read::Wrong => Read::Wrong,
    }
}

fn parsed_time(text: &str) -> Option<i128> {
    let is_at = |index: usize, char: char| text.as_bytes().get(index) == Some(&(char as u8));
    let number = |text: &str, most: i64| -> Option<i64> {
        let is_digits = text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_digits && *number <= most)
    };
    let part = |from: usize, to: usize, most: i64| number(text.get(from..to)?, most);
    let (year, month, day) = (part(0, 4, 9999)?, part(5, 7, 12)?, part(8, 10, 31)?);
    let (hour, minute, second) = (part(11, 13, 23)?, part(14, 16, 59)?, part(17, 19, 59)?);
    if !(is_at(4, '-') && is_at(7, '-') && is_at(10, 'T') && is_at(13, ':') && is_at(16, ':')) {
        return None;
    }
    let month = time::Month::try_from(month as u8).ok()?;
    let date = time::Date::from_calendar_date(year as i32, month, day as u8).ok()?;
    let mut rest = text.get(19..)?;
    let mut nanoseconds = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        nanoseconds = format!("{:0<9.9}", &fraction[..digits]).parse().ok()?;
        rest = &fraction[digits..];
    }
    let offset = match rest {
        "Z" => 0,
        _ if rest.len() == 6 && rest.is_ascii() && &rest[3..4] == ":" => {
            let seconds = number(&rest[1..3], 23)? * 3600 + number(&rest[4..], 59)? * 60;
            match &rest[..1] {
                "+" => seconds,
                "-" => -seconds,
                _ => return None,
            }
        }
        _ => return None,
    };
    let days = i64::from(date.to_julian_day()) - 2_440_588;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds as i64))
}

pub fn seconds(count: i128) -> i128 {
    count * 1_000_000_000
}

/// What the rules ask of an object.
pub struct Scan<'a> {
    pub object: &'a Value,
    pub spec: &'a Value,
    pub status: &'a Value,
    pub entries: Vec<Entry<'a>>,
    has_conditions_list: bool,
    pub phase: Read<&'a str>,
    /// status.observedGeneration and metadata.generation.
    pub observed: Read<i64>,
    pub generation: Read<i64>,
    pub has_scan_policy: bool,
    /// Whether the rules say nothing of a malformed condition; otherwise it counts as absent.
    is_silent: bool,
}

impl<'a> Scan<'a> {
    pub fn read(object: &'a Value, is_silent: bool) -> Scan<'a> {
        let status = &object["status"];
        let conditions = &status["conditions"];
        Scan {
            object,
            is_silent,
            spec: &object["spec"],
            status,
            entries: entries(conditions),
            has_conditions_list: conditions.is_null() || conditions.is_array(),
            phase: text(&status["phase"]),
            observed: count(&status["observedGeneration"]),
            generation: integer(&object["metadata"]["generation"]),
            has_scan_policy: !text(&object["spec"]["scanPolicy"]).is_absent(),
        }
    }

    /// "*Caught up*: status.observedGeneration and metadata.generation are both there and equal."
    pub fn is_caught_up(&self) -> bool {
        self.observed.is_there() && self.observed == self.generation
    }

    pub fn is_on(&self, phases: &[&str]) -> bool {
        self.phase.there().is_some_and(|phase| phases.contains(&phase))
    }

    /// The condition of a type, stale or not.
    pub fn condition(&self, name: &str) -> Read<&Entry<'a>> {
        let mut named = self.entries.iter().filter(|entry| entry.name() == Read::Is(name));
        match named.clone().find(|entry| entry.is_whole()) {
            Some(entry) => Read::Is(entry),
            None if self.is_silent && (named.next().is_some() || !self.has_conditions_list) => Read::Wrong,
            None => Read::Absent,
        }
    }

    /// The status of the condition of a type, stale or not.
    pub fn status_of(&self, name: &str) -> Read<&'a str> {
        match self.condition(name) {
            Read::Is(entry) => Read::Is(entry.status()),
            Read::Absent => Read::Absent,
            Read::Wrong => Read::Wrong,
        }
    }

    /// The status of the condition of a type, if it is current.
    pub fn current(&self, name: &str) -> Option<&'a str> {
        let entry = self.condition(name).there().filter(|entry| !self.is_stale(entry))?;
        Some(entry.status())
    }

    /// §2 "Stale".
    pub fn is_stale(&self, entry: &Entry<'a>) -> bool {
        let is_policy = entry.name() == Read::Is("PolicySucceeded");
        let is_older = |entry: &Entry<'_>| match (entry.generation(), self.observed) {
            (Read::Is(own), Read::Is(observed)) => own < observed,
            _ => false,
        };
        let is_earlier = ["Scanning", "Succeeded"]
            .iter()
            .any(|name| self.condition(name).there().is_some_and(|other| entry.time() < other.time()));
        if self.is_on(&["Completed", "Failed"]) {
            return is_policy && !self.has_scan_policy && (is_older(entry) || is_earlier);
        }
        let running = self.condition("Scanning").there().filter(|it| it.status() == "True" && !is_older(it));
        let a = running.is_some_and(|it| it.index != entry.index && entry.time() <= it.time());
        a || is_older(entry) || is_policy && is_earlier
    }
}
