//! The report of findings in documents, with file, line and column.
//!
//! The JSON form is a single document. It is stable, except that members may be added:
//!
//! ```json
//! {
//!   "findings": [{
//!     "file": "scans.yaml", "line": 12, "column": 5, "kind": "SourceScan", "namespace": "default", "name": "sample",
//!     "path": "status.cveCount.total", "rule": "cve-total", "severity": "error", "action": "deny",
//!     "message": "Invalid value: 22: …"
//!   }],
//!   "errors": [{"file": "broken.yaml", "line": 3, "column": 1, "message": "invalid YAML: …"}],
//!   "counts": {"files": 2, "scans": 3, "denied": 1, "warned": 1, "clean": 1, "skipped": 4, "errors": 1}
//! }
//! ```
//!
//! `downgraded` is the reason why an error is not denied, and is absent otherwise. Line and column count from
//! 1; errors without a position have neither. Findings about the document, such as a duplicate field, have no `rule`;
//! outside of a scan they have no `kind`, `namespace` and `name` either.

use std::io::{self, Write};

use serde::Serialize;

use super::finding::{JsonFinding, ReportedFinding, Subject, level};
use super::format::Format;
use super::json::JsonDocument;
use super::print_error;
use super::tally::Tally;
use crate::manifest::{ManifestError, Position};
use crate::scan::json::printable;

#[derive(Serialize)]
struct DocumentFinding<'a> {
    file: &'a str,
    #[serde(flatten)]
    position: Position,
    #[serde(flatten)]
    finding: JsonFinding<'a>,
}

#[derive(Serialize)]
struct DocumentError {
    file: String,
    #[serde(flatten)]
    position: Option<Position>,
    message: String,
}

#[derive(Default, Serialize)]
pub struct DocumentCounts {
    /// Files that could be opened.
    pub files: usize,
    #[serde(flatten)]
    pub tally: Tally,
    /// Objects of other kinds.
    pub skipped: usize,
    pub errors: usize,
}

/// Writes each finding immediately. Only errors are kept in memory, for the end of the JSON.
pub struct DocumentReport<W> {
    out: W,
    format: Format,
    pub counts: DocumentCounts,
    json: JsonDocument,
    errors: Vec<DocumentError>,
}

impl<W: Write> DocumentReport<W> {
    pub fn new(out: W, format: Format) -> Self {
        let (counts, json, errors) = Default::default();
        Self { out, format, counts, json, errors }
    }

    /// Reports the findings in a scan, in the order of their positions.
    pub fn scan(
        &mut self,
        file: &str,
        subject: &Subject<'_>,
        findings: Vec<(Position, ReportedFinding)>,
    ) -> io::Result<()> {
        self.counts.tally.count(findings.iter().map(|(_, finding)| finding.action));
        self.findings(file, Some(subject), findings)
    }

    /// Reports findings in a document. Without a subject, they are outside of its scans.
    pub fn findings(
        &mut self,
        file: &str,
        subject: Option<&Subject<'_>>,
        mut findings: Vec<(Position, ReportedFinding)>,
    ) -> io::Result<()> {
        findings.sort_by_key(|(position, _)| *position);
        for (position, finding) in &findings {
            match self.format {
                Format::Json => {
                    let (position, finding) = (*position, JsonFinding::new(subject, finding));
                    self.json.finding(&mut self.out, &DocumentFinding { file, position, finding })?;
                }
                Format::Text => {
                    let Position { line, column } = position;
                    let (file, level) = (printable(file, usize::MAX), level(finding.action));
                    let subject = subject.map(|subject| subject.printable() + " ").unwrap_or_default();
                    writeln!(self.out, "{file}:{line}:{column}: {level}: {subject}{}", finding.printable())?;
                }
            }
        }
        Ok(())
    }

    /// Reports an error in a document. It is printed on stderr in either format.
    pub fn error(&mut self, file: &str, error: ManifestError) {
        let ManifestError { position, message } = error;
        let Position { line, column } = position;
        print_error(printable(&format!("{file}:{line}:{column}: {message}"), usize::MAX));
        self.add_error(file, Some(position), message);
    }

    /// Reports that a file could not be read. The error includes the name of the file.
    pub fn unreadable(&mut self, file: &str, error: &io::Error) {
        print_error(printable(&error.to_string(), usize::MAX));
        self.add_error(file, None, error.to_string());
    }

    fn add_error(&mut self, file: &str, position: Option<Position>, message: String) {
        self.counts.errors += 1;
        match self.format {
            Format::Json => self.errors.push(DocumentError { file: file.to_owned(), position, message }),
            Format::Text => {}
        }
    }

    /// Ends the report and prints a summary on stderr.
    pub fn finish(mut self) -> io::Result<DocumentCounts> {
        match self.format {
            Format::Json => {
                self.json.end_findings(&mut self.out)?;
                self.json.end(&mut self.out, &self.errors, &self.counts)?;
            }
            Format::Text => {}
        }
        self.out.flush()?;
        anstream::eprintln!("{}", self.counts.summary());
        Ok(self.counts)
    }
}

impl DocumentCounts {
    fn summary(&self) -> String {
        let DocumentCounts { files, tally: Tally { scans, denied, warned, clean }, skipped, errors } = *self;
        let counted = |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
        let files = counted(files, "file", "files");
        let mut summary = match scans {
            0 => format!("no scan in {files}"),
            _ => {
                let scans = counted(scans, "scan", "scans");
                format!("{scans} checked in {files}: {denied} denied, {warned} with warnings, {clean} clean")
            }
        };
        if skipped > 0 {
            summary += &format!("; {} skipped", counted(skipped, "other object", "other objects"));
        }
        if errors > 0 {
            summary += &format!("; {}, see above", counted(errors, "error", "errors"));
        }
        summary
    }
}
