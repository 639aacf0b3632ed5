//! Who has written the fields of a stored object, by its `metadata.managedFields`.

use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::scan::time as scan_time;

/// The managers of an object, and the fields that each has written.
#[derive(Debug, Default)]
pub struct ManagedFields(Vec<ManagedFieldsEntry>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedFieldsEntry {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    time: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    fields_v1: Value,
}

/// The manager that has written a field, and the time of its last write.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldWriter<'a> {
    pub manager: &'a str,
    pub time: Option<OffsetDateTime>,
    /// The subresource that it has written through, such as `status`; empty for the object itself.
    pub subresource: &'a str,
}

impl ManagedFields {
    /// Reads the value of `metadata.managedFields`. An object whose managedFields cannot be read has no managers.
    pub fn read(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    /// Returns the manager of the field at a path such as `status.conditions[Succeeded].reason`. If no manager has written
    /// it, returns that of the innermost part around it; of several, the one that wrote last.
    pub fn writer(&self, path: &str) -> Option<FieldWriter<'_>> {
        let steps = steps(path);
        let of_entry = |entry: &'_ ManagedFieldsEntry| (depth(&entry.fields_v1, &steps), scan_time::parse(&entry.time));
        let found = self.0.iter().map(|entry| (of_entry(entry), entry)).filter(|((depth, _), _)| *depth > 0);
        let ((_, time), entry) = found.max_by_key(|(key, _)| *key)?;
        Some(FieldWriter { manager: &entry.manager, time, subresource: &entry.subresource })
    }
}

/// Splits a path into the names of members and, in brackets, of entries of lists. Only the latter can contain dots.
fn steps(path: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (step, after) = match rest.strip_prefix('[') {
            Some(entry) => entry.split_once(']').unwrap_or((entry, "")),
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        steps.push(step);
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    steps
}

/// Returns how many steps of a path lead to fields of the set.
fn depth(fields: &Value, steps: &[&str]) -> usize {
    let Some((step, rest)) = steps.split_first() else { return 0 };
    let below = fields.as_object().and_then(|members| {
        let member = members.get(&format!("f:{step}")).or_else(|| members.get(&format!("i:{step}")));
        member.or_else(|| entry_of_type(members, step))
    });
    below.map_or(0, |below| 1 + depth(below, rest))
}

/// Returns the entry of a list whose key is a type: `k:{"type":"Succeeded"}`.
fn entry_of_type<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let is_entry = |key: &str| {
        let key: Option<Value> = key.strip_prefix("k:").and_then(|key| serde_json::from_str(key).ok());
        key.is_some_and(|key| key["type"] == name)
    };
    members.iter().find_map(|(key, value)| is_entry(key).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"[
        {"manager": "kubectl", "time": "2026-11-20T08:00:00Z", "fieldsV1": {"f:spec": {"f:scanTemplate": {}}}},
        {"manager": "controller", "time": "2026-11-20T08:01:00Z", "subresource": "status", "fieldsV1": {"f:status":
            {"f:phase": {}, "f:conditions": {"k:{\"type\":\"example.com/A\"}": {".": {}, "f:reason": {}}}}}},
        {"manager": "other", "time": "2026-11-20T08:02:00Z", "fieldsV1": {"f:status": {"f:phase": {}, "f:conditions":
            {"i:3": {}}}}},
        {"manager": "broken", "time": "soon"}
    ]"#;

    fn manager(path: &str) -> Option<String> {
        ManagedFields::read(JSON).writer(path).map(|writer| writer.manager.to_owned())
    }

    #[test]
    fn the_writer_of_a_field_is_found() {
        for (path, expected) in [
            ("spec.scanTemplate", Some("kubectl")),
            ("spec.scanPolicy", Some("kubectl")),
            ("status.phase", Some("other")),
            ("status.conditions[example.com/A].reason", Some("controller")),
            ("status.conditions[example.com/A].message", Some("controller")),
            ("status.conditions[3].reason", Some("other")),
            ("status.scannedAt", Some("other")),
            ("metadata.name", None),
        ] {
            assert_eq!(manager(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn managed_fields_that_cannot_be_read_have_no_writer() {
        for json in ["", "null", "{}", r#"[{"manager": 1}]"#, "[]"] {
            assert_eq!(ManagedFields::read(json).writer("status.phase"), None, "{json}");
        }
    }
}
