//! Tests that memory does not grow with the object: fields that are not judged are skipped without a copy. This is a
//! crate of its own, because the counting allocator replaces the allocator of the whole process.

mod support {
    pub mod bodies;
    pub mod fixtures;
    pub mod review_context;
    pub mod stages;
    pub mod worst_bodies;
}

use std::collections::BTreeMap;
use std::path::Path;

use allocation_counter::measure;
use scan_admission::admission::{
    self, Context, EventReasons, JUDGEMENT_MAX_BYTES, Override, ReviewSettings, Webhook, review,
};
use scan_admission::engine::{Mode, RuleMode};
use serde_json::{Map, Value, json};

use crate::support::bodies;
use crate::support::fixtures::fixture;
use crate::support::review_context::context;
use crate::support::stages;
use crate::support::worst_bodies;

/// Returns the captured review of a complete status, to whose object `grow` adds at least `bytes`.
fn grown(bytes: usize, grow: fn(&mut Value, Value)) -> String {
    let mut review: Value = serde_json::from_slice(&fixture("sourcescan-completed-2-status.validate.json")).unwrap();
    for object in ["object", "oldObject"] {
        review["request"][object]["metadata"].as_object_mut().unwrap().remove("managedFields");
    }
    let member =
        |number: usize| (format!("f:member-{number:08}"), json!({".": {}, "f:name": {}, "f:values": [1, "x"]}));
    let count = bytes / 50;
    let members: Map<String, Value> = (0..count).map(member).collect();
    grow(&mut review["request"]["object"], Value::from(members));
    let text = review.to_string();
    assert!(text.len() >= bytes, "{}", text.len());
    text
}

fn in_managed_fields(object: &mut Value, members: Value) {
    object["metadata"]["managedFields"] = json!([{"manager": "kubectl", "fieldsV1": members}]);
}

fn in_status(object: &mut Value, mut members: Value) {
    object["status"].as_object_mut().unwrap().append(members.as_object_mut().unwrap());
}

#[test]
fn allocations_do_not_grow_with_unjudged_fields() {
    for grow in [in_managed_fields, in_status] {
        let counts = [1_000, 100_000, 1_000_000, 4_000_000].map(|bytes| {
            let text = grown(bytes, grow);
            let decoded = measure(|| assert!(review::decode(&text).1.is_ok()));
            assert!(decoded.bytes_max < 16 << 10, "{decoded:?}");
            let answered = [Webhook::Validating, Webhook::Mutating].map(|webhook| {
                let mut is_allowed = false;
                let used = measure(|| is_allowed = admission::answer(text.as_bytes(), &context(webhook)).is_allowed);
                assert!(is_allowed);
                used.count_total
            });
            (decoded.count_total, answered)
        });
        println!("allocations of decode, and of answer for both webhooks: {:?}", counts[0]);
        assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
        assert!(counts[0].0 <= 16, "{counts:?}");
    }
}

/// A configuration costs no allocation where it sets no mode of a rule, and one for the list of modes where it does.
#[test]
fn a_configuration_costs_at_most_one_allocation() {
    let text = grown(1_000, in_managed_fields);
    let modes = vec![RuleMode { rule: "phase-jump", mode: Mode::Warn }];
    let by_namespace = |namespaces: &[&str]| Override {
        namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        modes: modes.clone(),
        ..Override::default()
    };
    let with = |overrides: Vec<Override>| ReviewSettings { overrides, ..ReviewSettings::default() };
    for (settings, additional) in [
        (
            ReviewSettings {
                help: "https://example.com".to_owned(),
                digest: "0".repeat(12),
                ..ReviewSettings::default()
            },
            0,
        ),
        (ReviewSettings { modes: modes.clone(), ..ReviewSettings::default() }, 1),
        (with(vec![by_namespace(&["nowhere", "no-*"]); 100]), 0),
        (with(vec![by_namespace(&["*"])]), 1),
    ] {
        for webhook in [Webhook::Validating, Webhook::Mutating] {
            let count = |context: &Context<'_>| {
                measure(|| assert!(!admission::answer(text.as_bytes(), context).body.is_empty())).count_total
            };
            let (without, with) =
                (count(&context(webhook)), count(&Context { settings: &settings, ..context(webhook) }));
            assert!(with == without + additional, "{settings:?}: {with}, {without} without the settings");
        }
    }
}

