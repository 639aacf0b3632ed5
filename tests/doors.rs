//! LAW §6: which door judges what, row by row.

#[path = "support/findings.rs"]
mod findings;
#[path = "support/objects.rs"]
mod objects;
#[path = "states/mod.rs"]
mod states;

use findings::found;
use objects::{answer, patch, scan};
use scan_admission::admission::{self, Door};
use serde_json::{Value, json};

const DOORS: [Door; 2] = [Door::Validate, Door::Mutate];
const NONE: [String; 0] = [];

fn request(operation: &str, sub_resource: &str, new: &Value, old: &Value) -> Value {
    let mut review = objects::review(new, Some(old));
    review["request"]["kind"]["kind"] = if new.is_null() { old["kind"].clone() } else { new["kind"].clone() };
    review["request"]["operation"] = json!(operation);
    review["request"]["subResource"] = json!(sub_resource);
    review
}

/// Both kinds of scan, with this status and its spec broken or not.
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

/// Refused by `phase-unknown`, and with a total that a mend would fill in.
fn broken() -> Value {
    json!({"phase": "Done", "cveCount": {"critical": 1, "high": 0, "medium": 0, "low": 0, "unknown": 0}})
}

/// Also refused by `phase-unknown`, but another one.
fn otherwise_broken() -> Value {
    json!({"phase": "Gone"})
}

/// Refused by whom; nothing where the door lets it pass.
fn refused(review: &Value) -> Vec<String> {
    found(review).refused.into_iter().map(|finding| finding.0).collect()
}

/// The warnings of a review that is let pass without a patch.
#[track_caller]
fn is_untouched(review: &Value, door: Door) -> Vec<String> {
    let (answer, body) = answer(review, door);
    assert!(answer.is_allowed, "{body:#}");
    assert_eq!(patch(&body), json!([]), "{body:#}");
    let warnings = body["response"]["warnings"].as_array().into_iter().flatten();
    warnings.map(|warning| warning.as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_update_of_the_status_is_mended_at_one_door_and_judged_at_the_other() {
    for (new, old) in scans(&broken(), true).into_iter().zip(scans(&json!(null), true)) {
        let review = request("UPDATE", "status", &new, &old);
        let (mended, body) = answer(&review, Door::Mutate);
        // The mutating door never refuses, and leaves what it cannot mend.
        assert!(mended.is_allowed);
        assert_eq!(patch(&body), json!([{"op": "add", "path": "/status/cveCount/total", "value": 1}]));
        assert_eq!(refused(&review), ["phase-unknown"]);
        // The spec is no part of this request, however broken it is.
        assert!(found(&review).advised.iter().all(|finding| finding.1.starts_with("status.")));
    }
}

#[test]
fn a_create_is_judged_by_its_spec_and_by_a_status_that_is_still_there() {
    for nothing in [json!(null), json!({})] {
        for (whole, spoilt) in scans(&nothing, false).into_iter().zip(scans(&nothing, true)) {
            for door in DOORS {
                assert_eq!(is_untouched(&request("CREATE", "", &whole, &json!(null)), door), NONE);
            }
            assert_eq!(refused(&request("CREATE", "", &spoilt, &json!(null))), ["scan-target"]);
            assert_eq!(is_untouched(&request("CREATE", "", &spoilt, &json!(null)), Door::Mutate), NONE);
        }
    }
    for object in scans(&broken(), true) {
        let review = request("CREATE", "", &object, &json!(null));
        assert_eq!(refused(&review), ["phase-unknown", "scan-target"]);
        let warnings = is_untouched(&review, Door::Mutate);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].ends_with("[status-on-create]"), "{warnings:?}");
    }
}

#[test]
fn an_update_is_judged_by_its_spec_and_by_a_status_that_it_changes() {
    for (new, old) in scans(&otherwise_broken(), false).into_iter().zip(scans(&broken(), false)) {
        let review = request("UPDATE", "", &new, &old);
        assert_eq!(refused(&review), ["phase-unknown"]);
        assert_eq!(is_untouched(&review, Door::Mutate), NONE);
        // Without an old status too.
        let mut without = old.clone();
        without["status"].take();
        assert_eq!(refused(&request("UPDATE", "", &new, &without)), ["phase-unknown"]);
    }
    for (spoilt, whole) in scans(&broken(), true).into_iter().zip(scans(&broken(), false)) {
        assert_eq!(refused(&request("UPDATE", "", &spoilt, &whole)), ["scan-target"]);
        for door in DOORS {
            assert_eq!(is_untouched(&request("UPDATE", "", &whole, &spoilt), door), NONE);
        }
    }
}

