//! Tests which answers have an Event, and what it says.

use scan_admission::admission::event::{EventReason, NOTE_MAX_BYTES, StatusEvent};
use scan_admission::admission::{self, Answer, Context, EventReasons, Webhook};
use scan_admission::engine::Part;
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use crate::support::review_context::context;
use crate::support::review_edits::edited;
use crate::support::reviews::{review, scan};

const BOTH: EventReasons = EventReasons { denied: true, warned: true };
const DENIED: EventReasons = EventReasons { denied: true, warned: false };

/// Two errors, and a warning: counts do not belong to a pending scan.
const BAD: &str = r#"{"metadata": {"uid": "u-1"}, "status": {
    "phase": "Complete", "cveCount": {"critical": "1"}, "scannedAt": "yesterday"}}"#;
const WARNED: &str = r#"{"metadata": {"uid": "u-1"}, "status": {"phase": "Pending", "cveCount": {
    "critical": 1, "high": 0, "medium": 0, "low": 0, "unknown": 0, "total": 1}}}"#;

fn answer(review: &str, webhook: Webhook, events: EventReasons) -> Answer {
    admission::answer(review.as_bytes(), &Context { events, ..context(webhook) })
}

fn event(review: &str, events: EventReasons) -> Option<StatusEvent> {
    answer(review, Webhook::Validating, events).summary.event.map(|event| *event)
}

