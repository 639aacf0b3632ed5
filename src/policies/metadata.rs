//! The labels and annotations of the policies, by which `doctor` finds them and tells whether they are current.

use serde_json::{Value, json};

use super::DOMAIN;
use crate::admission::ReviewSettings;
use crate::config::digest;
use crate::engine::{Rule, View};

/// The value of the label `app.kubernetes.io/name`.
pub const APP: &str = "scan-admission";
/// The value of the label `app.kubernetes.io/component`.
pub const COMPONENT: &str = "policies";

/// Adds the labels and annotations to a policy or a binding. `rules` is the digest of the table of rules.
pub fn add(object: &mut Value, rules: &str, settings: &ReviewSettings) {
    let annotation = |name: &str| format!("{DOMAIN}/{name}");
    let annotations = json!({
        annotation("version"): env!("CARGO_PKG_VERSION"),
        annotation("rules"): rules,
        annotation("config"): settings.digest,
        annotation("spec"): digest_of_spec(object),
    });
    object["metadata"]["labels"] = json!({"app.kubernetes.io/name": APP, "app.kubernetes.io/component": COMPONENT});
    object["metadata"]["annotations"] = annotations;
}

/// Returns the digest of the spec of a policy or a binding, which shows whether somebody has edited it.
pub fn digest_of_spec(object: &Value) -> String {
    digest(object["spec"].to_string().as_bytes())
}

/// Returns the digest of the table of rules: of what each rule checks, in words and in CEL.
pub fn rules_digest(rules: &[Rule]) -> String {
    let mut text = String::new();
    for rule in rules {
        text += &format!("{} {}\n", rule.id, rule.checks);
        for row in rule.cel.rows(View::New) {
            text += &format!("{:?} {} {} {}\n", row.severity, row.when, row.path, row.message);
        }
    }
    digest(text.as_bytes())
}
