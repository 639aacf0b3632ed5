//! A finding in a report.

use serde::Serialize;

use crate::engine::{Action, Downgrade, Finding, Severity};
use crate::scan::Kind;
use crate::scan::json::printable;

/// The number of characters of a name that a line shows: the limit of names in Kubernetes.
const NAME_MAX_CHARS: usize = 253;

/// The scan that a finding is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub kind: Kind,
    pub namespace: &'a str,
    pub name: &'a str,
}

impl Subject<'_> {
    /// `namespace/name`, safe for one line of a terminal.
    pub fn printable(&self) -> String {
        let name = printable(if self.name.is_empty() { "(no name)" } else { self.name }, NAME_MAX_CHARS);
        if self.namespace.is_empty() { name } else { format!("{}/{name}", printable(self.namespace, NAME_MAX_CHARS)) }
    }
}

/// A finding of a rule, or about the document.
pub struct ReportedFinding {
    pub path: String,
    /// `None` for a finding about the document rather than the scan.
    pub rule: Option<&'static str>,
    pub severity: Severity,
    pub action: Action,
    pub downgraded: Option<Downgrade>,
    pub message: String,
}

impl From<&Finding<'_>> for ReportedFinding {
    fn from(finding: &Finding<'_>) -> Self {
        let Finding { rule, severity, action, downgraded, ref field, .. } = *finding;
        let (path, message) = (field.to_string(), finding.explained().into_owned());
        Self { path, rule: Some(rule), severity, action, downgraded, message }
    }
}

impl ReportedFinding {
    /// A warning about the document.
    pub fn warning(path: impl Into<String>, message: String) -> Self {
        let (severity, action) = (Severity::Warning, Action::Warn);
        Self { path: path.into(), rule: None, severity, action, downgraded: None, message }
    }

    /// `path: message [rule-id]`, safe for one line of a terminal.
    pub fn printable(&self) -> String {
        let rule = self.rule.map(|rule| format!(" [{rule}]")).unwrap_or_default();
        printable(&format!("{}: {}{rule}", self.path, self.message), usize::MAX)
    }
}

/// A finding as JSON.
#[derive(Serialize)]
pub struct JsonFinding<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    severity: &'a str,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    downgraded: Option<&'a str>,
    message: &'a str,
}

impl<'a> JsonFinding<'a> {
    /// Without a subject, the finding is outside of the scans of a document.
    pub fn new(subject: Option<&Subject<'a>>, finding: &'a ReportedFinding) -> Self {
        Self {
            kind: subject.map(|subject| subject.kind.name()),
            namespace: subject.map(|subject| subject.namespace),
            name: subject.map(|subject| subject.name),
            path: &finding.path,
            rule: finding.rule,
            severity: finding.severity.name(),
            action: finding.action.name(),
            downgraded: finding.downgraded.map(|downgraded| downgraded.name()),
            message: &finding.message,
        }
    }
}

/// Returns the level of a finding as compilers print it, with its style on a terminal. The level depends on the action:
/// an error that is not denied is printed as a warning or a note.
pub fn level(action: Action) -> String {
    let (level, colour) = match action {
        Action::Deny => ("error", anstyle::AnsiColor::Red),
        Action::Warn => ("warning", anstyle::AnsiColor::Yellow),
        Action::Audit => ("note", anstyle::AnsiColor::Cyan),
    };
    let style = colour.on_default().bold();
    format!("{style}{level}{style:#}")
}
