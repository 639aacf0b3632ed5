//! JSON Patch (RFC 6902) of what the mutations wrote: explicit operations, so that unknown keys and their order are kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::engine::PatchOperation;
use crate::scan::field::cve_count_name;
use crate::scan::{Entry, Field};

/// The patch as a reply carries it: base64 of its JSON.
pub fn encode(operations: &[PatchOperation]) -> String {
    STANDARD.encode(to_json(operations))
}

/// The patch in JSON. A field that is there is replaced, one that is absent or null added.
pub fn to_json(operations: &[PatchOperation]) -> String {
    let operations: Vec<String> = operations
        .iter()
        .filter_map(|operation| {
            let op = if operation.was.is_some() { "replace" } else { "add" };
            let path = pointer(&operation.field)?;
            // Paths and ops are made of fixed names and indices: nothing in them needs escaping.
            let value = operation.value.to_json();
            Some([r#"{"op":""#, op, r#"","path":""#, &path, r#"","value":"#, &value, "}"].concat())
        })
        .collect();
    format!("[{}]", operations.join(","))
}

/// The JSON Pointer (RFC 6901) of a field that a mutation may write.
fn pointer(field: &Field<'_>) -> Option<String> {
    match field {
        Field::Phase => Some("/status/phase".to_owned()),
        Field::ScannedAt => Some("/status/scannedAt".to_owned()),
        Field::ConditionMember { entry: Entry::Index(index), member } => {
            Some(format!("/status/conditions/{index}/{}", member.name()))
        }
        Field::Count { container, count, key } => {
            Some(["/status/", cve_count_name(*container), "/", count.name(*key)].concat())
        }
        _ => None,
    }
}
