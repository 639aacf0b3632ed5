//! Checks that a document is valid JSON, and finds repeated keys.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use memchr::memchr2;
use serde::de::IgnoredAny;

use super::yaml::{self, DEPTH_MAX, RepeatedKey, YamlError};

/// Checks that a text is valid JSON and nested at most [`DEPTH_MAX`] levels deep.
pub fn check(text: &str) -> Result<(), YamlError> {
    let mut depth = 0_usize;
    for token in Tokens::of(text) {
        match token {
            Token::Open { at, .. } => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(yaml::too_deep(at));
                }
            }
            Token::Close => depth = depth.saturating_sub(1),
            Token::String { .. } => {}
        }
    }
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|error| {
        let line: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        YamlError::new(
            line + error.column().saturating_sub(1),
            format!("invalid JSON: {}; the mistake is here or just before", message(&error)),
        )
    })
}

/// Whether two valid texts differ only in the white space between their tokens.
pub fn has_same_tokens(one: &str, other: &str) -> bool {
    significant(one).eq(significant(other))
}

/// Returns the bytes of a text without the white space between tokens.
fn significant(text: &str) -> impl Iterator<Item = u8> {
    let (mut is_string, mut is_escaped) = (false, false);
    text.bytes().filter(move |byte| {
        if is_string {
            is_string = *byte != b'"' || is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            return true;
        }
        is_string = *byte == b'"';
        !byte.is_ascii_whitespace()
    })
}

/// Returns the message of an error without the position, which is shown separately.
fn message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned()
}

/// Returns the repeated keys of the objects of a valid text, in ascending order of their last offset.
pub fn repeated_keys(text: &str) -> Vec<RepeatedKey> {
    let mut repeated: Vec<RepeatedKey> = Vec::new();
    // For each object around the token, the first and last offset of each key. `None` for a list.
    let mut open: Vec<Option<HashMap<Cow<'_, str>, RepeatedKey>>> = Vec::new();
    for token in Tokens::of(text) {
        match token {
            Token::Open { is_object, .. } => open.push(is_object.then(HashMap::new)),
            Token::Close => {
                let keys = open.pop().flatten();
                repeated.extend(keys.into_iter().flatten().map(|(_, key)| key).filter(|key| key.first < key.json));
            }
            Token::String { at, quoted } => {
                let is_key = text[at + quoted.len()..].trim_ascii_start().starts_with(':');
                let Some(Some(keys)) = open.last_mut().filter(|_| is_key) else { continue };
                let inside = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                let key = if inside.contains('\\') {
                    serde_json::from_str(quoted).unwrap_or(Cow::Borrowed(inside))
                } else {
                    Cow::Borrowed(inside)
                };
                match keys.entry(key) {
                    Entry::Vacant(free) => drop(free.insert(RepeatedKey { json: at, first: at })),
                    Entry::Occupied(mut known) => known.get_mut().json = at,
                }
            }
        }
    }
    repeated.sort_by_key(|key| key.json);
    repeated
}

enum Token<'a> {
    Open { at: usize, is_object: bool },
    Close,
    String { at: usize, quoted: &'a str },
}

/// The brackets and strings of a text, which may be invalid JSON.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        Tokens { text, at: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let bytes = self.text.as_bytes();
        loop {
            let at = self.at;
            let byte = *bytes.get(at)?;
            self.at += 1;
            match byte {
                b'{' | b'[' => return Some(Token::Open { at, is_object: byte == b'{' }),
                b'}' | b']' => return Some(Token::Close),
                b'"' => {
                    while let Some(special) = memchr2(b'"', b'\\', bytes.get(self.at..).unwrap_or_default()) {
                        self.at += special + 1;
                        if bytes[self.at - 1] == b'"' {
                            return Some(Token::String { at, quoted: &self.text[at..self.at] });
                        }
                        self.at += 1;
                    }
                    // The string does not end.
                    self.at = bytes.len();
                    return None;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_between_tokens_is_ignored() {
        let text = r#"{"a b":["\\", "\"  c" , 1]}"#;
        assert!(has_same_tokens(text, "\n{ \"a b\" : [\"\\\\\",\"\\\"  c\",1 ] }"));
        assert!(
            !has_same_tokens(text, &text.replace("a b", "ab")) && !has_same_tokens(text, &text.replace("  c", " c"))
        );
    }

    #[test]
    fn repeated_keys_are_found() {
        let text = r#"{"a": "b", "b": [{"c": 1, "c" : {"c": 2}}, "c", {"c": "a\"a"}], "\u0061": {}, "b": 1, "a": "a"}"#;
        let found: Vec<_> = repeated_keys(text).iter().map(|key| (&text[key.json..][..6], key.first)).collect();
        assert_eq!(found, [("\"c\" : ", 18), ("\"b\": 1", 11), ("\"a\": \"", 1)].map(|(key, at)| (&key[..6], at)));
        assert_eq!(repeated_keys(r#"[{"a": 1}, {"a": 2}]"#), []);
        assert_eq!(repeated_keys("\"a"), []);
    }
}
