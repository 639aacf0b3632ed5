//! Tests of the mutation of the phase, and of all mutations in one patch.

use std::sync::atomic::{AtomicUsize, Ordering};

use scan_admission::admission::{self, Context, ReviewSettings, Webhook};
use scan_admission::engine::{Mode, Rule, RuleMode};
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use super::{check_writes, mutate_object, with_status};
use crate::answers::{self, patched};
use crate::findings::{Found, found};
use crate::states::{self, Entry, Facts, Kind, Phase, Spelling, State, Status};
use crate::support::review_context::{NOW, context};
use crate::support::reviews::{patch, review};

/// "absent phase := Scanning (s=True) · Error (u=False or p=Unknown) · Failed (u=True, p=False) · Completed (u=True,
/// p=True; or p absent and no scanPolicy), from current conditions; otherwise left alone".
fn due(facts: &Facts) -> Option<&'static str> {
    let stale = facts.stale();
    let current =
        |entry: &Option<Entry>, is_stale: bool| entry.as_ref().filter(|_| !is_stale).map(|entry| entry.status);
    let s = current(&facts.scanning, stale.scanning);
    let u = current(&facts.succeeded, stale.succeeded);
    let p = current(&facts.policy, stale.policy);
    let is_without_policy = facts.policy.is_none() && !facts.scan_policy;
    match (s, u, p) {
        (Some(Status::True), _, _) => Some("Scanning"),
        (_, Some(Status::False), _) | (_, _, Some(Status::Unknown)) => Some("Error"),
        (_, Some(Status::True), Some(Status::False)) => Some("Failed"),
        (_, Some(Status::True), Some(Status::True)) => Some("Completed"),
        (_, Some(Status::True), None) if is_without_policy => Some("Completed"),
        _ => None,
    }
}

fn without_status(object: &Value) -> Value {
    let mut object = object.clone();
    object["status"].take();
    object
}

