//! The configuration: what `--config` names, in YAML. It is read whole or not at all, and an error has its position and
//! what is right instead. The part of it that the core needs are [`ReviewSettings`].

mod absent;
mod file;
pub mod limits;
pub mod value;

use schemars::schema_for;

use crate::admission::ReviewSettings;
use crate::manifest::{Position, encoding};
pub use limits::Limits;

/// What a process runs with; the default is what it does without a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    pub settings: ReviewSettings,
    pub limits: Limits,
}

/// What is wrong with a file, and what is right instead. It reads on from `the file `. Line and column count from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is wrong at line {line}, column {column}: {message}")]
pub struct ConfigError {
    pub line: u64,
    pub column: u64,
    pub message: String,
}

/// Bytes of the SHA-256 of a file that tell it from others: 12 hexadecimal digits.
const DIGEST_BYTES: usize = 6;

impl Config {
    /// Reads the bytes of a file.
    pub fn read(bytes: &[u8]) -> Result<Self, ConfigError> {
        let decoded = encoding::decode(bytes);
        let text = encoding::text(&decoded).map_err(|(offset, error)| {
            let Position { line, column } = Position::START.after(&decoded[..offset]);
            ConfigError { line: line as u64, column: column as u64, message: error.to_string() }
        })?;
        let file = file::ConfigFile::read(text)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        let digest: String = digest.as_ref().iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
        file.config(digest)
    }
}

/// The JSON Schema of the file.
pub fn schema() -> String {
    format!("{:#}\n", schema_for!(file::ConfigFile).as_value())
}
