//! Writes a scalar in YAML so that every reader reads it as the value that it is.

use super::super::yaml;

/// Returns the text of a JSON number or string of ASCII characters. A string keeps the quotes of the value that it
/// replaces. Otherwise it is plain where that is safe, and has double quotes where it is not, or where the key has them, as
/// in JSON.
pub fn of(json: &str, quote: Option<char>, has_quoted_key: bool) -> String {
    let Ok(string) = serde_json::from_str::<String>(json) else { return json.to_owned() };
    match quote {
        Some('\'') if is_printable(&string) => format!("'{}'", string.replace('\'', "''")),
        None if !has_quoted_key && is_plain(&string) => string,
        // Every string of JSON is one of YAML, except for surrogates, which ASCII does not need.
        _ => json.to_owned(),
    }
}

fn is_printable(string: &str) -> bool {
    string.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Whether a string without quotes is this string in YAML 1.1 and 1.2, in block and flow style: words of letters and
/// digits that are not a boolean, null or a number. Times are not plain, since other readers read them as such.
fn is_plain(string: &str) -> bool {
    let is_word = |word: &str| {
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || [b'-', b'_', b'.'].contains(&byte)) && !word.is_empty()
    };
    string.starts_with(|first: char| first.is_ascii_alphabetic())
        && string.split(' ').all(is_word)
        && yaml::is_plain_text(string)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_string_is_plain_only_where_every_reader_reads_a_string() {
        for (json, quote, key, expected) in [
            ("23", None, "total: ", "23"),
            ("23", Some('"'), "total: ", "23"),
            ("\"JobStarted\"", None, "reason:", "JobStarted"),
            ("\"The scan job is running\"", None, "message:", "The scan job is running"),
            ("\"JobStarted\"", None, "\"reason\": ", "\"JobStarted\""),
            ("\"JobStarted\"", Some('"'), "reason: ", "\"JobStarted\""),
            ("\"JobStarted\"", Some('\''), "reason: ", "'JobStarted'"),
            ("\"it's\"", Some('\''), "reason: ", "'it''s'"),
            ("\"a\\nb\"", Some('\''), "reason: ", "\"a\\nb\""),
            ("\"2026-11-20T08:01:00Z\"", None, "time: ", "\"2026-11-20T08:01:00Z\""),
            ("\"Yes\"", None, "reason: ", "\"Yes\""),
            ("\"null\"", None, "reason: ", "\"null\""),
            ("\"1e3\"", None, "reason: ", "\"1e3\""),
            ("\"\"", None, "reason: ", "\"\""),
            ("\"a: b\"", None, "reason: ", "\"a: b\""),
            ("\"a #b\"", None, "reason: ", "\"a #b\""),
            ("\"a \"", None, "reason: ", "\"a \""),
            ("\"a  b\"", None, "reason: ", "\"a  b\""),
        ] {
            assert_eq!(of(json, quote, key.starts_with('"')), expected, "{json}");
        }
    }
}
