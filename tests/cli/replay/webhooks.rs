//! Compares a replay with the answers of both webhooks to the same writes, and tests the memory of old objects.

use std::collections::BTreeSet;
use std::fs;
use std::rc::Rc;

use scan_admission::admission::{self, Context, EventReasons, ReviewSettings, Webhook};
use scan_admission::config::Config;
use scan_admission::offline::audit_log::old_objects::{OLD_OBJECT_MAX_BYTES, OLD_OBJECTS_MAX_BYTES};
use scan_admission::offline::audit_log::{AuditLogs, Replay};
use scan_admission::offline::input::Input;
use scan_admission::report::replay::{ReplayFormat, ReplayReport};
use scan_admission::rules::RULES;
use scan_admission::scan::time::parse;
use serde_json::{Value, json};

use super::log::{event, lines, scan, with};
use crate::support::folder::Folder;

/// Replays a log with these settings.
fn replay(log: &str, settings: ReviewSettings, old_objects_max_bytes: usize) -> Value {
    let folder = Folder::new();
    fs::write(folder.join("audit.log"), log).unwrap();
    let mut json = Vec::new();
    replayed(&folder, settings, old_objects_max_bytes).finish(&mut json, ReplayFormat::Json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn replayed(folder: &Folder, settings: ReviewSettings, old_objects_max_bytes: usize) -> ReplayReport {
    let mut report = ReplayReport::default();
    let mut replay = Replay::new(settings, old_objects_max_bytes);
    let mut logs = AuditLogs::new(vec![Input::File(folder.join("audit.log"))], Rc::new(|_| ()));
    while let Some(event) = logs.next_event(&mut report) {
        replay.event(&event, &mut report);
    }
    replay.finish(&mut report);
    report
}

/// Returns the outcome and the rule of each row.
fn outcomes(report: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    report["rows"].as_array().unwrap().iter().map(|row| (text(&row["outcome"]), text(&row["rule"]))).collect()
}

const TIME: &str = "2026-11-20T08:05:00Z";

/// Returns what both webhooks do to a review: the mutating webhook first, and the validating webhook with its result.
fn answered(review: &Value, settings: &ReviewSettings) -> BTreeSet<(String, String)> {
    let context = |webhook| Context {
        webhook,
        now: parse(TIME).unwrap(),
        rules: RULES,
        settings,
        events: EventReasons::default(),
    };
    let mut review = review.clone();
    let answer = admission::answer(review.to_string().as_bytes(), &context(Webhook::Mutating));
    let finding = |finding: &admission::RuleFinding| (finding.action.name().to_owned(), finding.rule.to_owned());
    let mut all: BTreeSet<_> = answer.summary.findings.iter().map(finding).collect();
    all.extend(answer.summary.mutations.iter().map(|rule| ("mutate".to_owned(), (*rule).to_owned())));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    if let Some(patch) = body["response"]["patch"].as_str() {
        use base64::Engine as _;
        let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
        json_patch::patch(
            &mut review["request"]["object"],
            &serde_json::from_slice::<json_patch::Patch>(&patch).unwrap(),
        )
        .unwrap();
    }
    let answer = admission::answer(review.to_string().as_bytes(), &context(Webhook::Validating));
    assert_eq!(answer.http, 200);
    all.extend(answer.summary.findings.iter().map(finding));
    all
}

/// Returns the events of a review: that of the write, after one that read the old object.
fn events(review: &Value) -> Vec<Value> {
    let request = &review["request"];
    let names = json!({
        "objectRef": {"resource": request["resource"]["resource"], "name": request["name"],
            "namespace": request["namespace"], "subresource": request["subResource"]},
        "user": request["userInfo"],
        "requestReceivedTimestamp": TIME,
        "stageTimestamp": TIME,
    });
    let write = with(event(0, request["object"].clone()), names.clone());
    let verb = if request["operation"] == "CREATE" { "create" } else { "patch" };
    let write = with(write, json!({"verb": verb, "responseObject": {"metadata": {"resourceVersion": "8"}}}));
    if request["oldObject"].is_null() {
        return vec![write];
    }
    let read = with(event(0, request["oldObject"].clone()), names);
    let read = with(read, json!({"verb": "get", "objectRef": {"subresource": null}}));
    vec![with(read, json!({"responseObject": {"metadata": {"resourceVersion": "7"}}})), write]
}

/// The changes of the status in both objects, and of the new one alone.
fn edits() -> Vec<(Value, Value)> {
    let none = json!({});
    [
        json!({}),
        json!({"phase": "Done"}),
        json!({"phase": null, "scannedAt": null}),
        json!({"cveCount": {"total": 7, "low": null}}),
        json!({"CVECount": {"high": "1"}, "metadataUrl": "here"}),
        json!({"conditions": [{"type": "Succeeded", "status": "True"}, {"type": "Scanning", "status": "Maybe"}]}),
        json!({"compliantArtifact": 7, "observedGeneration": 9}),
    ]
    .into_iter()
    .flat_map(|edit| [(none.clone(), edit.clone()), (edit.clone(), edit.clone()), (edit, none.clone())])
    .collect()
}

#[test]
fn a_replay_finds_what_both_webhooks_would_answer() {
    let configs = [
        "",
        "rules: {phase-unknown: warn, cve-total: audit, condition-fields: \"off\"}\n",
        "statusWriters: [somebody]\noverrides:\n- {groups: [\"system:serviceaccounts\"], rules: {phase-unknown: audit}}\n",
    ];
    let settings = configs.map(|config| Config::read(config.as_bytes()).unwrap().settings);
    let (mut compared, mut with_findings) = (0, 0);
    for file in fs::read_dir("tests/fixtures/reviews").unwrap() {
        let path = file.unwrap().path();
        let review: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        // The validating webhook sees what is stored.
        let is_validating = path.to_string_lossy().ends_with(".validate.json");
        if !is_validating || review["request"]["subResource"] != "status" {
            continue;
        }
        for (old, new) in edits() {
            let mut review = review.clone();
            json_patch::merge(&mut review["request"]["oldObject"]["status"], &old);
            json_patch::merge(&mut review["request"]["object"]["status"], &old);
            json_patch::merge(&mut review["request"]["object"]["status"], &new);
            for settings in &settings {
                let expected = answered(&review, settings);
                let found = replay(&lines(&events(&review)), settings.clone(), usize::MAX);
                assert_eq!(outcomes(&found), expected, "{} {old} {new}", path.display());
                assert_eq!((&found["counts"]["statusWrites"], &found["counts"]["upperBounds"]), (&json!(1), &json!(0)));
                compared += 1;
                with_findings += usize::from(!expected.is_empty());
            }
        }
    }
    assert!(compared > 1_000 && with_findings > compared / 2, "{with_findings} of {compared}");
}

/// Without a status subresource, the review of a whole scan has its status.
#[test]
fn a_replay_of_whole_scans_finds_what_both_webhooks_would_answer() {
    let review = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(format!("tests/fixtures/reviews/{name}.validate.json")).unwrap()).unwrap()
    };
    let settings = ReviewSettings::default();
    let mut update = review("sourcescan-completed-2-status");
    update["request"].as_object_mut().unwrap().remove("subResource");
    // Without a status subresource, a change of the status increments the generation.
    update["request"]["oldObject"]["metadata"]["generation"] = json!(0);
    let mut create = review("sourcescan-completed-create");
    create["request"]["object"]["status"] = json!({"phase": "Done"});
    for mut review in [update, create] {
        for (phase, url) in
            [("Completed", "https://example.com/a"), ("Done", "https://example.com/a"), ("Done", "no url")]
        {
            review["request"]["object"]["status"]["phase"] = json!(phase);
            review["request"]["object"]["spec"]["blob"]["url"] = json!(url);
            let found = replay(&lines(&events(&review)), settings.clone(), usize::MAX);
            assert_eq!(outcomes(&found), answered(&review, &settings), "{review}");
            assert_eq!(found["counts"]["statusWrites"], 1);
        }
    }
}

