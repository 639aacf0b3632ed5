//! Reads the facts of an object, and checks pairs of objects against RULES §3, for the self checks.

use serde_json::Value;

use crate::states::{Comparison, Entry, Facts, Phase, Status};

const NOW: &str = "2026-11-24T12:00:00Z";

fn either<'a>(status: &'a Value, wire: &str, documented: &str) -> &'a Value {
    if status[wire].is_null() { &status[documented] } else { &status[wire] }
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
        generation: object["metadata"]["generation"].as_i64(),
        observed: status["observedGeneration"].as_i64(),
        total: either(counts(object), "total", "CVETOTAL").as_i64(),
        violations: violations.map(|rest| rest.split(' ').next().unwrap().parse().unwrap()),
        metadata_url: !either(status, "metadataUrl", "metadataURL").is_null(),
        scanned_by: !status["scannedBy"].is_null(),
        scanned_at: !status["scannedAt"].is_null(),
        is_artifact_of_another: is_of_another(&status["artifact"], &object["spec"]),
        compliant_artifact: shipped(&status["compliantArtifact"], &status["artifact"]),
    }
}

/// Whether both sources have a url or an image, and these differ.
fn is_of_another(one: &Value, other: &Value) -> bool {
    let members = [["blob", "url"], ["git", "url"], ["registry", "image"]];
    members.iter().any(|[part, member]| match [one, other].map(|source| source[part][member].as_str()) {
        [Some(one), Some(other)] if *part == "registry" => {
            let ([one, was], [other, is]) = (image(one), image(other));
            one != other || was != is && !was.is_empty() && !is.is_empty()
        }
        [Some(one), Some(other)] => one != other,
        _ => false,
    })
}

/// Returns the repository and the digest of an image. None of the objects has an image with both a tag and a digest.
fn image(image: &str) -> [&str; 2] {
    image.split_once('@').map_or_else(|| [image.rsplit_once(':').unwrap().0, ""], |(name, digest)| [name, digest])
}

fn shipped(compliant: &Value, artifact: &Value) -> Option<Comparison> {
    let is_tag = compliant["registry"]["image"].as_str().is_some_and(|image| !image.contains('@'));
    match compliant {
        Value::Null => None,
        _ if is_of_another(compliant, artifact) => Some(Comparison::Contradicts),
        _ if compliant == artifact || is_tag => Some(Comparison::Same),
        _ => Some(Comparison::Differs),
    }
}

/// Returns the sentences of §3 that `new` violates only in comparison with `old`. All of them are warnings.
pub fn broken_by_change(old: &Value, new: &Value) -> Vec<&'static str> {
    let (before, after) = (read(old), read(new));
    let (was, is) = (&old["status"], &new["status"]);
    let rescanned = was["scannedAt"] != is["scannedAt"] && !is["scannedAt"].is_null();
    let jumps = [("Pending", "Completed"), ("Pending", "Failed"), ("Error", "Completed"), ("Error", "Failed")];
    let swaps = [("Completed", "Failed"), ("Failed", "Completed")];
    let phases = (was["phase"].as_str().unwrap_or(""), is["phase"].as_str().unwrap_or(""));
    let running = after.scanning.as_ref().is_some_and(|it| it.status == Status::True);
    let succeeded_now = after.succeeded.as_ref().filter(|_| !after.stale().succeeded).map(|it| it.status);
    let mut broken = Vec::new();
    let mut check = |sentence, holds: bool| holds.then(|| broken.push(sentence));
    check("phase-jump", jumps.contains(&phases) || swaps.contains(&phases));
    check("cve-count-timing: changed while Scanning=True", running && counts(old) != counts(new));
    check("scanned-at: earlier than the old one", rescanned && was["scannedAt"].as_str() > is["scannedAt"].as_str());
    check("scanned-at: changed while Pending", rescanned && phases.1 == "Pending");
    check(
        "scanned-at: changed while Scanning without a current Succeeded=True",
        rescanned && phases.1 == "Scanning" && succeeded_now != Some(Status::True),
    );
    check(
        "scanned-at: changed together with current Succeeded=False",
        rescanned && succeeded_now == Some(Status::False),
    );
    check("scanned-at: future", is["scannedAt"].as_str() > Some(NOW));
    check("observed-generation: lower than the old one", is_lower(after.observed, before.observed));
    for name in ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded"] {
        let (Some(old), Some(new)) = (entry(old, name), entry(new, name)) else { continue };
        // The exception for times of at most 2 s before now does not apply: these times are days old.
        check("transition-time: status changed but the time did not", old.status != new.status && old.time == new.time);
        check("transition-time: time changed but the status did not", old.status == new.status && old.time != new.time);
        check("transition-time: time went back", old.time > new.time);
    }
    broken
}

fn is_lower(new: Option<i64>, old: Option<i64>) -> bool {
    new.zip(old).is_some_and(|(new, old)| new < old)
}

/// Returns the parts of a step that no API server or controller makes. A lifecycle with one is not a valid test.
pub fn impossible(old: &Value, new: &Value) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut check = |sentence, holds: bool| holds.then(|| found.push(sentence));
    check("status and spec changed together", old["spec"] != new["spec"] && old["status"] != new["status"]);
    check(
        "generation changed without the spec, or the spec without it",
        (old["spec"] != new["spec"]) != (old["metadata"] != new["metadata"]),
    );
    for name in ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded"] {
        let (Some(old), Some(new)) = (entry(old, name), entry(new, name)) else { continue };
        check("a time in the future", new.time.as_str() > NOW);
        check("a condition's generation went back", is_lower(new.generation, old.generation));
    }
    found
}
