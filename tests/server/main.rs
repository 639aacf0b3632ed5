//! Tests `serve` over real sockets, as a program or inside the test process: requests, limits, certificates, reloading.

mod cancellation;
mod certificate_files;
mod certificate_renewal;
mod certificates;
mod client_auth;
mod config_reload;
mod configuration;
mod connection_timeouts;
mod development_certificate;
mod event_series;
mod events;
mod fuzzed_inputs;
mod logs;
mod requests;
mod serve;
mod shared_ca;
mod sockets;
#[path = "../support"]
mod support {
    pub mod client;
    pub mod failed_start;
    pub mod fixtures;
    pub mod folder;
    pub mod frames;
    pub mod fuzz_corpus;
    pub mod fuzzed_connection;
    pub mod http;
    pub mod in_process;
    pub mod json_reply;
    pub mod panicking_rule;
    pub mod pki;
    pub mod process;
    pub mod program;
    pub mod request_head;
    pub mod review_context;
    pub mod reviews;
    pub mod signals;
    pub mod waits;
}
