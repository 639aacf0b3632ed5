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
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::judge::Tally;
use crate::cli::output::Output;
use crate::cli::report::{Document, message, severity, style};
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

#[derive(Serialize)]
struct Counts {
    #[serde(flatten)]
    tally: Tally,
    errors: usize,
}

pub struct Report<W> {
    out: W,
    output: Output,
    pub tally: Tally,
    document: Document,
    table: BTreeMap<(String, &'static str), Row>,
    errors: Vec<String>,
}

impl<W: Write> Report<W> {
    pub fn new(out: W, output: Output) -> Self {
        let (tally, document, table, errors) = Default::default();
        Self { out, output, tally, document, table, errors }
    }

    /// Tells what was found at a scan.
    pub fn scan(&mut self, subject: &Subject<'_>, findings: &Findings<'_>) -> io::Result<()> {
        self.tally.count(findings);
        for finding in findings.list() {
            let row = self.table.entry((subject.namespace.to_owned(), finding.rule)).or_default();
            *match finding.severity {
                _ if finding.is_audited => &mut row.audit,
                Severity::Advise => &mut row.advise,
                Severity::Refuse => &mut row.refuse,
            } += 1;
            self.line(&Line {
                kind: subject.kind.name(),
                namespace: subject.namespace,
                name: subject.name,
                field: &finding.field.to_string(),
                rule: finding.rule,
                severity: severity(finding),
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
            Output::Json => self.document.finding(&mut self.out, line),
            Output::Text => {
                let Line { kind, namespace, name, field, rule, severity, message } = line;
                let style = style(severity);
                writeln!(self.out, "{style}{severity}{style:#}: {namespace}/{name} {kind} {field}: {message} [{rule}]")
            }
        }
    }

    /// Ends the report, and says on stderr what there was. Returns the exit of the verb.
    pub fn finish(mut self) -> io::Result<ExitCode> {
        match self.output {
            Output::Json => self.end()?,
            Output::Text => self.tell_table()?,
        }
        self.out.flush()?;
        let (Tally { scans, refused, advised, clean }, errors) = (self.tally, self.errors.len());
        let more = if errors > 0 { format!("; {errors} could not be read, see above") } else { String::new() };
        anstream::eprintln!("{scans} scans: {refused} would be refused, {advised} with advice, {clean} clean{more}");
        Ok(self.tally.exit_code(errors))
    }

    fn end(&mut self) -> io::Result<()> {
        self.document.end_findings(&mut self.out)?;
        self.out.write_all(b",\"rules\":[")?;
        for (index, ((namespace, rule), row)) in self.table.iter().enumerate() {
            self.out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut self.out, &NamedRow { namespace, rule, row })?;
        }
        self.out.write_all(b"]")?;
        let counts = Counts { tally: self.tally, errors: self.errors.len() };
        self.document.end(&mut self.out, &self.errors, &counts)
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
