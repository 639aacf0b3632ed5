//! The client of the API server: the CA that all replicas share, the caBundles of the webhooks, the stored scans, and
//! the Events about scans.
//!
//! Invariants: objects that belong to others are not overwritten; each write either names the resourceVersion that was
//! read or owns a single field; serving continues while the API server is unavailable.

pub mod ca_bundle;
pub mod ca_controller;
pub mod client;
pub mod error;
pub mod events;
pub mod listing;
pub mod shared_ca;
