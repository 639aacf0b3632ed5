//! Decodes the escapes of JSON strings.

/// Decodes the contents of a string whose escapes are known to be valid. A lone surrogate is not a character: it
/// becomes U+FFFD, as in Go.
#[cold]
pub fn unescaped(inner: &str) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (code, after) = escape.split_at_checked(1).unwrap_or_default();
        rest = after;
        text.push(match code {
            "b" => '\u{8}',
            "f" => '\u{c}',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let (unit, after) = hex_unit(rest);
                rest = after;
                let second = after.strip_prefix("\\u").map(hex_unit);
                let pair = second.and_then(|(low, after)| Some((surrogates(unit, low)?, after)));
                if let Some((character, after)) = pair {
                    rest = after;
                    character
                } else {
                    char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
            }
            same => same.chars().next().unwrap_or_default(),
        });
    }
    text.push_str(rest);
    text
}

/// Reads four hexadecimal digits.
fn hex_unit(text: &str) -> (u32, &str) {
    let (digits, after) = text.split_at_checked(4).unwrap_or_default();
    (u32::from_str_radix(digits, 16).unwrap_or_default(), after)
}

/// The character of a surrogate pair.
fn surrogates(high: u32, low: u32) -> Option<char> {
    let is_pair = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    if is_pair { char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn strings_are_decoded_as_serde_json_does() {
        for inner in [
            "",
            r#"a\\b\"c\/d\bc\fd\ne\rf\tg"#,
            r"\\n",
            r"\u0041\u00e4\u20ac",
            r"\ud83d\ude00!\u003cb\u003E",
            "\u{e4}\\n\u{20ac}",
        ] {
            let expected: String = serde_json::from_str(&format!("\"{inner}\"")).unwrap();
            assert_eq!(unescaped(inner), expected, "{inner}");
        }
    }

    /// As in Go; `serde_json` rejects them.
    #[test]
    fn a_lone_surrogate_becomes_a_replacement_character() {
        for (inner, expected) in [
            (r"\ud83d", "\u{fffd}"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\n", "\u{fffd}\n"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"a\ud83db", "a\u{fffd}b"),
        ] {
            assert_eq!(unescaped(inner), expected, "{inner}");
        }
    }
}
