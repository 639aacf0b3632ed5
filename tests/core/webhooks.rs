//! Tests of RULES §6: the requests and parts that each webhook judges, row by row.

use scan_admission::admission::{self, Webhook};
use serde_json::{Value, json};

use crate::answers::answer;
use crate::findings::found;
use crate::states;
use crate::support::review_context;
use crate::support::reviews::{self, patch, scan};

const NONE: [String; 0] = [];

fn request(operation: &str, sub_resource: &str, new: &Value, old: &Value) -> Value {
    let mut review = reviews::review(new, Some(old));
    review["request"]["kind"]["kind"] = if new.is_null() { old["kind"].clone() } else { new["kind"].clone() };
    review["request"]["operation"] = json!(operation);
    review["request"]["subResource"] = json!(sub_resource);
    review
}

/// Returns a scan of each kind with this status, and with a broken or a valid spec.
fn scans(status: &Value, is_spec_broken: bool) -> [Value; 2] {
    ["SourceScan", "ImageScan"].map(|kind| {
        let mut object = scan("{}");
        object["kind"] = json!(kind);
        object["spec"] = match (kind, is_spec_broken) {
            (_, true) => json!({"scanTemplate": "t"}),
            ("SourceScan", false) => json!({"scanTemplate": "t", "git": {"url": "https://example.com/code.git"}}),
            (_, false) => json!({"scanTemplate": "t", "registry": {"image": "ghcr.io/team/app:v1"}}),
        };
        object["status"] = status.clone();
        object
    })
}

/// Returns a status that `phase-unknown` denies, without the total, which a mutation would add.
fn broken() -> Value {
    json!({"phase": "Done", "cveCount": {"critical": 1, "high": 0, "medium": 0, "low": 0, "unknown": 0}})
}

/// Returns another status that `phase-unknown` denies.
fn otherwise_broken() -> Value {
    json!({"phase": "Gone"})
}

/// Returns the rules that deny the review.
fn denied(review: &Value) -> Vec<String> {
    found(review).denied.into_iter().map(|finding| finding.0).collect()
}

/// Checks that the review is allowed without a patch, and returns the warnings.
#[track_caller]
fn is_untouched(review: &Value, webhook: Webhook) -> Vec<String> {
    let (answer, body) = answer(review, webhook);
    assert!(answer.is_allowed, "{body:#}");
    assert_eq!(patch(&body), json!([]), "{body:#}");
    let warnings = body["response"]["warnings"].as_array().into_iter().flatten();
    warnings.map(|warning| warning.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_status_update_is_mutated_by_one_webhook_and_judged_by_the_other() {
    for (new, old) in scans(&broken(), true).into_iter().zip(scans(&json!(null), true)) {
        let review = request("UPDATE", "status", &new, &old);
        let (mutated, body) = answer(&review, Webhook::Mutating);
        // The mutating webhook never denies, and leaves the phase, which it cannot mutate.
        assert!(mutated.is_allowed);
        assert_eq!(patch(&body), json!([{"op": "add", "path": "/status/cveCount/total", "value": 1}]));
        assert_eq!(denied(&review), ["phase-unknown"]);
        // The broken spec is not judged in this request.
        assert!(found(&review).warned.iter().all(|finding| finding.1.starts_with("status.")));
    }
}

#[test]
fn a_create_is_judged_by_its_spec_and_its_status() {
    for absent in [json!(null), json!({})] {
        for (valid, invalid) in scans(&absent, false).into_iter().zip(scans(&absent, true)) {
            for webhook in Webhook::BOTH {
                assert_eq!(is_untouched(&request("CREATE", "", &valid, &json!(null)), webhook), NONE);
            }
            assert_eq!(denied(&request("CREATE", "", &invalid, &json!(null))), ["scan-target"]);
            assert_eq!(is_untouched(&request("CREATE", "", &invalid, &json!(null)), Webhook::Mutating), NONE);
        }
    }
    for object in scans(&broken(), true) {
        let review = request("CREATE", "", &object, &json!(null));
        assert_eq!(denied(&review), ["phase-unknown", "scan-target"]);
        let warnings = is_untouched(&review, Webhook::Mutating);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].ends_with("[status-on-create]"), "{warnings:?}");
    }
}

