//! Tests with pairs of statuses: which errors of the new status are the same as in the old status, and which are new.

use scan_admission::admission::{self, Webhook};
use serde_json::{Value, json};

use crate::answers;
use crate::findings::found;
use crate::support::review_context::context;
use crate::support::reviews::{review, scan};

/// The old status has the same error: it is a warning.
const DOWNGRADED: bool = true;
/// The error is new: it is denied.
const DENIED: bool = false;

struct Case {
    title: &'static str,
    old: &'static str,
    new: &'static str,
    rule: &'static str,
    /// The path of the error below the new status.
    path: &'static str,
    is_downgraded: bool,
}

const fn case(
    title: &'static str,
    old: &'static str,
    new: &'static str,
    rule: &'static str,
    path: &'static str,
    is_downgraded: bool,
) -> Case {
    Case { title, old, new, rule, path, is_downgraded }
}

/// "Values are compared as they are read by §2, wrong types as JSON."
const VALUES: &[Case] = &[
    case(
        "another member beside counts that conflict",
        r#"{"cveCount": {"critical": 1}, "CVECount": {"CRITICAL": 2}}"#,
        r#"{"cveCount": {"critical": 1, "negligible": 1}, "CVECount": {"CRITICAL": 2}}"#,
        "spelling-conflict",
        "CVECount",
        DENIED,
    ),
    case(
        "the same text for counts",
        r#"{"cveCount": "none"}"#,
        r#"{"cveCount": "none"}"#,
        "cve-count-values",
        "cveCount",
        DOWNGRADED,
    ),
    case(
        "another text",
        r#"{"cveCount": "none"}"#,
        r#"{"cveCount": "0, all clean"}"#,
        "cve-count-values",
        "cveCount",
        DENIED,
    ),
    case("another number", r#"{"cveCount": 5}"#, r#"{"cveCount": 6}"#, "cve-count-values", "cveCount", DENIED),
    case("a number for a text", r#"{"cveCount": "5"}"#, r#"{"cveCount": 5}"#, "cve-count-values", "cveCount", DENIED),
    case("another list", r#"{"cveCount": [1]}"#, r#"{"cveCount": [2]}"#, "cve-count-values", "cveCount", DENIED),
    case(
        "another boolean in the documented spelling",
        r#"{"CVECount": true}"#,
        r#"{"CVECount": false}"#,
        "cve-count-values",
        "CVECount",
        DENIED,
    ),
    case(
        "another count in quotes",
        r#"{"cveCount": {"low": "1"}}"#,
        r#"{"cveCount": {"low": "2"}}"#,
        "cve-count-values",
        "cveCount.low",
        DENIED,
    ),
    case(
        "a count in quotes beside another that changes",
        r#"{"cveCount": {"low": "1", "high": 1}}"#,
        r#"{"cveCount": {"low": "1", "high": 2}}"#,
        "cve-count-values",
        "cveCount.low",
        DOWNGRADED,
    ),
    case(
        "a count in quotes beside an added null",
        r#"{"cveCount": {"low": "1"}}"#,
        r#"{"cveCount": {"low": "1", "high": null}}"#,
        "cve-count-values",
        "cveCount.low",
        DOWNGRADED,
    ),
    case(
        "a total that is wrong beside an added null",
        r#"{"cveCount": {"low": 1, "total": 2}}"#,
        r#"{"cveCount": {"low": 1, "total": 2, "high": null}}"#,
        "cve-total",
        "cveCount.total",
        DOWNGRADED,
    ),
    case(
        "a total that is wrong in another way",
        r#"{"cveCount": {"low": 1, "total": 2}}"#,
        r#"{"cveCount": {"low": 1, "total": 3}}"#,
        "cve-total",
        "cveCount.total",
        DENIED,
    ),
    case(
        "a sum that overflows after a text for counts",
        r#"{"cveCount": "none"}"#,
        r#"{"cveCount": {"low": 9223372036854775807, "high": 1}}"#,
        "cve-count-values",
        "cveCount",
        DENIED,
    ),
    case(
        "a sum that overflows beside an added null",
        r#"{"cveCount": {"low": 9223372036854775807, "high": 1}}"#,
        r#"{"cveCount": {"low": 9223372036854775807, "high": 1, "medium": null}}"#,
        "cve-count-values",
        "cveCount",
        DOWNGRADED,
    ),
    case("another phase that is a number", r#"{"phase": 1}"#, r#"{"phase": 2}"#, "phase-unknown", "phase", DENIED),
    case(
        "a phase that is an object, with another order of keys",
        r#"{"phase": {"a": 1, "b": [2]}}"#,
        r#"{"phase": { "b": [ 2 ], "a": 1 }}"#,
        "phase-unknown",
        "phase",
        DOWNGRADED,
    ),
    case(
        "an unknown phase, written with an escape",
        r#"{"phase": "Done"}"#,
        r#"{"phase": "D\u006fne"}"#,
        "phase-unknown",
        "phase",
        DOWNGRADED,
    ),
    case("another unknown phase", r#"{"phase": "Done"}"#, r#"{"phase": "done"}"#, "phase-unknown", "phase", DENIED),
    case(
        "other conditions that are a text",
        r#"{"conditions": "a"}"#,
        r#"{"conditions": "b"}"#,
        "status-shape",
        "conditions",
        DENIED,
    ),
    case(
        "another artifact that is a text",
        r#"{"artifact": "a"}"#,
        r#"{"artifact": "b"}"#,
        "status-shape",
        "artifact",
        DENIED,
    ),
    case(
        "another source URL that is a number",
        r#"{"artifact": {"blob": {"url": 1}}}"#,
        r#"{"artifact": {"blob": {"url": 2}}}"#,
        "status-shape",
        "artifact.blob.url",
        DENIED,
    ),
    case(
        "a source URL that is a number, beside a revision that changes",
        r#"{"artifact": {"blob": {"url": 1, "revision": "a"}}}"#,
        r#"{"artifact": {"blob": {"url": 1, "revision": "b"}}}"#,
        "status-shape",
        "artifact.blob.url",
        DOWNGRADED,
    ),
    case(
        "another metadata URL that is a number",
        r#"{"metadataUrl": 1}"#,
        r#"{"metadataUrl": 2}"#,
        "metadata-url",
        "metadataUrl",
        DENIED,
    ),
    case(
        "another scanner that is a text",
        r#"{"scannedBy": "a"}"#,
        r#"{"scannedBy": "b"}"#,
        "scanned-by",
        "scannedBy",
        DENIED,
    ),
    case(
        "another time that is a number",
        r#"{"scannedAt": 1}"#,
        r#"{"scannedAt": 2}"#,
        "scanned-at",
        "scannedAt",
        DENIED,
    ),
    case(
        "another generation in quotes",
        r#"{"observedGeneration": "1"}"#,
        r#"{"observedGeneration": "2"}"#,
        "observed-generation",
        "observedGeneration",
        DENIED,
    ),
];

/// "an entry named by its index is the same entry where its JSON, less what our mutations filled in, is the same"
const ENTRIES: &[Case] = &[
    case(
        "a malformed PolicySucceeded that is removed",
        r#"{"phase": "Failed", "conditions": [{"type": "PolicySucceeded", "status": "false", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"phase": "Failed", "conditions": []}"#,
        "phase-disagrees",
        "phase",
        DOWNGRADED,
    ),
    case(
        "a PolicySucceeded that is removed",
        r#"{"phase": "Failed", "conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "lastTransitionTime": "2026-11-20T08:01:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"phase": "Failed", "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        "phase-disagrees",
        "phase",
        DENIED,
    ),
    case(
        "a valid entry is added before a malformed one",
        r#"{"conditions": [{"status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"conditions": [
            {"type": "Other", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"},
            {"status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}
        ]}"#,
        "condition-fields",
        "conditions[1].type",
        DOWNGRADED,
    ),
    case(
        "the first of two malformed entries is gone",
        r#"{"conditions": [7, {"status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"conditions": [{"status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        "condition-fields",
        "conditions[0].type",
        DOWNGRADED,
    ),
    case(
        "a null is added before a malformed entry",
        r#"{"conditions": [7]}"#,
        r#"{"conditions": [null, 7]}"#,
        "condition-fields",
        "conditions[1]",
        DOWNGRADED,
    ),
    case(
        "another number for an entry",
        r#"{"conditions": [7]}"#,
        r#"{"conditions": [8]}"#,
        "condition-fields",
        "conditions[0]",
        DENIED,
    ),
    case(
        "a second entry that is a number is added",
        r#"{"conditions": [7]}"#,
        r#"{"conditions": [7, 8]}"#,
        "condition-fields",
        "conditions[1]",
        DENIED,
    ),
    case(
        "a malformed entry with another status",
        r#"{"conditions": [{"status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"conditions": [{"status": "False", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        "condition-fields",
        "conditions[0].type",
        DENIED,
    ),
    case(
        "a malformed time in an entry without a type that had none",
        r#"{"conditions": [{"status": "True", "reason": "R"}]}"#,
        r#"{"conditions": [{"status": "True", "reason": "R", "lastTransitionTime": "yesterday"}]}"#,
        "condition-fields",
        "conditions[0].lastTransitionTime",
        DENIED,
    ),
    case(
        "no time in an entry without a type that had a malformed one",
        r#"{"conditions": [{"status": "True", "reason": "R", "lastTransitionTime": "yesterday"}]}"#,
        r#"{"conditions": [{"status": "True", "reason": "R"}]}"#,
        "condition-fields",
        "conditions[0].lastTransitionTime",
        DENIED,
    ),
    case(
        "a malformed entry whose time is filled in",
        r#"{"conditions": [{"status": "True", "reason": "R"}]}"#,
        r#"{"conditions": [{"status": "True", "reason": "R", "lastTransitionTime": "2026-11-24T12:00:00Z"}]}"#,
        "condition-fields",
        "conditions[0].type",
        DOWNGRADED,
    ),
    case(
        "a malformed entry that lacks the time that was filled in",
        r#"{"conditions": [{"status": "True", "reason": "R", "lastTransitionTime": "2026-11-24T12:00:00Z"}]}"#,
        r#"{"conditions": [{"status": "True", "reason": "R"}]}"#,
        "condition-fields",
        "conditions[0].type",
        DOWNGRADED,
    ),
    case(
        "an entry without a time beside one with the same members and a time",
        r#"{"conditions": [
            {"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "bad"},
            {"type": "Succeeded", "status": "True", "reason": "JobFinished"}
        ]}"#,
        r#"{"conditions": [
            {"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:01:00Z"},
            {"type": "Succeeded", "status": "True", "reason": "JobFinished"}
        ]}"#,
        "condition-fields",
        "conditions[1].lastTransitionTime",
        DOWNGRADED,
    ),
    case(
        "a valid entry is added before two of one type",
        r#"{"conditions": [
            {"type": "Other", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"},
            {"type": "Other", "status": "False", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}
        ]}"#,
        r#"{"conditions": [
            {"type": "Another", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"},
            {"type": "Other", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"},
            {"type": "Other", "status": "False", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}
        ]}"#,
        "condition-duplicate",
        "conditions[2].type",
        DOWNGRADED,
    ),
    case(
        "two of another type",
        r#"{"conditions": [
            {"type": "Other", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"},
            {"type": "Other", "status": "False", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}
        ]}"#,
        r#"{"conditions": [
            {"type": "Another", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"},
            {"type": "Another", "status": "False", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}
        ]}"#,
        "condition-duplicate",
        "conditions[1].type",
        DENIED,
    ),
    case(
        "an absent status that becomes an empty string",
        r#"{"conditions": [{"type": "Other", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"conditions": [{"type": "Other", "status": "", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        "condition-fields",
        "conditions[Other].status",
        DOWNGRADED,
    ),
    case(
        "an empty status that becomes null",
        r#"{"conditions": [{"type": "Other", "status": "", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"conditions": [{"type": "Other", "status": null, "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        "condition-fields",
        "conditions[Other].status",
        DOWNGRADED,
    ),
    case(
        "an absent status that becomes wrong",
        r#"{"conditions": [{"type": "Other", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"conditions": [{"type": "Other", "status": "true", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        "condition-fields",
        "conditions[Other].status",
        DENIED,
    ),
    case(
        "a malformed status with another JSON type",
        r#"{"conditions": [{"type": "Other", "status": 1, "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"conditions": [{"type": "Other", "status": true, "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        "condition-fields",
        "conditions[Other].status",
        DENIED,
    ),
    case(
        "a condition is added beside a malformed one, which changes",
        r#"{"conditions": [{"type": "Other", "status": "true", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}"#,
        r#"{"conditions": [
            {"type": "Another", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"},
            {"type": "Other", "status": "true", "reason": "R2", "lastTransitionTime": "2026-11-20T08:03:00Z"}
        ]}"#,
        "condition-fields",
        "conditions[Other].status",
        DOWNGRADED,
    ),
];