fn of(example: &str) -> Value {
    review(&scan(example), Some(&scan(r#"{"metadata": {"uid": "u-1"}}"#)))
}

#[test]
fn a_denied_status_has_an_event_about_the_scan() {
    let event = event(&of(BAD).to_string(), DENIED).unwrap();
    assert_eq!((event.reason, event.reason.name()), (EventReason::StatusDenied, "StatusDenied"));
    let scan = &event.scan;
    assert_eq!((scan.api_version.as_str(), scan.kind), ("scanning.apps.tanzu.vmware.com/v1beta1", "SourceScan"));
    assert_eq!((scan.namespace.as_str(), scan.name.as_str(), scan.uid.as_str()), ("default", "sample", "u-1"));
    assert_eq!(event.rules, ["cve-count-values", "phase-unknown", "scanned-at"]);
    assert_eq!(
        event.note,
        "status.phase: Unsupported value: \"Complete\": supported values: \"Pending\", \"Scanning\", \"Completed\", \
         \"Failed\", \"Error\"; did you mean \"Completed\"? [phase-unknown], and 2 more [cve-count-values, scanned-at]"
    );
}

/// The Event has the first cause of the denial and the rules of all, and changes no byte of the answer.
#[test]
fn an_event_says_what_the_denial_says() {
    let (mut denied, mut warned) = (0, 0);
    let examples = RULES.iter().filter(|rule| matches!(rule.part, Part::Status)).flat_map(|rule| rule.examples);
    for example in examples {
        let with_uid = |members: &str| {
            let mut object = scan(members);
            object["metadata"]["uid"] = json!("u-1");
            object
        };
        let text = review(&with_uid(example.new), Some(&with_uid(example.old.unwrap_or("{}")))).to_string();
        let [without, with] = [EventReasons::default(), BOTH].map(|events| answer(&text, Webhook::Validating, events));
        assert_eq!((without.body, without.summary.event), (with.body.clone(), None), "{text}");
        let response: Value = serde_json::from_slice(&with.body).unwrap();
        let causes = response["response"]["status"]["details"]["causes"].as_array().cloned().unwrap_or_default();
        let causes: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap()))
            .collect();
        let warnings: Vec<String> =
            serde_json::from_value(response["response"]["warnings"].clone()).unwrap_or_default();
        let Some(event) = with.summary.event else {
            assert!(causes.is_empty() && warnings.is_empty(), "{response}");
            continue;
        };
        let (reason, said) = match causes.is_empty() {
            true => (EventReason::StatusWarned, warnings),
            false => (EventReason::StatusDenied, causes),
        };
        assert_eq!(event.reason, reason, "{response}");
        *(if reason == EventReason::StatusDenied { &mut denied } else { &mut warned }) += 1;
        let more = if said.len() > 1 { format!(", and {} more [", said.len() - 1) } else { String::new() };
        assert!(event.note.contains(&more) && event.note.len() <= NOTE_MAX_BYTES, "{}", event.note);
        // A warning is cut earlier than a note.
        assert!(said[0].contains('…') || event.note.starts_with(&said[0]), "{} {}", event.note, said[0]);
        let mut rules: Vec<&str> =
            said.iter().map(|said| said.rsplit_once('[').unwrap().1.trim_end_matches(']')).collect();
        rules.sort_unstable();
        rules.dedup();
        assert_eq!(event.rules, rules, "{response}");
        let is_named = |rule: &&str| event.note.contains(*rule);
        assert!(rules.iter().all(is_named), "{}", event.note);
    }
    assert!(denied > 50 && warned > 10, "{denied} {warned}");
}

#[test]
fn only_the_wanted_reasons_have_events() {
    let (denied, warned) = (of(BAD).to_string(), of(WARNED).to_string());
    let reason = |review: &str, events| event(review, events).map(|event| event.reason);
    let warned_only = EventReasons { denied: false, warned: true };
    assert_eq!(reason(&denied, BOTH), Some(EventReason::StatusDenied));
    assert_eq!(reason(&warned, BOTH), Some(EventReason::StatusWarned));
    assert_eq!(reason(&warned, warned_only), Some(EventReason::StatusWarned));
    assert_eq!((reason(&warned, DENIED), reason(&denied, warned_only)), (None, None));
    assert_eq!((reason(&denied, EventReasons::default()), reason(&warned, EventReasons::default())), (None, None));
    let clean = of(r#"{"metadata": {"uid": "u-1"}, "status": {"phase": "Pending"}}"#).to_string();
    assert_eq!(reason(&clean, BOTH), None);
}

/// An edit of a review, by its JSON pointer.
type Edit = (&'static str, &'static str);

#[test]
fn only_an_update_of_a_stored_status_has_an_event() {
    let bad = of(BAD);
    let has_event = |edits: &[Edit]| {
        let edits: Vec<_> = edits.iter().map(|(path, json)| ((*path).to_owned(), Some((*json).to_owned()))).collect();
        let text = edited(&bad, &edits);
        let [validating, mutating] = Webhook::BOTH.map(|webhook| answer(&text, webhook, BOTH).summary.event.is_some());
        assert!(!mutating, "{text}");
        validating
    };
    for edits in [&[][..], &[("/request/dryRun", "false")], &[("/request/dryRun", "null")]] {
        assert!(has_event(edits), "{edits:?}");
    }
    // The uid of either object is enough.
    assert!(has_event(&[("/request/object/metadata", "{}")]));
    assert!(has_event(&[("/request/oldObject", "null")]));
    let without: &[&[Edit]] = &[
        &[("/request/dryRun", "true")],
        &[("/request/dryRun", "\"true\"")],
        &[("/request/dryRun", "1")],
        &[("/request/operation", "\"CREATE\"")],
        &[("/request/operation", "\"DELETE\"")],
        &[("/request/operation", "\"CONNECT\"")],
        &[("/request/subResource", "null")],
        &[("/request/subResource", "\"scale\"")],
        &[("/request/kind/kind", "\"Pod\"")],
        &[("/request/object/metadata/uid", "\"\""), ("/request/oldObject/metadata/uid", "\"\"")],
        &[("/request/object/metadata/uid", "7"), ("/request/oldObject/metadata/uid", "null")],
        &[("/request/name", "null")],
        &[("/request/namespace", "null")],
        // Not the names of an object, so they must not become part of a URL.
        &[("/request/namespace", "\"kube-system/secrets\"")],
        &[("/request/namespace", "\"..\"")],
        &[("/request/name", "\"a/b\"")],
    ];
    for edits in without {
        assert!(!has_event(edits), "{edits:?}");
    }
}