#[test]
fn an_update_is_judged_by_its_spec_and_its_changed_status() {
    for (new, old) in scans(&otherwise_broken(), false).into_iter().zip(scans(&broken(), false)) {
        let review = request("UPDATE", "", &new, &old);
        assert_eq!(denied(&review), ["phase-unknown"]);
        assert_eq!(is_untouched(&review, Webhook::Mutating), NONE);
        // The old object has no status.
        let mut without = old.clone();
        without["status"].take();
        assert_eq!(denied(&request("UPDATE", "", &new, &without)), ["phase-unknown"]);
    }
    for (invalid, valid) in scans(&broken(), true).into_iter().zip(scans(&broken(), false)) {
        assert_eq!(denied(&request("UPDATE", "", &invalid, &valid)), ["scan-target"]);
        for webhook in Webhook::BOTH {
            assert_eq!(is_untouched(&request("UPDATE", "", &valid, &invalid), webhook), NONE);
        }
    }
}

/// "The status is judged only if it differs at all from the old one, as JSON", also in members that no rule reads.
#[test]
fn an_update_is_judged_by_a_status_with_any_difference() {
    let with = |member: &str, value: Value| {
        let mut status = broken();
        status[member] = value;
        status
    };
    let different =
        [with("x", json!(1)), with("x", json!(null)), with("metadataUrl", json!("")), with("artifact", json!({}))];
    for status in different {
        for (new, old) in scans(&status, false).into_iter().zip(scans(&broken(), false)) {
            for (new, old) in [(&new, &old), (&old, &new)] {
                let found = found(&request("UPDATE", "", new, old));
                // The old status has the same error, so it is downgraded.
                assert_eq!(found.denied, [].into(), "{status}");
                assert!(found.has_warned("phase-unknown", "status.phase"), "{status}: {found:?}");
            }
        }
    }
}

