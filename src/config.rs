//! The configuration file, which `--config` names, in YAML. A file with any error is rejected as a whole; the error has
//! its position and the expected value. [`ReviewSettings`] are the part that the core needs.

mod absent;
mod file;
pub mod limits;
pub mod value;

use schemars::schema_for;

use crate::admission::ReviewSettings;
use crate::manifest::{Position, encoding};
pub use limits::Limits;

/// The configuration of a process. The default applies without a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    pub settings: ReviewSettings,
    pub limits: Limits,
}

/// An error in a configuration file. Line and column count from 1. The displayed text continues a sentence that begins
/// with `the file`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is invalid at line {line}, column {column}: {message}")]
pub struct ConfigError {
    pub line: u64,
    pub column: u64,
    pub message: String,
}

/// The number of bytes of the SHA-256 that identify contents: 12 hexadecimal digits.
const DIGEST_BYTES: usize = 6;

impl Config {
    /// Reads the contents of a file.
    pub fn read(bytes: &[u8]) -> Result<Self, ConfigError> {
        let decoded = encoding::decode(bytes);
        let text = encoding::text(&decoded).map_err(|(offset, error)| {
            let Position { line, column } = Position::START.after(&decoded[..offset]);
            ConfigError { line: line as u64, column: column as u64, message: error.to_string() }
        })?;
        let file = file::ConfigFile::read(text)?;
        file.config(digest(bytes))
    }
}

/// Checks that the modes of all rules can be applied without the webhook. `obstacle` says why that of a rule cannot; a rule
/// that is off needs nothing.
pub fn check_modes(bytes: &[u8], obstacle: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
    let decoded = encoding::decode(bytes);
    let text = encoding::text(&decoded).unwrap_or_default();
    file::ConfigFile::read(text)?.check_modes(obstacle)
}

/// Returns the digest that identifies contents: the beginning of their SHA-256 in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the JSON Schema of the file.
pub fn schema() -> String {
    format!("{:#}\n", schema_for!(file::ConfigFile).as_value())
}
