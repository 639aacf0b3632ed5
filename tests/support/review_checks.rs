//! Checks of answers that hold for every review, whatever it contains.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use scan_admission::admission::review::{self, Target};
use scan_admission::admission::{self, Webhook, patch};
use scan_admission::engine::{self, Action, Change, Findings, Mutated, Part, PatchOperation};
use scan_admission::rules::RULES;
use scan_admission::scan::Scan;
use serde_json::{Value, json};

use super::count_names::{DOCUMENTED_COUNTS, WIRE_COUNTS};
use super::review_context::{context, now};

/// Answers a body and checks the properties of every answer. Returns the HTTP status and the JSON of the answer.
pub fn check_answer(body: &[u8], webhook: Webhook) -> (u16, Value) {
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
pub fn check_answers_with_uid(body: &[u8], uid: Option<&str>) {
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

pub type Found = BTreeSet<(&'static str, Action, String)>;

pub fn found(change: &Change<'_>) -> Found {
    let mut findings = Findings::default();
    engine::validate(RULES, Part::Status, change, &mut findings);
    findings.list().iter().map(|finding| (finding.rule, finding.action, finding.field.to_string())).collect()
}

fn denied(found: &Found) -> BTreeSet<(&'static str, &str)> {
    found.iter().filter(|found| found.1 == Action::Deny).map(|(rule, _, field)| (*rule, field.as_str())).collect()
}

/// Decodes a status update as `answer` does, and calls `then` with its change and its old scan.
pub fn in_change<T>(text: &str, then: impl FnOnce(&Change<'_>, &Scan<'_>) -> T) -> Option<T> {
    let (review, end) = review::decode(text);
    end.unwrap_or_else(|error| panic!("{error}: {text}"));
    match review.target() {
        Ok(Target::Scan { kind, new, old: Some(old), .. }) => {
            Some(then(&Change::new(kind, new, Some(old), now()), old))
        }
        _ => None,
    }
}

/// Checks that a patch applies and writes derived fields only, and that afterwards no mutation is left, and its rule has no
/// finding there. `sent` is the review that `text` contains.
pub fn check_mutation(text: &str, sent: &Value) {
    in_change(text, |change, _| {
        let Mutated { scan, operations } = engine::mutate(RULES, change);
        let operations_json: Value = serde_json::from_str(&patch::to_json(&operations)).unwrap();
        if operations.is_empty() {
            assert!(scan.is_none());
            return;
        }
        let mut after = sent["request"]["object"].clone();
        operations_json.as_array().unwrap().iter().for_each(|operation| check_operation(operation, &after));
        let operations_json: json_patch::Patch = serde_json::from_value(operations_json).unwrap();
        json_patch::patch(&mut after, &operations_json).unwrap();

        let mut again = sent.clone();
        again["request"]["object"] = after;
        let before = found(change);
        in_change(&again.to_string(), |change, _| {
            assert_eq!(engine::mutate(RULES, change).operations, [], "mutated twice: {operations_json}");
            let after = found(change);
            for operation in &operations {
                let path = operation.field.to_string();
                let by_type = by_type(&path, &again["request"]["object"]);
                let is_there = |found: &(&str, Action, String)| {
                    found.0 == operation.rule && (found.2 == path || found.2 == by_type)
                };
                assert!(!after.iter().any(is_there), "{operation:?} leaves {after:?}");
            }
            // Other rules ignore an entry with an error of condition-fields, and judge it once it is repaired.
            let is_whole = denied(&before).iter().all(|(rule, _)| *rule != "condition-fields");
            let is_no_worse = !is_whole || denied(&after).is_subset(&denied(&before));
            assert!(is_no_worse, "{operations_json} changes the findings from {before:?} to {after:?}");
        })
        .unwrap();
    });
}

/// Checks that the order of keys does not change the findings or the mutations.
pub fn check_order_of_keys(text: &str, sent: &Value, seed: u64) {
    let mut mixed = String::new();
    shuffled(sent, seed, &mut mixed);
    assert_eq!(judged(text), judged(&mixed), "{text}\n{mixed}");
}

/// Returns the findings and the mutations of a review.
pub fn judged(text: &str) -> Option<(Found, Vec<PatchOperation>)> {
    in_change(text, |change, _| {
        let operations = engine::mutate(RULES, change).operations.into_iter();
        // Old values are quoted as they are written, with their own order of keys.
        (found(change), operations.map(|operation| PatchOperation { old_value: None, ..operation }).collect())
    })
}

/// Checks that an error is a property of the new object alone: the old object can only downgrade it.
pub fn check_old_object(text: &str) {
    in_change(text, |change, old| {
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
                || there.is_null() && WIRE_COUNTS.iter().chain(DOCUMENTED_COUNTS).any(|key| *key == name)
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
