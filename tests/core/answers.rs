//! The answer to a review, and the object after the patch of an answer.

use scan_admission::admission::{self, Answer, Webhook};
use serde_json::Value;

use crate::support::review_context::context;
use crate::support::reviews::patch;

pub fn answer(review: &Value, webhook: Webhook) -> (Answer, Value) {
    let answer = admission::answer(review.to_string().as_bytes(), &context(webhook));
    let body = serde_json::from_slice(&answer.body).unwrap();
    (answer, body)
}

/// Returns `object` after the patch of a reply.
pub fn patched(object: &Value, body: &Value) -> Value {
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(patch(body)).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}
