//! Scans with the members of an example, and reviews of them.

use serde_json::{Value, json};

/// Returns a minimal valid SourceScan, merged with `example` (RFC 7386).
pub fn scan(example: &str) -> Value {
    let mut object = json!({
        "apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1",
        "kind": "SourceScan",
        "metadata": {"name": "sample", "namespace": "default", "generation": 1},
        "spec": {"blob": {"url": "https://example.com/code.tar.gz"}, "scanTemplate": "blob-source-scan-template"},
    });
    json_patch::merge(&mut object, &serde_json::from_str(example).unwrap());
    object
}

/// Returns the review of a status update.
pub fn review(new: &Value, old: Option<&Value>) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "1f661b25-f893-42af-8e36-d8c81ef6d774",
            "kind": {"group": "scanning.apps.tanzu.vmware.com", "version": "v1beta1", "kind": new["kind"]},
            "subResource": "status",
            "name": "sample",
            "namespace": "default",
            "operation": "UPDATE",
            "userInfo": {"username": "system:serviceaccount:scan-link-system:scan-link-controller"},
            "object": new,
            "oldObject": old,
        },
    })
}

/// Returns the decoded patch of a reply, or an empty list if it has none.
pub fn patch(body: &Value) -> Value {
    use base64::Engine as _;
    let Some(patch) = body["response"]["patch"].as_str() else { return json!([]) };
    assert_eq!(body["response"]["patchType"], "JSONPatch");
    serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(patch).unwrap()).unwrap()
}
