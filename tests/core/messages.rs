//! Tests of the messages of findings: they are worded as Kubernetes' field errors and have the matching cause reason.

use scan_admission::admission::Webhook;
use scan_admission::engine::Expectation;
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use crate::answers::answer;
use crate::support::reviews::{review, scan};

/// The reasons of causes, and the prefixes of their messages.
const REASONS: [(&str, &str); 8] = [
    ("FieldValueRequired", "Required value: "),
    ("FieldValueInvalid", "Invalid value: "),
    ("FieldValueTypeInvalid", "Invalid value: "),
    ("FieldValueNotSupported", "Unsupported value: "),
    ("FieldValueDuplicate", "Duplicate value: "),
    ("FieldValueForbidden", "Forbidden: "),
    ("FieldValueTooLong", "Too long: "),
    ("FieldValueTooMany", "Too many: "),
];

/// Returns the field, reason and message of each cause of a denial.
fn causes(status: &Value, spec: &Value) -> Vec<[String; 3]> {
    let object = scan(&json!({"status": status, "spec": spec}).to_string());
    let (_, body) = answer(&review(&object, None), Webhook::Validating);
    let causes = body["response"]["status"]["details"]["causes"].as_array().cloned().unwrap_or_default();
    causes
        .iter()
        .map(|cause| ["field", "reason", "message"].map(|key| cause[key].as_str().unwrap().to_owned()))
        .collect()
}

