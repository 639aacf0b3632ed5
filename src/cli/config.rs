//! `config`: checks a configuration file, or prints its schema.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::flags::config::read;
use crate::config::{ConfigError, schema};
use crate::scan::json::printable;
use crate::tls::files::FileProblem;

/// Check a configuration file, or print its schema
#[derive(clap::Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Subcommand)]
enum ConfigAction {
    /// Read a configuration file as `serve` does, and report its errors
    #[command(after_help = "Exit codes:\n  0  the file can be used\n  2  the file cannot be used")]
    Check {
        /// Configuration file in YAML
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration, for editors and pipelines
    Schema,
}

impl ConfigCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        match self.action {
            ConfigAction::Check { file } => {
                let name = printable(&file.to_string_lossy(), usize::MAX);
                let loaded = read("FILE", &file).map_err(|error| match error.problem {
                    // In the form of compilers, which editors parse.
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
