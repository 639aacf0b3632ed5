//! The format of a report, and where it is written to.

use std::io::{self, BufWriter, Write};

#[derive(Clone, Copy)]
#[cfg_attr(feature = "server", derive(clap::ValueEnum))]
pub enum Format {
    Text,
    Json,
}

impl Format {
    /// Standard output, until the report ends. Colours of a text are left out where it is no terminal.
    pub fn stdout(self) -> BufWriter<Box<dyn Write>> {
        BufWriter::new(match self {
            Format::Json => Box::new(io::stdout().lock()),
            Format::Text => Box::new(anstream::stdout().lock()),
        })
    }
}