/// Every combination of Scanning, Succeeded and PolicySucceeded, each of the current or of the previous generation,
/// with results later or earlier than Scanning.
#[test]
fn a_missing_phase_is_derived_from_the_current_conditions() {
    let (mut differ, mut filled, mut left_out) = (Vec::new(), 0, 0);
    let states = states::all().filter(|state| state.phase.is_none() && state.sending.is_none());
    for (state, generations) in states.flat_map(|state| (0..8_i64).map(move |generations| (state, generations))) {
        let mut object = state.object(Kind::SourceScan, Spelling::Wire);
        object["metadata"]["generation"] = json!(2);
        object["status"]["observedGeneration"] = json!(2);
        let mut facts = Facts { observed: Some(2), generation: Some(2), ..state.facts() };
        let names = ["Scanning", "Succeeded", "PolicySucceeded"];
        let entries = [&mut facts.scanning, &mut facts.succeeded, &mut facts.policy];
        for (bit, (name, entry)) in names.into_iter().zip(entries).enumerate() {
            let generation = 1 + (generations >> bit & 1);
            if let Some(entry) = entry {
                entry.generation = Some(generation);
                let conditions = object["status"]["conditions"].as_array_mut().unwrap();
                let there = conditions.iter_mut().find(|entry| entry["type"] == name).unwrap();
                there["observedGeneration"] = json!(generation);
            }
        }
        let old = without_status(&object);
        let mut due = due(&facts);
        // On Completed and Failed no condition is stale, so a status that passes without a phase may be denied with
        // one. By "no rule has an error that was not there before", such a mutation is skipped.
        let filled_in = Facts { phase: due.and_then(Phase::named), ..facts.clone() };
        if !filled_in.expected().denied.is_subset(&facts.expected().denied) {
            left_out += 1;
            due = None;
            // It is skipped too where the status is denied only for a field that another mutation repairs.
            let mut off = object.clone();
            off["status"]["cveCount"] =
                json!({"critical": 1, "high": 0, "medium": 0, "low": 0, "unknown": 0, "total": 2});
            let is_denied = |new: &Value| !found(&review(new, Some(&old))).denied.is_empty();
            assert!(is_denied(&off));
            let mutated = mutate_object(&off, &old).object;
            let denied = !facts.expected().denied.is_empty();
            assert_eq!((&mutated["status"]["phase"], is_denied(&mutated)), (&Value::Null, denied), "{mutated}");
        }
        filled += usize::from(due.is_some());
        let mutated = mutate_object(&object, &old);
        let phase = mutated.object["status"]["phase"].as_str();
        if phase != due {
            differ.push(format!("{facts:?}: {phase:?}, due {due:?}"));
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    // The skipped ones are runs of an older generation beside later results of the current generation.
    assert_eq!((filled, left_out), (462, 8));
}

/// Returns the object without the fields that a mutation can restore.
fn stripped(object: &Value) -> Value {
    let mut object = object.clone();
    let status = object["status"].as_object_mut().unwrap();
    status.remove("phase");
    status.remove("scannedAt");
    for (container, total) in [("cveCount", "total"), ("CVECount", "CVETOTAL")] {
        if let Some(counts) = status.get_mut(container).and_then(Value::as_object_mut) {
            counts.remove(total);
            counts.retain(|_, count| *count != json!(0));
        }
    }
    for entry in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        let name = entry["type"].as_str().unwrap().to_owned();
        let is = entry["status"].as_str().unwrap().to_owned();
        let entry = entry.as_object_mut().unwrap();
        entry.remove("lastTransitionTime");
        if name != "SendingResults" {
            entry.remove("reason");
        }
        if name == "Scanning" || name == "PolicySucceeded" && is == "True" {
            entry.remove("message");
        }
    }
    object
}

/// "A status with conditions but no times, reasons, messages, phase, total, scannedAt is completed in one go and then
/// passes."
#[test]
fn a_status_without_derived_fields_is_completed_in_one_patch() {
    let finished = State {
        phase: Some(Phase::Completed),
        scanning: Some(false),
        succeeded: Some(true),
        sending: Some(true),
        policy: Some(Status::True),
        scan_policy: true,
        results_later: true,
    };
    let failed = State { phase: Some(Phase::Failed), policy: Some(Status::False), ..finished };
    for (state, phase) in [(finished, "Completed"), (failed, "Failed")] {
        for (kind, spelling) in [Kind::SourceScan, Kind::ImageScan]
            .into_iter()
            .flat_map(|kind| [Spelling::Wire, Spelling::Documented].map(|spelling| (kind, spelling)))
        {
            let whole = state.object(kind, spelling);
            let (new, old) = (stripped(&whole), without_status(&whole));
            assert!(!found(&review(&new, Some(&old))).denied.is_empty());
            let mutated = mutate_object(&new, &old);
            let mut expected = whole.clone();
            expected["status"]["scannedAt"] = json!(NOW);
            for entry in expected["status"]["conditions"].as_array_mut().unwrap() {
                entry["lastTransitionTime"] = json!(NOW);
            }
            assert_eq!(mutated.object, expected, "{phase}");
            assert_eq!(found(&review(&mutated.object, Some(&old))), Found::default());
            assert_eq!(mutated.warnings, [""; 0]);
        }
    }
}

/// Fields that a client leaves out get their old values back where those can be derived from the conditions.
#[test]
fn a_legal_status_without_its_derived_fields_gets_them_back() {
    let (mut whole, mut parts) = (0, 0);
    for state in states::all().filter(|state| state.expected() == states::Expected::default()) {
        let object = state.object(Kind::ImageScan, Spelling::Wire);
        let mutated = mutate_object(&stripped(&object), &object);
        if mutated.object == object {
            whole += 1;
            continue;
        }
        // The conditions do not tell that a scan is Pending, that its policy is still to come, or that scannedAt is
        // later.
        parts += 1;
        for (field, value) in mutated.object["status"].as_object().unwrap() {
            if field != "phase" && field != "scannedAt" {
                assert_eq!(object["status"][field], *value, "{state:?}");
            }
        }
    }
    assert!(whole > 50 && parts > 0, "{whole} whole, {parts} parts");
}

/// "A mutation is minimal … keeps all else byte for byte": only the absent phase is written, and unknown keys stay
/// where they are.
#[test]
fn present_members_are_kept() {
    let object = json!({"phase": "", "x": {"y": [1, {"z": null}]}, "conditions": [
        {"x": 1, "type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running",
         "lastTransitionTime": "2026-11-20T08:01:00Z"},
    ]});
    let new = with_status(object);
    let mutated = mutate_object(&new, &without_status(&new));
    check_writes(&mutated, vec![("/status/phase".to_owned(), json!("Scanning"))]);
    let mut expected = new.clone();
    expected["status"]["phase"] = json!("Scanning");
    assert_eq!(mutated.object, expected);
}

/// "Idempotent", also where a mutation depends on another: a PolicySucceeded that lacked its time and its reason before
/// gets its time only together with its reason, because the phase is compared with it from then on.
#[test]
fn mutations_that_depend_on_each_other_are_made_in_one_patch() {
    let bare = with_status(json!({"phase": "Failed", "conditions": [
        {"type": "PolicySucceeded", "status": "False", "message": "Policy violated because of 2 CVEs"},
    ]}));
    let mutated = mutate_object(&bare, &bare);
    let path = |member: &str| format!("/status/conditions/0/{member}");
    check_writes(&mutated, vec![(path("lastTransitionTime"), json!(NOW)), (path("reason"), json!("EvaluationFailed"))]);
}

/// Two containers that conflict only until the severities are filled in get their totals after the severities.
#[test]
fn a_skipped_write_is_made_once_it_adds_no_error() {
    let object = with_status(json!({"cveCount": {"low": 0, "medium": 0}, "CVECount": {"CRITICAL": 0}}));
    // This condition contradicts its row once it is complete, so that the first attempt, to write everything, fails.
    let mut new = object.clone();
    new["status"]["conditions"] = json!([
        {"type": "Scanning", "status": "False", "reason": "Wrong", "message": "The scan job terminated"},
    ]);
    let mutated = mutate_object(&new, &object);
    let counts = &mutated.object["status"];
    assert_eq!((&counts["cveCount"]["total"], &counts["CVECount"]["CVETOTAL"]), (&json!(0), &json!(0)), "{counts}");
}

/// "No rule has an error that was not there before": other rules ignore a malformed entry. Where its own error does not
/// deny the write, the entry is not completed, because the other rules would then deny the write.
#[test]
fn a_status_that_passes_in_a_milder_mode_passes_after_its_mutation() {
    let object = with_status(json!({"phase": "Completed", "conditions": [
        {"type": "Scanning", "status": "True", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"},
        {"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:02:00Z"},
    ]}));
    for mode in [Mode::Deny, Mode::Warn, Mode::Audit, Mode::Off] {
        let modes = vec![RuleMode { rule: "condition-fields", mode }];
        let settings = ReviewSettings { modes, ..ReviewSettings::default() };
        let answer = |object: &Value, webhook| {
            let body = review(object, Some(&without_status(object))).to_string();
            admission::answer(body.as_bytes(), &Context { settings: &settings, ..context(webhook) })
        };
        let body = serde_json::from_slice(&answer(&object, Webhook::Mutating).body).unwrap();
        let is_allowed = answer(&object, Webhook::Validating).is_allowed;
        assert_eq!(is_allowed, mode != Mode::Deny);
        assert_eq!(answer(&patched(&object, &body), Webhook::Validating).is_allowed, is_allowed, "{mode:?}");
    }
}

static CHECKS: AtomicUsize = AtomicUsize::new(0);

/// Each write that would add an error costs one more validation, so the number of attempts is bounded against
/// attackers. Beyond the bound, all of the writes are skipped, so the mutated object needs no further mutation.
#[test]
fn writes_that_would_add_an_error_are_tried_a_bounded_number_of_times() {
    let counting = Rule {
        id: "counting",
        check: |_, _| {
            CHECKS.fetch_add(1, Ordering::Relaxed);
        },
        mutate: None,
        ..RULES[0]
    };
    let rules: Vec<Rule> = RULES.iter().map(|rule| Rule { ..*rule }).chain([counting]).collect();
    // Once complete, an entry is the second of its type, which is a new error.
    let entries = |count: usize, bytes: usize| {
        let of_type = [
            json!({"type": "Scanning", "status": "True", "message": "m", "lastTransitionTime": "2026-11-20T08:01:00Z"}),
            json!({"type": "Succeeded", "status": "True", "message": "m", "lastTransitionTime": "2026-11-20T08:01:00Z"}),
            json!({"type": "PolicySucceeded", "status": "True", "lastTransitionTime": "2026-11-20T08:01:00Z"}),
            json!({"type": "SendingResults", "status": "True", "message": "m", "reason": "Sent"}),
        ];
        let mut entries: Vec<Value> = of_type.into_iter().cycle().take(count).collect();
        entries.iter_mut().for_each(|entry| entry["more"] = "m".repeat(bytes).into());
        entries
    };
    for (count, bytes, tries_max) in [(4, 0, 72), (16, 0, 72), (17, 0, 0), (64, 0, 0), (16, 2_000, 0), (16, 60_000, 0)]
    {
        let object = with_status(json!({
            "phase": "Completed",
            "cveCount": {"low": 1, "total": 4},
            "CVECount": {"LOW": 2, "CVETOTAL": 3},
            "conditions": entries(count, bytes),
        }));
        CHECKS.store(0, Ordering::Relaxed);
        let body = review(&object, Some(&object)).to_string();
        let answer = admission::answer(body.as_bytes(), &Context { rules: &rules, ..context(Webhook::Mutating) });
        let mutated = patched(&object, &serde_json::from_slice(&answer.body).unwrap());
        // Two validations are for all writes at once; the rest are attempts with some of them.
        let checks = CHECKS.load(Ordering::Relaxed);
        assert!((2..=2 + tries_max).contains(&checks), "{count} entries of {bytes} bytes: {checks}");
        let (_, again) = answers::answer(&review(&mutated, Some(&object)), Webhook::Mutating);
        assert_eq!(patch(&again), json!([]), "{count} entries of {bytes} bytes");
    }
}
