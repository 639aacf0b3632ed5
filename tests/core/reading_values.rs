//! Tests of RULES §2 "Reading values", sentence by sentence: absent values, wrong types, and parts that rules do not
//! judge.

use std::collections::BTreeSet;

use scan_admission::admission::Webhook;
use serde_json::{Value, json};

use crate::answers;
use crate::findings::found;
use crate::support::reviews::{review, scan};

/// Returns a review of an update to this status.
fn status(status: &str) -> Value {
    review(&scan(&format!(r#"{{"status": {status}}}"#)), None)
}

/// Returns the rules and paths of all denials, and of all warnings.
fn all(review: &Value) -> [BTreeSet<(String, String)>; 2] {
    let found = found(review);
    [found.denied, found.warned]
}

/// Checks that two statuses have the same findings.
#[track_caller]
fn is_same(one: &str, other: &str) {
    assert_eq!(all(&status(one)), all(&status(other)), "{one} {other}");
}

#[test]
fn null_and_an_empty_string_count_as_absent() {
    let members = [
        "phase",
        "conditions",
        "cveCount",
        "CVECount",
        "metadataUrl",
        "metadataURL",
        "scannedBy",
        "scannedAt",
        "artifact",
        "compliantArtifact",
        "observedGeneration",
    ];
    for phase in ["Pending", "Scanning", "Completed", "Failed", "Error"] {
        let without = format!(r#"{{"phase": "{phase}"}}"#);
        for member in members.iter().filter(|member| **member != "phase") {
            is_same(&format!(r#"{{"phase": "{phase}", "{member}": null}}"#), &without);
        }
        for member in ["metadataUrl", "metadataURL", "scannedAt"] {
            is_same(&format!(r#"{{"phase": "{phase}", "{member}": ""}}"#), &without);
        }
    }
    is_same(r#"{"phase": null}"#, "{}");
    is_same(r#"{"phase": ""}"#, "{}");
    for (with, without) in [
        (r#"{"scannedBy": {"scanner": {"name": "", "vendor": null}}}"#, "{}"),
        (
            r#"{"phase": "Completed", "scannedBy": {"scanner": {"name": "g", "version": ""}}}"#,
            r#"{"phase": "Completed", "scannedBy": {"scanner": {"name": "g"}}}"#,
        ),
        (r#"{"phase": "Failed", "compliantArtifact": {"blob": {"url": ""}}}"#, r#"{"phase": "Failed"}"#),
        (r#"{"phase": "Failed", "compliantArtifact": {"registry": null}}"#, r#"{"phase": "Failed"}"#),
    ] {
        is_same(with, without);
    }
    // Members of a condition, and entries of the list of conditions.
    let entry = |more: &str| {
        format!(
            r#"{{"type": "SendingResults", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"{more}}}"#
        )
    };
    let list = |entries: &str| format!(r#"{{"phase": "Scanning", "conditions": [{entries}]}}"#);
    for nothing in [r#", "error": """#, r#", "error": null"#, r#", "message": """#, r#", "observedGeneration": null"#] {
        is_same(&list(&entry(nothing)), &list(&entry("")));
    }
    for entries in ["null", "null, null"] {
        is_same(&list(entries), &list(""));
    }
    is_same(&list(&format!("null, {}", entry(""))), &list(&entry("")));
}

/// "Empty objects … count as absent", "a container whose members are all null counts as absent", "an object without any
/// member that a rule names counts as empty".
#[test]
fn empty_objects_count_as_absent() {
    for phase in ["Pending", "Completed", "Failed", "Error"] {
        let without = format!(r#"{{"phase": "{phase}"}}"#);
        for member in ["cveCount", "CVECount", "scannedBy", "artifact", "compliantArtifact"] {
            for empty in ["{}", r#"{"x": 1}"#, r#"{"x": null}"#] {
                // An unknown numeric member of cveCount is a warning of its own.
                if !(member.ends_with("Count") && empty.contains('1')) {
                    is_same(&format!(r#"{{"phase": "{phase}", "{member}": {empty}}}"#), &without);
                }
            }
        }
        for counts in [r#"{"critical": null}"#, r#"{"critical": null, "high": null, "total": null}"#] {
            is_same(&format!(r#"{{"phase": "{phase}", "cveCount": {counts}}}"#), &without);
        }
        for member in ["artifact", "compliantArtifact"] {
            for empty in [r#"{"blob": {}}"#, r#"{"blob": {"x": 1}, "git": null}"#, r#"{"registry": {"image": null}}"#] {
                is_same(&format!(r#"{{"phase": "{phase}", "{member}": {empty}}}"#), &without);
            }
        }
        is_same(&format!(r#"{{"phase": "{phase}", "scannedBy": {{"scanner": {{}}}}}}"#), &without);
    }
    // `{}` in the list of conditions is an entry, named by its index.
    let found = found(&status(r#"{"conditions": [{}]}"#));
    assert!(found.has_denied("condition-fields", "status.conditions[0].type"), "{found:?}");
}

/// "Integers are JSON integers that fit int64", "wrong JSON types …: the field's own rule names the path".
#[test]
fn a_wrong_type_is_named_by_the_fields_own_rule() {
    let wrong = ["-1", "1.0", "1e3", r#""1""#, r#""""#, "true", "[1]", r#"{"a": 1}"#, "9223372036854775808"];
    for wrong in wrong {
        for (status, rule, path) in [
            (format!(r#"{{"observedGeneration": {wrong}}}"#), "observed-generation", "observedGeneration"),
            (format!(r#"{{"cveCount": {{"low": {wrong}}}}}"#), "cve-count-values", "cveCount.low"),
            (format!(r#"{{"cveCount": {{"total": {wrong}}}}}"#), "cve-count-values", "cveCount.total"),
            (format!(r#"{{"CVECount": {{"CVETOTAL": {wrong}}}}}"#), "cve-count-values", "CVECount.CVETOTAL"),
        ] {
            let found = found(&self::status(&status));
            assert!(found.has_denied(rule, &format!("status.{path}")), "{status}: {found:?}");
        }
    }
    for integer in ["0", "1", "9223372036854775807"] {
        let found = found(&status(&format!(r#"{{"cveCount": {{"low": {integer}}}}}"#)));
        assert_eq!(found.of("cve-count-values")[0], [""; 0], "{integer}: {found:?}");
    }
    for wrong in ["1", "true", "[1]", r#"{"a": 1}"#] {
        for (member, rule) in [
            ("phase", "phase-unknown"),
            ("metadataUrl", "metadata-url"),
            ("scannedAt", "scanned-at"),
            ("scannedBy", "scanned-by"),
            ("artifact", "status-shape"),
            ("compliantArtifact", "status-shape"),
            ("conditions", "status-shape"),
            ("cveCount", "cve-count-values"),
        ] {
            let is_legal = match member {
                "conditions" => wrong == "[1]",
                "phase" | "metadataUrl" | "scannedAt" => false,
                _ => wrong.starts_with('{'),
            };
            let found = found(&status(&format!(r#"{{"{member}": {wrong}}}"#)));
            assert_eq!(found.has_denied(rule, &format!("status.{member}")), !is_legal, "{member} {wrong}: {found:?}");
        }
    }
    for wrong in ["1", "true", "[1]", r#""Completed""#] {
        assert!(found(&status(wrong)).has_denied("status-shape", "status"), "{wrong}");
    }
}

/// "Lengths are in characters."
#[test]
fn lengths_are_counted_in_characters() {
    for (member, limit) in [("type", 316), ("reason", 1024), ("message", 32768), ("error", 32768)] {
        let character = if matches!(member, "type" | "reason") { "a" } else { "漢" };
        for (length, is_legal) in [(limit, true), (limit + 1, false)] {
            let text = match member {
                // A qualified name: a DNS subdomain of at most 253 characters, and a name of at most 63.
                "type" => {
                    let label = "a".repeat(62);
                    format!("{label}.{label}.{label}.{}/{}", "a".repeat(253 - 3 * 63), "b".repeat(length - 254))
                }
                _ => character.repeat(length),
            };
            let mut entry =
                json!({"type": "Other", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"});
            entry[member] = json!(text);
            // The path is not compared, because a warning truncates a long path.
            let (answer, body) =
                answers::answer(&status(&json!({"conditions": [entry]}).to_string()), Webhook::Validating);
            assert_eq!(answer.is_allowed, is_legal, "{member} of {length}: {body:#}");
        }
    }
}

/// Returns a condition that is valid by its row of §2.
fn entry(name: &str, is: &str) -> Value {
    let (reason, message) = match (name, is) {
        ("Scanning", "True") => ("JobStarted", "The scan job is running"),
        ("Scanning", _) => ("JobFinished", "The scan job terminated"),
        ("Succeeded", "True") => ("JobFinished", "The scan job finished"),
        ("Succeeded", _) => ("Error", "It broke"),
        ("PolicySucceeded", "True") => ("EvaluationPassed", "No CVEs were found that violated the policy"),
        _ => ("EvaluationFailed", "Policy violated because of 2 CVEs"),
    };
    json!({"type": name, "status": is, "reason": reason, "message": message, "lastTransitionTime": "2026-11-20T08:01:00Z"})
}

/// "A condition entry in which condition-fields finds an error is left out of all other rules": it "is neither there
/// nor absent: the rule says nothing of it".
#[test]
fn a_malformed_condition_is_neither_present_nor_absent() {
    let between = ["phase-disagrees", "running-with-result", "policy-without-success", "policy-without-scanpolicy"];
    // With the condition, each of these statuses has an error or a warning; without it, most of them have one too.
    for (phase, entries, broken) in [
        ("Completed", vec![("Succeeded", "False"), ("PolicySucceeded", "True")], "Succeeded"),
        ("Completed", vec![("Succeeded", "True"), ("PolicySucceeded", "False")], "PolicySucceeded"),
        ("Completed", vec![("Scanning", "True"), ("Succeeded", "True"), ("PolicySucceeded", "True")], "Scanning"),
        ("Failed", vec![("Succeeded", "False"), ("PolicySucceeded", "False")], "Succeeded"),
        ("Failed", vec![("Succeeded", "True"), ("PolicySucceeded", "True")], "PolicySucceeded"),
        ("Pending", vec![("Scanning", "True")], "Scanning"),
        ("Pending", vec![("Succeeded", "True")], "Succeeded"),
        ("Scanning", vec![("Scanning", "False")], "Scanning"),
        ("Scanning", vec![("Scanning", "True"), ("Succeeded", "False")], "Succeeded"),
        ("Error", vec![("Succeeded", "True")], "Succeeded"),
        ("", vec![("Scanning", "True"), ("Succeeded", "True")], "Scanning"),
        ("", vec![("Succeeded", "False"), ("PolicySucceeded", "True")], "Succeeded"),
    ] {
        for (member, wrong) in [("lastTransitionTime", json!("soon")), ("reason", json!(7)), ("message", json!([]))] {
            let mut conditions: Vec<Value> = entries.iter().map(|(name, is)| entry(name, is)).collect();
            conditions.iter_mut().find(|entry| entry["type"] == broken).unwrap()[member] = wrong;
            let status = json!({"phase": phase, "observedGeneration": 1, "conditions": conditions});
            let object = scan(&json!({"status": status, "spec": {"scanPolicy": "p"}}).to_string());
            let found = found(&review(&object, None));
            assert!(
                found.has_denied("condition-fields", &format!("status.conditions[{broken}].{member}")),
                "{found:?}"
            );
            for rule in between {
                assert_eq!(found.of(rule), [[""; 0], [""; 0]], "{phase:?} {entries:?}, {broken}: {found:?}");
            }
        }
    }
}

/// "Of two entries of one type the first counts."
#[test]
fn the_first_of_two_entries_counts() {
    let (running, done) = (entry("Scanning", "True"), entry("Scanning", "False"));
    let of = |entries: Value| found(&status(&json!({"phase": "Pending", "conditions": entries}).to_string()));
    assert!(of(json!([running, done])).has_denied("phase-disagrees", "status.phase"));
    assert!(!of(json!([done, running])).has_denied("phase-disagrees", "status.phase"));
}

/// "Where status-shape has an error in a part, or a sum overflows, or two spellings of one value differ within one
/// container, the other rules say nothing of that part."
#[test]
fn rules_do_not_judge_unreadable_parts() {
    for (status, rule, silent) in [
        (
            r#"{"cveCount": {"low": 9223372036854775807, "high": 1, "total": 5}}"#,
            "cve-count-values",
            &["cve-total", "policy-violation-count"][..],
        ),
        (r#"{"cveCount": {"low": 1, "LOW": 2, "total": 5}}"#, "spelling-conflict", &["cve-total"]),
        (r#"{"CVECount": {"low": 1, "total": 5, "CVETOTAL": 6}}"#, "spelling-conflict", &["cve-total"]),
        (
            r#"{"phase": "Failed", "compliantArtifact": {"blob": "https://example.com"}}"#,
            "status-shape",
            &["compliant-artifact", "artifact-source"],
        ),
        (
            r#"{"phase": "Completed", "artifact": {"blob": 1}, "compliantArtifact": {"blob": {"url": "https://example.com"}}}"#,
            "status-shape",
            &["artifact-source"],
        ),
        (r#"{"phase": "Completed", "conditions": "none"}"#, "status-shape", &["phase-disagrees"]),
    ] {
        let found = found(&self::status(status));
        assert!(found.denied.iter().any(|finding| finding.0 == rule), "{status}: {found:?}");
        for other in silent {
            assert_eq!(found.of(other), [[""; 0], [""; 0]], "{status}: {found:?}");
        }
    }
}

/// "A url or image of a wrong type in the spec is one that does not parse": a warning.
#[test]
fn a_source_of_a_wrong_type_in_the_spec_does_not_parse() {
    let of = |kind: &str, spec: Value| {
        let mut object = scan("{}");
        object["kind"] = json!(kind);
        object["spec"] = spec;
        let mut review = review(&object, None);
        review["request"]["operation"] = json!("CREATE");
        review["request"]["subResource"] = json!("");
        found(&review)
    };
    for wrong in [json!(7), json!(true), json!([1]), json!({"a": 1})] {
        let blob = of("SourceScan", json!({"scanTemplate": "t", "blob": {"url": wrong}}));
        assert_eq!(blob.of("scan-target"), [vec![], vec!["spec.blob.url"]], "{wrong}: {blob:?}");
        let image = of("ImageScan", json!({"scanTemplate": "t", "registry": {"image": wrong}}));
        assert_eq!(image.of("scan-target"), [vec![], vec!["spec.registry.image"]], "{wrong}: {image:?}");
    }
}

/// "A condition entry in which `condition-fields` finds an error is left out of all other rules."
#[test]
fn malformed_conditions_do_not_ask_for_a_phase() {
    let warned = |conditions: Value| {
        let object = scan(&json!({"status": {"conditions": conditions}}).to_string());
        found(&review(&object, None)).has_warned("phase-unknown", "status.phase")
    };
    let malformed = json!({"type": "Scanning", "status": "True"});
    let well_formed =
        json!({"type": "Ready", "status": "True", "reason": "R", "lastTransitionTime": "2026-11-20T08:01:00Z"});
    for conditions in [json!([]), json!([null]), json!([7]), json!([malformed])] {
        assert!(!warned(conditions.clone()), "{conditions}");
    }
    assert!(warned(json!([malformed, well_formed])));
}
