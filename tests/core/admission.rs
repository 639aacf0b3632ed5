//! Tests of reviews that cannot be judged, of rules that panic, and of the exact text of every kind of answer.

use scan_admission::admission::{self, Answer, BODY_MAX_BYTES, Context, Fault, FaultPolicy, ReviewSettings, Webhook};
use serde_json::{Value, json};

use crate::answers::patched;
use crate::support::panicking_rule::PANICS;
use crate::support::review_context::context;
use crate::support::review_edits::edited;
use crate::support::reviews::{review, scan};

const POLICIES: [FaultPolicy; 3] = [FaultPolicy::Deny, FaultPolicy::Allow, FaultPolicy::FailurePolicy];
const UID: &str = "1f661b25-f893-42af-8e36-d8c81ef6d774";

/// Returns the text of a review with `json` at `pointer`. The uid is the first member, as the API server sends it.
fn with(pointer: &str, json: &str) -> String {
    let status = r#"{"status": {"conditions": [{"type": "Scanning", "reason": ""}], "cveCount": {"low": 1}}}"#;
    let mut review = review(&scan(status), None);
    review["request"].as_object_mut().unwrap().remove("uid");
    edited(&review, &[(pointer.to_owned(), Some(json.to_owned()))]).replacen(
        "\"request\":{",
        &format!("\"request\":{{\"uid\":\"{UID}\","),
        1,
    )
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Returns the answers of both webhooks. Each must have the uid, and the mutating webhook must allow the request.
fn answered(body: &[u8]) -> [Value; 2] {
    Webhook::BOTH.map(|webhook| {
        let answer = admission::answer(body, &context(webhook));
        let json = json(&answer);
        assert_eq!((answer.http, &json["response"]["uid"]), (200, &json!(UID)), "{json}");
        assert!(answer.is_allowed || webhook == Webhook::Validating, "{json}");
        json
    })
}

#[test]
fn a_million_levels_of_nesting_are_answered() {
    const LEVELS: usize = 1_000_000;
    for pointer in [
        "/apiVersion",
        "/request/kind",
        "/request/userInfo",
        "/request/object",
        "/request/object/metadata",
        "/request/object/metadata/name",
        "/request/object/status",
        "/request/object/status/conditions",
        "/request/object/status/conditions/0",
        "/request/object/status/conditions/0/reason",
        "/request/object/status/cveCount",
        "/request/object/status/cveCount/low",
        "/request/object/status/more",
        "/request/oldObject",
    ] {
        let lists = format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS));
        let objects = format!("{}0{}", "{\"a\":".repeat(LEVELS), "}".repeat(LEVELS));
        for json in [lists, objects] {
            for answer in answered(with(pointer, &json).as_bytes()) {
                let is_fault = answer["response"]["auditAnnotations"]["decision"] == "fault";
                // The contents of an object are judged at any depth.
                assert!(!is_fault || !pointer.starts_with("/request/object/"), "{pointer}: {answer}");
            }
        }
        if pointer.starts_with("/request") {
            answered(with(pointer, &"[".repeat(LEVELS)).as_bytes());
        }
    }
}

#[test]
fn only_a_body_beyond_the_size_limit_is_a_fault() {
    let body = with("/request/object/status/more", "\"\"");
    let filler = "x".repeat(BODY_MAX_BYTES - body.len());
    let fits = with("/request/object/status/more", &format!("\"{filler}\""));
    assert_eq!(fits.len(), BODY_MAX_BYTES);
    let [validated, _] = answered(fits.as_bytes());
    assert_eq!(validated["response"]["status"]["code"], 422);
    let [validated, mutated] = answered(format!("{fits} ").as_bytes());
    assert_eq!(validated["response"]["status"]["code"], 413);
    assert!(mutated["response"]["warnings"][0].as_str().unwrap().contains("8 MiB"));
    // The limit falls within a character.
    let cut = format!("{}\"é", &fits[..BODY_MAX_BYTES - 2]);
    assert!(cut.len() > BODY_MAX_BYTES && !cut.is_char_boundary(BODY_MAX_BYTES));
    answered(cut.as_bytes());
}

