//! Every change of one field of a scan, with the name of the field: `phase`, `conditions[Succeeded].reason`.

use serde_json::{Value, json};

const TYPES: [&str; 5] = ["Scanning", "Succeeded", "SendingResults", "PolicySucceeded", "example.com/Signed"];

/// Objects that are replaced as a whole by values of another type.
const WHOLE: [&str; 6] = ["cveCount", "CVECount", "scannedBy", "artifact", "compliantArtifact", "artifact.blob"];

/// Returns the values that the field is changed to; null removes it.
fn values(field: &str) -> Vec<Value> {
    let last = field.rsplit('.').next().unwrap();
    let is_count = field.starts_with("cveCount.") || field.starts_with("CVECount.");
    match last {
        _ if WHOLE.contains(&field) => {
            vec![json!(null), json!("none"), json!("0, all clean"), json!(5), json!(6), json!([1])]
        }
        _ if is_count => vec![json!(null), json!(0), json!(8), json!("8"), json!("9"), json!([9])],
        "phase" => ["Pending", "Scanning", "Completed", "Failed", "Error", "Done"].iter().map(|it| json!(it)).collect(),
        "status" => vec![json!("True"), json!("False"), json!("Unknown"), json!("Maybe")],
        "type" => TYPES.iter().map(|it| json!(it)).chain([json!(null)]).collect(),
        "reason" => {
            vec![json!("JobFinished"), json!("EvaluationFailed"), json!("Other"), json!("no reason"), json!(null)]
        }
        "message" => vec![json!("Policy violated because of 3 CVEs"), json!("Whatever"), json!(7), json!(null)],
        "error" => vec![json!("exit 2"), json!(null)],
        "lastTransitionTime" => {
            ["2026-11-20T07:00:00Z", "2026-11-20T09:00:00Z", "soon"].iter().map(|it| json!(it)).collect()
        }
        "observedGeneration" => vec![json!(null), json!(1), json!(4), json!(5)],
        "generation" => vec![json!(1), json!(2)],
        "scannedAt" => vec![json!("2026-11-20T08:05:00Z"), json!("yesterday"), json!(7)],
        _ => vec![json!(null), json!("https://example.com/c"), json!(7), json!("ghcr.io/team/third:v1"), json!("p")],
    }
}

fn status_fields() -> Vec<String> {
    let mut fields: Vec<String> =
        ["phase", "observedGeneration", "scannedAt", "metadataUrl", "metadataURL"].map(str::to_owned).into();
    fields.extend(WHOLE.map(str::to_owned));
    for container in ["cveCount", "CVECount"] {
        for count in ["critical", "high", "medium", "low", "unknown", "total", "LOW", "CVETOTAL", "other"] {
            fields.push(format!("{container}.{count}"));
        }
    }
    for member in ["name", "version", "scanner.name", "scanner.vendor", "scanner.version"] {
        fields.push(format!("scannedBy.{member}"));
    }
    for artifact in ["artifact", "compliantArtifact"] {
        for member in ["blob.url", "blob.revision", "git.url", "git.revision", "registry.image"] {
            fields.push(format!("{artifact}.{member}"));
        }
    }
    fields
}

/// Returns the name and the index of each condition. The name has the type, or the index where the type is missing or
/// repeated.
fn entries(object: &Value) -> Vec<(String, usize)> {
    let conditions: Vec<&Value> = object["status"]["conditions"].as_array().into_iter().flatten().collect();
    let is_alone = |name: &str| conditions.iter().filter(|other| other["type"] == name).count() == 1;
    let named = conditions.iter().enumerate().map(|(index, condition)| {
        let name = condition["type"].as_str().filter(|name| is_alone(name));
        (name.map_or_else(|| format!("conditions[{index}]"), |name| format!("conditions[{name}]")), index)
    });
    named.collect()
}

/// Returns every changed object with the names of its changed fields. A change of a type has two names: one condition
/// is removed and another is added.
pub fn of(object: &Value) -> Vec<(Vec<String>, Value)> {
    let mut edits = Vec::new();
    let mut edit = |field: String, pointer: &str| {
        for value in values(&field) {
            let mut edited = object.clone();
            let added = value.as_str().filter(|_| field.ends_with(".type")).map(|name| format!("conditions[{name}]"));
            if set(&mut edited, pointer, value).is_some() && edited != *object {
                let fields = match (added, field.strip_suffix(".type")) {
                    (added, Some(removed)) => [Some(removed.to_owned()), added].into_iter().flatten().collect(),
                    _ => vec![field.clone()],
                };
                edits.push((fields, edited));
            }
        }
    };
    for field in status_fields() {
        edit(field.clone(), &format!("status.{field}"));
    }
    for field in ["metadata.generation", "spec.scanPolicy", "spec.scanTemplate", "spec.blob.url", "spec.git.url"] {
        edit(field.to_owned(), field);
    }
    for (name, index) in entries(object) {
        for member in ["type", "status", "reason", "message", "error", "lastTransitionTime", "observedGeneration"] {
            edit(format!("{name}.{member}"), &format!("status.conditions.{index}.{member}"));
        }
    }
    edits.extend(entries_added_and_removed(object));
    edits
}

fn entries_added_and_removed(object: &Value) -> Vec<(Vec<String>, Value)> {
    let mut edits = Vec::new();
    let entries = entries(object);
    let has_index = entries.iter().any(|(name, index)| *name == format!("conditions[{index}]"));
    // A removed entry would change the index of the entries behind it, which matters where entries are named by index.
    for (name, index) in entries.iter().filter(|_| !has_index) {
        let mut edited = object.clone();
        edited["status"]["conditions"].as_array_mut().unwrap().remove(*index);
        edits.push((vec![name.clone()], edited));
    }
    let is_list = matches!(object["status"]["conditions"], Value::Null | Value::Array(_));
    for name in TYPES.map(|name| format!("conditions[{name}]")) {
        if !is_list || !object["status"].is_object() || entries.iter().any(|entry| entry.0 == name) {
            continue;
        }
        for status in ["True", "False"] {
            let entry = json!({
                "type": name.trim_start_matches("conditions[").trim_end_matches(']'),
                "status": status,
                "reason": "JobFinished",
                "lastTransitionTime": "2026-11-20T08:30:00Z",
            });
            let mut edited = object.clone();
            let conditions = &mut edited["status"]["conditions"];
            match conditions.as_array_mut() {
                Some(conditions) => conditions.push(entry),
                None => *conditions = json!([entry]),
            }
            edits.push((vec![name.clone()], edited));
        }
    }
    edits
}

/// Sets or removes a member. Returns None where the parent is not an object, or where there is nothing to remove.
fn set(object: &mut Value, path: &str, value: Value) -> Option<()> {
    let (parents, member) = path.rsplit_once('.')?;
    let mut target = object;
    for parent in parents.split('.') {
        target = match parent.parse::<usize>() {
            Ok(index) => target.get_mut(index)?,
            Err(_) => {
                let members = target.as_object_mut()?;
                if value.is_null() && !members.contains_key(parent) {
                    return None;
                }
                members.entry(parent).or_insert_with(|| json!({}))
            }
        };
    }
    let members = target.as_object_mut()?;
    if value.is_null() {
        members.remove(member)
    } else {
        members.insert(member.to_owned(), value)
    };
    Some(())
}

/// Whether the two fields are the same, or one contains the other.
pub fn is_within(read: &str, changed: &str) -> bool {
    let contains =
        |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[']));
    read == changed || contains(read, changed) || contains(changed, read)
}
