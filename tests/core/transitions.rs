//! Tests of the rules that compare old and new: every pair of values of a field, against the sentences of RULES §3.

use serde_json::{Value, json};

use crate::findings::{Found, found};
use crate::support::reviews::{review, scan};

const PHASES: [&str; 6] = ["", "Pending", "Scanning", "Completed", "Failed", "Error"];
/// The four known types, and an unknown one.
const TYPES: [&str; 5] = ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded", "example.com/Signed"];
const STATUSES: [&str; 4] = ["", "True", "False", "Unknown"];

/// Days before now, which is [`NOW`] in the tests.
const EARLY: &str = "2026-11-20T08:01:00Z";
const LATE: &str = "2026-11-20T08:03:00Z";
/// [`LATE`] in another time zone.
const LATE_WITH_OFFSET: &str = "2026-11-20T10:03:00+02:00";
const THREE_SECONDS_AGO: &str = "2026-11-24T11:59:57Z";
const TWO_SECONDS_AGO: &str = "2026-11-24T11:59:58Z";
const NOW: &str = "2026-11-24T12:00:00Z";
/// In the future by exactly the 5 minutes that are allowed.
const AHEAD: &str = "2026-11-24T12:05:00Z";
/// In the future by more than the 5 minutes that are allowed.
const TOO_FAR_AHEAD: &str = "2026-11-24T12:05:01Z";

/// Returns the seconds between [`EARLY`] and one of the times above.
fn seconds(time: &str) -> Option<i64> {
    let known = [
        (EARLY, 0),
        (LATE, 120),
        (LATE_WITH_OFFSET, 120),
        (THREE_SECONDS_AGO, NOW_SECONDS - 3),
        (TWO_SECONDS_AGO, NOW_SECONDS - 2),
        (NOW, NOW_SECONDS),
        (AHEAD, NOW_SECONDS + 300),
        (TOO_FAR_AHEAD, NOW_SECONDS + 301),
    ];
    known.into_iter().find(|known| known.0 == time).map(|known| known.1)
}

const NOW_SECONDS: i64 = 359_640;

