//! What was found at the scans of a cluster: each finding as it comes, and how many there were by namespace and rule.
//!
//! The JSON form is one document and stable; members may be added:
//!
//! ```json
//! {
//!   "findings": [{
//!     "kind": "SourceScan", "namespace": "default", "name": "sample", "field": "status.cveCount.total",
//!     "rule": "cve-total", "severity": "refuse", "message": "is 22, …"
//!   }],
//!   "rules": [{"namespace": "default", "rule": "cve-total", "refuse": 1, "advise": 0, "audit": 0}],
//!   "errors": ["the imagescans cannot be listed: …"],
//!   "counts": {"scans": 3, "refused": 1, "advised": 1, "clean": 1, "errors": 1}
//! }
//! ```
//!
//! `severity` is `refuse` or `advise`, or `audit` where a configuration tells it in the audit log alone. What is held is
//! the table alone, a few numbers for a namespace and a rule, however many scans there are.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::Output;
use crate::cli::report::{AUDIT, message, style};
use crate::law::{Findings, Severity};
use crate::scan::Kind;

/// A scan, by what it is called.
pub struct Subject<'a> {
    pub kind: Kind,
    pub namespace: &'a str,
    pub name: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    field: &'a str,
    rule: &'a str,
    severity: &'a str,
    message: &'a str,
}

/// How many findings of a rule there are in a namespace.
#[derive(Default, Serialize)]
struct Row {
    refuse: u64,
    advise: u64,
    audit: u64,
}

#[derive(Serialize)]
struct NamedRow<'a> {
    namespace: &'a str,
    rule: &'a str,
    #[serde(flatten)]
    row: &'a Row,
}

/// How many scans there were of each.
#[derive(Default, Serialize)]
pub struct Counts {
    pub scans: u64,
    pub refused: u64,
    /// With advice and no refusal.
    pub advised: u64,
    pub clean: u64,
    pub errors: usize,
}

pub struct Report<W> {
    out: W,
    output: Output,
    pub counts: Counts,
    is_first: bool,
    table: BTreeMap<(String, &'static str), Row>,
    errors: Vec<String>,
}

impl<W: Write> Report<W> {
    pub fn new(out: W, output: Output) -> Self {
        let (counts, table, errors) = Default::default();
        Self { out, output, counts, is_first: true, table, errors }
    }

    /// Tells what was found at a scan.
    pub fn scan(&mut self, subject: &Subject<'_>, findings: &Findings<'_>) -> io::Result<()> {
        self.counts.scans += 1;
        match findings.list().iter().filter(|finding| !finding.is_audited).map(|finding| finding.severity).max() {
            None => self.counts.clean += 1,
            Some(Severity::Advise) => self.counts.advised += 1,
            Some(Severity::Refuse) => self.counts.refused += 1,
        }
        for finding in findings.list() {
            let row = self.table.entry((subject.namespace.to_owned(), finding.rule)).or_default();
            let (severity, count) = match finding.severity {
                _ if finding.is_audited => (AUDIT, &mut row.audit),
                severity @ Severity::Advise => (severity.name(), &mut row.advise),
                severity @ Severity::Refuse => (severity.name(), &mut row.refuse),
            };
            *count += 1;
            self.line(&Line {
                kind: subject.kind.name(),
                namespace: subject.namespace,
                name: subject.name,
                field: &finding.field.to_string(),
                rule: finding.rule,
                severity,
                message: &message(finding),
            })?;
        }
        Ok(())
    }

    /// Tells what could not be read. It is on stderr in either form.
    pub fn error(&mut self, words: String) {
        crate::cli::complain(&words);
        self.errors.push(words);
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
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
                let Line { kind, namespace, name, field, rule, severity, message } = line;
                let style = style(severity);
                writeln!(self.out, "{style}{severity}{style:#}: {namespace}/{name} {kind} {field}: {message} [{rule}]")
            }
        }
    }

    /// Ends the report, and says on stderr what there was.
    pub fn finish(mut self) -> io::Result<Counts> {
        self.counts.errors = self.errors.len();
        match self.output {
            Output::Json => self.end()?,
            Output::Text => self.tell_table()?,
        }
        self.out.flush()?;
        let Counts { scans, refused, advised, clean, errors } = self.counts;
        let more = if errors > 0 { format!("; {errors} could not be read, see above") } else { String::new() };
        anstream::eprintln!("{scans} scans: {refused} would be refused, {advised} with advice, {clean} clean{more}");
        Ok(self.counts)
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.write_all(if self.is_first { b"{\"findings\":[" } else { b"\n" })?;
        self.out.write_all(b"],\"rules\":[")?;
        for (index, ((namespace, rule), row)) in self.table.iter().enumerate() {
            self.out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut self.out, &NamedRow { namespace, rule, row })?;
        }
        self.out.write_all(b"],\"errors\":")?;
        serde_json::to_writer(&mut self.out, &self.errors)?;
        self.out.write_all(b",\"counts\":")?;
        serde_json::to_writer(&mut self.out, &self.counts)?;
        self.out.write_all(b"}\n")
    }

    fn tell_table(&mut self) -> io::Result<()> {
        if self.table.is_empty() {
            return Ok(());
        }
        let widest = |head: &str, widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0).max(head.len());
        let namespaces = widest("NAMESPACE", &mut self.table.keys().map(|(namespace, _)| namespace.len()));
        let rules = widest("RULE", &mut self.table.keys().map(|(_, rule)| rule.len()));
        let head = format!(
            "{:namespaces$}  {:rules$}  {:>7}  {:>7}  {:>7}",
            "NAMESPACE", "RULE", "REFUSED", "ADVISED", "AUDITED"
        );
        writeln!(self.out, "\n{head}")?;
        for ((namespace, rule), Row { refuse, advise, audit }) in &self.table {
            writeln!(self.out, "{namespace:namespaces$}  {rule:rules$}  {refuse:>7}  {advise:>7}  {audit:>7}")?;
        }
        Ok(())
    }
}
