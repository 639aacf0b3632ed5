//! The report as text: a line for each finding, as compilers print them, and for a cluster a table of counts.

use std::io::{self, Write};

use super::finding::{ReportedError, ReportedFinding, ReportedObject};
use super::totals::{ActionCounts, RuleTable, Totals};
use super::{Report, column_width, counted};
use crate::engine::Action;
use crate::scan::json::printable;

/// Writes each finding immediately.
pub struct TextReport<W> {
    out: W,
}

impl<W: Write> TextReport<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Report for TextReport<W> {
    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()> {
        object.findings.iter().try_for_each(|finding| writeln!(self.out, "{}", line(object, finding)))
    }

    /// Errors are only on stderr.
    fn error(&mut self, _: &ReportedError) -> io::Result<()> {
        Ok(())
    }

    fn finish(mut self: Box<Self>, totals: &Totals) -> io::Result<()> {
        if totals.files.is_none() && !totals.rules.is_empty() {
            write_table(&mut self.out, &totals.rules)?;
            let sentences = totals.origins.sentences();
            if !sentences.is_empty() {
                writeln!(self.out, "\n{}", sentences.join("\n"))?;
            }
        }
        if let Some(stuck) = totals.stuck.as_ref().filter(|stuck| stuck.count > 0) {
            let blank = if totals.rules.is_empty() { "" } else { "\n" };
            self.out.write_all(blank.as_bytes())?;
            for (title, line) in stuck.lines() {
                writeln!(self.out, "{title} is {line}")?;
            }
            if stuck.omitted() > 0 {
                writeln!(self.out, "and {}", counted(stuck.omitted(), "more stuck scan"))?;
            }
        }
        self.out.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns `file:line:column: level: namespace/name path: message [rule-id]`, or for a cluster
/// `level: namespace/name Kind path: message [rule-id]`.
fn line(object: &ReportedObject<'_>, finding: &ReportedFinding) -> String {
    let colour = match finding.action {
        Action::Deny => anstyle::AnsiColor::Red,
        Action::Warn => anstyle::AnsiColor::Yellow,
        Action::Audit => anstyle::AnsiColor::Cyan,
    };
    let style = colour.on_default().bold();
    let place = object.file_position(finding).map(|place| place + ": ").unwrap_or_default();
    let subject = match &object.subject {
        Some(subject) if object.file.is_some() => subject.printable() + " ",
        Some(subject) => format!("{} {} ", subject.printable(), subject.kind.name()),
        None => String::new(),
    };
    format!("{place}{style}{}{style:#}: {subject}{}", finding.level(), finding.printable())
}

fn write_table(out: &mut impl Write, rules: &RuleTable) -> io::Result<()> {
    let namespace_width = column_width("NAMESPACE", rules.keys().map(|(namespace, _)| namespace.as_str()));
    let rule_width = column_width("RULE", rules.keys().map(|(_, rule)| *rule));
    let header = format!(
        "{:namespace_width$}  {:rule_width$}  {:>6}  {:>6}  {:>7}",
        "NAMESPACE", "RULE", "DENIED", "WARNED", "AUDITED"
    );
    writeln!(out, "\n{header}")?;
    for ((namespace, rule), ActionCounts { deny, warn, audit }) in rules {
        let namespace = printable(namespace, usize::MAX);
        writeln!(out, "{namespace:namespace_width$}  {rule:rule_width$}  {deny:>6}  {warn:>6}  {audit:>7}")?;
    }
    Ok(())
}
