//! Tests of the JSON reader against `serde_json`: which texts are JSON, where a value ends, and which values it reads.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use scan_admission::scan::reader::read;

use crate::support::json_checks::{Rebuilt, Skipped, agree, agree_as_repeated};

const CASES: u32 = 20_000;

#[test]
fn every_short_text_is_json_where_serde_json_accepts_it() {
    // Every text of up to four pieces, some of which are JSON tokens and some are not.
    let pieces = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "0", "1", "-", ".", "e", "+", "t", "true", "null", "\"a\"", " ",
        "\n", "u", "00e9", "\u{1}", "é", "/",
    ];
    let mut texts = vec![String::new()];
    let (mut is_json, mut all) = (0, 0);
    for length in 0..=4 {
        for text in &texts {
            is_json += u32::from(agree(text));
            all += 1;
        }
        if length < 4 {
            texts = texts.iter().flat_map(|text| pieces.map(|piece| format!("{text}{piece}"))).collect();
        }
    }
    assert_eq!(all, 1 + 25 + 25 * 25 + 25 * 25 * 25 + 25 * 25 * 25 * 25);
    assert!(is_json > 1000, "{is_json}");
}

#[test]
fn every_byte_of_a_string_is_checked_at_every_position() {
    // Every byte of ASCII at every position within the sixteen bytes that are checked together, with other bytes around
    // it.
    for byte in 0..=127_u8 {
        for before in 0..33 {
            for after in [0, 1, 15, 16, 17] {
                for filling in ["a", "\u{7f}", "é", "!"] {
                    let byte = char::from(byte);
                    agree(&format!("\"{}{byte}{}\"", filling.repeat(before), filling.repeat(after)));
                }
            }
        }
    }
}

#[test]
fn values_of_any_depth_are_skipped_and_brackets_must_match() {
    for depth in [1, 2, 63, 64, 65, 127, 128, 129, 1000] {
        for pattern in 0..8_usize {
            let is_object = |level: usize| pattern >> (level % 3) & 1 == 1;
            let open: String = (0..depth).map(|level| if is_object(level) { "{\"a\":" } else { "[" }).collect();
            let close: String = (0..depth).rev().map(|level| if is_object(level) { '}' } else { ']' }).collect();
            assert!(agree(&format!("{open}1{close}")));
            // The wrong closing bracket at one level.
            for level in [0, depth / 2, depth - 1] {
                let mut wrong = close.clone();
                let other = if wrong.as_bytes()[level] == b'}' { "]" } else { "}" };
                wrong.replace_range(level..=level, other);
                assert!(!agree(&format!("{open}1{wrong}")), "{depth} {pattern} {level}");
            }
        }
    }
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    assert!(read::<Skipped>(&deep).is_ok() && read::<Skipped>(&deep[1..]).is_err());
}

#[test]
fn the_fast_path_for_a_repeated_list_changes_no_result() {
    let entries = ["1", "{\"a\": [1]}", "\"],[\"", "", "[", "]", ",", "x"];
    let few: Vec<String> = std::iter::once(String::new())
        .chain(entries.map(str::to_owned))
        .chain(entries.iter().flat_map(|one| entries.map(|other| format!("{one},{other}"))))
        .chain(entries.iter().flat_map(|one| entries.map(|other| format!("{one} , {other},{one}"))))
        .collect();
    let mut are_json = 0;
    for (one, other) in few.iter().flat_map(|one| few.iter().map(move |other| (one, other))) {
        are_json += u32::from(agree_as_repeated(&format!("[[{one}],[{other}]]")));
        agree_as_repeated(&format!("[[{one}],[{other}"));
    }

    let list = |count: usize| -> Vec<String> { (0..count).map(|at| format!("{{\"f:{at}\":{{}}}}")).collect() };
    let text = |lists: [&[String]; 3]| format!("[{}]", lists.map(|list| format!("[{}]", list.join(","))).join(","));
    for count in [1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000] {
        let first = list(count);
        for at in (0..count).step_by(1 + count / 40) {
            for change in ["\"another, and longer one than it was before\"", "0", "{\"f:1\":{}},{", "]", "[", ""] {
                let mut changed = first.clone();
                changed[at] = change.to_owned();
                let mut without = first.clone();
                without.remove(at);
                let mut with = first.clone();
                with.insert(at, change.to_owned());
                for lists in [[&first, &changed, &first], [&without, &with, &first], [&first, &without, &with]] {
                    are_json += u32::from(agree_as_repeated(&text(lists.map(Vec::as_slice))));
                }
            }
        }
        let whole = text([&first, &first, &list(count + 1)]);
        assert!(agree_as_repeated(&whole) && !agree_as_repeated(&whole[..whole.len() - 1]));
    }
    assert!(are_json > 1000, "{are_json}");
}

#[test]
fn an_error_names_its_position_and_the_expected_token() {
    let message = |text: &str| read::<Skipped>(text).err().map(|error| error.message(text));
    for (text, expected) in [
        ("", "line 1, column 1: expected a value, found the end of the text"),
        ("{\n  \"a\": 1,\n  b: 2}", "line 3, column 3: expected a key in quotes"),
        ("{\"a\" 1}", "line 1, column 6: expected `:`"),
        ("[1 2]", "line 1, column 4: expected `,` or `]`"),
        ("{\"a\": 1", "line 1, column 8: expected `,` or `}`, found the end of the text"),
        ("01", "line 1, column 2: expected the end of the text"),
        ("[-]", "line 1, column 3: expected a digit"),
        ("\"\\x\"", "line 1, column 2: expected a valid escape"),
        ("\"a", "line 1, column 3: expected the end of the string or an escape, found the end of the text"),
    ] {
        assert_eq!(message(text).as_deref(), Some(expected), "{text}");
    }
}

fn captured() -> impl Strategy<Value = String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reviews");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let texts: Vec<String> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(texts.len() > 50);
    proptest::sample::select(texts)
}

/// The texts that replace some bytes of a review.
fn damage() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[{}\\[\\],:\"\\\\0-9eE.+tfnul \\n\u{1}é-]{1,3}",
        Just("\\ud800".to_owned()),
        Just("1e999".to_owned()),
        Just("{\"a\":[".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_review_is_json_where_serde_json_accepts_it(
        mut text in captured(), hits in prop::collection::vec((any::<Index>(), 0..4_usize, damage()), 0..3),
    ) {
        for (at, length, new) in hits {
            let floor = |at: usize| text.floor_char_boundary(at.min(text.len()));
            let (begin, end) = (floor(at.index(text.len() + 1)), floor(at.index(text.len() + 1) + length));
            text.replace_range(begin..end, &new);
        }
        agree(&text);
    }
}

#[test]
fn values_are_read_as_serde_json_reads_them() {
    let texts = [
        r#"{"a": 1, "b": [true, null, {}, [], ""], "a": {"\u00e9\n": "\"\\", "é": -1.5e3}}"#,
        "[ { } , [ ] ]",
        "  12  ",
    ];
    for text in texts {
        assert_eq!(read::<Rebuilt>(text).ok().map(|rebuilt| rebuilt.0), serde_json::from_str(text).ok(), "{text}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reviews");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert_eq!(read::<Rebuilt>(&text).ok().map(|rebuilt| rebuilt.0), serde_json::from_str(&text).ok());
    }
}
