//! Tests of RULES §5: every line of the table of mutations, in both spellings, and all of them in one patch.

mod combined;
mod conditions;

use scan_admission::admission::Webhook;
use serde_json::{Map, Value, json};

use crate::answers::{self, answer, patched};
use crate::findings::found;
use crate::support::review_context;
use crate::support::reviews::{self, patch, review, scan};

/// The object after the mutating webhook's patch, with the patch and its warnings.
struct Mutated {
    object: Value,
    patch: Value,
    warnings: Vec<String>,
}

/// Returns the answer of the mutating webhook, and checks the properties of every mutation: the request is allowed; the
/// mutation is idempotent; it writes only absent fields and totals; its own rule has no finding at the written field;
/// and no rule has an error that it did not have before.
#[track_caller]
fn mutate_object(new: &Value, old: &Value) -> Mutated {
    let (answer, body) = answer(&review(new, Some(old)), Webhook::Mutating);
    assert!(answer.is_allowed, "{body:#}");
    let (patch, object) = (patch(&body), patched(new, &body));
    let (_, again) = answers::answer(&review(&object, Some(old)), Webhook::Mutating);
    assert_eq!(reviews::patch(&again), json!([]), "mutated again after {patch}");
    let [before, after] = [new, &object].map(|object| found(&review(object, Some(old))));
    // Other rules ignore an entry with an error of condition-fields, and judge it once it is repaired.
    let is_whole = before.denied.iter().all(|finding| finding.0 != "condition-fields");
    assert!(!is_whole || after.denied.is_subset(&before.denied), "after {patch}: {:?}", after.denied);
    for operation in patch.as_array().unwrap() {
        let pointer = operation["path"].as_str().unwrap();
        let there = new.pointer(pointer).filter(|value| !value.is_null());
        assert_eq!(operation["op"], if there.is_some() { "replace" } else { "add" }, "{operation}");
        let (rule, path) = rule_and_path(pointer, new);
        assert!(there.is_none_or(|value| *value == json!("") || rule == "cve-total"), "{operation}");
        assert!(!after.has_denied(rule, &path) && !after.has_warned(rule, &path), "{operation}: {after:?}");
    }
    let warnings = body["response"]["warnings"].as_array().into_iter().flatten();
    Mutated { object, patch, warnings: warnings.map(|warning| warning.as_str().unwrap().to_owned()).collect() }
}

/// Returns the rule whose mutation writes at `pointer`, and the path of the rule's findings there.
fn rule_and_path(pointer: &str, object: &Value) -> (&'static str, String) {
    let path = pointer.trim_start_matches('/').replace('/', ".");
    let Some(rest) = pointer.strip_prefix("/status/conditions/") else {
        return match path.rsplit('.').next().unwrap() {
            "total" | "CVETOTAL" => ("cve-total", path),
            "phase" => ("phase-unknown", path),
            "scannedAt" => ("scanned-at", path),
            _ => ("cve-count-values", path),
        };
    };
    let (index, member) = rest.split_once('/').unwrap();
    let name = object["status"]["conditions"][index.parse::<usize>().unwrap()]["type"].as_str().unwrap_or(index);
    let rule = match (member, name) {
        ("lastTransitionTime", _) => "condition-fields",
        (_, "Scanning") => "scanning-vocabulary",
        (_, "Succeeded") => "succeeded-vocabulary",
        _ => "policy-vocabulary",
    };
    (rule, format!("status.conditions[{name}].{member}"))
}

fn with_status(status: Value) -> Value {
    let mut object = scan("{}");
    object["status"] = status;
    object
}

#[track_caller]
fn mutate(new: Value, old: Value) -> Mutated {
    mutate_object(&with_status(new), &with_status(old))
}

/// Checks that the patch has exactly these paths and values, in any order.
#[track_caller]
fn check_writes(mutated: &Mutated, mut expected: Vec<(String, Value)>) {
    let operation = |operation: &Value| (operation["path"].as_str().unwrap().to_owned(), operation["value"].clone());
    let mut written: Vec<_> = mutated.patch.as_array().unwrap().iter().map(operation).collect();
    written.sort_by(|one, other| one.0.cmp(&other.0));
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(written, expected, "{:#}", mutated.object["status"]);
}

