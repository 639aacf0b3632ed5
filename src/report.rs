//! Reports findings as text, JSON, SARIF, JUnit XML, workflow commands of GitHub, and Markdown, regardless of the source
//! of the scans.

pub mod finding;
pub mod format;
mod github;
pub mod json;
mod junit;
mod markdown;
pub mod reports;
mod sarif;
mod sarif_uri;
pub mod tally;
mod text;
mod worst;

pub use finding::{Location, ReportedError, ReportedFinding, ReportedObject, Subject};
pub use format::{Format, Output, ReportFormat};
pub use reports::{Reports, Totals};

use std::fmt::Display;

use crate::scan::json::printable;

/// Prints an error on stderr. Its text may come from a cluster or include names of files, so control characters are
/// replaced, except for line feeds.
pub fn print_error(error: impl Display) {
    let lines: Vec<String> = error.to_string().lines().map(|line| printable(line, usize::MAX)).collect();
    anstream::eprintln!("{ERROR}error:{ERROR:#} {}", lines.join("\n"));
}

/// The style of `error:`, as clap prints it.
const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
