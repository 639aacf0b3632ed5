//! Tests of the mutations of conditions: times, and the reasons and messages that §2 fixes.

use serde_json::{Value, json};

use super::{check_writes, mutate, with_status};
use crate::findings::found;
use crate::support::review_context::NOW;
use crate::support::reviews::review;

const TYPES: [&str; 5] = ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded", "example.com/Signed"];
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];
const OLD_TIME: &str = "2026-11-20T08:01:00Z";

/// The absent values of a string: no member, null, and "".
fn absent_values() -> [Option<Value>; 3] {
    [None, Some(json!(null)), Some(json!(""))]
}

/// Returns the entry with `value` in place of this member, or without the member.
fn without(mut entry: Value, member: &str, value: Option<Value>) -> Value {
    entry.as_object_mut().unwrap().remove(member);
    entry.as_object_mut().unwrap().extend(value.map(|value| (member.to_owned(), value)));
    entry
}

/// Returns a complete entry by §2. Where §2 does not fix the reason or the message, any text is used.
pub fn entry(name: &str, status: &str) -> Value {
    let (reason, message) = row(name, status);
    json!({
        "type": name,
        "status": status,
        "reason": reason.unwrap_or("Because"),
        "message": message.unwrap_or("Policy violated because of 7 CVEs"),
        "lastTransitionTime": OLD_TIME,
        "note": "kept",
    })
}

/// The reason and the message of §2, where §2 has exactly one for the status.
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

/// Returns a status with a phase, so that the phase is not mutated.
fn status(conditions: Value) -> Value {
    json!({"phase": "Scanning", "conditions": conditions})
}

/// "absent `lastTransitionTime` := the old one if the status is unchanged, else now (UTC, whole seconds)".
#[test]
fn a_missing_time_is_the_old_one_or_now() {
    for name in TYPES {
        for (is, was) in STATUSES.into_iter().flat_map(|is| STATUSES.map(|was| (is, was))) {
            for (old, due) in [
                (json!([entry(name, was)]), if is == was { OLD_TIME } else { NOW }),
                // The first of two entries counts.
                (json!([entry(name, was), entry(name, is)]), if is == was { OLD_TIME } else { NOW }),
                // An entry of another type does not count.
                (json!([without(entry(name, is), "type", Some(json!("Other")))]), NOW),
                (json!([without(entry(name, was), "lastTransitionTime", None)]), NOW),
                (json!([without(entry(name, was), "lastTransitionTime", Some(json!("soon")))]), NOW),
                (json!([null, 7, {"type": 7}]), NOW),
                (json!(null), NOW),
            ] {
                for absent in absent_values() {
                    let new = without(entry(name, is), "lastTransitionTime", absent);
                    let mutated = mutate(status(json!([{"a": 1}, new])), status(old.clone()));
                    let path = |index: usize| format!("/status/conditions/{index}/lastTransitionTime");
                    // The entry without any known member lacks a time too.
                    let mut expected = vec![(path(0), json!(NOW)), (path(1), json!(due))];
                    // The old entry lacked its time too, so that error is downgraded. An error of the completed entry
                    // would be new, so its time is not filled in.
                    if old[0]["lastTransitionTime"].is_null() && old[0]["type"] == name && is_wrong(name, is) {
                        expected.pop();
                    }
                    check_writes(&mutated, expected);
                    assert_eq!(mutated.object["status"]["conditions"][1]["note"], "kept");
                }
            }
        }
    }
}

/// Whether an entry contradicts its row: two types have no row for Unknown, and one has another message.
fn is_wrong(name: &str, status: &str) -> bool {
    matches!(name, "Scanning" | "Succeeded" | "PolicySucceeded") && status == "Unknown"
}

