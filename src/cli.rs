//! The command line: verbs, exit codes, where results go.
//!
//! Exit: 0 all allowed, 1 something refused, 2 usage or unreadable input. Results on stdout, the rest on stderr.

mod explain;
mod generate;
mod input;
mod review;
mod rules;
mod serve;
mod stream;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    Serve(serve::Serve),
    Review(review::Review),
    Explain(explain::Explain),
    Rules(rules::Rules),
    Generate(generate::Generate),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Serve(verb) => verb.run(),
        Verb::Review(verb) => verb.run(),
        Verb::Explain(verb) => verb.run(),
        Verb::Rules(verb) => verb.run(),
        Verb::Generate(verb) => verb.run(),
    };
    match done {
        Ok(code) => code,
        // Whoever reads the results has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{ERROR}error:{ERROR:#} {error}");
            ExitCode::from(UNUSABLE)
        }
    }
}

/// The style of `error:`, as clap prints it.
const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
