//! Properties of the answers to all reviews, damaged ones too. Each property is tested with 10,000 random reviews.

use std::collections::BTreeSet;
use std::fmt;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use scan_admission::admission::{Webhook, patch};
use scan_admission::engine;
use scan_admission::rules::RULES;
use serde_json::Value;

use crate::support::count_names::{DOCUMENTED_COUNTS, WIRE_COUNTS};
use crate::support::review_checks::{
    Found, check_answer, check_answers_with_uid, check_mutation, check_old_object, check_order_of_keys, found,
    in_change,
};
use crate::support::review_edits::{self, Captured, Edit, captured, edited};
use crate::support::reviews;
use crate::support::status_edits::{config, status_edits, updates};

const CASES: u32 = 10_000;

/// A status update with edits in the new and in the old status. One in eight objects is being deleted.
fn update() -> impl Strategy<Value = Edited> {
    let deletion = || Some(r#""2026-11-24T00:00:00Z""#.to_owned());
    let all = (select(updates()), status_edits(6), status_edits(2), 0..8_u8);
    all.prop_filter_map("serde_json rejects a lone surrogate", move |(review, new, old, deleting)| {
        let mut edits = below("object", new);
        edits.extend(below("oldObject", old));
        if deleting == 0 {
            edits.push(("/request/object/metadata/deletionTimestamp".to_owned(), deletion()));
        }
        let sent: Value = serde_json::from_str(&edited(&review.lean, &edits)).ok()?;
        Some(Edited { review, edits, text: sent.to_string(), sent })
    })
}

struct Edited {
    review: &'static Captured,
    edits: Vec<Edit>,
    sent: Value,
    text: String,
}

impl fmt::Debug for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with {:?}", self.review, self.edits)
    }
}

fn below(object: &str, edits: Vec<Edit>) -> Vec<Edit> {
    edits.into_iter().map(|(field, json)| (format!("/request/{object}{field}"), json)).collect()
}