#[test]
fn an_update_is_not_judged_by_a_status_in_another_notation() {
    for object in scans(&broken(), false) {
        let text = request("UPDATE", "", &object, &object).to_string();
        let (was, is) = (r#""phase":"Done""#, r#""ph\u0061se" : "D\u006fne" "#);
        assert_eq!(text.matches(was).count(), 2);
        let answer =
            admission::answer(text.replacen(was, is, 1).as_bytes(), &review_context::context(Webhook::Validating));
        assert!(answer.is_allowed && answer.summary.findings.is_empty(), "{}", String::from_utf8_lossy(&answer.body));
    }
}

/// "Otherwise it is the old one, and spec edits and finalizers must go through."
#[test]
fn an_old_broken_status_or_spec_blocks_no_other_change() {
    for status in [broken(), json!("Completed"), json!({"conditions": [null, {"type": 7}]})] {
        for old in scans(&status, true) {
            let mut finalized = old.clone();
            finalized["metadata"]["finalizers"] = json!(["example.com/wait"]);
            let mut edited = old.clone();
            edited["spec"]["scanTemplate"] = json!("another");
            edited["metadata"]["generation"] = json!(2);
            for new in [&old, &finalized, &edited] {
                let review = request("UPDATE", "", new, &old);
                let found = found(&review);
                assert_eq!(found.denied, [].into());
                // The status is not judged, and the error of the spec is downgraded.
                let warned: Vec<_> = found.warned.iter().map(|finding| finding.0.as_str()).collect();
                assert_eq!(warned, ["scan-target"]);
                assert_eq!(is_untouched(&review, Webhook::Mutating), NONE);
            }
        }
    }
}

/// "An object with deletionTimestamp: errors become warnings", of its spec and of its status.
#[test]
fn an_object_that_is_being_deleted_is_only_warned_about() {
    for (mut new, mut old) in scans(&otherwise_broken(), true).into_iter().zip(scans(&broken(), false)) {
        for object in [&mut new, &mut old] {
            object["metadata"]["deletionTimestamp"] = json!("2026-11-24T11:59:00Z");
        }
        for (sub_resource, rules) in [("status", vec!["phase-unknown"]), ("", vec!["phase-unknown", "scan-target"])] {
            let found = found(&request("UPDATE", sub_resource, &new, &old));
            assert_eq!(found.denied, [].into());
            let warned: Vec<_> = found.warned.iter().map(|finding| finding.0.as_str()).collect();
            assert_eq!(warned, rules, "{sub_resource:?}");
        }
    }
}

#[test]
fn deletes_and_connects_pass() {
    for object in scans(&broken(), true) {
        for operation in ["DELETE", "CONNECT"] {
            for (sub_resource, webhook) in
                Webhook::BOTH.into_iter().flat_map(|webhook| [("", webhook), ("status", webhook)])
            {
                for (new, old) in [(&json!(null), &object), (&object, &json!(null)), (&json!(7), &object)] {
                    let mut review = request(operation, sub_resource, new, old);
                    review["request"]["kind"]["kind"] = object["kind"].clone();
                    assert_eq!(is_untouched(&review, webhook), NONE);
                }
            }
        }
    }
}

#[test]
fn other_resources_pass_with_a_warning_about_the_registration() {
    let object = &scans(&broken(), true)[0];
    let wide = [
        ("/kind/group", "apps"),
        ("/kind/group", ""),
        ("/kind/kind", "ScanTemplate"),
        ("/kind/kind", "sourcescan"),
        ("/subResource", "scale"),
    ];
    for (pointer, name) in wide {
        for operation in ["CREATE", "UPDATE", "DELETE", "CONNECT"] {
            for webhook in Webhook::BOTH {
                let mut review = request(operation, "", object, object);
                *review.pointer_mut(&format!("/request{pointer}")).unwrap() = json!(name);
                let warnings = is_untouched(&review, webhook);
                assert_eq!(warnings.len(), 1, "{pointer} {name} {operation}");
                assert!(warnings[0].contains("restrict its registration"), "{warnings:?}");
            }
        }
    }
}

/// "Uses oldObject for metadata and spec (the client's copies are not trustworthy here)."
#[test]
fn a_forged_spec_or_generation_does_not_reach_the_mutations() {
    let (mut mutated, mut differ) = (0, 0);
    for state in states::all() {
        let new = state.object(states::Kind::SourceScan, states::Spelling::Wire);
        let mut old = new.clone();
        old["status"].take();
        let forge = |object: &Value| {
            let mut forged = object.clone();
            forged["metadata"] = json!({"generation": 9, "deletionTimestamp": "2026-11-24T11:59:00Z"});
            forged["spec"]["scanPolicy"] = if state.scan_policy { json!(null) } else { json!("forged") };
            forged
        };
        let patch_of =
            |new: &Value, old: &Value| patch(&answer(&request("UPDATE", "status", new, old), Webhook::Mutating).1);
        let honest = patch_of(&new, &old);
        assert_eq!(honest, patch_of(&forge(&new), &old), "{state:?}");
        mutated += usize::from(honest != json!([]));
        differ += usize::from(honest != patch_of(&new, &forge(&old)));
    }
    // The mutations do depend on the old object.
    assert!(mutated > 100 && differ > 10, "{mutated} mutated, {differ} differ");
}

/// The server decodes a review first to count the conditions of both objects, which decide where it is judged. The
/// answer must be the same as without.
#[test]
fn a_decoded_review_counts_its_conditions_and_gets_the_same_answer() {
    let scan = |count: usize| {
        let mut scan = scans(&broken(), false)[0].clone();
        scan["status"]["conditions"] = json!(vec![json!({"type": "Succeeded"}); count]);
        scan
    };
    for (new, old) in [(0, 0), (1, 0), (0, 1), (2, 1), (3, 3), (9, 9)] {
        for webhook in Webhook::BOTH {
            let review = request("UPDATE", "status", &scan(new), &scan(old));
            let text = review.to_string();
            let decoded = admission::decode(text.as_bytes(), &review_context::context(webhook)).unwrap();
            assert_eq!(decoded.request.condition_count(), new + old);
            let whole = admission::answer(text.as_bytes(), &review_context::context(webhook)).body;
            assert_eq!(admission::answer_review(decoded, &review_context::context(webhook)).body, whole, "{new} {old}");
        }
    }
    let none = admission::decode(b"no review", &review_context::context(Webhook::Validating));
    assert!(none.is_err_and(|answer| answer.http == 400));
}

/// "dryRun: the same answer, no side effects."
#[test]
fn a_dry_run_gets_the_same_answer() {
    let objects = [scans(&broken(), true), scans(&json!({"phase": "Pending"}), false)].concat();
    for (new, old) in objects.iter().flat_map(|new| objects.iter().map(move |old| (new, old))) {
        for operation in ["CREATE", "UPDATE", "DELETE"] {
            for (sub_resource, webhook) in
                Webhook::BOTH.into_iter().flat_map(|webhook| [("", webhook), ("status", webhook)])
            {
                let mut review = request(operation, sub_resource, new, old);
                let (_, wet) = answer(&review, webhook);
                review["request"]["dryRun"] = json!(true);
                assert_eq!(answer(&review, webhook).1, wet);
            }
        }
    }
}
