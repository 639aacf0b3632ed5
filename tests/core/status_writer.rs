//! Tests of RULES §3 `status-writer`: a user who is not on the list may not change a status. The rule is about
//! permissions, so neither the ratchet nor a deletion downgrades it.

use scan_admission::admission::{self, Context, ReviewSettings, Webhook};
use scan_admission::engine::Action;
use serde_json::{Value, json};

use crate::support::review_context::context;
use crate::support::reviews::{review, scan};

const WRITER: &str = "system:serviceaccount:scan-link-system:scan-link-controller";

/// Returns the action of the finding of `status-writer`, if there is one.
fn action(review: &Value, webhook: Webhook) -> Option<Action> {
    let settings = ReviewSettings { status_writers: vec![WRITER.to_owned()], ..ReviewSettings::default() };
    let context = Context { settings: &settings, ..context(webhook) };
    let answer = admission::answer(review.to_string().as_bytes(), &context);
    let findings = &answer.summary.findings;
    let action = findings.iter().find(|finding| finding.rule == "status-writer").map(|finding| finding.action);
    assert!(!(answer.is_allowed && action == Some(Action::Deny)), "{}", String::from_utf8_lossy(&answer.body));
    action
}

/// Returns a request of `user` that changes the status `old` to `new`; null is an absent status.
fn request(user: &str, sub_resource: &str, new: &Value, old: &Value) -> Value {
    let object = |status: &Value| {
        let mut object = scan("{}");
        object["status"] = status.clone();
        if status.is_null() {
            object.as_object_mut().unwrap().remove("status");
        }
        object
    };
    let mut review = review(&object(new), Some(&object(old)));
    review["request"]["subResource"] = json!(sub_resource);
    review["request"]["userInfo"]["username"] = json!(user);
    review
}

/// Returns a status that breaks rules and has members that no rule reads.
fn status() -> Value {
    json!({
        "phase": "Done",
        "observedGeneration": 1,
        "observedPolicyGeneration": 4,
        "cveCount": {"critical": 1, "total": 2},
        "conditions": [
            {"type": "Scanning", "status": "False", "note": [1, {"a": null}]},
            {"type": "Other", "status": "False"},
        ],
        "x": {"a": 1, "b": [true, null]},
    })
}

/// Returns [`status`] with one member set or removed.
fn with(pointer: &str, member: &str, value: Option<Value>) -> Value {
    let mut status = status();
    let members = status.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(members.insert(member.to_owned(), value)),
        None => assert!(members.remove(member).is_some()),
    }
    status
}

/// "anything at all in the status differs from the old one as JSON (an added null too)"
fn differences() -> Vec<(&'static str, Value)> {
    let mut swapped = status();
    swapped["conditions"].as_array_mut().unwrap().reverse();
    vec![
        ("a phase", with("", "phase", Some(json!("Failed")))),
        ("a phase that is corrected", with("", "phase", Some(json!("Completed")))),
        ("a generation that no rule reads", with("", "observedPolicyGeneration", Some(json!(5)))),
        ("another type", with("", "observedPolicyGeneration", Some(json!("4")))),
        ("an added key", with("", "y", Some(json!(1)))),
        ("an added null", with("", "y", Some(json!(null)))),
        ("an added empty string", with("", "metadataUrl", Some(json!("")))),
        ("an added empty object", with("", "artifact", Some(json!({})))),
        ("an added empty list", with("", "y", Some(json!([])))),
        ("a null for a value", with("", "x", Some(json!(null)))),
        ("a removed key", with("", "x", None)),
        ("a key below one that no rule reads", with("/x", "a", Some(json!(2)))),
        ("an entry of a list that no rule reads", with("/x", "b", Some(json!([true])))),
        ("a null in a condition", with("/conditions/0", "error", Some(json!(null)))),
        ("a note in a condition", with("/conditions/0", "note", Some(json!([1, {}])))),
        ("a condition of another type", with("/conditions/1", "status", Some(json!("True")))),
        ("the order of conditions", swapped),
        ("a count", with("/cveCount", "critical", Some(json!(0)))),
        ("a total that is corrected", with("/cveCount", "total", Some(json!(1)))),
        ("no status", json!(null)),
        ("a status of the wrong type", json!("Done")),
    ]
}