/// "The old one if the status is unchanged", also with a malformed status and with an old time in the future.
#[test]
fn a_missing_time_is_the_old_one_in_a_malformed_entry_too() {
    for (name, wrong) in TYPES.into_iter().flat_map(|name| {
        [json!("Maybe"), json!("true"), json!(true), json!(7), json!([1]), json!({"a": 1})].map(|wrong| (name, wrong))
    }) {
        let with = |status: &Value| without(entry(name, "True"), "status", Some(status.clone()));
        let new = without(with(&wrong), "lastTransitionTime", None);
        for (old, due) in [(with(&wrong), OLD_TIME), (with(&json!("False")), NOW), (with(&json!("wrong too")), NOW)] {
            let mutated = mutate(status(json!([new])), status(json!([old])));
            check_writes(&mutated, vec![("/status/conditions/0/lastTransitionTime".to_owned(), json!(due))]);
        }
    }
    // An old time in the future is restored, and is no new finding.
    let future = "2099-11-20T08:01:00Z";
    for (name, is) in TYPES.into_iter().flat_map(|name| STATUSES.map(|is| (name, is))) {
        let old = without(entry(name, is), "lastTransitionTime", Some(json!(future)));
        let (new, old) = (status(json!([without(old.clone(), "lastTransitionTime", None)])), status(json!([old])));
        let mutated = mutate(new, old.clone());
        check_writes(&mutated, vec![("/status/conditions/0/lastTransitionTime".to_owned(), json!(future))]);
        let found = found(&review(&mutated.object, Some(&with_status(old))));
        assert_eq!(found.of("transition-time"), [[""; 0], [""; 0]], "{name} {is}");
    }
}

#[test]
fn present_times_and_malformed_lists_are_left_alone() {
    for time in [json!(OLD_TIME), json!("soon"), json!(7), json!({}), json!("2062-11-20T08:01:00+02:00")] {
        let new = without(entry("Scanning", "True"), "lastTransitionTime", Some(time));
        check_writes(&mutate(status(json!([new])), status(json!([entry("Scanning", "True")]))), vec![]);
    }
    for conditions in [json!([null, 7, "Scanning", []]), json!({"Scanning": "True"}), json!("none"), json!(null)] {
        check_writes(&mutate(status(conditions), json!(null)), vec![]);
    }
}

/// "An entry of an unknown type is mutated like any other", and so is the second of a type.
#[test]
fn two_entries_of_one_type_are_mutated_independently() {
    let bare = |status| without(entry("Scanning", status), "lastTransitionTime", None);
    let mutated = mutate(status(json!([bare("True"), bare("False")])), status(json!([entry("Scanning", "True")])));
    let path = |index: usize| format!("/status/conditions/{index}/lastTransitionTime");
    check_writes(&mutated, vec![(path(0), json!(OLD_TIME)), (path(1), json!(NOW))]);
}

/// "absent reason := the row's, where §2 has exactly one for that status; absent message := the row's, where it is
/// fixed (never the one with X)".
#[test]
fn a_missing_reason_or_message_is_that_of_the_row() {
    for (name, is) in TYPES.into_iter().flat_map(|name| STATUSES.map(|is| (name, is))) {
        let (reason, message) = row(name, is);
        for member in ["reason", "message"] {
            let due = if member == "reason" { reason } else { message };
            for absent in absent_values() {
                let new = without(entry(name, is), member, absent);
                let path = format!("/status/conditions/0/{member}");
                let expected = due.map(|due| (path, json!(due)));
                check_writes(&mutate(status(json!([new])), json!(null)), expected.into_iter().collect());
            }
        }
    }
}

/// "Each on its own, whatever else is wrong in the entry", and no present member is overwritten.
#[test]
fn a_reason_or_message_is_filled_in_whatever_else_is_wrong() {
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
            let mut new = json!({"type": name, "status": is, "lastTransitionTime": OLD_TIME});
            new[member] = value;
            let due = |of: &str, due: Option<&str>| {
                due.filter(|_| member != of).map(|due| (format!("/status/conditions/0/{of}"), json!(due)))
            };
            let expected = [due("reason", reason), due("message", message)];
            check_writes(&mutate(status(json!([new])), json!(null)), expected.into_iter().flatten().collect());
        }
    }
    // An invalid status has no row.
    for wrong in [json!("true"), json!(true), json!(null), json!("")] {
        let new = json!({"type": "Scanning", "status": wrong, "lastTransitionTime": OLD_TIME});
        check_writes(&mutate(status(json!([new])), json!(null)), vec![]);
    }
}
