//! Judges scans outside of a request: scans in documents, and scans that are stored in a cluster (which `audit` lists).

pub mod documents;
pub mod input;
pub mod judge;
mod non_strings;

pub use judge::Judge;
