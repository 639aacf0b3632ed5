//! Tests the commands of the program and the files that are generated or described by them: pages, manifests, the
//! configuration.

mod certs_cluster;
mod check;
mod config_file;
mod docs;
mod doctor;
mod fix;
mod fuzzed_inputs;
mod generated_pages;
mod kubectl_reader;
mod manifests;
mod monitoring;
mod packages;
mod playground;
mod policies;
mod release;
mod replay;
mod reports;
mod review;
mod scan_view;
#[path = "../support"]
mod support {
    pub mod client;
    pub mod count_names;
    pub mod failed_start;
    pub mod fixtures;
    pub mod folder;
    pub mod fuzz_corpus;
    pub mod fuzzed_audit_log;
    pub mod fuzzed_config;
    pub mod fuzzed_manifest;
    pub mod fuzzed_pem;
    pub mod http;
    pub mod page;
    pub mod process;
    pub mod program;
    pub mod review_context;
    pub mod review_edits;
    pub mod reviews;
    pub mod session;
    pub mod signals;
}
mod terminal_output;
