//! Properties of the answers to all reviews, damaged ones too. Each property is tested with 10,000 random reviews.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use scan_admission::admission::review::{self, Target};
use scan_admission::admission::{self, Webhook, patch};
use scan_admission::engine::{self, Action, Change, Findings, Mutated, Part, PatchOperation};
use scan_admission::rules::RULES;
use scan_admission::scan::Scan;
use serde_json::{Value, json};

use crate::support::review_context::{context, now};
use crate::support::review_edits::{self, Captured, Edit, captured, edited};
use crate::support::reviews;
use crate::support::status_edits::{config, status_edits, updates};

const CASES: u32 = 10_000;

/// Answers a body and checks the properties of every answer. Returns the HTTP status and the JSON of the answer.
fn check_answer(body: &[u8], webhook: Webhook) -> (u16, Value) {
    let answer = admission::answer(body, &context(webhook));
    assert!(answer.body.iter().all(|byte| *byte >= b' '), "more than one line");
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    if answer.http != 200 {
        assert_eq!((&json["kind"], &json["code"]), (&json!("Status"), &json!(answer.http)), "{json}");
        assert!(!answer.is_allowed);
        return (answer.http, json);
    }
    let response = &json["response"];
    assert!(!response["uid"].as_str().unwrap().is_empty());
    assert_eq!(response["allowed"], answer.is_allowed);
    assert!(answer.is_allowed || webhook == Webhook::Validating, "the mutating webhook never denies: {json}");
    assert_eq!(response["status"].is_object(), !answer.is_allowed, "{json}");
    assert_eq!(response["patch"].is_string(), response["patchType"] == "JSONPatch", "{json}");
    assert!(response["patch"].is_null() || webhook == Webhook::Mutating, "{json}");

    let warnings: Vec<&str> =
        response["warnings"].as_array().into_iter().flatten().map(|warning| warning.as_str().unwrap()).collect();
    let runes: Vec<usize> = warnings.iter().map(|warning| warning.chars().count()).collect();
    assert!(warnings.len() <= 17 && runes.iter().all(|count| *count <= 256), "{warnings:?}");
    assert!(runes.iter().sum::<usize>() <= 4096, "{warnings:?}");
    let causes = response["status"]["details"]["causes"].as_array().into_iter().flatten();
    let texts = causes.flat_map(|cause| [&cause["field"], &cause["message"]]).chain([&response["status"]["message"]]);
    for text in texts.filter_map(Value::as_str).chain(warnings) {
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
    }
    for (key, value) in response["auditAnnotations"].as_object().unwrap() {
        assert!(!key.contains('/') && value.is_string(), "{key}");
    }
    (answer.http, json)
}

/// Checks the answers of both webhooks: they have this uid, or the code 400 without a uid.
fn check_answers_with_uid(body: &[u8], uid: Option<&str>) {
    let mut warnings = String::new();
    for webhook in [Webhook::Validating, Webhook::Mutating] {
        let (http, json) = check_answer(body, webhook);
        let texts = json["response"]["warnings"].as_array().into_iter().flatten();
        warnings.extend(texts.filter_map(Value::as_str));
        match uid {
            Some(uid) => {
                assert_eq!((http, &json["response"]["uid"]), (200, &json!(uid)), "{}", String::from_utf8_lossy(body));
            }
            None => assert_eq!(http, 400),
        }
    }
    // The API server's limit is for the warnings of both webhooks together.
    assert!(warnings.chars().count() <= 4096, "{warnings}");
}

type Found = BTreeSet<(&'static str, Action, String)>;

fn found(change: &Change<'_>) -> Found {
    let mut findings = Findings::default();
    engine::validate(RULES, Part::Status, change, &mut findings);
    findings.list().iter().map(|finding| (finding.rule, finding.action, finding.field.to_string())).collect()
}

fn denied(found: &Found) -> BTreeSet<(&'static str, &str)> {
    found.iter().filter(|found| found.1 == Action::Deny).map(|(rule, _, field)| (*rule, field.as_str())).collect()
}

/// Decodes a status update as `answer` does, and calls `then` with its change and its old scan.
fn in_change<T>(text: &str, then: impl FnOnce(&Change<'_>, &Scan<'_>) -> T) -> Option<T> {
    let (review, end) = review::decode(text);
    end.unwrap_or_else(|error| panic!("{error}: {text}"));
    match review.target() {
        Ok(Target::Scan { kind, new, old: Some(old), .. }) => {
            Some(then(&Change::new(kind, new, Some(old), now()), old))
        }
        _ => None,
    }
}

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
        in_change(&update.text, |change, _| {
            let Mutated { scan, operations } = engine::mutate(RULES, change);
            let operations_json: Value = serde_json::from_str(&patch::to_json(&operations)).unwrap();
            if operations.is_empty() {
                assert!(scan.is_none());
                return;
            }
            let mut after = update.sent["request"]["object"].clone();
            operations_json.as_array().unwrap().iter().for_each(|operation| check_operation(operation, &after));
            let operations_json: json_patch::Patch = serde_json::from_value(operations_json).unwrap();
            json_patch::patch(&mut after, &operations_json).unwrap();

            let mut again = update.sent.clone();
            again["request"]["object"] = after;
            let before = found(change);
            in_change(&again.to_string(), |change, _| {
                assert_eq!(engine::mutate(RULES, change).operations, [], "mutated twice: {operations_json}");
                let after = found(change);
                for operation in &operations {
                    let path = operation.field.to_string();
                    let by_type = by_type(&path, &again["request"]["object"]);
                    let is_there = |found: &(&str, Action, String)| found.0 == operation.rule && (found.2 == path || found.2 == by_type);
                    assert!(!after.iter().any(is_there), "{operation:?} leaves {after:?}");
                }
                // Other rules ignore an entry with an error of condition-fields, and judge it once it is repaired.
                let is_whole = denied(&before).iter().all(|(rule, _)| *rule != "condition-fields");
                let is_no_worse = !is_whole || denied(&after).is_subset(&denied(&before));
                assert!(is_no_worse, "{operations_json} changes the findings from {before:?} to {after:?}");
            }).unwrap();
        });
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
        let mut mixed = String::new();
        shuffled(&update.sent, seed, &mut mixed);
        let judged = |text: &str| in_change(text, |change, _| {
            let operations = engine::mutate(RULES, change).operations.into_iter();
            // Old values are quoted as they are written, with their own order of keys.
            (found(change), operations.map(|operation| PatchOperation { old_value: None, ..operation }).collect::<Vec<_>>())
        });
        prop_assert_eq!(judged(&update.text), judged(&mixed));
    }

    /// An error is a property of the new object alone: the old object can only downgrade it.
    #[test]
    fn the_old_object_only_downgrades_errors(update in update()) {
        in_change(&update.text, |change, old| {
            let (with, without) = (found(change), found(&Change::new(change.kind, change.new, None, change.now)));
            assert!(denied(&with).is_subset(&denied(&without)), "{with:?} {without:?}");
            // An old object with any errors may be written unchanged, and may be written after its mutation.
            let unchanged = Change::new(change.kind, old, Some(old), change.now);
            let found_unchanged = found(&unchanged);
                        assert!(denied(&found_unchanged).is_empty(), "{found_unchanged:?}");
            if let Some(mutated) = engine::mutate(RULES, &unchanged).scan {
                            let found_mutated = found(&Change::new(change.kind, &mutated, Some(old), change.now));
                            assert!(denied(&found_mutated).is_empty(), "{found_mutated:?}");
            }
        });
    }
}

