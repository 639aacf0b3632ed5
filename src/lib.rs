//! An admission webhook that keeps the status of supply-chain scans consistent.
//!
//! The function [`admission::answer`] takes the bytes of an AdmissionReview and returns the bytes of the answer,
//! decided by a table of rules. All other code either calls this function (the server, the command line) or is
//! generated from the table (docs, reports).
//!
//! # The modules
//!
//! Each module imports only those below it.
//!
//! | module | what it is | feature |
//! |---|---|---|
//! | [`cli`] | the command line: one file per command, from its flags to its exit code | `server` |
//! | [`docs`] | the pages and pictures that are generated from tables: rules, how a status is judged, configuration, checks of `doctor` | `server` |
//! | [`doctor`] | the checks of an installation | `cluster` |
//! | [`install`] | the manifests, the Helm chart and the Grafana dashboard | `server` |
//! | [`cluster`] | the client of the API server: the CA controller, caBundles, listing, the watch of scans, their reports and Events | `cluster` |
//! | [`server`] | the HTTPS server: connections, limits, memory, handler, health, metrics | `server` |
//! | [`policies`] | the admission policies in CEL, generated from the rules | `server` |
//! | [`offline`] | outside a request: judging scans in documents, stored scans and writes in audit logs; fixing documents | `files` |
//! | [`report`] | findings in documents and in a cluster, as text, JSON, SARIF, JUnit XML and more; the page of a scan; differences between files | `files` |
//! | [`config`] | the configuration file | `server` |
//! | [`manifest`] | YAML and JSON documents, with positions, and edits of them | `files` |
//! | [`tls`] | certificates: PEM and caBundles, dates and usages, verification, CAs, watched files | `server` |
//! | [`admission`] | `answer`: decode a review, validate or mutate, encode the reply | – |
//! | [`rules`] | the rules: [`rules::RULES`], one file per rule, and the tables behind them | – |
//! | [`engine`] | applying the rules: `validate`, `mutate`, the comparison with the old object, the ratchet, modes | – |
//! | [`scan`] | the data model of a scan: borrowed wire types, both spellings, fields, stale conditions | – |
//!
//! # Where to add
//!
//! | to add | edit |
//! |---|---|
//! | a rule | a file in `src/rules/` and its two lines in `src/rules.rs` ([`engine::Rule`]) |
//! | a permitted content of a condition, a permitted state of a phase | a row in [`rules::tables`] |
//! | a judged field | its type in [`scan`], its path in [`scan::field`] |
//! | a twin of a rule in CEL | a function in [`rules::cel`], named in the rule's [`cel`](engine::Rule::cel) |
//! | a metric | [`server::metrics`], or [`cluster::scan_metrics`] for one of stored scans |
//! | a command | a file in `src/cli/`, its variant and its arm in `src/cli.rs` |
//! | a flag of a command | the command's file in `src/cli/` (`serve` has groups of flags in `src/cli/serve/`); a shared flag in `src/cli/flags/` |
//! | a member of the configuration | `src/config/file.rs`, or [`config::limits`] for a limit; an example in `src/docs/config.example.yaml` |
//! | a check of `doctor` | a row of a table in `src/doctor/checks/` ([`doctor::Check`]), its sabotage in `tests/cluster/doctor.rs` |
//! | a check of a certificate | [`tls::verify`] for a server's, [`tls::client_auth`] for a client's, [`tls::key_pair`] for one that is about to be served, [`tls::bundle`] for a caBundle |
//! | a limit | [`server::limits`] if it is fixed, [`config::limits`] if it is configurable; the size of a body is [`admission::BODY_MAX_BYTES`] |
//! | a format of reports | a file in `src/report/` that implements [`report::Report`], its variant in [`report::format`] and its arm in [`report::reports`] |
//! | an alert, a manifest | its template in `src/install/`, its rows in [`install`] and [`install::chart`] |
//! | a value of the chart | a row in `src/install/chart/values.table.yaml` |
//! | a generated page | [`docs`] |
//!
//! To write the generated pages and manifests, run `UPDATE=1 cargo test --test cli`.
//! CONTRIBUTING.md has the steps for a rule and for a check.
//!
//! # How a review is answered
//!
//! 1. [`server::handler`] reads the body of a POST into [`server::memory`]. [`server::review`] judges a short body on the
//!    same thread, and a long body on a thread of its own. The command `review` reads reviews from a stream.
//! 2. [`admission::review`] decodes the body in one pass. Fields that no rule judges are skipped. A judged string is
//!    decoded once, and any other judged value is kept as its JSON text ([`scan::Json`]), so no content of an object can
//!    make the decoding fail.
//! 3. For the validating webhook, [`engine::validate`](engine::validate()) applies the rules, and the ratchet downgrades
//!    errors that the old object already had. For the mutating webhook, [`engine::mutate`](engine::mutate()) writes
//!    derived fields to our own copy of the object.
//! 4. [`admission::reply`] encodes the decision, the warnings and the patch. If the context asks for it, the answer has an
//!    [`admission::event`] about the scan.
//! 5. When the answer has left, its Event enters the queue of [`server::events`], from which [`cluster::events`] writes it.
//!
//! # Invariants
//!
//! - The core ([`scan`], [`engine`], [`rules`], [`admission`]) neither fails nor blocks. It uses no async, clock,
//!   environment, files or network; the time, the rules and the settings are arguments ([`admission::Context`]). It
//!   builds without features.
//! - Every answer has the uid of its request wherever one can be found.
//! - The mutating webhook never denies, and a patch is applied to our own copy before it is sent.
//! - The permitted contents of conditions and states of phases are tables of data, from which checks, mutations and docs
//!   follow.
//! - Imports between files form no cycle, except between a module and its own children.
//! - A fact that is written in two places has a test that compares them.

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
#[cfg(feature = "server")]
pub mod policies;
#[cfg(feature = "files")]
pub mod report;
pub mod rules;
pub mod scan;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod tls;
