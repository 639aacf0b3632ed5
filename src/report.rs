//! Reports findings as text and JSON, regardless of the source of the scans, and differences between files.

pub mod cluster;
pub mod diff;
pub mod documents;
pub mod finding;
pub mod format;
pub mod json;
pub mod tally;

pub use finding::{ReportedFinding, Subject};
pub use format::Format;
pub use tally::Tally;

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
