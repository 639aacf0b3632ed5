//! The mutations of conditions: times, and the words that §2 fixes.

use serde_json::{Value, json};

use super::{mutate, with_status, writes};
use crate::findings::found;
use crate::support::review_context::NOW;
use crate::support::reviews::review;

const TYPES: [&str; 5] = ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded", "example.com/Signed"];
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];
const THEN: &str = "2026-11-20T08:01:00Z";

/// The ways to say nothing: without the member, null, and "".
fn nothing() -> [Option<Value>; 3] {
    [None, Some(json!(null)), Some(json!(""))]
}

/// An entry without this member, in one of the ways to say nothing.
fn without(mut entry: Value, member: &str, nothing: Option<Value>) -> Value {
    entry.as_object_mut().unwrap().remove(member);
    entry.as_object_mut().unwrap().extend(nothing.map(|nothing| (member.to_owned(), nothing)));
    entry
}

/// A whole entry by §2, with messages where they are fixed.
pub fn entry(name: &str, status: &str) -> Value {
    let (reason, message) = row(name, status);
    json!({
        "type": name,
        "status": status,
        "reason": reason.unwrap_or("Because"),
        "message": message.unwrap_or("Policy violated because of 7 CVEs"),
        "lastTransitionTime": THEN,
        "note": "kept",
    })
}

/// §2: the reason, and the message where there is exactly one.
fn row(name: &str, status: &str) -> (Option<&'static str>, Option<&'static str>) {
    match (name, status) {
        ("Scanning", "True") => (Some("JobStarted"), Some("The scan job is running")),
        ("Scanning", "False") => (Some("JobFinished"), Some("The scan job terminated")),
        ("Succeeded", "True") => (Some("JobFinished"), None),
        ("Succeeded", "False") => (Some("Error"), None),
        ("PolicySucceeded", "True") => (Some("EvaluationPassed"), Some("No CVEs were found that violated the policy")),
        ("PolicySucceeded", "False") => (Some("EvaluationFailed"), None),
        ("PolicySucceeded", "Unknown") => (Some("Error"), None),
        _ => (None, None),
    }
}

/// A phase keeps that mutation out of the way; this one is not derived.
fn status(conditions: Value) -> Value {
    json!({"phase": "Scanning", "conditions": conditions})
}

/// "absent `lastTransitionTime` := the old one if the status is unchanged, else now (UTC, whole seconds)".
#[test]
fn a_missing_time_is_the_old_one_or_now() {
    for name in TYPES {
        for (is, was) in STATUSES.into_iter().flat_map(|is| STATUSES.map(|was| (is, was))) {
            for (old, due) in [
                (json!([entry(name, was)]), if is == was { THEN } else { NOW }),
                // Of two the first counts.
                (json!([entry(name, was), entry(name, is)]), if is == was { THEN } else { NOW }),
                // Another type has no part in it.
                (json!([without(entry(name, is), "type", Some(json!("Other")))]), NOW),
                (json!([without(entry(name, was), "lastTransitionTime", None)]), NOW),
                (json!([without(entry(name, was), "lastTransitionTime", Some(json!("soon")))]), NOW),
                (json!([null, 7, {"type": 7}]), NOW),
                (json!(null), NOW),
            ] {
                for nothing in nothing() {
                    let new = without(entry(name, is), "lastTransitionTime", nothing);
                    let mutated = mutate(status(json!([{"a": 1}, new])), status(old.clone()));
                    let path = |index: usize| format!("/status/conditions/{index}/lastTransitionTime");
                    // An entry that is not one of ours in anything has no time either.
                    let mut expected = vec![(path(0), json!(NOW)), (path(1), json!(due))];
                    // The missing time was so before and is excused; what is then found in the whole entry would not be.
                    if old[0]["lastTransitionTime"].is_null() && old[0]["type"] == name && is_wrong(name, is) {
                        expected.pop();
                    }
                    writes(&mutated, expected);
                    assert_eq!(mutated.object["status"]["conditions"][1]["note"], "kept");
                }
            }
        }
    }
}

/// Whether an entry contradicts its row: two types have none for the status, and one another message.
fn is_wrong(name: &str, status: &str) -> bool {
    matches!(name, "Scanning" | "Succeeded" | "PolicySucceeded") && status == "Unknown"
}

