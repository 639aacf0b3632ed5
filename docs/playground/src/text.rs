//! Texts for the editors: an example as YAML, and an object of a review as indented JSON.

use serde_json::Value;

/// Writes a value as YAML in block style.
pub fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, indent: usize, text: &mut String) {
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(key, value)| (format!("{}:", string(key)), value)).collect(),
        Value::Array(entries) => entries.iter().map(|entry| ("-".to_owned(), entry)).collect(),
        _ => Vec::new(),
    };
    for (index, (head, value)) in entries.iter().enumerate() {
        // The first member of a mapping in a list is on the line of its dash.
        if index > 0 || !text.ends_with("- ") {
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(head);
        match value {
            Value::Object(members) if !members.is_empty() && head == "-" => {
                text.push(' ');
                block(value, indent + 2, text);
            }
            Value::Object(members) if !members.is_empty() => {
                text.push('\n');
                block(value, indent + 2, text);
            }
            Value::Array(entries) if !entries.is_empty() => {
                text.push('\n');
                block(value, indent + 2, text);
            }
            Value::String(value) => text.push_str(&format!(" {}\n", string(value))),
            value => text.push_str(&format!(" {value}\n")),
        }
    }
}

/// Words that YAML reads as a boolean or as null.
const RESERVED: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Writes a string: plain if YAML then reads it as this string, and otherwise in quotes.
fn string(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " _-./:".contains(c))
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_plain {
        return text.to_owned();
    }
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        _ if c.is_alphanumeric() => c.to_string(),
        _ => format!("\\U{:08x}", u32::from(c)),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

/// Indents JSON by two spaces. Strings and numbers stay as they are.
pub fn indented(json: &str) -> String {
    let mut text = String::new();
    let mut indent: usize = 0;
    let (mut is_string, mut is_escaped) = (false, false);
    let mut last = ' ';
    for c in json.chars() {
        let line = |indent: usize| format!("\n{}", "  ".repeat(indent));
        if is_string {
            text.push(c);
            is_string = is_escaped || c != '"';
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            ' ' | '\t' | '\n' | '\r' => continue,
            '}' | ']' => {
                indent = indent.saturating_sub(1);
                if last != '{' && last != '[' {
                    text.push_str(&line(indent));
                }
            }
            _ if last == '{' || last == '[' => text.push_str(&line(indent)),
            _ => {}
        }
        text.push(c);
        match c {
            '{' | '[' => indent += 1,
            ',' => text.push_str(&line(indent)),
            ':' => text.push(' '),
            '"' => is_string = true,
            _ => {}
        }
        last = c;
    }
    text.push('\n');
    text
}
