//! `generate`: files that are made from the code.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, ValueEnum};

use super::Cli;
use crate::law::{RULES, book};

/// Writes what is made from the code: the docs of the rules, completions, man pages
#[derive(Args)]
#[command(after_help = "Examples:
  scan-admission generate docs
  scan-admission generate completions --to ~/.local/share/scan-admission")]
pub struct Generate {
    #[arg(value_enum)]
    what: What,
    /// The folder to write to [default: docs for docs, else the current one]
    #[arg(long, value_name = "DIR", env = "SCAN_ADMISSION_TO")]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// A page a rule and the overview with the tables, in Markdown
    Docs,
    /// Completions for bash, elvish, fish, PowerShell and zsh
    Completions,
    /// A man page a verb
    Man,
}

impl Generate {
    pub fn run(self) -> io::Result<ExitCode> {
        let to = self.to.unwrap_or_else(|| PathBuf::from(if self.what == What::Docs { "docs" } else { "." }));
        fs::create_dir_all(&to)?;
        match self.what {
            What::Docs => {
                fs::create_dir_all(to.join("rules"))?;
                for (path, text) in book::pages(RULES) {
                    fs::write(to.join(path), text)?;
                }
            }
            What::Completions => {
                for shell in clap_complete::Shell::value_variants() {
                    clap_complete::generate_to(*shell, &mut Cli::command(), "scan-admission", &to)?;
                }
            }
            What::Man => clap_mangen::generate_to(Cli::command(), &to)?,
        }
        writeln!(io::stderr(), "written to {}", to.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
