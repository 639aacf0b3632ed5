//! What a reply of the validating door says, read from its body as a client reads it.

#![allow(dead_code, reason = "each test crate that includes this module uses a part of it")]

use std::collections::BTreeSet;

use scan_admission::admission::Door;
use scan_admission::law::Severity;
use serde_json::Value;

use crate::objects;

/// Rule and path of each finding.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    pub refused: BTreeSet<(String, String)>,
    pub advised: BTreeSet<(String, String)>,
    /// The warnings in words.
    pub warnings: Vec<String>,
}

impl Found {
    pub fn has_refused(&self, rule: &str, path: &str) -> bool {
        self.refused.contains(&(rule.to_owned(), path.to_owned()))
    }

    pub fn has_advised(&self, rule: &str, path: &str) -> bool {
        self.advised.contains(&(rule.to_owned(), path.to_owned()))
    }

    /// The paths at which `rule` refuses and advises.
    pub fn of(&self, rule: &str) -> [Vec<&str>; 2] {
        [&self.refused, &self.advised]
            .map(|all| all.iter().filter(|finding| finding.0 == rule).map(|finding| finding.1.as_str()).collect())
    }
}

/// Asks the validating door; the body and the summary of the answer must tell the same.
pub fn found(review: &Value) -> Found {
    let (answer, body) = objects::answer(review, Door::Validate);
    assert_eq!(answer.http, 200, "{body}");
    let response = &body["response"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let refused: Vec<_> = list(&response["status"]["details"]["causes"]).iter().map(cause).collect();
    let warnings: Vec<_> =
        list(&response["warnings"]).iter().map(|warning| warning.as_str().unwrap().to_owned()).collect();
    let advised: Vec<_> = warnings.iter().map(|text| warning(text)).collect();
    assert_eq!(answer.is_allowed, refused.is_empty());
    assert_eq!(response["allowed"], answer.is_allowed);

    let told = |findings: &[(String, String)], severity| {
        let mut told: Vec<_> = findings.iter().map(|finding| (finding.0.clone(), severity)).collect();
        told.sort();
        told
    };
    let mut summary: Vec<_> =
        answer.summary.findings.iter().map(|(rule, found, _)| ((*rule).to_owned(), *found)).collect();
    summary.sort();
    let mut both = [told(&refused, Severity::Refuse), told(&advised, Severity::Advise)].concat();
    both.sort();
    assert_eq!(both, summary, "{body:#}");
    Found { refused: refused.into_iter().collect(), advised: advised.into_iter().collect(), warnings }
}

fn cause(cause: &Value) -> (String, String) {
    let message = cause["message"].as_str().unwrap();
    (rule(message), cause["field"].as_str().unwrap().to_owned())
}

fn warning(text: &str) -> (String, String) {
    let (path, message) = text.split_once(": ").unwrap_or_else(|| panic!("no path: {text}"));
    (rule(message), path.to_owned())
}

/// The id in brackets that ends each message.
fn rule(message: &str) -> String {
    let (_, id) = message.strip_suffix(']').and_then(|text| text.rsplit_once('[')).unwrap();
    id.to_owned()
}
