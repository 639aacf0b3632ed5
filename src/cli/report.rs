//! What was found in manifests, for people as compilers say it and for machines.
//!
//! The JSON form is one document and stable; members may be added:
//!
//! ```json
//! {
//!   "findings": [{
//!     "file": "scans.yaml", "line": 12, "column": 5, "kind": "SourceScan", "namespace": "default", "name": "sample",
//!     "field": "status.cveCount.total", "rule": "cve-total", "severity": "refuse", "message": "is 22, …"
//!   }],
//!   "errors": [{"file": "broken.yaml", "line": 3, "column": 1, "message": "this is no YAML that can be read: …"}],
//!   "counts": {"files": 2, "scans": 3, "refused": 1, "advised": 1, "clean": 1, "skipped": 4, "errors": 1}
//! }
//! ```
//!
//! `severity` is `refuse` or `advise`, or `audit` where a configuration tells it in the audit log alone; line and column count from 1, and an error that has no place has neither.

use std::io::{self, Write};

use serde::Serialize;

use super::manifest::{Misfit, Subject};
use super::place::Place;
use crate::law::{Finding, Findings, Severity};
use crate::scan::json::printable;

/// The severity of what no writer sees.
pub const AUDIT: &str = "audit";

/// Characters of a name that a line shows; Kubernetes' own end at 253.
const NAME_MAX_CHARS: usize = 253;

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    Text,
    Json,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    #[serde(flatten)]
    place: Place,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    field: &'a str,
    rule: &'a str,
    severity: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Fault {
    file: String,
    #[serde(flatten)]
    place: Option<Place>,
    message: String,
}

/// How much there was of each.
#[derive(Default, Serialize)]
pub struct Counts {
    /// Files that could be opened.
    pub files: usize,
    pub scans: usize,
    pub refused: usize,
    /// Scans with advice and no refusal.
    pub advised: usize,
    pub clean: usize,
    /// Objects of other kinds.
    pub skipped: usize,
    pub errors: usize,
}

/// Writes findings as they come; only what could not be read is kept, to be told at the end of the JSON.
pub struct Report<W> {
    out: W,
    output: Output,
    pub counts: Counts,
    is_first: bool,
    faults: Vec<Fault>,
}

impl<W: Write> Report<W> {
    pub fn new(out: W, output: Output) -> Self {
        Report { out, output, counts: Counts::default(), is_first: true, faults: Vec::new() }
    }

    /// Tells what was found at a scan, from its first line to its last. `place` finds a field.
    pub fn scan(
        &mut self,
        file: &str,
        subject: &Subject<'_>,
        findings: &Findings<'_>,
        place: impl Fn(&str) -> Place,
    ) -> io::Result<()> {
        self.counts.scans += 1;
        match findings.list().iter().filter(|finding| !finding.is_audited).map(|finding| finding.severity).max() {
            None => self.counts.clean += 1,
            Some(Severity::Advise) => self.counts.advised += 1,
            Some(Severity::Refuse) => self.counts.refused += 1,
        }
        let mut placed: Vec<_> = findings
            .list()
            .iter()
            .map(|finding| {
                let field = finding.field.to_string();
                (place(&field), field, finding)
            })
            .collect();
        placed.sort_by_key(|(place, ..)| *place);
        for (place, field, finding) in placed {
            self.line(&Line {
                file,
                place,
                kind: subject.kind.name(),
                namespace: &subject.namespace,
                name: &subject.name,
                field: &field,
                rule: finding.rule,
                severity: if finding.is_audited { AUDIT } else { finding.severity.name() },
                message: &message(finding),
            })?;
        }
        Ok(())
    }

    /// Tells that something could not be read. It is on stderr in either form.
    pub fn fault(&mut self, file: &str, misfit: Misfit) {
        let Misfit { place, words } = misfit;
        super::complain(format_args!("{}:{}:{}: {words}", printable(file, usize::MAX), place.line, place.column));
        self.keep(file, Some(place), words);
    }

    /// Tells that a file could not be read at all. The error names the file.
    pub fn unreadable(&mut self, file: &str, error: &io::Error) {
        super::complain(error);
        self.keep(file, None, error.to_string());
    }

    fn keep(&mut self, file: &str, place: Option<Place>, message: String) {
        self.counts.errors += 1;
        if self.output == Output::Json {
            self.faults.push(Fault { file: file.to_owned(), place, message });
        }
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        match self.output {
            Output::Json => {
                self.out.write_all(if self.is_first { b"{\"findings\":[\n" } else { b",\n" })?;
                self.is_first = false;
                serde_json::to_writer(&mut self.out, line)?;
                Ok(())
            }
            Output::Text => {
                let style = style(line.severity);
                let name = printable(if line.name.is_empty() { "(no name)" } else { line.name }, NAME_MAX_CHARS);
                let namespace = printable(line.namespace, NAME_MAX_CHARS);
                let slash = if namespace.is_empty() { "" } else { "/" };
                let Place { line: row, column } = line.place;
                let (file, severity, field, rule) =
                    (printable(line.file, usize::MAX), line.severity, line.field, line.rule);
                writeln!(
                    self.out,
                    "{file}:{row}:{column}: {style}{severity}{style:#}: {namespace}{slash}{name} {field}: {} [{rule}]",
                    line.message
                )
            }
        }
    }

    /// Ends the report, and says on stderr what there was.
    pub fn finish(mut self) -> io::Result<Counts> {
        if self.output == Output::Json {
            self.out.write_all(if self.is_first { b"{\"findings\":[" } else { b"\n" })?;
            self.out.write_all(b"],\"errors\":")?;
            serde_json::to_writer(&mut self.out, &self.faults)?;
            self.out.write_all(b",\"counts\":")?;
            serde_json::to_writer(&mut self.out, &self.counts)?;
            self.out.write_all(b"}\n")?;
        }
        self.out.flush()?;
        anstream::eprintln!("{}", self.counts.summary());
        Ok(self.counts)
    }
}

/// How a severity is shown on a terminal.
pub fn style(severity: &str) -> anstyle::Style {
    let colour = if severity == Severity::Refuse.name() { anstyle::AnsiColor::Red } else { anstyle::AnsiColor::Yellow };
    colour.on_default().bold()
}

/// The finding in words, with why it is no refusal.
pub fn message(finding: &Finding<'_>) -> String {
    match finding.softened {
        None => finding.message.clone(),
        Some(why) => format!("{} ({})", finding.message, why.words()),
    }
}

impl Counts {
    fn summary(&self) -> String {
        let Counts { files, scans, refused, advised, clean, skipped, errors } = *self;
        let many = |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
        let files = many(files, "file", "files");
        let mut summary = match scans {
            0 => format!("no scan in {files}"),
            _ => {
                let scans = many(scans, "scan", "scans");
                format!("{scans} checked in {files}: {refused} refused, {advised} with advice, {clean} clean")
            }
        };
        if skipped > 0 {
            summary += &format!("; {} skipped", many(skipped, "other object", "other objects"));
        }
        if errors > 0 {
            summary += &format!("; {}, see above", many(errors, "error", "errors"));
        }
        summary
    }
}
