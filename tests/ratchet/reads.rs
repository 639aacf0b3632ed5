//! What each rule reads for a denial, written by hand from the sentences of RULES §2–§4.

use serde_json::Value;

const SEVERITIES: [&str; 10] =
    ["critical", "high", "medium", "low", "unknown", "CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN"];

/// The fields that `rule` read for each thing that it denies at `path` of this object: at the phase there may be
/// several.
pub fn of(rule: &str, path: &str, object: &Value) -> Vec<Vec<String>> {
    let own = path.strip_prefix("status.").unwrap_or(path).to_owned();
    let more: Vec<String> = match rule {
        "status-shape" | "condition-fields" | "phase-unknown" | "metadata-url" | "scanned-by" | "scanned-at" => vec![],
        "condition-duplicate" => vec![format!("{}.type", first_of_its_type(&own, object))],
        "scanning-vocabulary" | "succeeded-vocabulary" | "sending-results-vocabulary" | "policy-vocabulary" => {
            vec![format!("{}.status", own.rsplit_once('.').unwrap().0)]
        }
        "running-with-result" => {
            let results = ["Succeeded", "PolicySucceeded"].into_iter().filter(|name| status(object, name).is_some());
            results.flat_map(currency).collect()
        }
        "policy-without-success" => [currency("PolicySucceeded"), currency("Succeeded")].concat(),
        // Whether there is one, and whether it is current: not what it says.
        "policy-without-scanpolicy" => {
            return vec![[currency("PolicySucceeded"), strings(&["spec.scanPolicy", "metadata.generation"])].concat()];
        }
        "phase-disagrees" => return phase_disagrees(object),
        "cve-count-values" if own.contains('.') => vec![],
        "cve-count-values" => return vec![severities(&own)],
        "cve-total" => severities(own.split('.').next().unwrap()),
        "spelling-conflict" => vec![other_spelling(&own)],
        "compliant-artifact" if object["status"]["phase"] == "Failed" => strings(&["phase"]),
        "compliant-artifact" => currency("PolicySucceeded"),
        "artifact-source" => strings(&["phase", &own.replace("compliantArtifact", "artifact")]),
        // What is no integer is compared with nothing.
        "observed-generation" if !own.contains('[') && !object["status"]["observedGeneration"].is_u64() => vec![],
        "observed-generation" => strings(&["metadata.generation"]),
        "scan-target" if object["kind"] == "SourceScan" => strings(&["spec.git.url"]),
        "scan-target" => vec![],
        _ => panic!("what does {rule} read?"),
    };
    vec![[vec![own], more].concat()]
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

/// The status of a condition that counts.
fn status<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    let conditions = object["status"]["conditions"].as_array()?;
    let entry = conditions.iter().find(|entry| entry["type"] == name)?;
    let is_reason = entry["reason"].as_str().is_some_and(|reason| !reason.contains(' '));
    let is_time = entry["lastTransitionTime"].as_str().is_some_and(|time| time.ends_with('Z'));
    let is_text = entry["message"].is_null() || entry["message"].is_string();
    entry["status"].as_str().filter(|_| is_reason && is_time && is_text).filter(|status| *status != "Maybe")
}

/// §2 "Stale": what decides whether there is such a condition and whether it is current.
fn currency(name: &str) -> Vec<String> {
    let mut reads = strings(&["phase", "observedGeneration"]);
    let mut types = vec![name, "Scanning"];
    if name == "PolicySucceeded" {
        // (c), and (b) on Completed and Failed.
        types.push("Succeeded");
        reads.push("spec.scanPolicy".to_owned());
    }
    for name in types {
        for member in ["status", "lastTransitionTime", "observedGeneration"] {
            reads.push(format!("conditions[{name}].{member}"));
        }
    }
    reads
}

/// §4: each row that denies reads its conditions. Where the phase is not Completed or Failed, none of the objects
/// here has a condition that is stale.
fn phase_disagrees(object: &Value) -> Vec<Vec<String>> {
    let [s, u, p, d] = ["Scanning", "Succeeded", "PolicySucceeded", "SendingResults"].map(|name| status(object, name));
    let is_policy_due = !object["spec"]["scanPolicy"].is_null()
        && object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let rows: Vec<(bool, &[&str])> = match object["status"]["phase"].as_str().unwrap() {
        "Pending" => vec![(u.is_some(), &["Succeeded"]), (p.is_some(), &["PolicySucceeded"])],
        "Scanning" => vec![(u == Some("False"), &["Succeeded"]), (p.is_some(), &["PolicySucceeded"])],
        "Completed" => vec![
            (u != Some("True"), &["Succeeded"]),
            (matches!(p, Some("False" | "Unknown")), &["PolicySucceeded"]),
            (is_policy_due && p.is_none(), &["PolicySucceeded"]),
        ],
        "Failed" => vec![(u != Some("True"), &["Succeeded"]), (p != Some("False"), &["PolicySucceeded"])],
        "Error" => vec![(
            u == Some("True") && p != Some("Unknown") && d != Some("False"),
            &["Succeeded", "PolicySucceeded", "SendingResults"],
        )],
        _ => vec![],
    };
    let is_running = s == Some("True") && object["status"]["phase"] != "Scanning";
    let rows = rows.into_iter().chain([(is_running, &["Scanning"][..])]).filter(|row| row.0);
    // P is of the spec and the generation.
    rows.map(|row| {
        let currencies = row.1.iter().flat_map(|name| currency(name));
        currencies.chain(strings(&["metadata.generation", "spec.scanPolicy"])).collect()
    })
    .collect()
}

fn severities(container: &str) -> Vec<String> {
    SEVERITIES.iter().map(|severity| format!("{container}.{severity}")).collect()
}

/// The entry that has the type of the one at `own`, `conditions[1].type`, before it.
fn first_of_its_type(own: &str, object: &Value) -> String {
    let index: usize = own.trim_start_matches("conditions[").split(']').next().unwrap().parse().unwrap();
    format!("conditions[{}]", object["status"]["conditions"][index]["type"].as_str().unwrap())
}

fn other_spelling(own: &str) -> String {
    match own {
        "CVECount" => "cveCount".to_owned(),
        "metadataURL" => "metadataUrl".to_owned(),
        _ => {
            let (container, key) = own.split_once('.').unwrap();
            let key = if key == "CVETOTAL" { "total".to_owned() } else { key.to_lowercase() };
            format!("{container}.{key}")
        }
    }
}