#[test]
fn every_difference_is_denied() {
    for (title, other) in differences() {
        for (new, old) in [(&other, &status()), (&status(), &other)] {
            // On the main resource the status can differ only where the kind has no status subresource.
            for sub_resource in ["status", ""] {
                let of = |user: &str| action(&request(user, sub_resource, new, old), Webhook::Validating);
                assert_eq!(of("jane"), Some(Action::Deny), "{title} {sub_resource:?}: {old} -> {new}");
                assert_eq!(of(""), Some(Action::Deny), "{title}");
                assert_eq!(of(&WRITER.to_uppercase()), Some(Action::Deny), "{title}");
                assert_eq!(of(WRITER), None, "{title}");
            }
        }
    }
}

#[test]
fn anyone_may_send_an_unchanged_status() {
    for same in [status(), json!(null), json!({}), json!("Done"), json!({"y": null})] {
        for sub_resource in ["status", ""] {
            assert_eq!(action(&request("jane", sub_resource, &same, &same), Webhook::Validating), None, "{same}");
        }
    }
}

#[test]
fn the_same_json_in_another_notation_is_not_a_difference() {
    let text = request("jane", "status", &status(), &status()).to_string();
    let object = r#""conditions":[{"note":[1,{"a":null}],"status":"False","type":"Scanning"}"#;
    assert_eq!(text.matches(object).count(), 2);
    let other = r#""conditions" : [ {"type":"Sc\u0061nning", "status":"False", "note":[ 1, {"a": null} ] }"#;
    let settings = ReviewSettings { status_writers: vec![WRITER.to_owned()], ..ReviewSettings::default() };
    let context = Context { settings: &settings, ..context(Webhook::Validating) };
    let answer = admission::answer(text.replacen(object, other, 1).as_bytes(), &context);
    assert!(answer.summary.findings.iter().all(|finding| finding.rule != "status-writer"));
}

/// "Empty objects (… `status: {}` …) count as absent", with any white space.
#[test]
fn an_empty_status_counts_as_absent() {
    let review = request("developer", "status", &json!({}), &json!(null)).to_string();
    let spaced = review.replacen(r#""status":{}"#, r#""status": { }"#, 1);
    assert_ne!(review, spaced);
    let settings = ReviewSettings { status_writers: vec![WRITER.to_owned()], ..ReviewSettings::default() };
    for review in [review, spaced] {
        let answer =
            admission::answer(review.as_bytes(), &Context { settings: &settings, ..context(Webhook::Validating) });
        assert!(answer.is_allowed, "{review}");
    }
}

#[test]
fn others_may_write_spec_and_metadata() {
    let mut edited = request("jane", "", &status(), &status());
    edited["request"]["object"]["spec"]["scanTemplate"] = json!("another");
    edited["request"]["object"]["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(action(&edited, Webhook::Validating), None);
}

/// "On CREATE without a subresource any status differs."
#[test]
fn a_create_with_a_status_is_denied() {
    let create = |user: &str, status: &Value| {
        let mut create = request(user, "", status, &json!(null));
        create["request"]["operation"] = json!("CREATE");
        create["request"]["oldObject"].take();
        action(&create, Webhook::Validating)
    };
    for some in [status(), json!({"phase": "Pending"}), json!({"y": 1}), json!({"y": null}), json!("Done")] {
        assert_eq!(create("jane", &some), Some(Action::Deny), "{some}");
        assert_eq!(create(WRITER, &some), None, "{some}");
    }
    // §2: `status: {}` on CREATE counts as absent.
    for none in [json!(null), json!({})] {
        assert_eq!(create("jane", &none), None, "{none}");
    }
}

/// "neither the ratchet nor a deletion downgrades it"
#[test]
fn a_deletion_does_not_downgrade_the_error() {
    for (title, other) in differences() {
        for sub_resource in ["status", ""] {
            let mut review = request("jane", sub_resource, &other, &status());
            for object in ["object", "oldObject"] {
                review["request"][object]["metadata"]["deletionTimestamp"] = json!("2026-11-24T11:59:00Z");
            }
            assert_eq!(action(&review, Webhook::Validating), Some(Action::Deny), "{title} {sub_resource:?}");
        }
    }
}

/// "The mutating webhook never denies", and a DELETE or CONNECT writes no status.
#[test]
fn only_the_validating_webhook_checks_the_writer() {
    for (title, other) in differences() {
        let mut review = request("jane", "status", &other, &status());
        assert_eq!(action(&review, Webhook::Mutating), None, "{title}");
        for operation in ["DELETE", "CONNECT"] {
            review["request"]["operation"] = json!(operation);
            assert_eq!(action(&review, Webhook::Validating), None, "{title}");
        }
    }
}
