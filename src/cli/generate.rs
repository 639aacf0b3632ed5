//! `generate`: files that are made from the code.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, ValueEnum};

use super::{Cli, dashboard, manifests};
use crate::config;
use crate::law::{RULES, book};

/// Writes what is made from the code: manifests, the docs, completions, man pages
#[derive(Args)]
#[command(after_help = "Examples:
  scan-admission generate manifests
  scan-admission generate completions --to ~/.local/share/scan-admission")]
pub struct Generate {
    #[arg(value_enum)]
    what: What,
    /// The folder to write to [default: docs for docs, manifests for manifests, else the current one]
    #[arg(long, value_name = "DIR", env = "SCAN_ADMISSION_TO")]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// A page a rule, the overview with the tables, the configuration with its schema, and what doctor looks at
    Docs,
    /// What to install on a cluster, for kubectl apply -k
    Manifests,
    /// The Grafana dashboard alone, to import by hand
    Dashboard,
    /// Completions for bash, elvish, fish, PowerShell and zsh
    Completions,
    /// A man page a verb
    Man,
}

impl Generate {
    pub fn run(self) -> io::Result<ExitCode> {
        let to = self.to.unwrap_or_else(|| PathBuf::from(self.what.folder()));
        fs::create_dir_all(&to)?;
        match self.what {
            What::Docs => {
                write(&to, [book::pages(RULES), config::book::pages()].concat())?;
                #[cfg(feature = "cluster")]
                write(&to, crate::cluster::doctor::book::pages())?;
            }
            What::Manifests => write(&to, manifests::files())?,
            What::Dashboard => write(&to, vec![("dashboard.json".to_owned(), dashboard::json())])?,
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

impl What {
    /// Where it goes by default.
    fn folder(self) -> &'static str {
        match self {
            What::Docs => "docs",
            What::Manifests => "manifests",
            What::Dashboard | What::Completions | What::Man => ".",
        }
    }
}

/// Writes files by their paths below `to`.
fn write(to: &Path, files: Vec<(String, String)>) -> io::Result<()> {
    for (path, text) in files {
        let path = to.join(path);
        path.parent().map(fs::create_dir_all).transpose()?;
        fs::write(path, text)?;
    }
    Ok(())
}
