//! `generate`: writes the files that are generated from the code.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, ValueEnum};

use crate::rules::RULES;
use crate::{docs, install};

/// Write generated files: manifests, docs, shell completions, man pages
#[derive(Args)]
#[command(after_help = "Examples:
  scan-admission generate manifests
  scan-admission generate completions --to ~/.local/share/scan-admission")]
pub struct GenerateCommand {
    /// Files to generate
    #[arg(value_enum)]
    target: GenerateTarget,
    /// Folder to write to [default: docs for docs, manifests for manifests, otherwise the current folder]
    #[arg(long, value_name = "DIR", env = "SCAN_ADMISSION_TO")]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum GenerateTarget {
    /// Pages of the rules and how they decide, the configuration with its schema, and the checks of doctor
    Docs,
    /// Manifests to install on a cluster with kubectl apply -k
    Manifests,
    /// Grafana dashboard, to import by hand
    Dashboard,
    /// Shell completions for bash, elvish, fish, PowerShell and zsh
    Completions,
    /// Man pages, one per command
    Man,
}

impl GenerateCommand {
    pub fn run(self, mut cli: Command) -> io::Result<ExitCode> {
        let to = self.to.unwrap_or_else(|| PathBuf::from(self.target.folder()));
        fs::create_dir_all(&to)?;
        match self.target {
            GenerateTarget::Docs => {
                docs::pages(RULES).iter().try_for_each(|page| write(&to, &page.path, &page.text))?;
            }
            GenerateTarget::Manifests => {
                install::files().iter().try_for_each(|file| write(&to, &file.path, &file.text))?;
            }
            GenerateTarget::Dashboard => write(&to, "dashboard.json", &install::dashboard())?,
            GenerateTarget::Completions => {
                for shell in clap_complete::Shell::value_variants() {
                    clap_complete::generate_to(*shell, &mut cli, "scan-admission", &to)?;
                }
            }
            GenerateTarget::Man => clap_mangen::generate_to(cli, &to)?,
        }
        writeln!(io::stderr(), "written to {}", to.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl GenerateTarget {
    /// Returns the default folder.
    fn folder(self) -> &'static str {
        match self {
            GenerateTarget::Docs => "docs",
            GenerateTarget::Manifests => "manifests",
            GenerateTarget::Dashboard | GenerateTarget::Completions | GenerateTarget::Man => ".",
        }
    }
}

/// Writes a file at `path` below `to`.
fn write(to: &Path, path: &str, text: &str) -> io::Result<()> {
    let path = to.join(path);
    path.parent().map(fs::create_dir_all).transpose()?;
    fs::write(path, text)
}