#[test]
fn the_last_of_two_equal_keys_wins() {
    let doubled =
        with("/request/object/status/cveCount", r#"{"low": 7, "low": 1, "total": 7, "total": 2, "CRITICAL": 1}"#);
    let doubled = doubled.replacen("\"uid\":", "\"uid\":\"another\",\"uid\":", 1);
    let [validated, mutated] = answered(doubled.as_bytes());
    let message = validated["response"]["status"]["message"].as_str().unwrap();
    assert!(!message.contains("[cve-total]"), "{message}");
    let sent: Value = serde_json::from_str(&doubled).unwrap();
    let counts = patched(&sent["request"]["object"], &mutated)["status"]["cveCount"].clone();
    assert_eq!(counts, json!({"CRITICAL": 1, "low": 1, "high": 0, "medium": 0, "unknown": 0, "total": 2}));
}

#[test]
fn a_body_that_is_not_utf_8_is_denied_with_its_uid() {
    let mut body = with("/request/object/status/phase", "\"Pending\"").into_bytes();
    let at = body.len() - 100;
    body[at] = 0xff;
    let [validated, mutated] = answered(&body);
    assert_eq!(validated["response"]["status"]["message"], format!("the review is not UTF-8 at byte {at}"));
    assert_eq!(mutated["response"]["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn a_panic_of_a_rule_is_answered() {
    let body = with("/request/object/status/more", "1");
    for faults in POLICIES {
        for webhook in Webhook::BOTH {
            let settings = ReviewSettings { faults, ..ReviewSettings::default() };
            let context = Context { rules: &[PANICS], settings: &settings, ..context(webhook) };
            check_fault(&admission::answer(body.as_bytes(), &context), webhook, faults, 500);
        }
    }
}

#[test]
fn every_fault_follows_its_policy() {
    let body = with("/request/object/status/more", "1");
    for (fault, code, without_uid) in [
        (Fault::BadRequest, 400, 400),
        (Fault::TooLarge, 413, 413),
        (Fault::Timeout, 504, 503),
        (Fault::TooManyRequests, 429, 503),
        (Fault::Internal, 500, 503),
    ] {
        for faults in POLICIES {
            for webhook in Webhook::BOTH {
                let settings = ReviewSettings { faults, ..ReviewSettings::default() };
                let context = Context { settings: &settings, ..context(webhook) };
                check_fault(&admission::fault(body.as_bytes(), fault, &context), webhook, faults, code);
                for nothing in [&b""[..], b"{}", b"no json", b"{\"request\":{\"uid\":7}}", b"\xff"] {
                    let answer = admission::fault(nothing, fault, &context);
                    assert_eq!((answer.http, answer.is_allowed), (without_uid, false));
                    assert_eq!(json(&answer)["kind"], "Status");
                }
            }
        }
    }
}

/// Checks the answer to a fault of a review that has a uid.
fn check_fault(answer: &Answer, webhook: Webhook, faults: FaultPolicy, code: u16) {
    let json = json(answer);
    let response = &json["response"];
    match (webhook, faults) {
        (Webhook::Validating, FaultPolicy::FailurePolicy) => {
            assert_eq!((answer.http, json["kind"].as_str()), (503, Some("Status")));
        }
        (Webhook::Validating, FaultPolicy::Deny) => {
            assert_eq!((answer.http, &response["uid"], &response["allowed"]), (200, &json!(UID), &json!(false)));
            assert_eq!(response["status"]["code"], code);
            let retry = &response["status"]["details"]["retryAfterSeconds"];
            assert_eq!(*retry, if code == 429 { json!(1) } else { Value::Null });
        }
        (Webhook::Mutating, _) | (Webhook::Validating, FaultPolicy::Allow) => {
            assert_eq!((answer.http, &response["uid"], &response["allowed"]), (200, &json!(UID), &json!(true)));
            assert_eq!(response["warnings"].as_array().unwrap().len(), 1, "{json}");
            assert!(response["patch"].is_null() && response["status"].is_null());
        }
    }
}

/// Returns the message of the validating webhook's answer to a review that it cannot judge.
fn message(body: &str) -> String {
    let answer = admission::answer(body.as_bytes(), &context(Webhook::Validating));
    assert!(!answer.is_allowed, "{body}");
    let json = json(&answer);
    let status = if json["kind"] == "Status" { &json } else { &json["response"]["status"] };
    assert_eq!(status["code"], 400, "{json}");
    status["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_missing_or_mistyped_member_of_the_review_is_named() {
    // The uid is a member of the request, so it is missing here.
    for (request, expected) in [
        ("null", "request is missing"),
        ("7", "request must be an object, and not a number"),
        ("[]", "request must be an object, and not a list"),
        ("{}", "request.kind is missing"),
        (r#"{"uid": "a"}, "request": null"#, "request is missing"),
    ] {
        let body =
            format!(r#"{{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {request}}}"#);
        assert_eq!(message(&body), expected, "{body}");
    }
    for (member, wrong, expected) in [
        ("kind", "null", "request.kind is missing"),
        ("kind", "7", "request.kind must be an object, and not a number"),
        ("kind/kind", "null", "request.kind.kind is missing"),
        ("kind/kind", "[]", "request.kind.kind must be a string, and not a list"),
        ("kind/group", "7", "request.kind.group must be a string, and not a number"),
        ("kind/version", "{}", "request.kind.version must be a string, and not an object"),
        ("subResource", "true", "request.subResource must be a string, and not a boolean"),
        ("name", "7", "request.name must be a string, and not a number"),
        ("namespace", "[]", "request.namespace must be a string, and not a list"),
        ("operation", "null", "request.operation is missing"),
        ("operation", "7", "request.operation must be CREATE, UPDATE, DELETE or CONNECT, and not 7"),
        ("userInfo", "\"jane\"", "request.userInfo must be an object, and not a string"),
        ("userInfo", r#"{"username": 7}"#, "request.userInfo.username must be a string, and not a number"),
        ("userInfo", r#"{"groups": "admins"}"#, "request.userInfo.groups must be a list, and not a string"),
        ("object", "null", "request.object is missing"),
        ("object", "\"x\"", "request.object must be an object, and not a string"),
        ("oldObject", "7", "request.oldObject must be an object, and not a number"),
    ] {
        assert_eq!(message(&with(&format!("/request/{member}"), wrong)), expected);
    }
    let uid = with("/request/name", "\"a\"").replacen(&format!("\"{UID}\""), "7", 1);
    assert_eq!(message(&uid), "request.uid must be a string, and not a number");
    // The optional members of a request.
    for member in ["subResource", "name", "namespace", "userInfo", "oldObject", "dryRun", "options"] {
        let [validated, mutated] = answered(with(&format!("/request/{member}"), "null").as_bytes());
        assert_ne!(validated["response"]["status"]["code"], 400, "{validated}");
        assert!(mutated["response"]["warnings"].is_null() || !mutated.to_string().contains("not judged"), "{mutated}");
    }
}

/// Compares the answers that users and clients see with the committed ones, byte for byte.
#[test]
fn answers_are_the_committed_ones() {
    let answer = |body: &str, webhook: Webhook| {
        String::from_utf8(admission::answer(body.as_bytes(), &context(webhook)).body).unwrap()
    };
    let update = |status: &str| review(&scan(&format!(r#"{{"status": {status}}}"#)), None).to_string();
    let fault = |fault: Fault, webhook| {
        String::from_utf8(admission::fault(update("{}").as_bytes(), fault, &context(webhook)).body).unwrap()
    };
    let v1beta1 = |webhook| answer(&update("{}").replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1"), webhook);
    let answers = [
        (
            "denial",
            answer(&update(r#"{"phase": "Complete", "cveCount": {"critical": 1, "total": 2}}"#), Webhook::Validating),
        ),
        ("warnings", answer(&update(r#"{"cveCount": {"critical": 1}}"#), Webhook::Validating)),
        (
            "mutation",
            answer(
                &update(
                    r#"{"cveCount": {"critical": 1, "high": 2, "medium": 0, "low": 0, "unknown": 0, "total": 22}}"#,
                ),
                Webhook::Mutating,
            ),
        ),
        ("unreadable, denied", fault(Fault::BadRequest, Webhook::Validating)),
        ("unreadable, allowed", fault(Fault::BadRequest, Webhook::Mutating)),
        ("too big", fault(Fault::TooLarge, Webhook::Validating)),
        ("too late", fault(Fault::Timeout, Webhook::Validating)),
        ("too busy", fault(Fault::TooManyRequests, Webhook::Validating)),
        ("internal", fault(Fault::Internal, Webhook::Validating)),
        ("v1beta1, denied", v1beta1(Webhook::Validating)),
        ("v1beta1, allowed", v1beta1(Webhook::Mutating)),
        ("no uid", answer("{}", Webhook::Validating)),
        ("too wide", answer(&update("{}").replace("SourceScan", "Pod"), Webhook::Validating)),
    ];
    let answers: String = answers.iter().map(|(name, line)| format!("# {name}\n{line}\n")).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/answers.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &answers).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        answers == committed,
        "the answers differ from {path}; UPDATE=1 cargo test --test core admission writes these:\n{answers}"
    );
}
