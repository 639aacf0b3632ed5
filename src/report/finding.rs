//! What reports are made of: objects with their findings, and inputs that cannot be read.

use std::io;

use super::origins::Origin;
use crate::engine::{Action, Downgrade, Finding, Severity};
use crate::manifest::{ManifestError, Position, Region};
use crate::scan::Kind;
use crate::scan::json::printable;

/// The name of standard input in reports.
pub const STDIN: &str = "standard input";

/// The title of an error of an input that cannot be read.
const UNREADABLE: &str = "unreadable";

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

    /// `Kind namespace/name`, safe for one line of a terminal.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind.name(), self.printable())
    }
}

/// An object with its findings.
#[derive(Clone, Copy)]
pub struct ReportedObject<'a> {
    /// The file that holds the object; `None` for an object of a cluster.
    pub file: Option<&'a str>,
    /// `None` if the findings are outside of the scans of a document.
    pub subject: Option<Subject<'a>>,
    /// Where the object begins in the file.
    pub position: Option<Position>,
    pub findings: &'a [ReportedFinding],
}

impl ReportedObject<'_> {
    /// Returns `file:line:column` of a finding, safe for one line of a terminal; `None` for a cluster.
    pub fn file_position(&self, finding: &ReportedFinding) -> Option<String> {
        let (file, Position { line, column }) = (self.file?, finding.location?.position);
        Some(format!("{}:{line}:{column}", printable(file, usize::MAX)))
    }

    /// Returns what a report names the object: the scan, or the file for findings outside of its scans.
    pub fn title(&self) -> String {
        match (&self.subject, self.file) {
            (Some(subject), _) => subject.title(),
            (None, Some(file)) => printable(file, usize::MAX),
            (None, None) => String::new(),
        }
    }
}

/// A finding of a rule, or about the document.
#[derive(Debug, Clone)]
pub struct ReportedFinding {
    pub path: String,
    /// `None` for a finding about the document rather than the scan.
    pub rule: Option<&'static str>,
    pub severity: Severity,
    pub action: Action,
    pub downgraded: Option<Downgrade>,
    pub message: String,
    /// `None` for a finding in a cluster.
    pub location: Option<Location>,
    /// The edit that repairs the finding; `None` if no mutation repairs it.
    pub fix: Option<Replacement>,
    /// Where the finding comes from; `None` for a finding in a file.
    pub origin: Option<Origin>,
}

/// Where a finding is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The position of the key or the entry of a list, or of the innermost part around it if the field is absent.
    pub position: Position,
    /// The region of the value, or of the container around it if the field is absent.
    pub region: Region,
}

/// A text that takes the place of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    pub region: Region,
    pub text: String,
}

impl From<&Finding<'_>> for ReportedFinding {
    fn from(finding: &Finding<'_>) -> Self {
        let Finding { rule, severity, action, downgraded, ref field, .. } = *finding;
        let (path, message) = (field.to_string(), finding.explained().into_owned());
        Self { path, rule: Some(rule), severity, action, downgraded, message, location: None, fix: None, origin: None }
    }
}

impl ReportedFinding {
    /// A warning about the document.
    pub fn warning(path: impl Into<String>, message: String) -> Self {
        let (severity, action) = (Severity::Warning, Action::Warn);
        let path = path.into();
        Self { path, rule: None, severity, action, downgraded: None, message, location: None, fix: None, origin: None }
    }

    pub fn at(self, location: Location) -> Self {
        Self { location: Some(location), ..self }
    }

    /// The level of the finding, as compilers print it. It depends on the action: an error that is not denied is a
    /// warning or a note.
    pub fn level(&self) -> &'static str {
        match self.action {
            Action::Deny => "error",
            Action::Warn => "warning",
            Action::Audit => "note",
        }
    }

    /// `path: message [rule-id]`, safe for one line of a terminal.
    pub fn printable(&self) -> String {
        let rule = self.rule.map(|rule| format!(" [{rule}]")).unwrap_or_default();
        printable(&format!("{}: {}{rule}", self.path, self.message), usize::MAX)
    }
}

/// An input, or an object of it, that cannot be read or fixed.
#[derive(Debug, Clone)]
pub struct ReportedError {
    pub title: &'static str,
    /// `None` for an error of a cluster.
    pub file: Option<String>,
    pub position: Option<Position>,
    /// Without a position, the message includes the name of the file.
    pub message: String,
}

impl ReportedError {
    /// A file that cannot be read. The error includes the name of the file.
    pub fn unreadable(file: &str, error: &io::Error) -> Self {
        Self { title: UNREADABLE, file: Some(file.to_owned()), position: None, message: error.to_string() }
    }

    /// An error in a document of a file.
    pub fn in_document(file: &str, error: ManifestError) -> Self {
        let ManifestError { position, message } = error;
        Self { title: UNREADABLE, file: Some(file.to_owned()), position: Some(position), message }
    }

    /// The same error, of a file or a document that was read but cannot be fixed.
    pub fn not_fixed(self) -> Self {
        Self { title: "not fixed", ..self }
    }

    /// An error of a cluster.
    pub fn of_cluster(message: String) -> Self {
        Self { title: UNREADABLE, file: None, position: None, message }
    }

    /// `file:line:column: message`, safe for a terminal. Only an error of a cluster may have several lines.
    pub fn printable(&self) -> String {
        match (self.file.as_deref(), self.position) {
            (Some(file), Some(Position { line, column })) => {
                printable(&format!("{file}:{line}:{column}: {}", self.message), usize::MAX)
            }
            (Some(_), None) => printable(&self.message, usize::MAX),
            (None, _) => self.message.lines().map(|line| printable(line, usize::MAX)).collect::<Vec<_>>().join("\n"),
        }
    }
}
