//! `serve` over real sockets, as a program or in the process of the test: requests, limits, certificates, reloading.

mod certificate_files;
mod certificate_renewal;
mod client_auth;
mod config_reload;
mod configuration;
mod connection_timeouts;
mod development_certificate;
mod logs;
mod requests;
mod serve;
mod shared_ca;
#[path = "../support"]
mod support {
    pub mod client;
    pub mod folder;
    pub mod frames;
    pub mod in_process;
    pub mod objects;
    pub mod panicking_rule;
    pub mod pki;
    pub mod process;
}
