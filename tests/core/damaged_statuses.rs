//! Captured reviews with one thing damaged: denied by the right rule at the right path, or mutated and then whole.

use scan_admission::admission::Webhook;
use serde_json::{Value, json};

use crate::answers::{answer, patched};

struct Damage {
    says: &'static str,
    /// Damages the status and returns whether there was something to damage.
    make: fn(&mut Value) -> bool,
    /// The rule and path that the validating webhook denies; none where it only warns.
    denied: Option<(&'static str, &'static str)>,
    /// Whether the mutating webhook makes it whole.
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
        says: "a total off by one",
        make: |status| {
            let Some(total) = status.pointer("/cveCount/total").and_then(Value::as_i64) else { return false };
            set(status, "/cveCount/total", json!(total + 1))
        },
        denied: Some(("cve-total", "status.cveCount.total")),
        is_mutated: true,
    },
    Damage {
        says: "a total in quotes",
        make: |status| set(status, "/cveCount/total", json!("192")),
        denied: Some(("cve-count-values", "status.cveCount.total")),
        is_mutated: true,
    },
    Damage {
        says: "no total",
        make: |status| status["cveCount"].as_object_mut().is_some_and(|counts| counts.remove("total").is_some()),
        denied: None,
        is_mutated: true,
    },
    Damage {
        says: "a count in quotes",
        make: |status| set(status, "/cveCount/high", json!("88")),
        denied: Some(("cve-count-values", "status.cveCount.high")),
        is_mutated: false,
    },
    Damage {
        says: "a misspelt phase",
        make: |status| set(status, "/phase", json!("completed")),
        denied: Some(("phase-unknown", "status.phase")),
        is_mutated: false,
    },
    Damage {
        says: "another phase",
        make: |status| status["phase"] == "Completed" && set(status, "/phase", json!("Failed")),
        denied: Some(("phase-disagrees", "status.phase")),
        is_mutated: false,
    },
    Damage {
        says: "no phase",
        make: |status| {
            matches!(status["phase"].as_str(), Some("Completed" | "Failed" | "Error")) && remove(status, "phase")
        },
        denied: None,
        is_mutated: true,
    },
    Damage {
        says: "a swapped message",
        make: |status| set_condition(status, "Scanning", "message", json!("All is well")),
        denied: Some(("scanning-vocabulary", "status.conditions[Scanning].message")),
        is_mutated: false,
    },
    Damage {
        says: "a verdict with the message of another",
        make: |status| set_condition(status, "PolicySucceeded", "message", json!("The scan job finished")),
        denied: Some(("policy-vocabulary", "status.conditions[PolicySucceeded].message")),
        is_mutated: false,
    },
    Damage {
        says: "a reason that is missing",
        make: |status| set_condition(status, "Scanning", "reason", Value::Null),
        denied: Some(("condition-fields", "status.conditions[Scanning].reason")),
        is_mutated: true,
    },
    Damage {
        says: "a time that is missing",
        make: |status| set_condition(status, "Succeeded", "lastTransitionTime", json!("")),
        denied: Some(("condition-fields", "status.conditions[Succeeded].lastTransitionTime")),
        is_mutated: true,
    },
    Damage {
        says: "a second spelling that differs",
        make: |status| {
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
        says: "conditions that are no list",
        make: |status| set(status, "/conditions", json!({"Succeeded": "True"})),
        denied: Some(("status-shape", "status.conditions")),
        is_mutated: false,
    },
];

#[test]
fn damage_is_denied_where_it_is_or_mutated() {
    for damage in DAMAGES {
        let mut count = 0;
        for file in std::fs::read_dir("tests/fixtures/reviews").unwrap() {
            let path = file.unwrap().path();
            let mut review: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let is_update = review["request"]["operation"] == "UPDATE" && review["request"]["subResource"] == "status";
            // Of a status that did not change the ratchet would see nothing.
            if !is_update || review["request"]["object"]["status"] == review["request"]["oldObject"]["status"] {
                continue;
            }
            if (damage.make)(&mut review["request"]["object"]["status"]) {
                count += 1;
                check(damage, &review, &format!("{}: {}", path.display(), damage.says));
            }
        }
        assert!(count > 0, "{}: no fixture has it", damage.says);
    }
}

fn check(damage: &Damage, review: &Value, says: &str) {
    let (_, body) = answer(review, Webhook::Validating);
    let response = &body["response"];
    assert_eq!(response["allowed"], damage.denied.is_none(), "{says}: {body}");
    if let Some((rule, field)) = damage.denied {
        let causes = response["status"]["details"]["causes"].as_array().unwrap();
        let is_named = |cause: &Value| {
            cause["field"] == field && cause["message"].as_str().unwrap().ends_with(&format!(" [{rule}]"))
        };
        assert!(causes.iter().any(is_named), "{says}: {body}");
        assert_eq!(response["status"]["code"], 422, "{says}");
    }
    let (_, body) = answer(review, Webhook::Mutating);
    assert_eq!(body["response"]["allowed"], true, "{says}");
    let mut mutated = review.clone();
    mutated["request"]["object"] = patched(&review["request"]["object"], &body);
    let (_, after) = answer(&mutated, Webhook::Validating);
    assert_eq!(after["response"]["allowed"], damage.is_mutated, "{says}: {after}");
}
