//! The report of findings in the scans of a cluster: each finding, and the number of findings by namespace and rule.
//!
//! The JSON form is a single document. It is stable, except that members may be added:
//!
//! ```json
//! {
//!   "findings": [{
//!     "kind": "SourceScan", "namespace": "default", "name": "sample", "path": "status.cveCount.total",
//!     "rule": "cve-total", "severity": "error", "action": "deny", "message": "Invalid value: 22: …"
//!   }],
//!   "rules": [{"namespace": "default", "rule": "cve-total", "deny": 1, "warn": 0, "audit": 0}],
//!   "errors": ["the imagescans cannot be listed: …"],
//!   "counts": {"scans": 3, "denied": 1, "warned": 1, "clean": 1, "errors": 1}
//! }
//! ```
//!
//! `downgraded` is the reason why an error is not denied, and is absent otherwise. Only the table is kept in
//! memory: a few numbers for each namespace and rule, for any number of scans.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::finding::{JsonFinding, ReportedFinding, Subject, level};
use super::format::Format;
use super::json::JsonDocument;
use super::print_error;
use super::tally::Tally;
use crate::engine::{Action, Findings};
use crate::scan::json::printable;

/// The number of findings of a rule in a namespace, by action.
#[derive(Default, Serialize)]
struct ActionCounts {
    deny: u64,
    warn: u64,
    audit: u64,
}

/// A row of the table.
#[derive(Serialize)]
struct NamedCounts<'a> {
    namespace: &'a str,
    rule: &'a str,
    #[serde(flatten)]
    counts: &'a ActionCounts,
}

#[derive(Clone, Copy, Serialize)]
pub struct ClusterCounts {
    #[serde(flatten)]
    pub tally: Tally,
    /// The number of lists or scans that could not be read.
    pub errors: usize,
}

/// Writes each finding immediately, and the table at the end.
pub struct ClusterReport<W> {
    out: W,
    format: Format,
    pub tally: Tally,
    json: JsonDocument,
    table: BTreeMap<(String, &'static str), ActionCounts>,
    errors: Vec<String>,
}

impl<W: Write> ClusterReport<W> {
    pub fn new(out: W, format: Format) -> Self {
        let (tally, json, table, errors) = Default::default();
        Self { out, format, tally, json, table, errors }
    }

    /// Reports the findings in a scan.
    pub fn scan(&mut self, subject: &Subject<'_>, findings: &Findings<'_>) -> io::Result<()> {
        self.tally.count(findings.list().iter().map(|finding| finding.action));
        for finding in findings.list() {
            let counts = self.table.entry((subject.namespace.to_owned(), finding.rule)).or_default();
            *match finding.action {
                Action::Deny => &mut counts.deny,
                Action::Warn => &mut counts.warn,
                Action::Audit => &mut counts.audit,
            } += 1;
            let finding = ReportedFinding::from(finding);
            match self.format {
                Format::Json => self.json.finding(&mut self.out, &JsonFinding::new(Some(subject), &finding))?,
                Format::Text => {
                    let (level, kind) = (level(finding.action), subject.kind.name());
                    writeln!(self.out, "{level}: {} {kind} {}", subject.printable(), finding.printable())?;
                }
            }
        }
        Ok(())
    }

    /// Reports an error of the cluster. It is printed on stderr in either format.
    pub fn error(&mut self, error: impl ToString) {
        let message = error.to_string();
        print_error(&message);
        self.errors.push(message);
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the report and prints a summary on stderr.
    pub fn finish(mut self) -> io::Result<ClusterCounts> {
        match self.format {
            Format::Json => self.end_json()?,
            Format::Text => self.write_table()?,
        }
        self.out.flush()?;
        let (Tally { scans, denied, warned, clean }, errors) = (self.tally, self.errors.len());
        let more = if errors > 0 { format!("; {errors} could not be read, see above") } else { String::new() };
        anstream::eprintln!("{scans} scans: {denied} would be denied, {warned} with warnings, {clean} clean{more}");
        Ok(ClusterCounts { tally: self.tally, errors })
    }

    fn end_json(&mut self) -> io::Result<()> {
        self.json.end_findings(&mut self.out)?;
        self.out.write_all(b",\"rules\":[")?;
        for (index, ((namespace, rule), counts)) in self.table.iter().enumerate() {
            self.out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut self.out, &NamedCounts { namespace, rule, counts })?;
        }
        self.out.write_all(b"]")?;
        let counts = ClusterCounts { tally: self.tally, errors: self.errors.len() };
        self.json.end(&mut self.out, &self.errors, &counts)
    }

    fn write_table(&mut self) -> io::Result<()> {
        if self.table.is_empty() {
            return Ok(());
        }
        let widest =
            |header: &str, widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0).max(header.len());
        let namespaces = widest("NAMESPACE", &mut self.table.keys().map(|(namespace, _)| namespace.len()));
        let rules = widest("RULE", &mut self.table.keys().map(|(_, rule)| rule.len()));
        let header = format!(
            "{:namespaces$}  {:rules$}  {:>6}  {:>6}  {:>7}",
            "NAMESPACE", "RULE", "DENIED", "WARNED", "AUDITED"
        );
        writeln!(self.out, "\n{header}")?;
        for ((namespace, rule), ActionCounts { deny, warn, audit }) in &self.table {
            let namespace = printable(namespace, usize::MAX);
            writeln!(self.out, "{namespace:namespaces$}  {rule:rules$}  {deny:>6}  {warn:>6}  {audit:>7}")?;
        }
        Ok(())
    }
}