#[test]
fn old_objects_are_dropped_beyond_the_limit_the_least_recently_stored_first() {
    let of_scan = |second: u32, name: &str| {
        let names = json!({"name": name, "uid": name});
        with(
            event(second, scan(second.into(), json!({"phase": "Done"}))),
            json!({"objectRef": {"name": name},
            "responseObject": {"metadata": names}}),
        )
    };
    // Two objects fit. `a` is written again before `c` takes the place of `b`.
    let names = ["a", "b", "a", "c", "a", "b"];
    let log: Vec<Value> = names.iter().enumerate().map(|(second, name)| of_scan(second as u32 + 1, name)).collect();
    for (max_bytes, evicted, upper_bounds) in [(2_000, 2, 4), (100, 6, 6), (1 << 20, 0, 3)] {
        let found = replay(&lines(&log), ReviewSettings::default(), max_bytes);
        let counts = &found["counts"];
        assert_eq!(
            (&counts["evicted"], &counts["upperBounds"]),
            (&json!(evicted), &json!(upper_bounds)),
            "{max_bytes}"
        );
        assert_eq!(counts["denied"], upper_bounds, "{max_bytes}");
    }
    // The limit of the command is in the report and in the schema.
    let limit = format!("{} MB", OLD_OBJECTS_MAX_BYTES / 1_000_000);
    let folder = Folder::new();
    fs::write(folder.join("audit.log"), lines(&log)).unwrap();
    let mut text = Vec::new();
    replayed(&folder, ReviewSettings::default(), 100).finish(&mut text, ReplayFormat::Text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(&format!("dropped beyond {limit}.")), "{text}");
    assert!(fs::read_to_string("docs/replay.schema.json").unwrap().contains(&format!("exceeded {limit} together")));
}

#[test]
fn an_object_larger_than_a_request_may_be_is_not_kept() {
    for (bytes, upper_bounds) in [(OLD_OBJECT_MAX_BYTES / 2, 1), (OLD_OBJECT_MAX_BYTES, 2)] {
        let status = json!({"phase": "Done", "other": "x".repeat(bytes)});
        let log = lines(&[event(1, scan(1, status.clone())), event(2, scan(2, status))]);
        let found = replay(&log, ReviewSettings::default(), usize::MAX);
        assert_eq!(found["counts"]["upperBounds"], upper_bounds, "{bytes}");
    }
}
