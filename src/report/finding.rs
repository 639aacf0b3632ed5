//! One finding in a report.

use serde::Serialize;

use crate::engine::{Action, Finding};
use crate::scan::Kind;
use crate::scan::json::printable;

/// Characters of a name that a line shows; Kubernetes' own end at 253.
const NAME_MAX_CHARS: usize = 253;

/// The scan that a finding is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub kind: Kind,
    pub namespace: &'a str,
    pub name: &'a str,
}

impl Subject<'_> {
    /// `namespace/name`, fit for one line of a terminal.
    pub fn printable(&self) -> String {
        let name = printable(if self.name.is_empty() { "(no name)" } else { self.name }, NAME_MAX_CHARS);
        if self.namespace.is_empty() { name } else { format!("{}/{name}", printable(self.namespace, NAME_MAX_CHARS)) }
    }
}

/// A finding as JSON.
#[derive(Serialize)]
pub struct JsonFinding<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    path: String,
    rule: &'a str,
    severity: &'a str,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    downgraded: Option<&'a str>,
    message: String,
}

impl<'a> JsonFinding<'a> {
    pub fn new(subject: &Subject<'a>, finding: &Finding<'_>) -> Self {
        Self {
            kind: subject.kind.name(),
            namespace: subject.namespace,
            name: subject.name,
            path: finding.field.to_string(),
            rule: finding.rule,
            severity: finding.severity.name(),
            action: finding.action.name(),
            downgraded: finding.downgraded.map(|downgraded| downgraded.name()),
            message: finding.explained().into_owned(),
        }
    }
}

/// The level of a finding in a text, as compilers print it, with its style on a terminal. It follows the action: an error
/// that is not denied is no error there.
pub fn level(finding: &Finding<'_>) -> String {
    let (level, colour) = match finding.action {
        Action::Deny => ("error", anstyle::AnsiColor::Red),
        Action::Warn => ("warning", anstyle::AnsiColor::Yellow),
        Action::Audit => ("note", anstyle::AnsiColor::Cyan),
    };
    let style = colour.on_default().bold();
    format!("{style}{level}{style:#}")
}
