//! The format and the destination of a report.

use std::io::{self, BufWriter, Write};

/// The format of a report.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "server", derive(clap::ValueEnum))]
pub enum Format {
    Text,
    Json,
}

impl Format {
    /// Returns standard output, locked. Text has colours only on a terminal.
    pub fn stdout(self) -> BufWriter<Box<dyn Write>> {
        BufWriter::new(match self {
            Format::Json => Box::new(io::stdout().lock()),
            Format::Text => Box::new(anstream::stdout().lock()),
        })
    }

    /// Returns standard error. Text has colours only on a terminal.
    pub fn stderr(self) -> BufWriter<Box<dyn Write>> {
        BufWriter::new(match self {
            Format::Json => Box::new(io::stderr()),
            Format::Text => Box::new(anstream::stderr()),
        })
    }
}
