//! What the webhooks answer to a write, in this process.

use scan_admission::admission::{self, Answer, Context, EventReasons, ReviewSettings, Webhook};
use scan_admission::rules::RULES;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::printed::{Messages, add, split_rule};
use crate::support::reviews::{patch, review};

/// A write as the API server sends it to webhooks.
pub struct Write<'w> {
    pub new: Value,
    pub old: Option<&'w Value>,
    /// A status update, or a write of the object itself.
    pub is_status: bool,
    pub namespace: &'w str,
    pub user: &'w str,
    pub groups: &'w [&'w str],
    pub settings: &'w ReviewSettings,
}

/// The answers of both webhooks.
#[derive(Debug)]
pub struct Answers {
    pub denied: Messages,
    pub warned: Messages,
    /// The rules in the audit annotation `audited`.
    pub audited: String,
    /// The object after the mutations.
    pub object: Value,
    pub is_mutated: bool,
}

impl Write<'_> {
    /// Returns the answer of the validating webhook to the object that the mutating one has changed.
    pub fn answers(&self) -> Answers {
        let mut object = self.new.clone();
        if self.is_status {
            let mutations = body(&self.answer(&object, Webhook::Mutating));
            let mutations: json_patch::Patch = serde_json::from_value(patch(&mutations)).unwrap();
            json_patch::patch(&mut object, &mutations).unwrap();
        }
        let body = body(&self.answer(&object, Webhook::Validating));
        let response = &body["response"];
        let (mut denied, mut warned) = (Messages::new(), Messages::new());
        for cause in response["status"]["details"]["causes"].as_array().into_iter().flatten() {
            let text = format!("{}: {}", cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap());
            insert(&mut denied, &text);
        }
        for warning in response["warnings"].as_array().into_iter().flatten() {
            insert(&mut warned, warning.as_str().unwrap());
        }
        let audited = response["auditAnnotations"]["audited"].as_str().unwrap_or_default().to_owned();
        let is_mutated = object != self.new;
        Answers { denied, warned, audited, object, is_mutated }
    }

    fn answer(&self, object: &Value, webhook: Webhook) -> Answer {
        let mut review = review(object, self.old);
        let request = &mut review["request"];
        request["namespace"] = json!(self.namespace);
        request["userInfo"] = json!({"username": self.user, "groups": self.groups});
        request["operation"] = json!(if self.old.is_some() { "UPDATE" } else { "CREATE" });
        request["subResource"] = json!(if self.is_status { "status" } else { "" });
        let context = Context {
            webhook,
            now: OffsetDateTime::now_utc(),
            rules: RULES,
            settings: self.settings,
            events: EventReasons::default(),
        };
        admission::answer(review.to_string().as_bytes(), &context)
    }
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Adds a message without the similar value, which policies do not look for.
fn insert(by_rule: &mut Messages, text: &str) {
    let (text, rule) = split_rule(text).unwrap_or_else(|| panic!("{text:?} should end with a rule"));
    let (message, reason) = text.find(" (not denied: ").map_or((text, ""), |at| text.split_at(at));
    let message = message.rsplit_once("; did you mean ").map_or(message, |(message, _)| message);
    add(by_rule, rule, &format!("{message}{reason}"));
}
