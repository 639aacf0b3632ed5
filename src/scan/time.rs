//! Times as the API writes them: RFC 3339 with an upper-case `T` and `Z` or an offset.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads a time. Lower case and a space for the `T`, which RFC 3339 leaves open, are no times here, as in Go.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    let is_upper = text.as_bytes().get(10) == Some(&b'T') && !text.contains('z');
    if is_upper { OffsetDateTime::parse(text, &Rfc3339).ok() } else { None }
}

/// Writes a time in UTC and whole seconds, as `metav1.Time` does.
pub fn format(time: OffsetDateTime) -> Option<String> {
    time.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}
