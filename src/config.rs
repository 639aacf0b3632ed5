//! The configuration: what `--config` names, in YAML. It is read whole or not at all, and a fault says where it is and
//! what would be right. What of it the core needs is a [`Policy`].

pub mod book;
mod file;
pub mod limits;
pub mod value;

use std::fmt;

use crate::admission::Policy;
pub use limits::Limits;

/// What a process runs with; the default is what it does without a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    pub policy: Policy,
    pub limits: Limits,
}

/// What is wrong with a file: line and column, from 1, and what would be right. It reads on from `the file `.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: u64,
    pub column: u64,
    pub words: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "is wrong at line {}, column {}: {}", self.line, self.column, self.words)
    }
}

/// Bytes of the SHA-256 of a file that tell it from others: 12 hexadecimal digits.
const DIGEST_BYTES: usize = 6;

impl Config {
    /// Reads the bytes of a file.
    pub fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let file = file::File::read(bytes)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        let digest: String = digest.as_ref().iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
        file.config(digest)
    }
}
