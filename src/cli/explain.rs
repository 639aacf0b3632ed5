//! `explain`: prints the documentation of a rule.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::docs;
use crate::rules::RULES;

/// Explain a rule: what it checks, why, and how to repair a status. Without a rule, list all rules
#[derive(Args)]
#[command(after_help = "Examples:\n  scan-admission explain\n  scan-admission explain cve-total")]
pub struct ExplainCommand {
    /// Id of the rule, as in the [brackets] of a message
    #[arg(value_name = "RULE", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(RULES.iter().map(|rule| rule.id)))]
    rule: Option<String>,
}

impl ExplainCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        let mut out = anstream::stdout().lock();
        match self.rule.and_then(|id| RULES.iter().find(|rule| rule.id == id)) {
            Some(rule) => {
                for line in docs::rules::page(rule).lines() {
                    let head = if line.starts_with('#') { anstyle::Style::new().bold() } else { anstyle::Style::new() };
                    writeln!(out, "{head}{line}{head:#}")?;
                }
            }
            None => {
                let width = RULES.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
                for rule in RULES {
                    writeln!(out, "{:width$}  {}", rule.id, rule.title)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
