//! The API server's side: the CA that all replicas share, the caBundles of the webhooks, and the scans that are stored.
//!
//! Invariants: nothing of somebody else's is overwritten; each write is made under the version that was read, or owns one
//! field only; losing the API server loses nothing that is served.

pub mod ca_bundle;
pub mod ca_controller;
pub mod client;
pub mod error;
pub mod listing;
pub mod shared_ca;
