//! The JSON Patch (RFC 6902) of the mutations. It has one operation for each write, so unknown keys and the order of
//! keys stay as they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::engine::PatchOperation;

/// Encodes the patch for the reply: base64 of its JSON.
pub fn encode(operations: &[PatchOperation]) -> String {
    STANDARD.encode(to_json(operations))
}

/// Returns the patch in JSON. A field that exists is replaced; a field that is absent or null is added.
pub fn to_json(operations: &[PatchOperation]) -> String {
    let operations: Vec<String> = operations
        .iter()
        .filter_map(|operation| {
            let op = if operation.old_value.is_some() { "replace" } else { "add" };
            let path = operation.field.pointer()?;
            // Paths and ops consist of fixed names and indices, so nothing in them needs escaping.
            let value = operation.value.to_json();
            Some([r#"{"op":""#, op, r#"","path":""#, &path, r#"","value":"#, &value, "}"].concat())
        })
        .collect();
    format!("[{}]", operations.join(","))
}
