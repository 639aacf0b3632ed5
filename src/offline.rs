//! Judging outside a request: the scans in documents, and those that a cluster has stored.

pub mod documents;
pub mod input;
pub mod stored;

pub use stored::Judge;