const CONTAINERS: [&str; 2] = ["cveCount", "CVECount"];
const SEVERITIES: [[&str; 2]; 5] =
    [["critical", "CRITICAL"], ["high", "HIGH"], ["medium", "MEDIUM"], ["low", "LOW"], ["unknown", "UNKNOWN"]];
const TOTALS: [&str; 2] = ["total", "CVETOTAL"];
/// In the order of [`SEVERITIES`]; their sum is 23.
const COUNTS: [i64; 5] = [1, 14, 0, 8, 0];

/// Returns all five severities: 0 in the wire's spelling, 1 in the documented spelling, 2 alternately in both.
fn severities(spelling: usize) -> Map<String, Value> {
    let key = |index: usize| SEVERITIES[index][if spelling == 2 { index % 2 } else { spelling }];
    (0..5).map(|index| (key(index).to_owned(), json!(COUNTS[index]))).collect()
}

/// "total := sum of the five …; overwrites a wrong or malformed total, and says so in a warning: `was 22, set to 23`".
#[test]
fn a_total_is_set_to_the_sum_in_the_present_spelling() {
    let totals = [json!(22), json!(0), json!(-1), json!("23"), json!(""), json!(23.0), json!(true), json!([23])];
    for (container, spelling) in CONTAINERS.into_iter().flat_map(|container| [0, 1, 2].map(|it| (container, it))) {
        let counts = severities(spelling);
        let pointer = |key: &str| format!("/status/{container}/{key}");
        let own = if container == "cveCount" { "total" } else { "CVETOTAL" };
        // The total is absent in both spellings, or null in one of them.
        for null in [None, Some("total"), Some("CVETOTAL")] {
            let mut counts = counts.clone();
            counts.extend(null.map(|key| (key.to_owned(), json!(null))));
            let mutated = mutate(json!({container: counts}), json!(null));
            check_writes(&mutated, vec![(pointer(own), json!(23))]);
            assert_eq!(mutated.warnings, [""; 0]);
        }
        for key in TOTALS {
            let mut counts = counts.clone();
            counts.insert(key.to_owned(), json!(23));
            check_writes(&mutate(json!({container: counts}), json!(null)), vec![]);
            for total in &totals {
                counts.insert(key.to_owned(), total.clone());
                let mutated = mutate(json!({container: counts}), json!(null));
                check_writes(&mutated, vec![(pointer(key), json!(23))]);
                let warning = format!("status.{container}.{key}: was {total}, set to 23 [cve-total]");
                assert_eq!(mutated.warnings, [warning]);
            }
        }
    }
}

/// "absent severities := 0, under the same condition", "when a field must be added, the spelling of its container".
#[test]
fn an_absent_severity_is_set_to_zero_beside_others() {
    for (of, container) in CONTAINERS.into_iter().enumerate() {
        for (spelling, there) in (0..2).flat_map(|spelling| (0..32_usize).map(move |there| (spelling, there))) {
            let is_there = |index: usize| there & 1 << index != 0;
            let counts = |absent: Option<Value>| -> Map<String, Value> {
                let count = |index: usize| {
                    let count = if is_there(index) { Some(json!(index + 1)) } else { absent.clone() };
                    count.map(|count| (SEVERITIES[index][spelling].to_owned(), count))
                };
                (0..5).filter_map(count).chain([("note".to_owned(), json!("kept"))]).collect()
            };
            let sum: usize = (0..5).filter(|index| is_there(*index)).map(|index| index + 1).sum();
            let zeros = (0..5).filter(|index| !is_there(*index)).map(|index| (SEVERITIES[index][of], json!(0)));
            let expected: Vec<_> = zeros
                .chain([(TOTALS[of], json!(sum))])
                .map(|(key, value)| (format!("/status/{container}/{key}"), value))
                .filter(|_| there != 0)
                .collect();
            for absent in [None, Some(json!(null))] {
                let mutated = mutate(json!({container: counts(absent)}), json!(null));
                check_writes(&mutated, expected.clone());
                assert_eq!(mutated.object["status"][container]["note"], "kept");
                assert_eq!(mutated.warnings, [""; 0]);
            }
        }
    }
}

