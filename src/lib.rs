//! The admission webhook that keeps the status of supply-chain scans true.
//!
//! Bytes of an AdmissionReview in, bytes of an AdmissionReview out, decided by a table of rules. Everything else (TLS,
//! command line, reports) is a door to that one function, [`admission::answer`].
//!
//! # The rooms
//!
//! | room | what it is | may import |
//! |---|---|---|
//! | [`scan`] | what a scan *is*: borrowed wire types, both spellings | nothing of ours |
//! | [`law`] | the rules, [`law::RULES`]; `judge` and `mend` | scan |
//! | [`admission`] | `answer`: decode, judge or mend, encode | scan, law |
//! | `config` | the configuration: modes of rules, status writers, limits | scan, law, admission |
//! | `server` | the HTTPS server: limits, TLS, health, metrics | scan, law, admission, config |
//! | `cluster` | the API server's side: the CA that replicas share, caBundles, `audit`, `doctor` | scan, law, config |
//! | `cli` | verbs and wiring | all |
//!
//! # A walk
//!
//! 1. `server` reads the body of a POST, `cli review` cuts it from a stream.
//! 2. [`admission::review`] decodes it in one pass: what is not judged is skipped, what is judged is kept as the JSON
//!    text that was found ([`scan::Json`]), so no contents can fail the decode.
//! 3. At the validating door [`law::judge`] asks the rules; the ratchet softens what was so before. At the mutating
//!    door [`law::mend`] writes derived fields on our own copy.
//! 4. [`admission::reply`] encodes the verdict, the warnings and the patch.
//!
//! # Invariants
//!
//! - The core (scan, law, admission) cannot fail and cannot wait: no async, clock, environment, files or network; the
//!   time, the rules and the settings enter as values ([`admission::Context`]). It builds without the features.
//! - Every answer carries the uid of its request wherever one can be found.
//! - The mutating door never refuses, and a patch is applied to our own copy before it is sent.
//! - What a condition may say and what goes with a phase are tables of data; checks, mends and docs follow from them.
//! - Nothing is true in two places without a test that compares them.

#![warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used)]

pub mod admission;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "cluster")]
pub mod cluster;
#[cfg(feature = "server")]
pub mod config;
pub mod law;
pub mod scan;
#[cfg(feature = "server")]
pub mod server;