/// Each status has the expected error; some have further errors.
#[test]
fn denials_are_worded_as_kubernetes_field_errors() {
    let condition = |members: Value| {
        let mut condition = json!({"type": "Succeeded", "status": "True", "reason": "JobFinished",
            "lastTransitionTime": "2026-11-20T08:01:00Z"});
        json_patch::merge(&mut condition, &members);
        json!({"conditions": [condition]})
    };
    let phases = r#"supported values: "Pending", "Scanning", "Completed", "Failed", "Error""#;
    for (status, field, reason, message) in [
        (
            json!({"phase": "Complete"}),
            "status.phase",
            "FieldValueNotSupported",
            &*format!(r#"Unsupported value: "Complete": {phases}; did you mean "Completed"? [phase-unknown]"#),
        ),
        (
            json!({"phase": "Done"}),
            "status.phase",
            "FieldValueNotSupported",
            &*format!(r#"Unsupported value: "Done": {phases} [phase-unknown]"#),
        ),
        (
            json!({"phase": 7}),
            "status.phase",
            "FieldValueNotSupported",
            &*format!("Unsupported value: 7: {phases} [phase-unknown]"),
        ),
        (
            json!({"cveCount": {"high": 2, "low": 1, "total": 4}}),
            "status.cveCount.total",
            "FieldValueInvalid",
            "Invalid value: 4: must be 3, the sum of the severities [cve-total]",
        ),
        (
            json!({"cveCount": {"high": "1"}}),
            "status.cveCount.high",
            "FieldValueTypeInvalid",
            r#"Invalid value: "1": must be an integer [cve-count-values]"#,
        ),
        (
            json!({"cveCount": {"high": -1}}),
            "status.cveCount.high",
            "FieldValueInvalid",
            "Invalid value: -1: must be greater than or equal to 0 [cve-count-values]",
        ),
        (
            json!({"cveCount": [1]}),
            "status.cveCount",
            "FieldValueTypeInvalid",
            "Invalid value: [1]: must be an object of counts [cve-count-values]",
        ),
        (
            condition(json!({"lastTransitionTime": null})),
            "status.conditions[Succeeded].lastTransitionTime",
            "FieldValueRequired",
            "Required value: must say when the status last changed (RFC 3339) [condition-fields]",
        ),
        (
            condition(json!({"lastTransitionTime": "yesterday"})),
            "status.conditions[Succeeded].lastTransitionTime",
            "FieldValueInvalid",
            r#"Invalid value: "yesterday": must be an RFC 3339 time such as "2026-11-20T08:01:00Z" [condition-fields]"#,
        ),
        (
            condition(json!({"status": true})),
            "status.conditions[Succeeded].status",
            "FieldValueNotSupported",
            r#"Unsupported value: true: supported values: "True", "False"; did you mean "True"? [condition-fields]"#,
        ),
        // The values of the row of the type, not those of any condition.
        (
            condition(json!({"status": "Unkown"})),
            "status.conditions[Succeeded].status",
            "FieldValueNotSupported",
            r#"Unsupported value: "Unkown": supported values: "True", "False" [condition-fields]"#,
        ),
        (
            condition(json!({"status": "False", "reason": null})),
            "status.conditions[Succeeded].reason",
            "FieldValueRequired",
            r#"Required value: must be "Error" while the status is "False" [condition-fields]"#,
        ),
        (
            condition(json!({"type": null})),
            "status.conditions[0].type",
            "FieldValueRequired",
            r#"Required value: must be a qualified name such as "Succeeded" [condition-fields]"#,
        ),
        (
            condition(json!({"message": "m".repeat(32_769)})),
            "status.conditions[Succeeded].message",
            "FieldValueTooLong",
            "Too long: may not be more than 32768 characters [condition-fields]",
        ),
        (
            condition(json!({"reason": "R".repeat(1025)})),
            "status.conditions[Succeeded].reason",
            "FieldValueTooLong",
            "Too long: may not be more than 1024 characters [condition-fields]",
        ),
        (
            condition(json!({"status": "Unknown"})),
            "status.conditions[Succeeded].status",
            "FieldValueNotSupported",
            r#"Unsupported value: "Unknown": supported values: "True", "False" [succeeded-vocabulary]"#,
        ),
        (
            condition(json!({"reason": "JobStarted"})),
            "status.conditions[Succeeded].reason",
            "FieldValueInvalid",
            r#"Invalid value: "JobStarted": must be "JobFinished" while Succeeded is "True" [succeeded-vocabulary]"#,
        ),
        (
            condition(json!({"error": "boom"})),
            "status.conditions[Succeeded].error",
            "FieldValueForbidden",
            r#"Forbidden: no error while Succeeded is "True" [succeeded-vocabulary]"#,
        ),
        (
            json!({"conditions": vec![condition(json!({}))["conditions"][0].clone(); 2]}),
            "status.conditions[1].type",
            "FieldValueDuplicate",
            r#"Duplicate value: "Succeeded": must not repeat the type of status.conditions[0] [condition-duplicate]"#,
        ),
        (
            json!({"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}),
            "status.compliantArtifact",
            "FieldValueForbidden",
            r#"Forbidden: no compliantArtifact while phase is "Failed" [compliant-artifact]"#,
        ),
        (
            json!("done"),
            "status",
            "FieldValueTypeInvalid",
            r#"Invalid value: "done": must be an object [status-shape]"#,
        ),
    ] {
        let causes = causes(&status, &Value::Null);
        let expected = [field, reason, message].map(str::to_owned);
        assert!(causes.contains(&expected), "{status}\n{expected:?}\n{causes:#?}");
    }
}

#[test]
fn the_messages_of_all_examples_fit_their_reasons_and_name_the_valid_value() {
    let mut reasons = std::collections::BTreeSet::new();
    for rule in RULES {
        for example in rule.examples.iter().filter(|example| matches!(example.expect, Expectation::Denies(_))) {
            let (_, body) = answer(&review(&scan(example.new), example.old.map(scan).as_ref()), Webhook::Validating);
            for cause in body["response"]["status"]["details"]["causes"].as_array().into_iter().flatten() {
                let [reason, message] = ["reason", "message"].map(|key| cause[key].as_str().unwrap());
                let start = REASONS.iter().find(|(known, _)| *known == reason).unwrap_or_else(|| panic!("{cause}")).1;
                assert!(message.starts_with(start), "{cause}");
                let is_valid_value_named = [" must ", " no ", "supported values: ", "may not be more than "]
                    .iter()
                    .any(|words| message.contains(words));
                assert!(is_valid_value_named, "{cause}");
                reasons.insert(reason.to_owned());
            }
        }
    }
    assert!(reasons.len() >= 6, "{reasons:?}");
}

#[test]
fn a_quoted_value_is_short_and_without_control_characters() {
    let causes = causes(&json!({"phase": format!("\u{1b}[31m{}\n\u{202e}", "x".repeat(2000))}), &Value::Null);
    let [[_, _, message]] = &causes[..] else { panic!("{causes:?}") };
    assert!(message.chars().count() < 300 && !message.contains(['\u{1b}', '\n', '\u{202e}']), "{message}");
}