/// "when at least one of the five is there, all that are there are valid, the sum fits int64 and there is no other
/// numeric member": otherwise neither the total nor a severity is changed.
#[test]
fn counts_that_cannot_be_added_up_are_left_alone() {
    let left_alone = [
        json!({}),
        json!({"total": 5}),
        json!({"total": "5"}),
        json!({"critical": -1, "high": 1}),
        json!({"critical": "1", "high": 1}),
        json!({"CRITICAL": 1.5, "HIGH": 1, "total": 7}),
        json!({"critical": "", "high": 1}),
        json!({"low": 9_223_372_036_854_775_808_u64}),
        json!({"low": i64::MAX, "high": 1, "total": 5}),
        json!({"low": 1, "negligible": 4, "total": 5}),
        json!({"low": 1, "negligible": 0.5}),
        // It is ambiguous which of the two counts belongs to the sum.
        json!({"low": 1, "LOW": 2, "total": 7}),
        json!([1, 2]),
        json!("none"),
        json!(null),
    ];
    for (counts, container) in left_alone.iter().flat_map(|counts| CONTAINERS.map(|container| (counts, container))) {
        let mutated = mutate(json!({container: counts}), json!(null));
        assert_eq!((mutated.patch, mutated.warnings), (json!([]), vec![]), "{container} {counts}");
    }
    // A text or a null is not another numeric member, and one count in both spellings counts once.
    for other in [json!({"negligible": "4"}), json!({"negligible": null}), json!({"low": 8, "LOW": 8})] {
        let mut counts = json!(severities(0));
        json_patch::merge(&mut counts, &json!({"low": 8}));
        counts.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        check_writes(
            &mutate(json!({"cveCount": counts}), json!(null)),
            vec![("/status/cveCount/total".to_owned(), json!(23))],
        );
    }
    let all = mutate(json!({"cveCount": {"low": i64::MAX}}), json!(null));
    assert_eq!(all.object["status"]["cveCount"]["total"], i64::MAX);
}

/// "Each container is judged and mutated by itself", and so is each total.
#[test]
fn two_containers_and_two_totals_are_mutated_independently() {
    let (wire, mut page) = (severities(0), severities(1));
    page.insert("LOW".to_owned(), json!(9));
    let mutated = mutate(json!({"cveCount": wire, "CVECount": page}), json!(null));
    let totals = [("/status/cveCount/total", 23), ("/status/CVECount/CVETOTAL", 24)];
    check_writes(&mutated, totals.map(|(path, total)| (path.to_owned(), json!(total))).into());
    let mut both = severities(0);
    both.extend([("total".to_owned(), json!(1)), ("CVETOTAL".to_owned(), json!("2"))]);
    let mutated = mutate(json!({"cveCount": both}), json!(null));
    check_writes(&mutated, TOTALS.map(|key| (format!("/status/cveCount/{key}"), json!(23))).into());
    assert_eq!(mutated.warnings.len(), 2);
}

const TIMES: [&str; 3] = ["2026-11-20T08:01:00Z", "2026-11-20T08:02:00Z", "2026-11-20T08:03:00Z"];