/// Checks that an operation adds an absent value or replaces a present value of a derived field whose parent is
/// present. Such a patch cannot change, remove or reorder anything else.
fn check_operation(operation: &Value, object: &Value) {
    let path = operation["path"].as_str().unwrap();
    let there = object.pointer(path).unwrap_or(&Value::Null);
    assert_eq!(operation["op"], if there.is_null() { "add" } else { "replace" }, "{operation}");
    let (parent, name) = path.rsplit_once('/').unwrap();
    assert!(object.pointer(parent).unwrap().is_object(), "{operation}");
    let is_absent = there.is_null() || there == "";
    let is_derived = match parent.split('/').skip(1).collect::<Vec<_>>()[..] {
        ["status"] => ["phase", "scannedAt"].contains(&name) && is_absent,
        ["status", "conditions", _] => ["lastTransitionTime", "reason", "message"].contains(&name) && is_absent,
        ["status", "cveCount" | "CVECount"] => {
            ["total", "CVETOTAL"].contains(&name)
                || there.is_null()
                    && review_edits::WIRE_COUNTS.iter().chain(review_edits::DOCUMENTED_COUNTS).any(|key| *key == name)
        }
        _ => false,
    };
    assert!(is_derived, "{operation}");
    assert_ne!(operation["value"], *there);
}

/// Returns the path with the condition's type in place of its index, if the entry is the first of its type.
fn by_type(path: &str, object: &Value) -> String {
    let Some((index, member)) = path.strip_prefix("status.conditions[").and_then(|rest| rest.split_once(']')) else {
        return path.to_owned();
    };
    let (conditions, index) = (&object["status"]["conditions"].as_array().unwrap(), index.parse::<usize>().unwrap());
    let kind = &conditions[index]["type"];
    if conditions[..index].iter().any(|entry| entry["type"] == *kind) {
        return path.to_owned();
    }
    format!("status.conditions[{}]{member}", kind.as_str().unwrap_or_default())
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
            !field.contains("CVECount") && name != "metadataURL" && !review_edits::DOCUMENTED_COUNTS.contains(&name)
        });
        edits
    })
}

/// Changes a status from the wire's spelling to that of the vendor's documentation.
fn respell(object: &mut Value) {
    let Some(status) = object["status"].as_object_mut() else { return };
    if let Some(mut counts) = status.remove("cveCount") {
        if let Some(members) = counts.as_object_mut() {
            for (wire, documented) in review_edits::WIRE_COUNTS.iter().zip(review_edits::DOCUMENTED_COUNTS) {
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

/// Writes JSON with the keys of each object in an order that depends on the seed.
fn shuffled(value: &Value, seed: u64, into: &mut String) {
    let mut list = |opened: char, closed: char, items: Vec<(Option<&String>, &Value)>| {
        into.push(opened);
        for (number, (key, item)) in items.into_iter().enumerate() {
            into.push_str(if number > 0 { "," } else { "" });
            if let Some(key) = key {
                into.push_str(&format!("{}:", Value::from(key.as_str())));
            }
            shuffled(item, seed, into);
        }
        into.push(closed);
    };
    match value {
        Value::Object(members) => {
            let mut items: Vec<_> = members.iter().map(|(key, item)| (Some(key), item)).collect();
            items.sort_by_cached_key(|(key, _)| {
                let mut hasher = DefaultHasher::new();
                (seed, key).hash(&mut hasher);
                hasher.finish()
            });
            list('{', '}', items);
        }
        Value::Array(entries) => list('[', ']', entries.iter().map(|item| (None, item)).collect()),
        leaf => into.push_str(&leaf.to_string()),
    }
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
