//! The table rows that each rule denies at a path, and the fields that it reads for each row: written by hand from
//! RULES §2–§4 and §6.

use serde_json::Value;

use crate::states::{Comparison, Entry, Facts, Phase, Status, rules::Action};

const SEVERITIES: [&str; 10] =
    ["critical", "high", "medium", "low", "unknown", "CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN"];

/// One row of a table, or one sentence, that an object breaks.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// Empty where the rule has only one row at its path.
    pub sentence: &'static str,
    /// The fields that the row is about: a change of one makes the error a new one.
    pub reads: Vec<String>,
    /// Fields for which the rules leave open whether a change makes the error a new one: they only determine whether a
    /// condition is current or the status caught up, or they belong to a value that is forbidden as a whole.
    pub open: Vec<String>,
}

/// Returns the rows that `rule` denies at `path` of this object. None where this table cannot tell, since rules do not
/// judge the part: a condition is malformed, the phase is unknown, or a part is of a wrong type.
pub fn rows(rule: &str, path: &str, object: &Value) -> Option<Vec<Row>> {
    let own = path.strip_prefix("status.").unwrap_or(path).to_owned();
    let row = |reads: Vec<String>| Row { sentence: "", reads: [vec![own.clone()], reads].concat(), open: vec![] };
    if let Some(entry) = index_entry(&own) {
        return Some(vec![entry_by_index(rule, &own, entry, object)]);
    }
    Some(vec![match rule {
        "status-shape" | "condition-fields" | "phase-unknown" | "metadata-url" | "scanned-by" | "scanned-at" => {
            row(vec![])
        }
        // A value that is not an integer is not compared.
        "observed-generation" => row(vec![]),
        "scanning-vocabulary" | "succeeded-vocabulary" | "sending-results-vocabulary" | "policy-vocabulary" => {
            row(vec![format!("{}.status", own.rsplit_once('.').unwrap().0)])
        }
        "cve-count-values" if own.contains('.') || !object["status"][own.as_str()].is_object() => row(vec![]),
        // The sum overflows.
        "cve-count-values" => Row { sentence: "", reads: severities(&own), open: vec![] },
        // Beside another numeric member, a mismatch is a warning.
        "cve-total" => Row {
            open: vec![format!("{}.other", own.split('.').next().unwrap())],
            ..row(severities(own.split('.').next().unwrap()))
        },
        "spelling-conflict" => row(vec![other_spelling(&own)]),
        "artifact-source" => {
            let part = own.rsplit_once('.').unwrap().0;
            let scanned = own.replace("compliantArtifact", "artifact");
            // An image is one value, so a change of any of its parts is a change of the value.
            Row { open: vec![part.to_owned()], ..row(vec!["phase".to_owned(), scanned]) }
        }
        "scan-target" if object["kind"] == "SourceScan" => row(vec!["spec.git.url".to_owned()]),
        "scan-target" => row(vec![]),
        _ => return between_fields(rule, object),
    }])
}

/// "by index where the type is missing or doubled"
fn index_entry(own: &str) -> Option<usize> {
    own.strip_prefix("conditions[")?.split(']').next()?.parse().ok()
}

/// "an entry named by its index is the same entry where its JSON, less what our mutations filled in, is the same"
fn entry_by_index(rule: &str, own: &str, index: usize, object: &Value) -> Row {
    let members = |members: &[&str]| members.iter().map(|it| format!("conditions[{index}].{it}")).collect::<Vec<_>>();
    let (written, filled) =
        (["type", "status", "error", "observedGeneration"], ["reason", "message", "lastTransitionTime"]);
    if rule != "condition-duplicate" {
        let reads = [vec![own.to_owned()], members(&written)].concat();
        return Row { sentence: "", reads, open: members(&filled) };
    }
    // The other members of the two entries do not cause the error, but they identify the entries.
    let name = &object["status"]["conditions"][index]["type"];
    let entries = object["status"]["conditions"].as_array().unwrap();
    let same = entries.iter().enumerate().filter(|(_, entry)| entry["type"] == *name);
    let reads = same.map(|(index, _)| format!("conditions[{index}].type")).collect();
    Row { sentence: "", reads, open: [members(&written[1..]), members(&filled)].concat() }
}

/// The rules of §3 and §4 that compare fields. "Times and generations that only tell what is stale are not read."
fn between_fields(rule: &str, object: &Value) -> Option<Vec<Row>> {
    let lines = facts(object)?.findings();
    let lines = lines.into_iter().filter(|line| line.rule == rule && line.action == Action::Deny);
    Some(
        lines
            .map(|line| {
                let (reads, open) = reads(rule, line.sentence);
                let named = |fields: &[&str]| fields.iter().map(|field| field_of(field)).collect();
                Row { sentence: line.sentence, reads: named(reads), open: named(open) }
            })
            .collect(),
    )
}

