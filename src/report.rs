//! Findings as text and JSON. Where they came from is not known here.

pub mod cluster;
pub mod documents;
pub mod finding;
pub mod format;
pub mod json;
pub mod tally;

pub use finding::Subject;
pub use format::Format;
pub use tally::Tally;

use std::fmt::Display;

/// Prints on stderr what is wrong.
pub fn print_error(error: impl Display) {
    anstream::eprintln!("{ERROR}error:{ERROR:#} {error}");
}

/// The style of `error:`, as clap prints it.
const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
