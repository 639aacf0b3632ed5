//! `--config`, for every command that judges scans.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::config::{Config, ConfigError};
use crate::tls::files::{ContentsError, FileError, NamedFile, WatchedFiles};

#[derive(clap::Args)]
#[group(id = "configuration")]
pub struct ConfigFlags {
    /// Configuration file in YAML: modes of rules, status writers, limits [default: every rule at deny]
    #[arg(long, env = "SCAN_ADMISSION_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A configuration, and the file that it was read from, if any.
#[derive(Default)]
pub struct LoadedConfig {
    pub config: Config,
    pub file: Option<ConfigFiles>,
}

pub type ConfigFiles = WatchedFiles<Config, ConfigError>;

impl ConfigFlags {
    pub fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Reads the file; without `--config`, returns the defaults.
    pub fn load(&self) -> Result<LoadedConfig, FileError<ConfigError>> {
        let Some(path) = &self.config else { return Ok(LoadedConfig::default()) };
        read("--config", path)
    }
}

/// Reads the file that a flag or an argument names. Errors name `flag`.
pub fn read(flag: &'static str, path: &Path) -> Result<LoadedConfig, FileError<ConfigError>> {
    let load = |contents: &[Vec<u8>], _| Config::read(&contents[0]).map_err(|error| ContentsError { file: 0, error });
    let files = vec![NamedFile { flag, path: path.to_owned() }];
    let (file, config) = WatchedFiles::open(files, load, OffsetDateTime::now_utc())?;
    Ok(LoadedConfig { config, file: Some(file) })
}
