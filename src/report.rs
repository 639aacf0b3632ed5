//! Findings as text and JSON. Where they came from is not known here.

pub mod cluster;
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

/// Prints on stderr what is wrong. It may be in the words of a cluster or have names of files in it, so control characters
/// are not printed; lines stay lines.
pub fn print_error(error: impl Display) {
    let lines: Vec<String> = error.to_string().lines().map(|line| printable(line, usize::MAX)).collect();
    anstream::eprintln!("{ERROR}error:{ERROR:#} {}", lines.join("\n"));
}

/// The style of `error:`, as clap prints it.
const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