proptest! {
    #![proptest_config(config(CASES))]

    /// Any value in any field gets an answer with the uid and within the limits.
    #[test]
    fn any_value_in_any_field_is_answered(review in select(captured().iter().collect::<Vec<_>>()), edits in review_edits::edits()) {
        let text = edited(&review.lean, &edits);
        let uid = edits.iter().rev().find(|(field, _)| field == "/request/uid");
        let is_whole = !edits.iter().any(|(field, _)| field == "/request");
        match uid {
            None if is_whole => check_answers_with_uid(text.as_bytes(), review.lean["request"]["uid"].as_str()),
            // A lone surrogate is not a valid string, and a value in place of the request may have any members.
            _ => match serde_json::from_str::<Value>(&text) {
                Ok(sent) => {
                    let uid = sent["request"]["uid"].as_str().filter(|uid| !uid.is_empty());
                    check_answers_with_uid(text.as_bytes(), uid);
                }
                Err(_) => [Webhook::Validating, Webhook::Mutating].into_iter().for_each(|webhook| drop(check_answer(text.as_bytes(), webhook))),
            },
        }
    }

    /// Damaged bytes get an answer, with the uid where the damage is behind the uid.
    #[test]
    fn damaged_bytes_are_answered(review in select(captured().iter().collect::<Vec<_>>()), damage in damage()) {
        let text = &review.text;
        let mut body = text.as_bytes().to_vec();
        let first = damage.apply(&mut body);
        let uid_end = text.find("\"uid\": \"").unwrap() + "\"uid\": \"".len() + 36 + "\"".len();
        if first >= uid_end {
            let uid = &text[uid_end - 37..uid_end - 1];
            check_answers_with_uid(&body, Some(uid));
        } else {
            [Webhook::Validating, Webhook::Mutating].into_iter().for_each(|webhook| drop(check_answer(&body, webhook)));
        }
    }

    /// A body of random pieces, which need not be JSON, gets an answer.
    #[test]
    fn any_bytes_are_answered(body in random_pieces()) {
        [Webhook::Validating, Webhook::Mutating].into_iter().for_each(|webhook| drop(check_answer(&body, webhook)));
    }

    /// A patch applies and writes derived fields only. Afterwards no mutation is left, and its rule has no finding
    /// there.
    #[test]
    fn patches_apply_and_write_only_derived_fields(update in update()) {
        check_mutation(&update.text, &update.sent);
    }

    /// The reply has the patch of the rules, and does not depend on the spec of the new object, which the client sent.
    #[test]
    fn the_reply_carries_the_patch_of_the_rules(update in update(), spec in select(&["null", "{}", r#"{"scanPolicy": "policy"}"#, r#"{"scanPolicy": ""}"#, "[1]"][..])) {
        let mut sent = update.sent;
        let text = &update.text;
        let (_, reply) = check_answer(text.as_bytes(), Webhook::Mutating);
        let operations = in_change(text, |change, _| engine::mutate(RULES, change).operations).unwrap_or_default();
        if is_same_outside_status(&sent) {
            prop_assert_eq!(reviews::patch(&reply), serde_json::from_str::<Value>(&patch::to_json(&operations)).unwrap());
        }
        sent["request"]["object"]["spec"] = serde_json::from_str(spec).unwrap();
        let (_, other) = check_answer(sent.to_string().as_bytes(), Webhook::Mutating);
        prop_assert_eq!(reviews::patch(&other), reviews::patch(&reply));
    }

    /// Both spellings get the same findings and the same mutations.
    #[test]
    fn both_spellings_are_judged_alike(review in select(wire_updates()), new in wire_edits(), old in wire_edits()) {
        let edits = [below("object", new), below("oldObject", old)].concat();
        let Ok(wire) = serde_json::from_str::<Value>(&edited(&review.lean, &edits)) else { return Ok(()) };
        let mut documented = wire.clone();
        for object in ["object", "oldObject"] {
            respell(&mut documented["request"][object]);
        }
        let judged = |review: &Value| in_change(&review.to_string(), |change, _| {
            let found: Found = found(change).into_iter().map(|(rule, action, field)| (rule, action, normalized(&field))).collect();
            let operations: BTreeSet<_> = engine::mutate(RULES, change).operations.into_iter()
                .map(|operation| (normalized(&operation.field.to_string()), operation.value.to_json().into_owned())).collect();
            (found, operations)
        });
        prop_assert_eq!(judged(&wire), judged(&documented));
    }

    /// The order of keys does not change the findings or the mutations.
    #[test]
    fn the_order_of_keys_does_not_matter(update in update(), seed in any::<u64>()) {
        check_order_of_keys(&update.text, &update.sent, seed);
    }

    /// An error is a property of the new object alone: the old object can only downgrade it.
    #[test]
    fn the_old_object_only_downgrades_errors(update in update()) {
        check_old_object(&update.text);
    }
}

/// Whether metadata and spec are unchanged, as the API server stores them in a status update.
fn is_same_outside_status(review: &Value) -> bool {
    let [new, old] = ["object", "oldObject"].map(|object| &review["request"][object]);
    ["metadata", "spec"].into_iter().all(|part| new[part] == old[part])
}

/// Returns the captured status updates that use only the wire's spelling.
fn wire_updates() -> Vec<&'static Captured> {
    let is_wire = |captured: &&Captured| !captured.text.contains("CVECount") && !captured.text.contains("metadataURL");
    updates().into_iter().filter(is_wire).collect()
}

/// Edits of a status that use only the wire's spelling.
fn wire_edits() -> impl Strategy<Value = Vec<Edit>> {
    status_edits(4).prop_map(|mut edits| {
        edits.retain(|(field, _)| {
            let name = field.rsplit('/').next().unwrap_or_default();
            !field.contains("CVECount") && name != "metadataURL" && !DOCUMENTED_COUNTS.contains(&name)
        });
        edits
    })
}

/// Changes a status from the wire's spelling to that of the vendor's documentation.
fn respell(object: &mut Value) {
    let Some(status) = object["status"].as_object_mut() else { return };
    if let Some(mut counts) = status.remove("cveCount") {
        if let Some(members) = counts.as_object_mut() {
            for (wire, documented) in WIRE_COUNTS.iter().zip(DOCUMENTED_COUNTS) {
                members.remove(*wire).map(|count| members.insert((*documented).to_owned(), count));
            }
        }
        status.insert("CVECount".to_owned(), counts);
    }
    status.remove("metadataUrl").map(|url| status.insert("metadataURL".to_owned(), url));
}

/// Returns the path in a form that is the same for both spellings.
fn normalized(field: &str) -> String {
    field.replace("CVETOTAL", "total").to_lowercase()
}

/// One kind of damage to the bytes of a body.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Flip(Vec<(Index, u8)>),
    Insert(Index, &'static [u8]),
    Remove(Index, usize),
}

/// Pieces that change where a string, an object or a character ends.
const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"\n",
    b"\0",
    b"1e999",
    b"null",
    b"\"uid\"",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\"\\ud800\"",
    b"\xef\xbb\xbf",
    b"\"request\":",
];

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        index().prop_map(Damage::Cut),
        proptest::collection::vec((index(), 0..8_u8), 1..8).prop_map(Damage::Flip),
        (index(), select(PIECES)).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        (index(), 1_usize..8).prop_map(|(at, count)| Damage::Remove(at, count)),
    ]
}

impl Damage {
    /// Damages the bytes and returns the position of the first change.
    fn apply(&self, body: &mut Vec<u8>) -> usize {
        match self {
            Damage::Cut(at) => {
                let at = at.index(body.len());
                body.truncate(at);
                at
            }
            Damage::Flip(bits) => bits
                .iter()
                .map(|(at, bit)| {
                    let at = at.index(body.len());
                    body[at] ^= 1 << bit;
                    at
                })
                .min()
                .unwrap_or(0),
            Damage::Insert(at, piece) => {
                let at = at.index(body.len());
                body.splice(at..at, piece.iter().copied());
                at
            }
            Damage::Remove(at, count) => {
                let at = at.index(body.len());
                body.drain(at..(at + count).min(body.len()));
                at
            }
        }
    }
}

/// Pieces of reviews in any order, and any bytes.
fn random_pieces() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] = &[
        r#"{"request":{"uid":"1","#,
        r#""object":{"#,
        r#""status":{"#,
        r#""conditions":[{"#,
        r#""cveCount":{"#,
        r#""kind":"AdmissionReview","#,
        r#""apiVersion":"admission.k8s.io/v1","#,
        r#""operation":"UPDATE","#,
        "null,",
        "0",
        "}",
        "}}",
        "]",
        ",",
        r#""type":"Scanning""#,
    ];
    let piece = prop_oneof![
        4 => select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        2 => select(PIECES).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}