/// Returns a scan with this status; a field with an empty string is left out.
fn with_status(mut status: Value) -> Value {
    status.as_object_mut().unwrap().retain(|_, value| *value != json!(""));
    let mut object = scan(r#"{"metadata": {"generation": 2}}"#);
    object["status"] = status;
    object
}

fn pair(old: Value, new: Value) -> Found {
    found(&review(&with_status(new), Some(&with_status(old))))
}

/// Checks that `rule` has exactly these findings, at `path` only.
#[track_caller]
fn is(found: &Found, rule: &str, path: &str, is_denied: bool, is_warned: bool, of: &Value) {
    let expected = [is_denied, is_warned].map(|is| if is { vec![path] } else { vec![] });
    assert_eq!(found.of(rule), expected, "paths that {rule} denies and warns about: {of}");
}

/// "Pending/Error → Completed/Failed, Completed ↔ Failed without a run between".
#[test]
fn every_pair_of_phases() {
    let mut jumps = 0;
    for old in PHASES {
        for new in PHASES {
            let is_without_a_run = matches!((old, new), ("Pending" | "Error", "Completed" | "Failed"));
            let is_jump = is_without_a_run || matches!((old, new), ("Completed", "Failed") | ("Failed", "Completed"));
            jumps += usize::from(is_jump);
            let found = pair(json!({"phase": old}), json!({"phase": new}));
            is(&found, "phase-jump", "status.phase", false, is_jump, &json!([old, new]));
        }
    }
    assert_eq!(jumps, 6);
    // Without an old object there is nothing to jump from.
    let created = found(&review(&with_status(json!({"phase": "Completed"})), None));
    is(&created, "phase-jump", "", false, false, &json!("no old object"));
}

fn conditions(name: &str, status: &str, time: &str) -> Value {
    if status.is_empty() {
        return json!([]);
    }
    json!([{"type": name, "status": status, "reason": "Because", "lastTransitionTime": time}])
}

/// "status changed but the time did not (unless that time is at most 2 s before now: two changes in one second); time
/// changed but the status did not; time went back; time changed to > 5 min in the future".
#[test]
fn every_pair_of_statuses_and_times_of_a_condition() {
    let times = [EARLY, LATE, LATE_WITH_OFFSET, THREE_SECONDS_AGO, TWO_SECONDS_AGO, NOW, AHEAD, TOO_FAR_AHEAD];
    for name in TYPES {
        for (old, since) in STATUSES.iter().flat_map(|status| times.map(|time| (*status, time))) {
            for (new, at) in STATUSES.iter().flat_map(|status| times.map(|time| (*status, time))) {
                let is_pair = !old.is_empty() && !new.is_empty();
                let [was, is_now] = [since, at].map(|time| seconds(time).unwrap());
                // The time of a new condition counts as changed.
                let is_time_changed = !new.is_empty() && (!is_pair || was != is_now);
                let is_status_changed = is_pair && old != new;
                // The rules do not say whether a time in the future is "at most 2 s before now".
                if is_status_changed && !is_time_changed && is_now > NOW_SECONDS {
                    continue;
                }
                let is_two_in_one_second = NOW_SECONDS - is_now <= 2;
                let is_warned = is_status_changed && !is_time_changed && !is_two_in_one_second
                    || is_pair && is_time_changed && !is_status_changed
                    || is_pair && is_now < was
                    || is_time_changed && is_now > NOW_SECONDS + 300;
                let found = pair(
                    json!({"conditions": conditions(name, old, since)}),
                    json!({"conditions": conditions(name, new, at)}),
                );
                let path = format!("status.conditions[{name}].lastTransitionTime");
                // Two sentences may apply at once. The paths are a set, so they are one finding here.
                is(&found, "transition-time", &path, false, is_warned, &json!([old, since, new, at]));
            }
        }
    }
}

/// A condition is compared with the old condition of its type, independently of their positions and of other types.
#[test]
fn a_condition_is_compared_with_the_old_condition_of_its_type() {
    let entry = |name, status, time| conditions(name, status, time)[0].clone();
    let old = json!([entry("Scanning", "True", LATE), entry("Succeeded", "True", EARLY)]);
    let swapped = json!([entry("Succeeded", "True", EARLY), entry("Scanning", "True", LATE)]);
    let found = pair(json!({"conditions": old}), json!({"conditions": swapped}));
    is(&found, "transition-time", "", false, false, &swapped);
    let one = json!([entry("Succeeded", "True", EARLY), entry("Scanning", "False", LATE)]);
    let found = pair(json!({"conditions": old}), json!({"conditions": one}));
    is(&found, "transition-time", "status.conditions[Scanning].lastTransitionTime", false, true, &one);
}

/// "not an integer ≥ 0", a warning when "status' or a condition's > metadata.generation; status' lower than the old
/// one".
#[test]
fn every_pair_of_observed_generations() {
    let (rule, path) = ("observed-generation", "status.observedGeneration");
    let generations = [json!(""), json!(1), json!(2), json!(3)];
    for old in &generations {
        for new in &generations {
            let [was, is_now] = [old, new].map(Value::as_i64);
            let is_lower = matches!((was, is_now), (Some(was), Some(is_now)) if is_now < was);
            let is_ahead = is_now == Some(3);
            let found = pair(json!({"observedGeneration": old}), json!({"observedGeneration": new}));
            is(&found, rule, path, false, is_lower || is_ahead, &json!([old, new]));
        }
    }
    for wrong in [json!(-1), json!("1"), json!(1.0), json!(9_223_372_036_854_775_808_u64), json!([2]), json!(true)] {
        for old in &generations {
            let found = pair(json!({"observedGeneration": old}), json!({"observedGeneration": wrong}));
            is(&found, rule, path, true, false, &wrong);
        }
    }
}

#[test]
fn every_pair_of_observed_generations_of_a_condition() {
    let status = |phase: &str, name: &str, generation: &Value| {
        let mut conditions = conditions(name, "True", EARLY);
        if generation.is_i64() {
            conditions[0]["observedGeneration"] = generation.clone();
        }
        json!({"phase": phase, "observedGeneration": 2, "conditions": conditions})
    };
    let generations = [json!(null), json!(1), json!(2), json!(3)];
    for (name, phase) in TYPES.into_iter().flat_map(|name| PHASES.map(|phase| (name, phase))) {
        for old in &generations {
            for new in &generations {
                // Neither scan has a scanPolicy, so a PolicySucceeded of an older generation is stale.
                let is_current = name != "PolicySucceeded";
                let is_done = matches!(phase, "Completed" | "Failed");
                // "On Completed and Failed a current condition's lower than the status'", whatever the old one was.
                let is_warned = *new == 3 || *new == 1 && is_done && is_current;
                let path = format!("status.conditions[{name}].observedGeneration");
                let found = pair(status("Scanning", name, old), status(phase, name, new));
                let of = json!([phase, name, old, new]);
                is(&found, "observed-generation", &path, false, is_warned, &of);
            }
        }
    }
}

/// Succeeded absent, True, False, and False of an older generation, which is stale except on Completed and Failed.
const SUCCEEDED: [&str; 4] = ["", "True", "False", "False, stale"];

fn beside_succeeded(phase: &str, succeeded: &str, scanned_at: &str) -> Value {
    let (status, generation) = match succeeded.split_once(", ") {
        Some((status, _)) => (status, 1),
        None => (succeeded, 2),
    };
    let mut conditions = conditions("Succeeded", status, EARLY);
    if let Some(entry) = conditions.get_mut(0) {
        entry["observedGeneration"] = json!(generation);
    }
    json!({"phase": phase, "observedGeneration": 2, "scannedAt": scanned_at, "conditions": conditions})
}

/// "not RFC 3339", a warning when "earlier than the old one, where the old one is not itself in the future; > 5 min in
/// the future; absent on Completed/Failed; changed while Pending, while Scanning without a current Succeeded=True, or
/// together with current Succeeded=False". A removed time does not count as changed, because the status then claims
/// nothing new.
#[test]
fn every_pair_of_scanned_at() {
    let (rule, path) = ("scanned-at", "status.scannedAt");
    let times = ["", EARLY, LATE, AHEAD, TOO_FAR_AHEAD, "yesterday"];
    for phase in PHASES {
        let is_done = phase == "Completed" || phase == "Failed";
        for succeeded in SUCCEEDED {
            let is_failure = succeeded == "False" || is_done && succeeded == "False, stale";
            for (old, new) in times.into_iter().flat_map(|old| times.map(|new| (old, new))) {
                let [was, is_now] = [old, new].map(seconds);
                let is_malformed = new == "yesterday";
                let is_earlier =
                    matches!((was, is_now), (Some(was), Some(is_now)) if is_now < was && was <= NOW_SECONDS);
                let is_changed = is_now.is_some() && old != new;
                let is_warned = is_now.is_some_and(|is_now| is_now > NOW_SECONDS + 300)
                    || new.is_empty() && is_done
                    || is_changed && (phase == "Pending" || phase == "Scanning" && succeeded != "True" || is_failure)
                    || is_earlier
                    // The old time was malformed in the same way, so the error is downgraded.
                    || is_malformed && old == new;
                let found = pair(beside_succeeded("Scanning", "", old), beside_succeeded(phase, succeeded, new));
                let of = json!([phase, succeeded, old, new]);
                is(&found, rule, path, is_malformed && old != new, is_warned, &of);
            }
        }
    }
}

/// "counts that changed while Scanning=True (an absent one is 0)" beside the other two sentences, "counts on Pending"
/// and "Failed with counts absent or total 0".
#[test]
fn every_pair_of_counts() {
    let counts = [
        json!(""),
        json!({"total": 0}),
        json!({"low": 0, "total": 0}),
        json!({"low": 1, "total": 1}),
        json!({"high": 0, "low": 1, "unknown": null, "total": 1}),
        json!({"low": 2, "total": 2}),
        json!({"low": 1, "high": 1, "total": 2}),
    ];
    let values = |counts: &Value| ["high", "low", "total"].map(|name| counts[name].as_i64().unwrap_or(0));
    for (name, phase) in ["cveCount", "CVECount"].into_iter().flat_map(|name| PHASES.map(|phase| (name, phase))) {
        for scanning in STATUSES {
            for (old, new) in counts.iter().flat_map(|old| counts.iter().map(move |new| (old, new))) {
                let is_there = new.is_object();
                let is_changed = values(old) != values(new);
                // The rules do not say whether removed counts have changed.
                if scanning == "True" && is_changed && !is_there {
                    continue;
                }
                let is_warned = phase == "Pending" && is_there
                    || scanning == "True" && is_changed
                    || phase == "Failed" && (!is_there || new["total"] == 0);
                let status = |phase: &str, counts: &Value| json!({"phase": phase, name: counts, "conditions": conditions("Scanning", scanning, EARLY)});
                let found = pair(status("Scanning", old), status(phase, new));
                // The path of absent counts has the wire's spelling.
                let path = format!("status.{}", if is_there { name } else { "cveCount" });
                is(&found, "cve-count-timing", &path, false, is_warned, &json!([phase, scanning, old, new]));
            }
        }
    }
}

/// "What only the comparison of old and new shows is a warning", also where many such comparisons fail at once.
#[test]
fn an_older_status_written_over_a_newer_one_is_not_denied() {
    let status = |phase: &str, time: &str, generation: i64| {
        json!({"phase": phase, "observedGeneration": generation, "scannedAt": time,
            "cveCount": {"low": generation, "total": generation},
            "conditions": conditions("SendingResults", "True", time)})
    };
    for (old, new) in PHASES.into_iter().flat_map(|old| PHASES.map(|new| (old, new))) {
        let (before, after) = (status(old, LATE, 2), status(new, EARLY, 1));
        let alone = found(&review(&with_status(after.clone()), None)).denied;
        let found = pair(before, after);
        assert!(found.denied.is_subset(&alone), "{old} {new}: {found:?}");
        assert!(found.has_warned("scanned-at", "status.scannedAt"), "{found:?}");
        assert!(found.has_warned("observed-generation", "status.observedGeneration"), "{found:?}");
    }
}
