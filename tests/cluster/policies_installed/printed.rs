//! What kubectl prints of the findings of policies.

use std::collections::BTreeMap;

/// The messages of each rule, without its id, sorted.
pub type Messages = BTreeMap<String, Vec<String>>;

/// The findings of policies in what kubectl prints.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Only the first rule that denies is shown.
    pub denied: Messages,
    pub warned: Messages,
    /// The lines that belong to no policy.
    pub others: Vec<String>,
    /// The number of lines that begin with `Warning:`.
    pub warnings: usize,
}

impl Printed {
    pub fn of(stderr: &str) -> Printed {
        let mut printed = Printed::default();
        for line in stderr.lines() {
            let is_warning = line.starts_with("Warning: ");
            printed.warnings += usize::from(is_warning);
            let text = if is_warning {
                line.strip_prefix("Warning: Validation failed for ValidatingAdmissionPolicy '")
                    .and_then(|rest| Some(rest.split_once("': ")?.1))
            } else {
                line.split_once(" denied request: ").map(|(_, text)| text)
            };
            let Some((_, rule)) = text.and_then(split_rule) else {
                printed.others.push(line.to_owned());
                continue;
            };
            let by_rule = if is_warning { &mut printed.warned } else { &mut printed.denied };
            let (end, joint) = (format!(" [{rule}]"), format!(" [{rule}]; "));
            let messages = text.unwrap_or_default().split(&joint);
            add(by_rule, rule, messages.map(|message| message.strip_suffix(&end).unwrap_or(message)));
        }
        printed
    }
}

/// Adds messages of a rule.
pub fn add<'m>(by_rule: &mut Messages, rule: &str, messages: impl Iterator<Item = &'m str>) {
    let listed = by_rule.entry(rule.to_owned()).or_default();
    listed.extend(messages.map(str::to_owned));
    listed.sort();
}

/// Splits `text [rule-id]`.
pub fn split_rule(text: &str) -> Option<(&str, &str)> {
    text.strip_suffix(']')?.rsplit_once(" [")
}
