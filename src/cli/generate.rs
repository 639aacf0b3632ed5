//! `generate`: writes the files that are generated from the code.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, ValueEnum};

use super::flags::config::{ConfigFlags, LoadedConfig};
use super::{PLUGIN_NAMES, complete};
use crate::config::{self, ConfigError};
use crate::engine::Cel;
use crate::policies::files::{PolicyFile, files};
use crate::rules::RULES;
use crate::scan::json::printable;
use crate::{docs, install};

/// Write generated files: manifests, chart, policies, docs, shell completions, man pages
#[derive(Args)]
#[command(after_help = "Examples:
  scan-admission generate manifests
  scan-admission generate chart
  scan-admission generate policies --config config.yaml
  scan-admission generate completions --to ~/.local/share/scan-admission
  scan-admission generate plugin --to ~/.local/bin")]
pub struct GenerateCommand {
    /// Files to generate
    #[arg(value_enum)]
    target: GenerateTarget,
    /// Folder to write to [default: docs for docs, manifests for manifests, manifests/chart for the chart,
    /// manifests/policies for policies, manifests/static-policies for static policies, otherwise the current folder]
    #[arg(long, value_name = "DIR", env = "SCAN_ADMISSION_TO")]
    to: Option<PathBuf>,
    /// For policies: write static manifests, which an API server reads from a folder
    #[arg(long = "static", env = "SCAN_ADMISSION_STATIC")]
    is_static: bool,
    /// For the plugin: write its manifest for krew, with these checksums of the archives of a release, as sha256sum prints them
    #[arg(long, value_name = "FILE", env = "SCAN_ADMISSION_CHECKSUMS", requires = "url")]
    checksums: Option<PathBuf>,
    /// Folder that the archives are downloaded from
    #[arg(long, value_name = "URL", env = "SCAN_ADMISSION_URL", requires = "checksums")]
    url: Option<String>,
    #[command(flatten)]
    config: ConfigFlags,
}

#[derive(Clone, Copy, ValueEnum)]
enum GenerateTarget {
    /// Pages of the rules and how they decide, the configuration with its schema, and the checks of doctor
    Docs,
    /// Manifests to install on a cluster with kubectl apply -k
    Manifests,
    /// Helm chart
    Chart,
    /// Admission policies in CEL, which enforce the rules without a server, to install with kubectl apply -k
    Policies,
    /// Grafana dashboard, to import by hand
    Dashboard,
    /// Shell completions for bash, elvish, fish, PowerShell and zsh
    Completions,
    /// Links to this program by which kubectl finds it as its plugin `scan-admission`, with its completion
    Plugin,
    /// Man pages, one per command
    Man,
}

impl GenerateCommand {
    pub fn run(self, cli: Command) -> io::Result<ExitCode> {
        let is_policies = matches!(self.target, GenerateTarget::Policies);
        if !is_policies && (self.is_static || self.config.file().is_some()) {
            return Err(io::Error::other("--config and --static are for policies"));
        }
        let krew = self.checksums.as_ref().zip(self.url.as_ref());
        if krew.is_some() && !matches!(self.target, GenerateTarget::Plugin) {
            return Err(io::Error::other("--checksums and --url are for the plugin"));
        }
        let krew = krew.map(|(file, url)| krew_manifest(file, url)).transpose()?;
        let to = self.to.unwrap_or_else(|| PathBuf::from(self.target.folder(self.is_static)));
        let policies = if is_policies { policies(&self.config, self.is_static)? } else { Vec::new() };
        fs::create_dir_all(&to)?;
        match self.target {
            GenerateTarget::Docs => {
                docs::pages(RULES).iter().try_for_each(|page| write(&to, &page.path, &page.text))?;
            }
            GenerateTarget::Manifests => {
                install::files().iter().try_for_each(|file| write(&to, &file.path, &file.text))?;
            }
            GenerateTarget::Chart => {
                let files = install::chart::files().map_err(io::Error::other)?;
                files.iter().try_for_each(|file| write(&to, &file.path, &file.text))?;
            }
            GenerateTarget::Policies => {
                policies.iter().try_for_each(|file| write(&to, &file.path, &file.text))?;
            }
            GenerateTarget::Dashboard => write(&to, "dashboard.json", &install::dashboard())?,
            GenerateTarget::Completions => {
                complete::scripts(cli.get_name())?.iter().try_for_each(|(file, script)| write(&to, file, script))?;
            }
            GenerateTarget::Plugin if let Some(manifest) = &krew => write(&to, "scan-admission.yaml", manifest)?,
            GenerateTarget::Plugin => PLUGIN_NAMES.iter().try_for_each(|name| link(&to.join(name)))?,
            GenerateTarget::Man => clap_mangen::generate_to(cli, &to)?,
        }
        writeln!(io::stderr(), "written to {}", to.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl GenerateTarget {
    /// Returns the default folder.
    fn folder(self, is_static: bool) -> &'static str {
        match self {
            GenerateTarget::Policies if is_static => "manifests/static-policies",
            GenerateTarget::Policies => "manifests/policies",
            GenerateTarget::Docs => "docs",
            GenerateTarget::Manifests => "manifests",
            GenerateTarget::Chart => "manifests/chart",
            GenerateTarget::Dashboard | GenerateTarget::Completions | GenerateTarget::Plugin | GenerateTarget::Man => {
                "."
            }
        }
    }
}

/// Returns the manifest for krew of the archives with these checksums.
fn krew_manifest(file: &Path, url: &str) -> io::Result<String> {
    let name = printable(&file.to_string_lossy(), usize::MAX);
    let failed = |error: &dyn std::fmt::Display| io::Error::other(format!("{name}: {error}"));
    let checksums = fs::read_to_string(file).map_err(|error| failed(&error))?;
    install::krew::manifest(&checksums, url).map_err(|error| failed(&error))
}

/// Returns the policies for a configuration. An error names the first mode that no policy can apply.
fn policies(flags: &ConfigFlags, is_static: bool) -> io::Result<Vec<PolicyFile>> {
    let LoadedConfig { config, .. } = flags.load().map_err(io::Error::other)?;
    if let Some(file) = flags.file() {
        config::check_modes(&fs::read(file)?, obstacle).map_err(|ConfigError { line, column, message }| {
            io::Error::other(format!("{}:{line}:{column}: {message}", printable(&file.to_string_lossy(), usize::MAX)))
        })?;
    }
    files(RULES, &config.settings, is_static).map_err(io::Error::other)
}

/// Returns why policies cannot apply the mode of a rule.
fn obstacle(rule: &str) -> Option<String> {
    let rule = RULES.iter().find(|known| known.id == rule)?;
    let Cel::Never(why) = rule.cel else { return None };
    Some(format!("policies cannot judge {}, so set it to off. {why}", rule.id))
}

/// Links a path to this program. A link that is there is replaced, and nothing else.
fn link(path: &Path) -> io::Result<()> {
    if path.is_symlink() {
        fs::remove_file(path)?;
    }
    std::os::unix::fs::symlink(std::env::current_exe()?, path)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot make the link {}: {error}", path.display())))
}

/// Writes a file at `path` below `to`.
fn write(to: &Path, path: &str, text: &str) -> io::Result<()> {
    let path = to.join(path);
    path.parent().map(fs::create_dir_all).transpose()?;
    fs::write(path, text)
}
