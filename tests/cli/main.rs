//! The commands of the program, and the files that are made or described by them: pages, manifests, the configuration.

mod certs_cluster;
mod check;
mod config_file;
mod docs;
mod doctor;
mod generated_pages;
mod manifests;
mod monitoring;
mod review;
#[path = "../support"]
mod support {
    pub mod client;
    pub mod folder;
    pub mod page;
    pub mod process;
    pub mod session;
}
mod terminal_output;
