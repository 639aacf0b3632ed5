//! `rules`: the table of rules.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::docs;
use crate::rules::RULES;

/// Prints the table of rules for people or for machines
#[derive(Args)]
#[command(after_help = "Examples:\n  scan-admission rules\n  scan-admission rules -o json | jq -r '.[].id'")]
pub struct RulesCommand {
    /// Markdown, or JSON with everything that is documented about each rule
    #[arg(short, long, value_enum, default_value_t = RulesFormat::Md)]
    output: RulesFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum RulesFormat {
    Md,
    Json,
}

impl RulesCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        let text = match self.output {
            RulesFormat::Md => docs::rules::table(RULES),
            RulesFormat::Json => docs::rules::json(RULES),
        };
        io::stdout().lock().write_all(text.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}
