//! The report as workflow commands of GitHub, which shows them as annotations of a pull request.
//!
//! GitHub shows at most ten errors, ten warnings and ten notices of a step; the log has all of them.

use std::io::{self, Write};

use super::Report;
use super::finding::{ReportedError, ReportedFinding, ReportedObject};
use super::relative_path::{RelativePath, RelativePaths};
use super::totals::Totals;
use crate::engine::Action;
use crate::manifest::{Position, Region};
use crate::scan::json::printable;

/// Writes each finding immediately.
pub struct GithubReport<W> {
    out: W,
    paths: RelativePaths,
}

impl<W: Write> GithubReport<W> {
    pub fn new(out: W) -> Self {
        Self { out, paths: RelativePaths::default() }
    }
}

impl<W: Write> Report for GithubReport<W> {
    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()> {
        for finding in object.findings {
            let command = match finding.action {
                Action::Deny => "error",
                Action::Warn => "warning",
                Action::Audit => "notice",
            };
            let region = finding.location.map(|location| location.region);
            let title = title(object, finding);
            let file = object.file.map(|file| self.paths.of(file));
            let message = printable(&format!("{}: {}", finding.path, finding.message), usize::MAX);
            writeln!(self.out, "{}", annotation(command, file, region, &title, &message))?;
        }
        Ok(())
    }

    fn error(&mut self, error: &ReportedError) -> io::Result<()> {
        let region = error.position.map(|position| Region { start: position, end: position });
        let message = printable(&error.message, usize::MAX);
        let file = error.file.as_deref().map(|file| self.paths.of(file));
        writeln!(self.out, "{}", annotation("error", file, region, error.title, &message))
    }

    fn finish(mut self: Box<Self>, _: &Totals) -> io::Result<()> {
        self.out.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns the title of an annotation: the object and the rule.
fn title(object: &ReportedObject<'_>, finding: &ReportedFinding) -> String {
    let rule = finding.rule.map(|rule| format!(" [{rule}]")).unwrap_or_default();
    format!("{}{rule}", object.title())
}

/// Returns a workflow command. GitHub shows an annotation below the last line of its region, and reads columns only if
/// the region is on one line. So of a longer region, such as a whole status, only the start is given.
fn annotation(
    command: &str,
    file: Option<&RelativePath>,
    region: Option<Region>,
    title: &str,
    message: &str,
) -> String {
    let mut properties = Vec::new();
    properties.extend(file.map(|file| format!("file={}", property(&file.joined()))));
    if let Some(Region { start: Position { line, column }, end }) = region {
        properties.push(format!("line={line},col={column}"));
        if end.line == line && end.column > column {
            properties.push(format!("endColumn={}", end.column));
        }
    }
    properties.push(format!("title={}", property(title)));
    format!("::{command} {}::{}", properties.join(","), data(message))
}

/// Escapes a message as GitHub's toolkit does.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property as GitHub's toolkit does.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
