//! Objects and reviews for tests: an example's members in an otherwise undamaged scan.

#![allow(dead_code, reason = "each test crate that includes this module uses a part of it")]

use std::sync::LazyLock;

use scan_admission::admission::{self, Answer, Context, ReviewSettings, Webhook};
use scan_admission::rules::RULES;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The clock of the tests; the fixtures are from before it.
pub const NOW: &str = "2026-11-24T12:00:00Z";

pub fn now() -> OffsetDateTime {
    OffsetDateTime::parse(NOW, &Rfc3339).unwrap()
}

/// As without a configuration.
static SETTINGS: LazyLock<ReviewSettings> = LazyLock::new(ReviewSettings::default);

pub fn context(webhook: Webhook) -> Context<'static> {
    Context { webhook, now: now(), rules: RULES, settings: &SETTINGS }
}

/// A SourceScan with the members of `example` (RFC 7386) and nothing else said.
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

/// The review of a status update.
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

pub fn answer(review: &Value, webhook: Webhook) -> (Answer, Value) {
    let answer = admission::answer(review.to_string().as_bytes(), &context(webhook));
    let body = serde_json::from_slice(&answer.body).unwrap();
    (answer, body)
}

/// The patch of a reply, decoded; an empty list where there is none.
pub fn patch(body: &Value) -> Value {
    use base64::Engine as _;
    let Some(patch) = body["response"]["patch"].as_str() else { return json!([]) };
    assert_eq!(body["response"]["patchType"], "JSONPatch");
    serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(patch).unwrap()).unwrap()
}

/// `object` after the patch of a reply.
pub fn patched(object: &Value, body: &Value) -> Value {
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(patch(body)).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}
