//! Parses and formats times as the Kubernetes API does: RFC 3339 with an upper-case `T`, and `Z` or an offset.
//!
//! A stored time that Go's `time.Parse` rejects breaks every Go client that decodes the object, or a list that includes
//! it.

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};

/// Parses a time. RFC 3339 also allows lower case, a space in place of the `T`, and second 60 for leap seconds. These
/// are rejected, as in Go.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    // Fast path: every condition has a time, and nearly all times have this form.
    if let Some(time) = text.as_bytes().try_into().ok().and_then(seconds_utc) {
        return Some(time);
    }
    let is_upper = text.as_bytes().get(10) == Some(&b'T') && !text.contains('z');
    let is_leap_second = text.as_bytes().get(17..19) == Some(b"60");
    if is_upper && !is_leap_second { OffsetDateTime::parse(text, &Rfc3339).ok() } else { None }
}

/// Formats a time in UTC and whole seconds, as `metav1.Time` does. Returns `None` outside the years 0 to 9999.
pub fn format(time: OffsetDateTime) -> Option<String> {
    time.checked_to_offset(time::UtcOffset::UTC)?.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}

/// Parses a time such as `2026-11-20T08:01:00Z`. Returns `None` for every other form.
fn seconds_utc(text: &[u8; 20]) -> Option<OffsetDateTime> {
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let digit = |at: usize| text[at].is_ascii_digit().then(|| text[at] - b'0');
    let two = |at: usize| Some(digit(at)? * 10 + digit(at + 1)?);
    let year = i32::from(two(0)?) * 100 + i32::from(two(2)?);
    let date = Date::from_calendar_date(year, two(5)?.try_into().ok()?, two(8)?).ok()?;
    Some(date.with_hms(two(11)?, two(14)?, two(17)?).ok()?.assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_path_agrees_with_the_library() {
        let parsed_by_library = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
        for year in ["0000", "1999", "2000", "2024", "2026", "2100", "9999", "+999"] {
            for month in ["00", "01", "02", "04", "12", "13", "1 "] {
                for day in ["00", "01", "28", "29", "30", "31", "32"] {
                    for time in ["00:00:00", "23:59:59", "24:00:00", "08:60:00", "23:59:60", "08:01:0x", "08-01:00"] {
                        let text = format!("{year}-{month}-{day}T{time}Z");
                        let fast = text.as_bytes().try_into().ok().and_then(seconds_utc);
                        // The library accepts second 60, Go does not.
                        assert!(fast == parsed_by_library(&text) || time.ends_with("60") && fast.is_none(), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn times_outside_the_years_0_to_9999_are_not_formatted() {
        for text in ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            assert_eq!(format(parse(text).unwrap()), None, "{text}");
        }
        assert_eq!(format(parse("2024-02-29T23:59:59.9+05:30").unwrap()).unwrap(), "2024-02-29T18:29:59Z");
    }
}
