//! The benchmarked reviews: a captured status update as the API server sends it, and the same update with a larger
//! object.

use scan_admission::admission::Webhook;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The update of a scan that has just completed. It is the most frequent update with all judged fields.
const CAPTURED: &str = include_str!("../fixtures/reviews/sourcescan-completed-2-status.validate.json");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Kb6,
    Kb110,
    Mb1,
}

/// The entries that make the object larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No additional entries.
    Plain,
    /// managedFields, as many server-side appliers write them: they are not judged.
    Fields,
    /// Conditions of unknown types: each is judged, and warned about.
    Conditions,
}

/// The expected decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Allowed,
    Denied,
    Mutated,
}

#[derive(Debug, Clone)]
pub struct Body {
    pub size: Size,
    pub shape: Shape,
    pub outcome: Outcome,
    pub webhook: Webhook,
    pub text: String,
}

impl Size {
    pub fn name(self) -> &'static str {
        match self {
            Size::Kb6 => "6 KB",
            Size::Kb110 => "110 KB",
            Size::Mb1 => "1.1 MB",
        }
    }

    fn grown_bytes(self) -> usize {
        match self {
            Size::Kb6 => 0,
            Size::Kb110 => 110_000,
            Size::Mb1 => 1_100_000,
        }
    }
}

impl Body {
    pub fn new(size: Size, shape: Shape, outcome: Outcome, webhook: Webhook) -> Self {
        let mut review: Review = serde_json::from_str(CAPTURED).expect("the captured file is a review");
        outcome.prepare(&mut review.request.object["status"]);
        let captured_bytes = review.text().len();
        // Half of the bytes are in each object. All entries are as long as the first.
        let entries = |bytes: usize| bytes / shape.entry(0).to_string().len();
        let count = entries(size.grown_bytes().saturating_sub(captured_bytes) / 2);
        for object in [&mut review.request.object, &mut review.request.old_object] {
            if let Some(list) = shape.list(object) {
                list.extend((0..count).map(|number| shape.entry(number)));
            }
        }
        Body { size, shape, outcome, webhook, text: review.text() }
    }

    /// Returns all benchmarked reviews.
    pub fn all() -> Vec<Self> {
        let sizes = [
            (Size::Kb6, Shape::Plain),
            (Size::Kb110, Shape::Fields),
            (Size::Kb110, Shape::Conditions),
            (Size::Mb1, Shape::Fields),
            (Size::Mb1, Shape::Conditions),
        ];
        let outcomes = [
            (Outcome::Allowed, Webhook::Validating),
            (Outcome::Allowed, Webhook::Mutating),
            (Outcome::Denied, Webhook::Validating),
            (Outcome::Mutated, Webhook::Mutating),
        ];
        let each = |(size, shape)| outcomes.map(|(outcome, webhook)| Self::new(size, shape, outcome, webhook));
        sizes.into_iter().flat_map(each).collect()
    }

    /// Returns a name such as `6 KB, allowed, validating`.
    pub fn name(&self) -> String {
        let shape = match self.shape {
            Shape::Plain => "",
            Shape::Fields => " of managedFields",
            Shape::Conditions => " of conditions",
        };
        let outcome = match self.outcome {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            Outcome::Mutated => "mutated",
        };
        let webhook = match self.webhook {
            Webhook::Validating => "validating",
            Webhook::Mutating => "mutating",
        };
        format!("{}{shape}, {outcome}, {webhook}", self.size.name())
    }
}

impl Outcome {
    /// Changes the captured status, which is legal, so that its review has this outcome.
    fn prepare(self, status: &mut Value) {
        match self {
            Outcome::Allowed => {}
            Outcome::Denied => {
                status["phase"] = json!("Complete");
                status["cveCount"]["critical"] = json!("1");
            }
            Outcome::Mutated => {
                status["cveCount"]["total"] = json!(23);
                for (parent, member) in [("", "scannedAt"), ("/conditions/1", "lastTransitionTime")] {
                    let parent = status.pointer_mut(parent).and_then(Value::as_object_mut);
                    parent.and_then(|parent| parent.remove(member)).expect("the captured status has it");
                }
            }
        }
    }
}

impl Shape {
    fn list(self, object: &mut Value) -> Option<&mut Vec<Value>> {
        let path = match self {
            Shape::Plain => return None,
            Shape::Fields => "/metadata/managedFields",
            Shape::Conditions => "/status/conditions",
        };
        Some(object.pointer_mut(path).and_then(Value::as_array_mut).expect("the captured object has it"))
    }

    /// Returns one entry. All entries have the same length.
    fn entry(self, number: usize) -> Value {
        match self {
            Shape::Plain => Value::Null,
            Shape::Fields => {
                let owns = |what: &str| -> Map<String, Value> {
                    let key = |index| (format!("f:example.com/{what}-{number:05}-{index}"), json!({}));
                    [(".".to_owned(), json!({}))].into_iter().chain((0..8).map(key)).collect()
                };
                let owner = format!("k:{{\"uid\":\"5cbd55ed-2033-47a5-8995-aa00000{number:05}\"}}");
                json!({
                    "apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {
                        "f:metadata": {
                            "f:annotations": owns("annotation"),
                            "f:labels": owns("label"),
                            "f:ownerReferences": {".": {}, owner: {}},
                        },
                        "f:spec": {"f:blob": {"f:revision": {}, "f:url": {}}, "f:scanPolicy": {}, "f:scanTemplate": {}},
                    },
                    "manager": format!("applier-{number:05}"),
                    "operation": "Apply",
                    "time": "2026-11-20T08:00:00Z",
                })
            }
            Shape::Conditions => json!({
                "lastTransitionTime": "2026-11-20T08:00:00Z",
                "message": format!("stage {number:05} of the pipeline has run and left its results"),
                "observedGeneration": 1,
                "reason": "StageFinished",
                "status": "True",
                "type": format!("Stage{number:05}"),
            }),
        }
    }
}

/// A review whose members are in the order of the API server. The members of the scans are sorted.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Review {
    kind: Value,
    api_version: Value,
    request: Request,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    uid: Value,
    kind: Value,
    resource: Value,
    sub_resource: Value,
    request_kind: Value,
    request_resource: Value,
    request_sub_resource: Value,
    name: Value,
    namespace: Value,
    operation: Value,
    user_info: Value,
    object: Value,
    old_object: Value,
    dry_run: Value,
    options: Value,
}

impl Review {
    fn text(&self) -> String {
        serde_json::to_string(self).expect("a review is JSON")
    }
}
