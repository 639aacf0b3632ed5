//! `-o text|json`: what results are written as, and where to.

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

impl Output {
    /// Standard output, until the end of the verb. Colours of a text are left out where it is no terminal.
    pub fn stdout(self) -> BufWriter<Box<dyn Write>> {
        BufWriter::new(match self {
            Output::Json => Box::new(io::stdout().lock()),
            Output::Text => Box::new(anstream::stdout().lock()),
        })
    }
}
