//! Judging outside a request: the scans in documents, and those that a cluster stores (which `audit` lists).

pub mod documents;
pub mod input;
pub mod judge;
mod plain_values;

pub use judge::Judge;
