//! The command line: one file per command, from its flags to its exit code.
//!
//! Exit codes: 0 for success, 1 if something is denied, 2 for wrong usage or unreadable input. Results go to stdout,
//! everything else to stderr.

#[cfg(feature = "cluster")]
mod audit;
mod check;
mod complete;
mod config;
#[cfg(feature = "cluster")]
mod describe;
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
use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::policies::release::RELEASE;
use crate::report::print_error;

/// The exit code if something is denied.
const DENIED: u8 = 1;
/// The exit code for wrong usage or unreadable input.
const UNUSABLE: u8 = 2;

/// What `--version` prints; `-V` prints only the version.
static LONG_VERSION: LazyLock<String> = LazyLock::new(|| RELEASE.to_string());

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
    Describe(describe::DescribeCommand),
    #[cfg(feature = "cluster")]
    Doctor(Box<doctor::DoctorCommand>),
    Explain(explain::ExplainCommand),
    Rules(rules::RulesCommand),
    Generate(generate::GenerateCommand),
    Config(config::ConfigCommand),
}

/// The names by which kubectl calls the program, as its plugin `scan-admission` and to complete the arguments of the plugin.
const PLUGIN_NAMES: [&str; 2] = ["kubectl-scan_admission", "kubectl_complete-scan_admission"];

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    // Shells start the program for each completion, so the digest of the rules is computed only where it is printed.
    let asks_for_release = std::env::args_os().any(|argument| argument == "--version");
    let command = if asks_for_release { with_release(Cli::command()) } else { Cli::command() };
    let command = without_empty_variables(command);
    let command = match PLUGIN_NAMES.iter().position(|name| is_called(name)) {
        Some(0) => as_plugin(command),
        Some(_) => return exit_code(complete::answer_kubectl(&command).map(|()| ExitCode::SUCCESS)),
        None => {
            complete::answer_shell(&command);
            command
        }
    };
    let matches = command.get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    exit_code(match cli.command {
        Command::Serve(command) => command.run(),
        Command::Review(command) => command.run(),
        Command::Check(command) => command.run(),
        #[cfg(feature = "cluster")]
        Command::Audit(command) => command.run(),
        Command::Replay(command) => command.run(),
        #[cfg(feature = "cluster")]
        Command::Describe(command) => command.run(),
        #[cfg(feature = "cluster")]
        Command::Doctor(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Rules(command) => command.run(),
        Command::Generate(command) => command.run(with_release(Cli::command())),
        Command::Config(command) => command.run(),
    })
}

fn exit_code(done: io::Result<ExitCode>) -> ExitCode {
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

/// Makes `--version` print the release.
fn with_release(command: clap::Command) -> clap::Command {
    command.long_version(LONG_VERSION.as_str())
}

/// Whether the program is called by this name.
fn is_called(name: &str) -> bool {
    std::env::args_os().next().is_some_and(|called| Path::new(&called).file_name().is_some_and(|found| found == name))
}

/// Makes the help name the plugin of kubectl, also in the examples of each command.
fn as_plugin(command: clap::Command) -> clap::Command {
    let name = command.get_name().to_owned();
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    command.bin_name(format!("kubectl {name}")).mut_subcommands(|subcommand| {
        let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
        let name_plugin =
            |help: String, verb: &String| help.replace(&format!("{name} {verb}"), &format!("kubectl {name} {verb}"));
        let help = verbs.iter().fold(help, name_plugin);
        subcommand.after_help(help)
    })
}

/// Makes a command ignore environment variables that are empty. Manifests and scripts unset a flag in this way, but
/// clap would use the empty text as its value.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_subcommands(without_empty_variables)
        .mut_args(|arg| if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg })
}
