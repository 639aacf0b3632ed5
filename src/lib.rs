//! The admission webhook that keeps the status of supply-chain scans true.
//!
//! Bytes of an AdmissionReview in, bytes of an AdmissionReview out, decided by a table of rules. Everything else (TLS, the
//! cluster, the command line, reports) is made from that table or leads to that one function, [`admission::answer`].
//!
//! # The modules
//!
//! Each module imports only those below it.
//!
//! | module | what it is | feature |
//! |---|---|---|
//! | [`cli`] | the command line: one file a command, flags in, exit code out | `server` |
//! | [`docs`] | the pages that are made from tables: rules, how it decides, configuration, checks of `doctor` | `server` |
//! | [`doctor`] | the checks of an installation | `cluster` |
//! | [`install`] | the manifests and the Grafana dashboard | `server` |
//! | [`cluster`] | the API server's side: the CA controller, caBundles, listing | `cluster` |
//! | [`server`] | the HTTPS server: connections, limits, memory, handler, health, metrics | `server` |
//! | [`offline`] | judging outside a request: scans in documents, and scans that are stored | `files` |
//! | [`report`] | findings in documents and in a cluster, as text and JSON | `files` |
//! | [`config`] | the configuration file | `server` |
//! | [`manifest`] | documents of YAML and JSON, with positions | `files` |
//! | [`tls`] | certificates: PEM and caBundles, dates and usages, verification, CAs, watched files | `server` |
//! | [`admission`] | `answer`: decode a review, validate or mutate, encode the reply | – |
//! | [`rules`] | what a status may say: [`rules::RULES`], one file a rule, and the tables behind them | – |
//! | [`engine`] | how rules are asked: `validate`, `mutate`, the comparison with the old object, the ratchet, modes | – |
//! | [`scan`] | what a scan is: borrowed wire types, both spellings, fields, stale conditions | – |
//!
//! # Where to add
//!
//! | what | where |
//! |---|---|
//! | a rule | a file in `src/rules/` and its two lines in `src/rules.rs` ([`engine::Rule`]) |
//! | what a condition may say, what goes with a phase | a row in [`rules::tables`] |
//! | a judged field | its type in [`scan`], its path in [`scan::field`] |
//! | a metric | [`server::metrics`] |
//! | a command | a file in `src/cli/`, its variant and its arm in `src/cli.rs` |
//! | a flag of a command | the command's file in `src/cli/` (`serve` has groups of flags in `src/cli/serve/`); one of several commands in `src/cli/flags/` |
//! | a member of the configuration | `src/config/file.rs`, or [`config::limits`] for a limit; its lines in `src/docs/config.example.yaml` |
//! | a check of `doctor` | a row of a table in `src/doctor/checks/` ([`doctor::Check`]), its sabotage in `tests/cluster/doctor.rs` |
//! | a check of a certificate | [`tls::verify`] for a server's, [`tls::client_auth`] for a client's, [`tls::key_pair`] before one is served, [`tls::bundle`] for a caBundle |
//! | a limit | [`server::limits`] where it is fixed, [`config::limits`] where it is configured; the size of a body is [`admission::BODY_MAX_BYTES`] |
//! | a format of report | a variant of [`report::format`], and an arm where the compiler then asks for one: in `src/report/`, `src/doctor/report.rs` and `src/cli/review.rs` |
//! | an alert, a manifest | its template in `src/install/`, its row in [`install`] |
//! | a generated page | [`docs`] |
//!
//! Generated pages and manifests are written by `UPDATE=1 cargo test --test cli`; CONTRIBUTING.md has
//! the steps for a rule and for a check.
//!
//! # The walk of a review
//!
//! 1. [`server::handler`] reads the body of a POST into [`server::memory`], and [`server::review`] has it judged: on the same
//!    thread, or on one of its own if it is long. `review` on the command line reads it from a stream.
//! 2. [`admission::review`] decodes it in one pass. Fields that are not judged are skipped. A judged string is decoded once, and
//!    any other judged value is kept as its JSON text ([`scan::Json`]), so no contents of an object can fail the decode.
//! 3. At the validating webhook [`engine::validate`](engine::validate()) asks the rules, and the ratchet downgrades errors
//!    that were there before. At the mutating webhook [`engine::mutate`](engine::mutate()) writes derived fields on our own
//!    copy.
//! 4. [`admission::reply`] encodes the decision, the warnings and the patch.
//!
//! # Invariants
//!
//! - The core ([`scan`], [`engine`], [`rules`], [`admission`]) cannot fail and cannot wait: no async, clock, environment, files
//!   or network; the time, the rules and the settings enter as values ([`admission::Context`]). It builds without features.
//! - Every answer carries the uid of its request wherever one can be found.
//! - The mutating webhook never denies, and a patch is applied to our own copy before it is sent.
//! - What a condition may say and what goes with a phase are tables of data; checks, mutations and docs follow from them.
//! - No two files import each other in a circle, a module and its own children aside.
//! - Nothing is true in two places without a test that compares them.

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
