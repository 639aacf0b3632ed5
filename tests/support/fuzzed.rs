//! What the fuzz targets of tests/fuzz check of an input. `cargo test` checks the same of their committed inputs.

use scan_admission::admission::Webhook;
use scan_admission::admission::review;
use serde_json::Value;

use super::json_checks::{Rebuilt, agree, agree_as_repeated};
use super::review_checks::{
    check_answer, check_answers_with_uid, check_mutation, check_old_object, check_order_of_keys, judged,
};

/// Any bytes as the body of a request.
pub fn answers(bytes: &[u8]) {
    for webhook in [Webhook::Validating, Webhook::Mutating] {
        check_answer(bytes, webhook);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let is_json = agree(text);
    agree_as_repeated(&format!("[{text},{text}]"));
    // serde_json stops at a depth of 128 and at a lone surrogate.
    let Ok(sent) = serde_json::from_str::<Value>(text) else { return };
    assert!(is_json);
    let rebuilt = scan_admission::scan::reader::read::<Rebuilt>(text).map(|rebuilt| rebuilt.0);
    assert_eq!(rebuilt.ok().as_ref(), Some(&sent), "{text}");
    if sent.is_object() && sent["request"].is_object() {
        check_answers_with_uid(bytes, sent["request"]["uid"].as_str().filter(|uid| !uid.is_empty()));
    }
    // The same value, without repeated members.
    let repeated = text;
    let text = sent.to_string();
    if [repeated, &text].into_iter().any(|text| review::decode(text).1.is_err()) {
        return;
    }
    check_old_object(repeated);
    check_mutation(&text, &sent);
    check_order_of_keys(&text, &sent, bytes.len() as u64);
    let pretty = serde_json::to_string_pretty(&sent).expect("JSON");
    for same in [pretty, escaped(&text)] {
        assert_eq!(judged(&text), judged(&same), "{same}");
    }
}

/// Writes every character of every string as an escape.
fn escaped(text: &str) -> String {
    let (mut out, mut is_string) = (String::new(), false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match (is_string, c) {
            (true, '\\') if rest[1..].starts_with('u') => "\\u0000".len(),
            (true, '\\') => 2,
            _ => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        is_string ^= c == '"';
        match is_string && !matches!(c, '\\' | '"') {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}")),
            false => out += token,
        }
        rest = after;
    }
    out
}
