//! What kubectl prints of the findings of policies.

use std::collections::BTreeMap;

use serde_json::Value;

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
            for message in messages {
                add(by_rule, rule, message.strip_suffix(&end).unwrap_or(message));
            }
        }
        printed
    }
}

/// Adds a message of a rule.
pub fn add(by_rule: &mut Messages, rule: &str, message: &str) {
    let listed = by_rule.entry(rule.to_owned()).or_default();
    listed.push(plain(message));
    listed.sort();
}

/// Returns a message without a value that policies show differently: they neither write out lists and objects nor know
/// integers beyond 64 bits.
fn plain(message: &str) -> String {
    let Some((start, rest)) = message.split_once(" value: ") else { return message.to_owned() };
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    let length = match values.next() {
        Some(Ok(Value::Array(_) | Value::Object(_))) => values.byte_offset(),
        Some(Ok(Value::Number(number))) if !number.is_i64() => values.byte_offset(),
        _ if rest.starts_with("{…}") || rest.starts_with("[…]") => "{…}".len(),
        _ => return message.to_owned(),
    };
    format!("{start} value: …{}", &rest[length..])
}

/// Splits `text [rule-id]`.
pub fn split_rule(text: &str) -> Option<(&str, &str)> {
    text.strip_suffix(']')?.rsplit_once(" [")
}
