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
use std::process::ExitCode;

use serde::Serialize;

use super::judge::Tally;
use super::manifest::{Misfit, Subject};
use super::output::Output;
use super::place::Place;
use crate::law::{Finding, Findings, Severity};
use crate::scan::json::printable;

/// The severity of what no writer sees.
const AUDIT: &str = "audit";

/// Characters of a name that a line shows; Kubernetes' own end at 253.
const NAME_MAX_CHARS: usize = 253;

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
    #[serde(flatten)]
    pub tally: Tally,
    /// Objects of other kinds.
    pub skipped: usize,
    pub errors: usize,
}

/// Writes findings as they come; only what could not be read is kept, to be told at the end of the JSON.
pub struct Report<W> {
    out: W,
    output: Output,
    pub counts: Counts,
    document: Document,
    faults: Vec<Fault>,
}

impl<W: Write> Report<W> {
    pub fn new(out: W, output: Output) -> Self {
        Report { out, output, counts: Counts::default(), document: Document::default(), faults: Vec::new() }
    }

    /// Tells what was found at a scan, from its first line to its last. `place` finds a field.
    pub fn scan(
        &mut self,
        file: &str,
        subject: &Subject<'_>,
        findings: &Findings<'_>,
        place: impl Fn(&str) -> Place,
    ) -> io::Result<()> {
        self.counts.tally.count(findings);
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
                severity: severity(finding),
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
            Output::Json => self.document.finding(&mut self.out, line),
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

    /// Ends the report, and says on stderr what there was. Returns the exit of the verb.
    pub fn finish(mut self) -> io::Result<ExitCode> {
        if self.output == Output::Json {
            self.document.end_findings(&mut self.out)?;
            self.document.end(&mut self.out, &self.faults, &self.counts)?;
        }
        self.out.flush()?;
        anstream::eprintln!("{}", self.counts.summary());
        Ok(self.counts.tally.exit_code(self.counts.errors))
    }
}

/// One JSON document that begins with the findings, each written as it comes.
#[derive(Default)]
pub struct Document {
    has_findings: bool,
}

impl Document {
    pub fn finding(&mut self, out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
        out.write_all(if self.has_findings { b",\n" } else { b"{\"findings\":[\n" })?;
        self.has_findings = true;
        serde_json::to_writer(out, line)?;
        Ok(())
    }

    /// After the last finding. More members may follow.
    pub fn end_findings(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(if self.has_findings { b"\n]" } else { b"{\"findings\":[]" })
    }

    /// The last two members.
    pub fn end(&self, out: &mut impl Write, errors: &impl Serialize, counts: &impl Serialize) -> io::Result<()> {
        out.write_all(b",\"errors\":")?;
        serde_json::to_writer(&mut *out, errors)?;
        out.write_all(b",\"counts\":")?;
        serde_json::to_writer(&mut *out, counts)?;
        out.write_all(b"}\n")
    }
}

/// How a severity is shown on a terminal.
pub fn style(severity: &str) -> anstyle::Style {
    let colour = if severity == Severity::Refuse.name() { anstyle::AnsiColor::Red } else { anstyle::AnsiColor::Yellow };
    colour.on_default().bold()
}

/// The severity in words.
pub fn severity(finding: &Finding<'_>) -> &'static str {
    if finding.is_audited { AUDIT } else { finding.severity.name() }
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
        let Counts { files, tally: Tally { scans, refused, advised, clean }, skipped, errors } = *self;
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
