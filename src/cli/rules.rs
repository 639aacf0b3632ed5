//! `rules`: the whole table.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::law::{RULES, book};

/// Prints the table of rules for people or for machines
#[derive(Args)]
#[command(after_help = "Examples:\n  scan-admission rules\n  scan-admission rules -o json | jq -r '.[].id'")]
pub struct Rules {
    /// Markdown, or JSON with everything that is said about each rule
    #[arg(short, long, value_enum, default_value_t = Output::Md)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Md,
    Json,
}

impl Rules {
    pub fn run(self) -> io::Result<ExitCode> {
        let text = match self.output {
            Output::Md => book::table(RULES),
            Output::Json => book::json(RULES),
        };
        io::stdout().lock().write_all(text.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}
