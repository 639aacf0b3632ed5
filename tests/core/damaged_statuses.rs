//! Tests of captured reviews with one damaged field: each is denied by its rule at its path, or repaired by a mutation.

use scan_admission::admission::Webhook;
use serde_json::{Value, json};

use crate::answers::{answer, patched};

struct Damage {
    title: &'static str,
    /// Damages the status and returns whether the status had the field to damage.
    apply: fn(&mut Value) -> bool,
    /// The rule and path of the validating webhook's denial; None where it only warns.
    denied: Option<(&'static str, &'static str)>,
    /// Whether the validating webhook allows the object after the mutating webhook's patch.
    is_mutated: bool,
}

fn set(status: &mut Value, pointer: &str, value: Value) -> bool {
    status.pointer_mut(pointer).map(|found| *found = value).is_some()
}

fn condition<'a>(status: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    status["conditions"].as_array_mut()?.iter_mut().find(|entry| entry["type"] == name)
}

fn set_condition(status: &mut Value, name: &str, key: &str, value: Value) -> bool {
    condition(status, name).map(|entry| entry[key] = value).is_some()
}

fn remove(status: &mut Value, key: &str) -> bool {
    status.as_object_mut().is_some_and(|status| status.remove(key).is_some())
}

const DAMAGES: &[Damage] = &[
    Damage {
        title: "a total off by one",
        apply: |status| {
            let Some(total) = status.pointer("/cveCount/total").and_then(Value::as_i64) else { return false };
            set(status, "/cveCount/total", json!(total + 1))
        },
        denied: Some(("cve-total", "status.cveCount.total")),
        is_mutated: true,
    },
    Damage {
        title: "a total in quotes",
        apply: |status| set(status, "/cveCount/total", json!("192")),
        denied: Some(("cve-count-values", "status.cveCount.total")),
        is_mutated: true,
    },
    Damage {
        title: "no total",
        apply: |status| status["cveCount"].as_object_mut().is_some_and(|counts| counts.remove("total").is_some()),
        denied: None,
        is_mutated: true,
    },
    Damage {
        title: "a count in quotes",
        apply: |status| set(status, "/cveCount/high", json!("88")),
        denied: Some(("cve-count-values", "status.cveCount.high")),
        is_mutated: false,
    },
    Damage {
        title: "a misspelt phase",
        apply: |status| set(status, "/phase", json!("completed")),
        denied: Some(("phase-unknown", "status.phase")),
        is_mutated: false,
    },
    Damage {
        title: "another phase",
        apply: |status| status["phase"] == "Completed" && set(status, "/phase", json!("Failed")),
        denied: Some(("phase-disagrees", "status.phase")),
        is_mutated: false,
    },
    Damage {
        title: "no phase",
        apply: |status| {
            matches!(status["phase"].as_str(), Some("Completed" | "Failed" | "Error")) && remove(status, "phase")
        },
        denied: None,
        is_mutated: true,
    },
    Damage {
        title: "a swapped message",
        apply: |status| set_condition(status, "Scanning", "message", json!("All is well")),
        denied: Some(("scanning-vocabulary", "status.conditions[Scanning].message")),
        is_mutated: false,
    },
    Damage {
        title: "a verdict with the message of another",
        apply: |status| set_condition(status, "PolicySucceeded", "message", json!("The scan job finished")),
        denied: Some(("policy-vocabulary", "status.conditions[PolicySucceeded].message")),
        is_mutated: false,
    },
    Damage {
        title: "a reason that is missing",
        apply: |status| set_condition(status, "Scanning", "reason", Value::Null),
        denied: Some(("condition-fields", "status.conditions[Scanning].reason")),
        is_mutated: true,
    },
    Damage {
        title: "a time that is missing",
        apply: |status| set_condition(status, "Succeeded", "lastTransitionTime", json!("")),
        denied: Some(("condition-fields", "status.conditions[Succeeded].lastTransitionTime")),
        is_mutated: true,
    },
    Damage {
        title: "a second spelling that differs",
        apply: |status| {
            let has_counts = status["cveCount"].is_object();
            if has_counts {
                status["CVECount"] =
                    json!({"CRITICAL": 4000, "HIGH": 0, "MEDIUM": 0, "LOW": 0, "UNKNOWN": 0, "CVETOTAL": 4000});
            }
            has_counts
        },
        denied: Some(("spelling-conflict", "status.CVECount")),
        is_mutated: false,
    },
    Damage {
        title: "conditions that are no list",
        apply: |status| set(status, "/conditions", json!({"Succeeded": "True"})),
        denied: Some(("status-shape", "status.conditions")),
        is_mutated: false,
    },
];

#[test]
fn damage_is_denied_at_its_path_or_mutated() {
    for damage in DAMAGES {
        let mut count = 0;
        for file in std::fs::read_dir("tests/fixtures/reviews").unwrap() {
            let path = file.unwrap().path();
            let mut review: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let is_update = review["request"]["operation"] == "UPDATE" && review["request"]["subResource"] == "status";
            // In a status that did not change, the ratchet would downgrade the damage.
            if !is_update || review["request"]["object"]["status"] == review["request"]["oldObject"]["status"] {
                continue;
            }
            if (damage.apply)(&mut review["request"]["object"]["status"]) {
                count += 1;
                check(damage, &review, &format!("{}: {}", path.display(), damage.title));
            }
        }
        assert!(count > 0, "{}: no captured review has the field", damage.title);
    }
}

fn check(damage: &Damage, review: &Value, case: &str) {
    let (_, body) = answer(review, Webhook::Validating);
    let response = &body["response"];
    assert_eq!(response["allowed"], damage.denied.is_none(), "{case}: {body}");
    if let Some((rule, field)) = damage.denied {
        let causes = response["status"]["details"]["causes"].as_array().unwrap();
        let is_named = |cause: &Value| {
            cause["field"] == field && cause["message"].as_str().unwrap().ends_with(&format!(" [{rule}]"))
        };
        assert!(causes.iter().any(is_named), "{case}: {body}");
        assert_eq!(response["status"]["code"], 422, "{case}");
    }
    let (_, body) = answer(review, Webhook::Mutating);
    assert_eq!(body["response"]["allowed"], true, "{case}");
    let mut mutated = review.clone();
    mutated["request"]["object"] = patched(&review["request"]["object"], &body);
    let (_, after) = answer(&mutated, Webhook::Validating);
    assert_eq!(after["response"]["allowed"], damage.is_mutated, "{case}: {after}");
}
