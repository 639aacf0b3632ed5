//! The command line: one file per command, from its flags to its exit code.
//!
//! Exit codes: 0 for success, 1 if something is denied, 2 for wrong usage or unreadable input. Results go to stdout,
//! everything else to stderr.

#[cfg(feature = "cluster")]
mod audit;
mod check;
mod config;
#[cfg(feature = "cluster")]
mod doctor;
mod explain;
mod flags;
mod generate;
mod replay;
mod review;
mod rules;
mod serve;

use std::ffi::OsStr;
use std::io;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::report::print_error;

/// The exit code if something is denied.
const DENIED: u8 = 1;
/// The exit code for wrong usage or unreadable input.
const UNUSABLE: u8 = 2;

#[derive(Parser)]
#[command(name = "scan-admission", version, about, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<serve::ServeCommand>),
    Review(review::ReviewCommand),
    Check(check::CheckCommand),
    #[cfg(feature = "cluster")]
    Audit(audit::AuditCommand),
    Replay(replay::ReplayCommand),
    #[cfg(feature = "cluster")]
    Doctor(Box<doctor::DoctorCommand>),
    Explain(explain::ExplainCommand),
    Rules(rules::RulesCommand),
    Generate(generate::GenerateCommand),
    Config(config::ConfigCommand),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let matches = without_empty_variables(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let done = match cli.command {
        Command::Serve(command) => command.run(),
        Command::Review(command) => command.run(),
        Command::Check(command) => command.run(),
        #[cfg(feature = "cluster")]
        Command::Audit(command) => command.run(),
        Command::Replay(command) => command.run(),
        #[cfg(feature = "cluster")]
        Command::Doctor(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Rules(command) => command.run(),
        Command::Generate(command) => command.run(Cli::command()),
        Command::Config(command) => command.run(),
    };
    match done {
        Ok(code) => code,
        // The reader of the results, such as `head`, has closed the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            print_error(error);
            ExitCode::from(UNUSABLE)
        }
    }
}

/// Makes a command ignore environment variables that are empty. Manifests and scripts unset a flag in this way, but
/// clap would use the empty text as its value.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_subcommands(without_empty_variables)
        .mut_args(|arg| if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg })
}