/// Returns the field for one of the letters that §4 uses for conditions; other names stay as they are.
fn field_of(field: &str) -> String {
    match field {
        "s" => "conditions[Scanning].status".to_owned(),
        "u" => "conditions[Succeeded].status".to_owned(),
        "p" => "conditions[PolicySucceeded].status".to_owned(),
        "d" => "conditions[SendingResults].status".to_owned(),
        field => field.to_owned(),
    }
}

/// Returns the fields of [`Row::reads`] and [`Row::open`] for a sentence.
fn reads(rule: &str, sentence: &str) -> (&'static [&'static str], &'static [&'static str]) {
    const CURRENT: &[&str] = &["s", "u", "spec.scanPolicy", "metadata.generation", "observedGeneration"];
    const OF_COMPLIANT: &[&str] =
        &["compliantArtifact", "spec.scanPolicy", "metadata.generation", "observedGeneration"];
    match rule {
        // The rule reads which results are present, not their values.
        "running-with-result" => (&["s"], &["u", "p", "phase", "spec.scanPolicy"]),
        "policy-without-success" => (&["p", "u"], &["s", "phase", "spec.scanPolicy"]),
        "policy-without-scanpolicy" => {
            (&[], &["p", "s", "u", "phase", "spec.scanPolicy", "metadata.generation", "observedGeneration"])
        }
        "phase-disagrees" if sentence.contains("s=True") => (&["phase", "s"], CURRENT),
        "phase-disagrees" if sentence.contains("u not True") => (&["phase", "u"], CURRENT),
        "phase-disagrees" if sentence.contains("u=True") => (&["phase", "u", "p", "d"], CURRENT),
        "phase-disagrees" => (&["phase", "p"], CURRENT),
        "compliant-artifact" if sentence.contains("on Failed") => (&["phase"], OF_COMPLIANT),
        "compliant-artifact" if sentence.contains("=False") => (&["p"], OF_COMPLIANT),
        "compliant-artifact" => (&["phase", "p"], OF_COMPLIANT),
        _ => panic!("add the fields that {rule} reads"),
    }
}

/// Returns the facts that the table of states needs for its errors.
fn facts(object: &Value) -> Option<Facts> {
    let status = &object["status"];
    let phase = match &status["phase"] {
        Value::Null => None,
        phase if *phase == "" => None,
        phase => Some(Phase::named(phase.as_str()?)?),
    };
    let [scanning, succeeded, sending, policy] =
        ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded"].map(|name| entry(object, name));
    let number = |value: &Value| if value.is_null() { Some(None) } else { value.as_i64().map(Some) };
    let has_policy = match &object["spec"]["scanPolicy"] {
        Value::Null => false,
        policy => !policy.as_str()?.is_empty(),
    };
    Some(Facts {
        phase,
        scanning: scanning?,
        succeeded: succeeded?,
        sending: sending?,
        policy: policy?,
        scan_policy: has_policy,
        generation: number(&object["metadata"]["generation"])?,
        observed: number(&status["observedGeneration"])?,
        total: None,
        violations: None,
        metadata_url: false,
        scanned_by: false,
        scanned_at: false,
        is_artifact_of_another: false,
        compliant_artifact: has_value(&status["compliantArtifact"])?.then_some(Comparison::Same),
    })
}

/// Whether any member has a value; None where a member is of a wrong type.
fn has_value(value: &Value) -> Option<bool> {
    match value {
        Value::Null => Some(false),
        Value::String(text) => Some(!text.is_empty()),
        Value::Object(members) => members.values().map(has_value).try_fold(false, |is_any, is| Some(is_any | is?)),
        _ => None,
    }
}

/// Returns the condition of this type: Some(None) where it is absent, None where it is malformed.
fn entry(object: &Value, name: &str) -> Option<Option<Entry>> {
    let conditions = match &object["status"]["conditions"] {
        Value::Null => return Some(None),
        conditions => conditions.as_array()?,
    };
    let Some(entry) = conditions.iter().find(|entry| entry["type"] == name) else { return Some(None) };
    let is_text = |value: &Value| value.is_null() || value.is_string();
    let is_reason = match entry["reason"].as_str() {
        Some(reason) => !reason.contains(' '),
        None => entry["reason"].is_null() && name == "SendingResults",
    };
    let generation = &entry["observedGeneration"];
    let is_whole = is_reason
        && is_text(&entry["message"])
        && is_text(&entry["error"])
        && (generation.is_null() || generation.as_i64().is_some_and(|it| it >= 0));
    let time = entry["lastTransitionTime"].as_str().filter(|time| time.ends_with('Z'))?;
    let status = Status::named(entry["status"].as_str()?)?;
    is_whole.then(|| Some(Entry { status, time: time.to_owned(), generation: generation.as_i64() }))
}

fn severities(container: &str) -> Vec<String> {
    SEVERITIES.iter().map(|severity| format!("{container}.{severity}")).collect()
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