/// A review pays for an Event only if it has one.
#[test]
fn events_cost_nothing_where_nothing_is_denied() {
    let text = grown(1_000, in_managed_fields);
    let denied = text.replacen("\"Completed\"", "\"Complete\"", 1);
    for webhook in Webhook::BOTH {
        for (text, is_denied) in [(&text, false), (&denied, webhook == Webhook::Validating)] {
            let [without, with] = [false, true].map(|denied| {
                let events = EventReasons { denied, warned: denied };
                let mut has_event = false;
                let used = measure(|| {
                    let answer = admission::answer(text.as_bytes(), &Context { events, ..context(webhook) });
                    has_event = answer.summary.event.is_some();
                });
                assert_eq!(has_event, denied && is_denied, "{webhook:?}");
                used.count_total
            });
            assert_eq!(with > without, is_denied, "{webhook:?}: {with}, {without} without Events");
        }
    }
}

/// The allocations of each stage of each benchmarked review, and the peak memory of an answer. They show a regression
/// without a clock.
#[test]
fn the_allocations_of_a_review_are_the_committed_ones() {
    let mut counts: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
    for body in bodies::Body::all() {
        let counts = counts.entry(body.name()).or_default();
        stages::each(&body, &context(body.webhook), |stage, run| {
            // The first run makes the allocations that the process needs only once.
            run();
            let used = measure(run);
            counts.insert(stage, used.count_total);
            if stage == "answer" {
                counts.insert("answer, peak bytes", used.bytes_max);
            }
        });
    }
    let counted = serde_json::to_string_pretty(&counts).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/counts.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &counted).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == counted, "tests/bench/counts.json differs from the counts (UPDATE=1 rewrites it):\n{counted}");
}

/// Besides its body, a review uses a bounded amount of memory for any body. The server's memory limits are derived from
/// the bound.
#[test]
fn the_worst_bodies_stay_within_the_memory_limit_of_a_review() {
    for body in worst_bodies::all() {
        for webhook in Webhook::BOTH {
            let used = measure(|| assert!(!admission::answer(body.text.as_bytes(), &context(webhook)).body.is_empty()));
            let (name, peak) = (&body.name, used.bytes_max);
            assert!(peak <= JUDGEMENT_MAX_BYTES as u64, "{name}, {webhook:?}: {peak} bytes");
        }
    }
}

/// The limit of old objects is derived from the memory of the whole program.
#[cfg(feature = "files")]
#[test]
fn old_objects_take_no_more_memory_than_is_counted() {
    use scan_admission::offline::audit_log::old_objects::{OldObject, OldObjects};
    const MAX_BYTES: usize = 4 << 20;
    for json_bytes in [2, 300, 3_000] {
        let object = |number: usize| OldObject {
            json: "x".repeat(json_bytes).into(),
            uid: format!("uid-{number}").into(),
            resource_version: None,
            stage_timestamp: time::OffsetDateTime::UNIX_EPOCH,
        };
        let mut counted = 0;
        let used = measure(|| {
            let mut objects = OldObjects::new(MAX_BYTES);
            for number in 0..20_000 {
                objects.insert(&format!("sourcescans/dev/scan-{number}"), object(number));
            }
            counted = objects.bytes();
            assert!(objects.evicted > 0 || json_bytes < 300);
        });
        assert!(counted <= MAX_BYTES, "{counted}");
        // Beside it, the object that is inserted.
        let peak = used.bytes_max as usize;
        assert!(peak <= MAX_BYTES + 4 * json_bytes + 1_000, "{json_bytes}: {peak} bytes");
        assert!(peak > counted / 3, "{json_bytes}: {counted} bytes are counted, {peak} are used");
    }
}
