//! The findings of one request by rule, as the program and as the policies report them.

use std::collections::BTreeMap;

use scan_admission::admission::Answer;
use scan_admission::engine::Action;
use serde_json::Value;

/// The findings of each rule.
pub type ByRule = BTreeMap<String, Listed>;

/// The findings of one rule.
#[derive(Debug, Default)]
pub struct Listed {
    pub count: usize,
    /// The messages with their paths, sorted. Those that are too long for an answer are missing.
    pub messages: Vec<String>,
}

impl Listed {
    pub fn is_complete(&self) -> bool {
        self.messages.len() == self.count
    }

    fn insert(&mut self, message: &str) {
        self.messages.push(plain(message));
        self.messages.sort();
    }
}

/// What one side says of one request.
#[derive(Debug, Default)]
pub struct Findings {
    pub denied: ByRule,
    pub warned: ByRule,
    /// Whether the object has a text that some policies do not read, since it is long.
    pub has_long_text: bool,
    /// Whether an object has conditions or a time of the scan that the policies do not read.
    pub is_read_in_part: bool,
    /// Whether the old object has such conditions.
    pub is_old_read_in_part: bool,
    /// Whether several conditions have no type, or one that others have too. If the old object has fewer of them, the program
    /// and the policies may differ in which ones are new. Both deny the write.
    pub has_several_unnamed: bool,
}

impl Findings {
    /// Returns the findings of an answer. The summary counts them all; the messages are those in the answer that are
    /// whole.
    pub fn of_program(answer: &Answer) -> Findings {
        let mut findings = Findings::default();
        for finding in &answer.summary.findings {
            let by_rule = match finding.action {
                Action::Deny => &mut findings.denied,
                Action::Warn => &mut findings.warned,
                Action::Audit => continue,
            };
            by_rule.entry(finding.rule.to_owned()).or_default().count += 1;
        }
        let body: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
        let response = &body["response"];
        for cause in response["status"]["details"]["causes"].as_array().into_iter().flatten() {
            let text = format!("{}: {}", cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap());
            insert(&mut findings.denied, &text);
        }
        for warning in response["warnings"].as_array().into_iter().flatten() {
            insert(&mut findings.warned, warning.as_str().unwrap());
        }
        findings
    }

    /// Adds what a failing validation of a policy says: the findings of its rule, joined by `; `.
    pub fn add(&mut self, denies: bool, rule: &str, text: Option<&str>) {
        let listed = if denies { &mut self.denied } else { &mut self.warned }.entry(rule.to_owned()).or_default();
        let (end, joint) = (format!(" [{rule}]"), format!(" [{rule}]; "));
        for message in text.into_iter().flat_map(|text| text.split(&joint)) {
            listed.insert(message.strip_suffix(&end).unwrap_or(message));
        }
        listed.count = listed.messages.len();
    }
}

fn insert(by_rule: &mut ByRule, text: &str) {
    if let Some((text, rule)) = split_rule(text)
        && let Some(listed) = by_rule.get_mut(rule)
        && !text.ends_with('…')
    {
        listed.insert(text);
    }
}

/// Splits `text [rule-id]`.
pub fn split_rule(text: &str) -> Option<(&str, &str)> {
    text.strip_suffix(']')?.rsplit_once(" [")
}

/// Returns a message without the parts that policies may show differently: the similar value, and values that are neither
/// a short text nor an integer.
fn plain(text: &str) -> String {
    let (message, reason) = text.find(" (not denied: ").map_or((text, ""), |at| text.split_at(at));
    let mut message = message.rsplit_once("; did you mean ").map_or(message, |(message, _)| message);
    for before_value in ["Invalid value: ", "Unsupported value: ", "Duplicate value: ", ", which is ", ", \""] {
        if let Some((start, rest)) = message.split_once(before_value) {
            let shown = if before_value.ends_with('"') { &message[start.len() + ", ".len()..] } else { rest };
            message = if is_shown_alike(shown) { message } else { start };
        }
    }
    if message.contains(|c: char| c == '\\' || c.is_control()) {
        message = message.split('"').next().unwrap_or_default().trim_end_matches([',', ' ']);
    }
    format!("{message}{reason}")
}

/// Whether a text begins with a value that the program and the policies show alike. The program replaces characters that
/// cannot be printed by `?`.
fn is_shown_alike(shown: &str) -> bool {
    let is_plain = |c: char| (c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric()) && !['?', '\\'].contains(&c);
    if let Some(text) = shown.strip_prefix('"') {
        let (text, rest) = text.split_once('"').unwrap_or((text, ""));
        return text.chars().all(is_plain) && !rest.starts_with('…') && !text.contains('…');
    }
    let value = shown.split([':', ';']).next().unwrap_or_default();
    ["true", "false"].contains(&value) || value.parse::<i64>().is_ok()
}