#[test]
fn each_case_is_downgraded_or_denied() {
    for Case { title, old, new, rule, path, is_downgraded } in VALUES.iter().chain(ENTRIES) {
        let path = format!("status.{path}");
        let [old, new] = [old, new].map(|status| scan(&format!(r#"{{"status": {status}}}"#)));
        assert!(found(&review(&new, None)).has_denied(rule, &path), "{title}: {:?}", found(&review(&new, None)));
        let found = found(&review(&new, Some(&old)));
        let has = (found.has_warned(rule, &path), found.has_denied(rule, &path));
        assert_eq!(has, (*is_downgraded, !is_downgraded), "{title}: {found:?}");
    }
}

fn condition(name: &str, status: &str) -> Value {
    let (reason, message) = match (name, status) {
        ("Scanning", "True") => ("JobStarted", "The scan job is running"),
        ("Scanning", _) => ("JobFinished", "The scan job terminated"),
        ("Succeeded", "True") => ("JobFinished", "The scan job finished"),
        ("PolicySucceeded", "True") => ("EvaluationPassed", "No CVEs were found that violated the policy"),
        ("PolicySucceeded", "False") => ("EvaluationFailed", "Policy violated because of 2 CVEs"),
        _ => ("Error", "An error has occurred"),
    };
    json!({"type": name, "status": status, "reason": reason, "message": message, "error": if reason == "Error" { "exit 1" } else { "" },
        "lastTransitionTime": "2026-11-20T08:01:00Z"})
}

/// Returns a status with conditions in the letters of §4, such as `s=True u=False`; a missing letter is an absent
/// condition.
fn status(phase: &str, conditions: &str) -> Value {
    let entry = |part: &str| {
        let (letter, status) = part.split_once('=').unwrap();
        let name = match letter {
            "s" => "Scanning",
            "u" => "Succeeded",
            _ => "PolicySucceeded",
        };
        condition(name, status)
    };
    json!({"phase": phase, "conditions": conditions.split_whitespace().map(entry).collect::<Vec<_>>()})
}

/// "in the same way (the same row of a table)": an old error of one row does not downgrade an error of another row.
#[test]
fn another_row_of_phase_disagrees_is_another_error() {
    for (phase, old, new, is_downgraded) in [
        ("Completed", "u=False", "u=False", DOWNGRADED),
        ("Completed", "u=False p=False", "u=False p=False", DOWNGRADED),
        // The old error is of u, the new one of p.
        ("Completed", "u=False p=True", "u=True p=False", DENIED),
        ("Completed", "u=True p=False", "u=False p=False", DENIED),
        ("Completed", "u=True p=False", "u=True p=Unknown", DENIED),
        ("Completed", "s=True u=True p=False", "s=False u=True p=False", DOWNGRADED),
        ("Completed", "s=False u=True p=False", "s=True u=True p=False", DENIED),
        ("Completed", "u=False p=False", "u=True p=False", DOWNGRADED),
        ("Completed", "u=False", "u=Unknown", DENIED),
        ("Failed", "u=True", "u=True", DOWNGRADED),
        ("Failed", "u=False p=False", "u=True", DENIED),
        ("Failed", "u=True", "u=False p=False", DENIED),
        ("Failed", "u=True p=True", "u=True p=Unknown", DENIED),
        ("Failed", "u=True p=True", "u=True", DENIED),
        ("Failed", "u=False", "u=False p=False", DOWNGRADED),
        ("Error", "u=True p=True", "s=True", DENIED),
        ("Error", "u=True p=True", "u=True p=True", DOWNGRADED),
        ("Error", "u=True p=True", "u=True p=False", DENIED),
        ("Pending", "s=True", "s=True", DOWNGRADED),
    ] {
        let of = |conditions| scan(&json!({"status": status(phase, conditions)}).to_string());
        let (rule, path) = ("phase-disagrees", "status.phase");
        let case = format!("{phase}: {old} -> {new}");
        for old in [old, new] {
            assert!(found(&review(&of(old), None)).has_denied(rule, path) || phase == "Pending", "{case}");
        }
        assert_eq!(found(&review(&of(new), Some(&of(old)))).has_denied(rule, path), !is_downgraded, "{case}");
    }
    // Another phase is another row, even where it disagrees with the same condition.
    let of = |phase| scan(&json!({"status": status(phase, "u=False")}).to_string());
    assert!(found(&review(&of("Failed"), Some(&of("Completed")))).has_denied("phase-disagrees", "status.phase"));
}

/// The three rows of errors of compliant-artifact.
#[test]
fn another_row_of_compliant_artifact_is_another_error() {
    let of = |phase: &str, conditions: &str| {
        let mut status = status(phase, conditions);
        status["compliantArtifact"] = json!({"blob": {"url": "https://example.com/code.tar.gz"}});
        status["artifact"] = status["compliantArtifact"].clone();
        scan(&json!({"status": status, "spec": {"scanPolicy": "p"}}).to_string())
    };
    let (failed, denied, unjudged) =
        (of("Failed", "u=True"), of("Scanning", "u=True p=False"), of("Completed", "u=True"));
    let (rule, path) = ("compliant-artifact", "status.compliantArtifact");
    for new in [&failed, &denied, &unjudged] {
        for old in [&failed, &denied, &unjudged] {
            assert_eq!(found(&review(new, Some(old))).has_denied(rule, path), new != old, "{old} -> {new}");
        }
    }
}

/// "One old bad object must never freeze its controller": it may also be written unchanged after the mutating webhook's
/// patch.
#[test]
fn an_unchanged_object_is_not_denied_after_its_mutation() {
    for Case { title, new, .. } in VALUES.iter().chain(ENTRIES) {
        let object = scan(&format!(r#"{{"status": {new}}}"#));
        let (_, body) = answers::answer(&review(&object, Some(&object)), Webhook::Mutating);
        let mutated = answers::patched(&object, &body);
        assert_eq!(found(&review(&mutated, Some(&object))).denied, [].into(), "{title}: {mutated}");
    }
}

/// "null … count as absent": an added null beside an old conflict does not make the conflict a new error.
#[test]
fn an_added_null_is_not_a_change() {
    let old = scan(r#"{"status": {"cveCount": {"critical": 1}, "CVECount": {"CRITICAL": 2}}}"#);
    for (container, key) in [("cveCount", "negligible"), ("cveCount", "low"), ("CVECount", "total")] {
        let mut new = old.clone();
        new["status"][container][key] = Value::Null;
        let found = found(&review(&new, Some(&old)));
        assert!(
            found.denied.is_empty() && found.has_warned("spelling-conflict", "status.CVECount"),
            "{key}: {found:?}"
        );
    }
}

/// Returns the causes and the warnings of the validating webhook's answer.
fn messages(object: &Value, old: Option<&Value>) -> Vec<String> {
    let (_, body) = answers::answer(&review(object, old), Webhook::Validating);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let causes = list(&body["response"]["status"]["details"]["causes"]);
    let causes = causes.iter().map(|cause| format!("{}: {}", cause["field"], cause["message"]));
    causes.chain(list(&body["response"]["warnings"]).iter().map(Value::to_string)).collect()
}

/// "null and, for strings, "" count as absent": a number that is "" is of a wrong type and not absent.
#[test]
fn an_empty_string_is_a_wrong_type_for_a_number() {
    for generation in
        [json!({"observedGeneration": ""}), json!({"cveCount": {"low": ""}}), json!({"cveCount": {"total": ""}})]
    {
        let messages = messages(&scan(&json!({"status": generation}).to_string()), None);
        assert!(messages.iter().any(|message| message.contains(r#"\"\""#)), "{generation}: {messages:?}");
        assert!(messages.iter().all(|message| !message.contains("absent")), "{generation}: {messages:?}");
    }
}

/// "by index, … as every entry of a type that comes twice is", also the first entry.
#[test]
fn two_entries_of_one_type_are_named_by_their_indexes() {
    let mut wrong = condition("Succeeded", "True");
    wrong["error"] = json!("exit 1");
    let object = |entries: Value| scan(&json!({"status": {"phase": "Scanning", "conditions": entries}}).to_string());
    let doubled = found(&review(&object(json!([wrong, condition("Succeeded", "True")])), None));
    assert!(doubled.has_denied("condition-duplicate", "status.conditions[1].type"), "{doubled:?}");
    assert!(doubled.has_denied("succeeded-vocabulary", "status.conditions[0].error"), "{doubled:?}");
    let single = found(&review(&object(json!([wrong])), None));
    assert!(single.has_denied("succeeded-vocabulary", "status.conditions[Succeeded].error"), "{single:?}");
}

/// An absent value conflicts with nothing; a value of a wrong type may conflict with the other spelling.
#[test]
fn spellings_conflict_only_where_both_have_a_value() {
    for (status, denied, warned) in [
        (r#"{"cveCount": {"critical": null}, "CVECount": {"CRITICAL": 1}}"#, 0, 0),
        (r#"{"cveCount": {}, "CVECount": {"CRITICAL": 1}}"#, 0, 0),
        (r#"{"cveCount": null, "CVECount": {"CRITICAL": 1}}"#, 0, 0),
        (r#"{"cveCount": {"critical": 1, "CRITICAL": null}}"#, 0, 0),
        (r#"{"metadataUrl": "", "metadataURL": "https://example.com"}"#, 0, 0),
        (r#"{"cveCount": {"critical": 1}, "CVECount": {"CRITICAL": 1}}"#, 0, 1),
        (r#"{"cveCount": {"critical": 1, "high": null}, "CVECount": {"CRITICAL": 1}}"#, 0, 1),
        (r#"{"cveCount": {"critical": 1}, "CVECount": {"CRITICAL": 2}}"#, 1, 0),
        (r#"{"cveCount": -1, "CVECount": 1.5}"#, 1, 0),
        (r#"{"cveCount": "none", "CVECount": "0"}"#, 1, 0),
        (r#"{"cveCount": "none", "CVECount": "none"}"#, 0, 1),
        (r#"{"cveCount": {"critical": "1"}, "CVECount": {"CRITICAL": 1}}"#, 1, 0),
        (r#"{"metadataUrl": 1, "metadataURL": 2}"#, 1, 0),
    ] {
        let found = found(&review(&scan(&format!(r#"{{"status": {status}}}"#)), None));
        assert_eq!(found.of("spelling-conflict").map(|paths| paths.len()), [denied, warned], "{status}: {found:?}");
    }
}

/// A warning about scannedAt must not claim that no scan has succeeded when one has.
#[test]
fn a_warning_does_not_deny_that_a_scan_has_succeeded() {
    let of = |time: &str| {
        let mut status = status("Pending", "s=False u=True");
        status["scannedAt"] = json!(time);
        scan(&json!({"status": status}).to_string())
    };
    let messages = messages(&of("2026-11-20T08:03:00Z"), Some(&of("2026-11-20T08:01:00Z")));
    let about: Vec<_> = messages.iter().filter(|message| message.contains("[scanned-at]")).collect();
    assert_eq!(about.len(), 1, "{messages:?}");
    assert!(!about[0].contains("no scan has succeeded"), "{about:?}");
}

/// "Keys twice: the last wins", also for members that no rule reads.
#[test]
fn the_last_of_two_equal_members_counts() {
    let placeholder = r#""cveCount":{"total":9}"#;
    let text = review(&scan(r#"{"status": {"cveCount": {"total": 9}}}"#), None).to_string();
    assert_eq!(text.matches(placeholder).count(), 1);
    for (counts, is_denied) in [
        // "a mismatch beside another numeric member" is a warning.
        (r#"{"low": 1, "negligible": "x", "negligible": 4, "total": 9}"#, false),
        (r#"{"low": 1, "negligible": 4, "negligible": "x", "total": 9}"#, true),
        (r#"{"low": 1, "negligible": 4, "neglig\u0069ble": null, "total": 9}"#, true),
        (r#"{"low": 1, "low": 9, "total": 9}"#, false),
    ] {
        let text = text.replace(placeholder, &format!(r#""cveCount":{counts}"#));
        let answer = admission::answer(text.as_bytes(), &context(Webhook::Validating));
        assert_eq!(!answer.is_allowed, is_denied, "{counts}: {}", String::from_utf8_lossy(&answer.body));
    }
}

/// No rule reads managedFields, so they may have any value.
#[test]
fn managed_fields_are_not_judged() {
    for (new, old) in
        [("[1]", "[12]"), ("[12]", "[1]"), ("1", "12"), (r#""a""#, r#""ab""#), ("[]", "[[]]"), ("null", "{}")]
    {
        let object = |fields: &str| {
            let mut object = scan(r#"{"status": {"phase": "Pending"}}"#);
            object["metadata"]["managedFields"] = serde_json::from_str(fields).unwrap();
            object
        };
        for webhook in Webhook::BOTH {
            let (answer, body) = answers::answer(&review(&object(new), Some(&object(old))), webhook);
            assert_eq!((answer.http, answer.is_allowed), (200, true), "{new}, {old}: {body:#}");
            assert_eq!(answer.summary.findings.len(), 0, "{new}, {old}: {body:#}");
        }
    }
}

/// "null and, for strings, \"\" count as absent": an object with such a `deletionTimestamp` is not being deleted.
#[test]
fn an_empty_deletion_timestamp_downgrades_nothing() {
    for (at, is_denied) in [(json!(null), true), (json!(""), true), (json!("2026-11-24T11:00:00Z"), false)] {
        let mut object = scan(r#"{"status": {"phase": "Done"}}"#);
        object["metadata"]["deletionTimestamp"] = at.clone();
        assert_eq!(found(&review(&object, None)).has_denied("phase-unknown", "status.phase"), is_denied, "{at}");
    }
}
