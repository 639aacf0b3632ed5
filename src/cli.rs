//! The command line: verbs, exit codes, where results go.
//!
//! Exit: 0 all allowed, 1 something refused, 2 usage or unreadable input. Results on stdout, the rest on stderr.

#[cfg(feature = "cluster")]
mod audit;
#[cfg(feature = "cluster")]
mod ca;
mod callers;
mod certs;
mod check;
mod config;
mod dashboard;
#[cfg(feature = "cluster")]
mod doctor;
mod documents;
mod explain;
mod generate;
mod input;
mod judge;
#[cfg(feature = "cluster")]
mod kubeconfig;
mod log;
mod manifest;
mod manifests;
mod output;
mod path;
mod place;
mod report;
mod review;
mod rules;
mod serve;
mod stream;
mod yaml;

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use time::OffsetDateTime;

use crate::scan::time as clock;

/// Something was refused.
const REFUSED: u8 = 1;
/// Usage or unreadable input.
const UNUSABLE: u8 = 2;

#[derive(Parser)]
#[command(name = "scan-admission", version, about, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Serve(Box<serve::Serve>),
    Review(review::Review),
    Check(check::Check),
    #[cfg(feature = "cluster")]
    Audit(audit::Audit),
    #[cfg(feature = "cluster")]
    Doctor(Box<doctor::Doctor>),
    Explain(explain::Explain),
    Rules(rules::Rules),
    Generate(generate::Generate),
    Config(config::Verb),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Serve(verb) => verb.run(),
        Verb::Review(verb) => verb.run(),
        Verb::Check(verb) => verb.run(),
        #[cfg(feature = "cluster")]
        Verb::Audit(verb) => verb.run(),
        #[cfg(feature = "cluster")]
        Verb::Doctor(verb) => verb.run(),
        Verb::Explain(verb) => verb.run(),
        Verb::Rules(verb) => verb.run(),
        Verb::Generate(verb) => verb.run(),
        Verb::Config(verb) => verb.run(),
    };
    match done {
        Ok(code) => code,
        // Whoever reads the results has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::from(UNUSABLE)
        }
    }
}

/// Says on stderr what is wrong.
fn complain(error: impl Display) {
    anstream::eprintln!("{ERROR}error:{ERROR:#} {error}");
}

/// The style of `error:`, as clap prints it.
const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

/// Reads the value of `--now`.
fn parse_time(text: &str) -> Result<OffsetDateTime, String> {
    clock::parse(text).ok_or_else(|| "not a time such as 2026-11-20T08:05:00Z".to_owned())
}
