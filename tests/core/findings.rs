//! The findings in a reply of the validating webhook, read from its body as a client reads them.

use std::collections::BTreeSet;

use scan_admission::admission::Webhook;
use scan_admission::engine::Action;
use serde_json::Value;

use crate::answers;

/// The rule and path of each finding.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    pub denied: BTreeSet<(String, String)>,
    pub warned: BTreeSet<(String, String)>,
    /// The full text of the warnings.
    pub warnings: Vec<String>,
}

impl Found {
    pub fn has_denied(&self, rule: &str, path: &str) -> bool {
        self.denied.contains(&(rule.to_owned(), path.to_owned()))
    }

    pub fn has_warned(&self, rule: &str, path: &str) -> bool {
        self.warned.contains(&(rule.to_owned(), path.to_owned()))
    }

    /// Returns the paths that `rule` denies and the paths that it warns about.
    pub fn of(&self, rule: &str) -> [Vec<&str>; 2] {
        [&self.denied, &self.warned]
            .map(|all| all.iter().filter(|finding| finding.0 == rule).map(|finding| finding.1.as_str()).collect())
    }
}

/// Returns the findings of the validating webhook. The body and the summary of the answer must agree.
pub fn found(review: &Value) -> Found {
    let (answer, body) = answers::answer(review, Webhook::Validating);
    assert_eq!(answer.http, 200, "{body}");
    let response = &body["response"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let denied: Vec<_> = list(&response["status"]["details"]["causes"]).iter().map(cause).collect();
    let warnings: Vec<_> =
        list(&response["warnings"]).iter().map(|warning| warning.as_str().unwrap().to_owned()).collect();
    let warned: Vec<_> = warnings.iter().map(|text| warning(text)).collect();
    assert_eq!(answer.is_allowed, denied.is_empty());
    assert_eq!(response["allowed"], answer.is_allowed);

    let listed = |findings: &[(String, String)], action| {
        let mut listed: Vec<_> = findings.iter().map(|finding| (finding.0.clone(), action)).collect();
        listed.sort();
        listed
    };
    let mut summary: Vec<_> =
        answer.summary.findings.iter().map(|found| (found.rule.to_owned(), found.action)).collect();
    summary.sort();
    let mut both = [listed(&denied, Action::Deny), listed(&warned, Action::Warn)].concat();
    both.sort();
    assert_eq!(both, summary, "{body:#}");
    Found { denied: denied.into_iter().collect(), warned: warned.into_iter().collect(), warnings }
}

fn cause(cause: &Value) -> (String, String) {
    let message = cause["message"].as_str().unwrap();
    (rule(message), cause["field"].as_str().unwrap().to_owned())
}

fn warning(text: &str) -> (String, String) {
    let (path, message) = text.split_once(": ").unwrap_or_else(|| panic!("no path: {text}"));
    (rule(message), path.to_owned())
}

/// Returns the rule id in brackets at the end of a message.
fn rule(message: &str) -> String {
    let (_, id) = message.strip_suffix(']').and_then(|text| text.rsplit_once('[')).unwrap();
    id.to_owned()
}
