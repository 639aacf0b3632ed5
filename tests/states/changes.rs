//! For the self checks: reads whole objects, and what §3 says of new against old and of sources.
use serde_json::Value;

use crate::states::{Entry, Facts, Phase, Status};

const NOW: &str = "2026-11-24T12:00:00Z";

fn either<'a>(status: &'a Value, wire: &str, page: &str) -> &'a Value {
    if status[wire].is_null() { &status[page] } else { &status[wire] }
}

fn counts(object: &Value) -> &Value {
    either(&object["status"], "cveCount", "CVECount")
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|entry| entry["type"] == name)
}

fn entry(object: &Value, name: &str) -> Option<Entry> {
    condition(object, name).map(|entry| Entry {
        status: Status::named(entry["status"].as_str().unwrap()).unwrap(),
        time: entry["lastTransitionTime"].as_str().unwrap().to_owned(),
        generation: entry["observedGeneration"].as_i64(),
    })
}

pub fn read(object: &Value) -> Facts {
    let status = &object["status"];
    let message = condition(object, "PolicySucceeded").and_then(|entry| entry["message"].as_str());
    let violations = message.and_then(|message| message.strip_prefix("Policy violated because of "));
    Facts {
        phase: status["phase"].as_str().map(|name| Phase::named(name).unwrap()),
        scanning: entry(object, "Scanning"),
        succeeded: entry(object, "Succeeded"),
        sending: entry(object, "SendingResults"),
        policy: entry(object, "PolicySucceeded"),
        scan_policy: !object["spec"]["scanPolicy"].is_null(),
        generation: object["metadata"]["generation"].as_i64().unwrap(),
        observed: status["observedGeneration"].as_i64(),
        total: either(counts(object), "total", "CVETOTAL").as_i64(),
        violations: violations.map(|rest| rest.split(' ').next().unwrap().parse().unwrap()),
        metadata_url: !either(status, "metadataUrl", "metadataURL").is_null(),
        scanned_by: !status["scannedBy"].is_null(),
        scanned_at: !status["scannedAt"].is_null(),
        compliant_artifact: !status["compliantArtifact"].is_null(),
    }
}

/// The sentences of §3 that new breaks against old.
pub fn broken_by_change(old: &Value, new: &Value) -> Vec<&'static str> {
    let (before, after) = (read(old), read(new));
    let (was, is) = (&old["status"], &new["status"]);
    let is_null = |value: &Value| value.is_null();
    let rescanned = was["scannedAt"] != is["scannedAt"];
    let jumps = [("Pending", "Completed"), ("Pending", "Failed"), ("Error", "Completed"), ("Error", "Failed")];
    let swaps = [("Completed", "Failed"), ("Failed", "Completed")];
    let phases = (was["phase"].as_str().unwrap_or(""), is["phase"].as_str().unwrap_or(""));
    let running = after.scanning.as_ref().is_some_and(|it| it.status == Status::True);
    let succeeded_now = after.succeeded.as_ref().filter(|_| !after.stale().succeeded);
    let mut broken = Vec::new();
    let mut check = |says, holds: bool| holds.then(|| broken.push(says));
    check("phase-jump", jumps.contains(&phases) || swaps.contains(&phases));
    check("cve-count-timing: changed while Scanning=True", running && counts(old) != counts(new));
    check("scanned-at: earlier", was["scannedAt"].as_str() > is["scannedAt"].as_str());
    check("scanned-at: changed on Pending/Scanning", rescanned && matches!(phases.1, "Pending" | "Scanning"));
    check(
        "scanned-at: changed with Succeeded=False",
        rescanned && succeeded_now.is_some_and(|it| it.status == Status::False),
    );
    check("scanned-at: future", is["scannedAt"].as_str() > Some(NOW));
    check("observed-generation: lower", before.observed > after.observed);
    check("observed-generation: ahead", after.observed > Some(after.generation));
    check("status beside spec", old["spec"] != new["spec"] && was != is);
    check("generation", (old["spec"] != new["spec"]) != (old["metadata"] != new["metadata"]));
    if after.observed == Some(after.generation) && !is_null(&is["artifact"]) {
        check("artifact-source: spec", ["blob", "registry"].iter().any(|it| is["artifact"][it] != new["spec"][it]));
    }
    if !is_null(&is["compliantArtifact"]) {
        check("artifact-source: compliantArtifact", is["compliantArtifact"] != is["artifact"]);
    }
    for name in ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded"] {
        let Some(new) = entry(new, name) else { continue };
        check("transition-time: future", new.time.as_str() > NOW);
        check("observed-generation: a condition's ahead", new.generation > Some(after.generation));
        let Some(old) = entry(old, name) else { continue };
        check("transition-time: status without time, or time without status", {
            (old.status == new.status) != (old.time == new.time)
        });
        check("transition-time: back", old.time > new.time);
        check("observed-generation: a condition's lower", old.generation > new.generation);
    }
    broken
}
