//! `rules`: prints the table of rules.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::docs;
use crate::rules::RULES;

/// Print the table of rules, as Markdown or JSON
#[derive(Args)]
#[command(after_help = "Examples:\n  scan-admission rules\n  scan-admission rules -o json | jq -r '.[].id'")]
pub struct RulesCommand {
    /// Output format: a Markdown table, or JSON with the whole documentation of each rule
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
