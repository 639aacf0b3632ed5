//! What kubectl prints about a write, from the answers of the webhooks.

use scan_admission::scan::{GROUP, Kind};
use serde::Serialize;
use serde_json::Value;

use crate::request::Write;

/// The output of a command.
#[derive(Serialize)]
pub struct Printed {
    command: &'static str,
    lines: Vec<String>,
    /// 0 if the write is allowed.
    code: u8,
}

/// Returns the output of kubectl, if the validating webhook is called after the mutating webhook has allowed the write.
pub fn printed(kind: Kind, name: &str, write: Write, answers: &[&str]) -> Printed {
    let (command, done) = match write {
        Write::File | Write::Status => ("kubectl replace --subresource=status -f scan.yaml", "replaced"),
        Write::Scan => ("kubectl replace -f scan.yaml", "replaced"),
        Write::Create => ("kubectl create -f scan.yaml", "created"),
    };
    let mut lines: Vec<String> = Vec::new();
    for answer in answers {
        let answer: Value = serde_json::from_str(answer).unwrap_or_default();
        let response = &answer["response"];
        for warning in response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let line = format!("Warning: {warning}");
            // kubectl prints a warning once.
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        if response["allowed"] != true {
            lines.extend(denial(kind, name, if response.is_object() { &response["status"] } else { &answer }));
            return Printed { command, lines, code: 1 };
        }
    }
    lines.push(format!("{}.{GROUP}/{name} {done}", kind.name().to_lowercase()));
    Printed { command, lines, code: 0 }
}

/// Returns the lines about a denial: its causes, each once, or its message if it has none.
fn denial(kind: Kind, name: &str, status: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut causes: Vec<String> = Vec::new();
    for cause in status["details"]["causes"].as_array().into_iter().flatten() {
        let cause = format!("{}: {}", text(&cause["field"]), text(&cause["message"]));
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let head = format!("The {} \"{name}\" is invalid: ", kind.name());
    match causes.as_slice() {
        [] => vec![format!("Error from server ({}): {}", text(&status["reason"]), text(&status["message"]))],
        [one] => vec![head + one],
        all => [head].into_iter().chain(all.iter().map(|cause| format!("* {cause}"))).collect(),
    }
}
