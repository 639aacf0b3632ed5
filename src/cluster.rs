//! The client of the API server: the CA that all replicas share, the caBundles of the webhooks, the stored scans, their
//! reports and Events.
//!
//! Invariants: objects that belong to others are not overwritten; each write either names the resourceVersion that was
//! read or owns a single field; serving continues while the API server is unavailable.

pub mod ca_bundle;
pub mod ca_controller;
pub mod client;
pub mod error;
pub mod events;
pub mod judged;
pub mod listing;
pub mod names;
pub mod report_writer;
pub mod scan_events;
pub mod scan_metrics;
pub mod scan_report;
pub mod scan_totals;
pub mod scan_view;
pub mod scan_watch;
pub mod shared_ca;
pub mod stored_scan;
pub mod watch;

/// The label of the objects that this program creates. Its value is also the name of the field manager.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "scan-admission");
