//! One request, as the program gets it and as the policies get it.

use std::sync::LazyLock;

use scan_admission::admission::{self, Answer, Context, EventReasons, ReviewSettings, Webhook};
use scan_admission::rules::RULES;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::reviews::{patch, review};

/// The settings without a configuration file.
pub static SETTINGS: LazyLock<ReviewSettings> = LazyLock::new(ReviewSettings::default);

/// The time of the requests, later than most times of the objects.
pub const NOW: &str = "2026-11-24T12:00:00Z";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    UpdateStatus,
    Update,
    Create,
}

impl Request {
    fn operation(self) -> &'static str {
        if self == Request::Create { "CREATE" } else { "UPDATE" }
    }

    fn subresource(self) -> &'static str {
        if self == Request::UpdateStatus { "status" } else { "" }
    }
}

#[derive(Clone, Debug)]
pub struct Case {
    /// Where the case comes from.
    pub title: String,
    pub request: Request,
    pub new: Value,
    /// None on a CREATE.
    pub old: Option<Value>,
}

impl Case {
    /// Returns an update of the status. The objects are changed to what the API server can send.
    pub fn update(title: impl Into<String>, new: Value, old: Value) -> Case {
        let mut case = Case { title: title.into(), request: Request::UpdateStatus, new, old: Some(old) };
        case.complete();
        case
    }

    /// Returns a captured update as it was sent, with its own `managedFields`.
    pub fn captured(title: &str, review: &Value) -> Case {
        let [new, old] = ["object", "oldObject"].map(|name| review["request"][name].clone());
        Case { title: title.to_owned(), request: Request::UpdateStatus, new, old: Some(old) }
    }

    /// Returns the case as another request.
    pub fn sent_as(mut self, request: Request) -> Case {
        self.request = request;
        if request == Request::Create {
            self.old = None;
        }
        self
    }

    /// Returns the case at another time.
    pub fn at(mut self, now: &str) -> Case {
        self.new["metadata"]["managedFields"][0]["time"] = json!(now);
        self
    }

    /// Policies have no clock: the time of the request is the latest one in `managedFields`.
    fn complete(&mut self) {
        let kind = self.new["kind"].clone();
        let objects = [Some(&mut self.new), self.old.as_mut()];
        for object in objects.into_iter().flatten() {
            object["kind"] = kind.clone();
            object["metadata"]["managedFields"] =
                json!([{"manager": "controller", "operation": "Update", "time": NOW}]);
            avoid_whole_floats(object);
        }
    }

    fn now(&self) -> OffsetDateTime {
        let entries = self.new["metadata"]["managedFields"].as_array().into_iter().flatten();
        let times = entries.filter_map(|entry| OffsetDateTime::parse(entry["time"].as_str()?, &Rfc3339).ok());
        times.max().expect("every case has a time")
    }

    fn kind(&self) -> &str {
        self.new["kind"].as_str().expect("every case has a kind")
    }

    /// Returns the answer of a webhook of the program.
    pub fn answer(&self, webhook: Webhook) -> Answer {
        let mut review = review(&self.new, self.old.as_ref());
        review["request"]["operation"] = json!(self.request.operation());
        review["request"]["subResource"] = json!(self.request.subresource());
        let context =
            Context { webhook, now: self.now(), rules: RULES, settings: &SETTINGS, events: EventReasons::default() };
        admission::answer(review.to_string().as_bytes(), &context)
    }

    /// Returns the case with the object after the mutations, if they change it.
    pub fn if_mutated(&self) -> Option<Case> {
        Some(self.mutated()).filter(|mutated| mutated.new != self.new)
    }

    /// Returns the case with the object after the patch of the mutating webhook.
    pub fn mutated(&self) -> Case {
        let mut object = self.new.clone();
        let body: Value = serde_json::from_slice(&self.answer(Webhook::Mutating).body).unwrap();
        let patch: json_patch::Patch = serde_json::from_value(patch(&body)).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
        Case { title: format!("{} (mutated)", self.title), new: object, ..self.clone() }
    }

    /// Returns the line of the evaluator's input.
    pub fn line(&self) -> String {
        let request = json!({
            "operation": self.request.operation(),
            "resource": format!("{}s", self.kind().to_lowercase()),
            "subresource": self.request.subresource(),
            "kind": self.kind(),
            "object": self.new,
            "oldObject": self.old,
            "user": "system:serviceaccount:scan-link-system:scan-link-controller",
            "namespace": "default",
        });
        request.to_string()
    }
}

/// Adds a half to each float without a fraction that fits an integer. Go writes `1.0` as `1`, so such a number reaches
/// the webhook as an integer, and CEL compares it with one as equal.
fn avoid_whole_floats(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            if float.fract() == 0.0 && float.abs() < 1e15 {
                *value = json!(float + 0.5);
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(avoid_whole_floats),
        Value::Object(members) => members.values_mut().for_each(avoid_whole_floats),
        _ => {}
    }
}
