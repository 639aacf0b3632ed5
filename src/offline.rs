//! Judges scans outside of a request: scans in documents, scans that are stored in a cluster (which `audit` lists), and
//! the writes in audit logs. Fixes scans in documents.

pub mod audit_log;
pub mod contents;
#[cfg(feature = "cluster")]
pub mod describe;
pub mod documents;
pub mod example;
pub mod fix;
pub mod input;
pub mod judge;
pub mod managed_fields;
mod non_strings;
#[cfg(feature = "server")]
pub mod replace_file;
#[cfg(feature = "cluster")]
pub mod stored;
#[cfg(feature = "cluster")]
pub mod stuck;

pub use judge::Judge;
