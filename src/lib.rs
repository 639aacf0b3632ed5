//! The admission webhook that keeps the status of supply-chain scans true.

#![warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used)]

pub mod admission;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "cluster")]
pub mod cluster;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod docs;
#[cfg(feature = "cluster")]
pub mod doctor;
pub mod engine;
#[cfg(feature = "server")]
pub mod install;
#[cfg(feature = "files")]
pub mod manifest;
#[cfg(feature = "files")]
pub mod offline;
#[cfg(feature = "files")]
pub mod report;
pub mod rules;
pub mod scan;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod tls;