/// "The old one if the status is unchanged", whatever the status is and whenever that was.
#[test]
fn a_missing_time_is_the_old_one_also_where_the_entry_is_malformed() {
    for (name, wrong) in TYPES.into_iter().flat_map(|name| {
        [json!("Maybe"), json!("true"), json!(true), json!(7), json!([1]), json!({"a": 1})].map(|wrong| (name, wrong))
    }) {
        let with = |status: &Value| without(entry(name, "True"), "status", Some(status.clone()));
        let new = without(with(&wrong), "lastTransitionTime", None);
        for (old, due) in [(with(&wrong), THEN), (with(&json!("False")), NOW), (with(&json!("wrong too")), NOW)] {
            let mutated = mutate(status(json!([new])), status(json!([old])));
            writes(&mutated, vec![("/status/conditions/0/lastTransitionTime".to_owned(), json!(due))]);
        }
    }
    // A time in the future is no worse than it was.
    let future = "2099-11-20T08:01:00Z";
    for (name, is) in TYPES.into_iter().flat_map(|name| STATUSES.map(|is| (name, is))) {
        let old = without(entry(name, is), "lastTransitionTime", Some(json!(future)));
        let (new, old) = (status(json!([without(old.clone(), "lastTransitionTime", None)])), status(json!([old])));
        let mutated = mutate(new, old.clone());
        writes(&mutated, vec![("/status/conditions/0/lastTransitionTime".to_owned(), json!(future))]);
        let found = found(&review(&mutated.object, Some(&with_status(old))));
        assert_eq!(found.of("transition-time"), [[""; 0], [""; 0]], "{name} {is}");
    }
}

#[test]
fn a_time_that_is_there_and_what_is_no_entry_are_left_alone() {
    for time in [json!(THEN), json!("soon"), json!(7), json!({}), json!("2062-11-20T08:01:00+02:00")] {
        let new = without(entry("Scanning", "True"), "lastTransitionTime", Some(time));
        writes(&mutate(status(json!([new])), status(json!([entry("Scanning", "True")]))), vec![]);
    }
    for conditions in [json!([null, 7, "Scanning", []]), json!({"Scanning": "True"}), json!("none"), json!(null)] {
        writes(&mutate(status(conditions), json!(null)), vec![]);
    }
}

/// "An entry of an unknown type is mutated like any other", and so is the second of a type.
#[test]
fn doubled_entries_are_mutated_each_by_itself() {
    let bare = |status| without(entry("Scanning", status), "lastTransitionTime", None);
    let mutated = mutate(status(json!([bare("True"), bare("False")])), status(json!([entry("Scanning", "True")])));
    let path = |index: usize| format!("/status/conditions/{index}/lastTransitionTime");
    writes(&mutated, vec![(path(0), json!(THEN)), (path(1), json!(NOW))]);
}

/// "absent reason := the row's, where §2 has exactly one for that status; absent message := the row's, where it is fixed
/// (never the one with X)".
#[test]
fn missing_words_are_those_of_the_row() {
    for (name, is) in TYPES.into_iter().flat_map(|name| STATUSES.map(|is| (name, is))) {
        let (reason, message) = row(name, is);
        for member in ["reason", "message"] {
            let due = if member == "reason" { reason } else { message };
            for nothing in nothing() {
                let new = without(entry(name, is), member, nothing);
                let path = format!("/status/conditions/0/{member}");
                let expected = due.map(|due| (path, json!(due)));
                writes(&mutate(status(json!([new])), json!(null)), expected.into_iter().collect());
            }
        }
    }
}

/// "Each on its own, whatever else is wrong in the entry", and nothing that is there is overwritten.
#[test]
fn words_are_mutated_whatever_else_is_wrong_in_the_entry() {
    for (name, is) in TYPES.into_iter().flat_map(|name| STATUSES.map(|is| (name, is))) {
        let (reason, message) = row(name, is);
        for (member, value) in [
            ("reason", json!("no reason")),
            ("reason", json!(7)),
            ("message", json!("Whatever")),
            ("message", json!([])),
            ("error", json!("exit 1")),
            ("error", json!(7)),
            ("lastTransitionTime", json!("soon")),
            ("observedGeneration", json!(-1)),
        ] {
            let mut new = json!({"type": name, "status": is, "lastTransitionTime": THEN});
            new[member] = value;
            let due = |of: &str, due: Option<&str>| {
                due.filter(|_| member != of).map(|due| (format!("/status/conditions/0/{of}"), json!(due)))
            };
            let expected = [due("reason", reason), due("message", message)];
            writes(&mutate(status(json!([new])), json!(null)), expected.into_iter().flatten().collect());
        }
    }
    // A status that is none has no row.
    for wrong in [json!("true"), json!(true), json!(null), json!("")] {
        let new = json!({"type": "Scanning", "status": wrong, "lastTransitionTime": THEN});
        writes(&mutate(status(json!([new])), json!(null)), vec![]);
    }
}