/// "absent on Completed/Failed with u=True := the later of the times of Succeeded and of Scanning=False, unless that is
/// earlier than the old scannedAt or in the future".
#[test]
fn a_missing_scanned_at_is_the_end_of_the_scan() {
    let mut filled = 0;
    let phases = ["Pending", "Scanning", "Completed", "Failed", "Error"];
    let scannings = [None, Some(("True", 2)), Some(("False", 0)), Some(("False", 2))];
    let olds = [None, Some(TIMES[0]), Some(TIMES[1]), Some(TIMES[2]), Some("yesterday"), Some("2062-11-20T08:01:00Z")];
    for (phase, succeeded) in phases.into_iter().flat_map(|phase| ["", "True", "False"].map(|it| (phase, it))) {
        for (scanning, old) in scannings.into_iter().flat_map(|scanning| olds.map(|old| (scanning, old))) {
            let entry = |name: &str, status: &str, at: usize| {
                let mut entry = conditions::entry(name, status);
                entry["lastTransitionTime"] = json!(TIMES[at]);
                entry
            };
            let scanning_entry = scanning.map(|(status, at)| entry("Scanning", status, at));
            let succeeded_entry = (!succeeded.is_empty()).then(|| entry("Succeeded", succeeded, 1));
            let entries: Vec<_> = [scanning_entry, succeeded_entry].into_iter().flatten().collect();
            let due = if scanning == Some(("False", 2)) { TIMES[2] } else { TIMES[1] };
            let is_earlier = old.is_some_and(|old| old.starts_with("20") && due < old);
            let is_due = matches!(phase, "Completed" | "Failed") && succeeded == "True" && !is_earlier;
            filled += usize::from(is_due);
            for absent in [None, Some(json!(null)), Some(json!(""))] {
                let mut status = json!({"phase": phase, "conditions": entries});
                status.as_object_mut().unwrap().extend(absent.map(|it| ("scannedAt".to_owned(), it)));
                let mutated = mutate(status, json!({"scannedAt": old}));
                check_writes(
                    &mutated,
                    is_due.then(|| ("/status/scannedAt".to_owned(), json!(due))).into_iter().collect(),
                );
            }
            for there in [json!(TIMES[0]), json!("yesterday"), json!(7), json!({})] {
                let status = json!({"phase": phase, "conditions": entries, "scannedAt": there});
                check_writes(&mutate(status, json!({"scannedAt": old})), vec![]);
            }
        }
    }
    assert_eq!(filled, 2 * (3 * 4 + 5));
}

#[test]
fn a_scanned_at_in_the_future_is_not_filled_in() {
    let entry = |name: &str, status: &str, at: &str| {
        let mut entry = conditions::entry(name, status);
        entry["lastTransitionTime"] = json!(at);
        entry
    };
    let (now, ahead) = (review_context::NOW, "2026-11-24T12:00:01Z");
    for (succeeded, scanning, due) in [
        (now, None, Some(now)),
        (now, Some(TIMES[0]), Some(now)),
        (TIMES[0], Some(now), Some(now)),
        (ahead, None, None),
        (ahead, Some(TIMES[0]), None),
        (TIMES[0], Some(ahead), None),
        ("2099-11-20T08:01:00Z", Some(now), None),
    ] {
        let entries = scanning.map(|at| entry("Scanning", "False", at)).into_iter();
        let entries: Vec<_> = entries.chain([entry("Succeeded", "True", succeeded)]).collect();
        let mutated = mutate(json!({"phase": "Completed", "conditions": entries}), json!(null));
        let expected = due.map(|due| ("/status/scannedAt".to_owned(), json!(due)));
        check_writes(&mutated, expected.into_iter().collect());
    }
}

/// An absent count is 0, so a count that is filled in while Scanning=True has not changed.
#[test]
fn counts_filled_in_while_scanning_do_not_count_as_changed() {
    for (container, spelling) in CONTAINERS.into_iter().zip([0, 1]) {
        let critical = SEVERITIES[0][spelling];
        let status = |counts: Value| json!({"phase": "Scanning", container: counts, "conditions": [conditions::entry("Scanning", "True")]});
        let (new, old) = (status(json!({critical: 1})), status(json!({critical: 1, TOTALS[spelling]: 1})));
        let mutated = mutate(new, old.clone());
        assert_eq!(mutated.object["status"][container].as_object().unwrap().len(), 6);
        let found = found(&review(&mutated.object, Some(&with_status(old))));
        assert_eq!(found.of("cve-count-timing"), [[""; 0], [""; 0]], "{container}");
    }
}