/// "Otherwise it is the old one, and spec edits and finalizers must go through."
#[test]
fn an_old_broken_status_and_an_old_broken_spec_hold_up_nothing_else() {
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
                assert_eq!(found.refused, [].into());
                // Of the status not a word, of the spec that it stood so.
                let advised: Vec<_> = found.advised.iter().map(|finding| finding.0.as_str()).collect();
                assert_eq!(advised, ["scan-target"]);
                assert_eq!(is_untouched(&review, Door::Mutate), NONE);
            }
        }
    }
}

#[test]
fn deletes_and_connects_pass() {
    for object in scans(&broken(), true) {
        for operation in ["DELETE", "CONNECT"] {
            for (sub_resource, door) in DOORS.into_iter().flat_map(|door| [("", door), ("status", door)]) {
                for (new, old) in [(&json!(null), &object), (&object, &json!(null)), (&json!(7), &object)] {
                    let mut review = request(operation, sub_resource, new, old);
                    review["request"]["kind"]["kind"] = object["kind"].clone();
                    assert_eq!(is_untouched(&review, door), NONE);
                }
            }
        }
    }
}

#[test]
fn others_pass_with_a_warning_that_the_registration_is_too_wide() {
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
            for door in DOORS {
                let mut review = request(operation, "", object, object);
                *review.pointer_mut(&format!("/request{pointer}")).unwrap() = json!(name);
                let warnings = is_untouched(&review, door);
                assert_eq!(warnings.len(), 1, "{pointer} {name} {operation}");
                assert!(warnings[0].contains("registration is too wide"), "{warnings:?}");
            }
        }
    }
}

/// "Uses oldObject for metadata and spec (the client's copies are not trustworthy here)."
#[test]
fn a_forged_spec_or_generation_does_not_reach_the_mends() {
    let (mut mended, mut differ) = (0, 0);
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
            |new: &Value, old: &Value| patch(&answer(&request("UPDATE", "status", new, old), Door::Mutate).1);
        let honest = patch_of(&new, &old);
        assert_eq!(honest, patch_of(&forge(&new), &old), "{state:?}");
        mended += usize::from(honest != json!([]));
        differ += usize::from(honest != patch_of(&new, &forge(&old)));
    }
    // What the old object says does reach them.
    assert!(mended > 100 && differ > 10, "{mended} mended, {differ} differ");
}

/// How long a review takes is told by how many conditions it has, in both objects; what is short is answered the same.
#[test]
fn a_review_is_short_by_its_conditions() {
    let scan = |count: usize| {
        let mut scan = scans(&broken(), false)[0].clone();
        scan["status"]["conditions"] = json!(vec![json!({"type": "Succeeded"}); count]);
        scan
    };
    for (new, old, max) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (2, 1, 2), (2, 1, 3), (3, 3, 6), (4, 3, 6), (9, 9, 99)] {
        for door in DOORS {
            let review = request("UPDATE", "status", &scan(new), &scan(old));
            let text = review.to_string();
            let short = admission::answer_if_short(text.as_bytes(), max, &objects::context(door));
            let whole = admission::answer(text.as_bytes(), &objects::context(door)).body;
            assert_eq!(short.map(|answer| answer.body), (new + old <= max).then_some(whole), "{new} {old} {max}");
        }
    }
    let none = admission::answer_if_short(b"no review", 0, &objects::context(Door::Validate));
    assert!(none.is_some_and(|answer| answer.http == 400));
}

/// "dryRun: the same answer, no side effects."
#[test]
fn a_dry_run_is_answered_the_same() {
    let objects = [scans(&broken(), true), scans(&json!({"phase": "Pending"}), false)].concat();
    for (new, old) in objects.iter().flat_map(|new| objects.iter().map(move |old| (new, old))) {
        for operation in ["CREATE", "UPDATE", "DELETE"] {
            for (sub_resource, door) in DOORS.into_iter().flat_map(|door| [("", door), ("status", door)]) {
                let mut review = request(operation, sub_resource, new, old);
                let (_, wet) = answer(&review, door);
                review["request"]["dryRun"] = json!(true);
                assert_eq!(answer(&review, door).1, wet);
            }
        }
    }
}
