//! Reports findings as text, JSON, SARIF, JUnit XML, workflow commands of GitHub, and Markdown, regardless of the source
//! of the scans, and differences between files.

pub mod age;
pub mod describe;
pub mod diff;
pub mod event;
pub mod finding;
pub mod format;
mod github;
pub mod json;
mod junit;
mod markdown;
pub mod origins;
pub mod progress;
pub mod relative_path;
pub mod replay;
pub mod reports;
mod sarif;
mod sarif_uri;
pub mod stuck;
mod text;
pub mod totals;
mod worst;

pub use event::ReportedEvent;
pub use finding::{Location, ReportedError, ReportedFinding, ReportedObject, Subject};
pub use format::{Format, Output, ReportFormat};
pub use origins::Origin;
pub use reports::Reports;
pub use totals::Totals;

use std::fmt::Display;
use std::io;

use crate::scan::json::printable;

/// A report in one format.
pub trait Report {
    /// Reports an object and its findings, which are in the order of their positions.
    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()>;

    /// Reports an input that cannot be read.
    fn error(&mut self, error: &ReportedError) -> io::Result<()>;

    /// Ends the report.
    fn finish(self: Box<Self>, totals: &Totals) -> io::Result<()>;

    /// Whether the report has the edits that repair findings.
    fn needs_fixes(&self) -> bool {
        false
    }

    /// Writes what is buffered, before something else is printed on the terminal.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a check of files reports to.
pub trait FindingSink {
    /// Whether a report has the edits that repair findings.
    fn need_fixes(&self) -> bool;

    /// Counts a file that could be opened.
    fn count_file(&mut self);

    /// Counts an object that is not a scan.
    fn skip_object(&mut self);

    /// Reports an object, whose findings are in the order of their positions.
    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()>;

    /// Reports an input that cannot be read.
    fn error(&mut self, error: &ReportedError) -> io::Result<()>;
}

/// Returns a number with its noun: `1 file` or `2 files`.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Returns the width of a column: that of its longest text or of its header, in characters.
pub fn column_width<'t>(header: &str, texts: impl Iterator<Item = &'t str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0).max(header.len())
}

/// Prints an error on stderr. Its text may come from a cluster or include names of files, so control characters are
/// replaced, except for line feeds.
pub fn print_error(error: impl Display) {
    let lines: Vec<String> = error.to_string().lines().map(|line| printable(line, usize::MAX)).collect();
    anstream::eprintln!("{ERROR}error:{ERROR:#} {}", lines.join("\n"));
}

/// Prints a warning on stderr, on one line.
pub fn print_warning(warning: impl Display) {
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    anstream::eprintln!("{style}warning:{style:#} {}", printable(&warning.to_string(), usize::MAX));
}

/// The style of `error:`, as clap prints it.
const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
