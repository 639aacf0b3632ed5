//! Judges scans outside of a request: scans in documents, and scans that are stored in a cluster (which `audit` lists).
//! Fixes scans in documents.

pub mod documents;
pub mod fix;
pub mod input;
pub mod judge;
mod non_strings;
#[cfg(feature = "server")]
pub mod replace_file;

pub use judge::Judge;
