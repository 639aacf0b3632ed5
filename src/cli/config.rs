//! `config`: checks a configuration, or prints its schema.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::flags::config::read;
use crate::config::{ConfigError, schema};
use crate::scan::json::printable;
use crate::tls::files::FileProblem;

/// Checks a configuration, or prints its schema
#[derive(clap::Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Subcommand)]
enum ConfigAction {
    /// Reads a configuration as `serve` does, and reports what is wrong with it
    #[command(after_help = "Exit: 0 it can be used, 2 it cannot.")]
    Check {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Prints the JSON Schema of the configuration, for editors and pipelines
    Schema,
}

impl ConfigCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        match self.action {
            ConfigAction::Check { file } => {
                let name = printable(&file.to_string_lossy(), usize::MAX);
                let loaded = read("FILE", &file).map_err(|error| match error.problem {
                    // As compilers print it, for editors.
                    FileProblem::Contents(ConfigError { line, column, message }) => {
                        io::Error::other(format!("{name}:{line}:{column}: {message}"))
                    }
                    _ => io::Error::other(error),
                })?;
                writeln!(io::stdout(), "{name}: can be used, digest {}", loaded.config.settings.digest)?;
            }
            ConfigAction::Schema => io::stdout().write_all(schema().as_bytes())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
