//! Tests of the program under overload, beside hostile clients, with failing log and file descriptors, and in long
//! runs.
//!
//! No assertion depends on a clock; durations are printed (`--nocapture`). `OVERLOAD_SECONDS`, `HOSTILE_SECONDS` and
//! `SOAK_REVIEWS` make the runs longer. With `--release` the figures are those of the installed program.

mod hostile_clients;
mod http2;
mod http2_attacks;
mod lost_resources;
mod overload;
mod soak;
#[path = "../support"]
mod support {
    pub mod client;
    pub mod count_names;
    pub mod fixtures;
    pub mod folder;
    pub mod frames;
    pub mod http;
    pub mod json_reply;
    pub mod pki;
    pub mod process;
    pub mod program;
    pub mod request_head;
    pub mod review_edits;
    pub mod waits;
}

use std::time::Duration;

use crate::support::folder::Folder;
use crate::support::process::Process;
use crate::support::program::command;
use crate::support::waits::metric;

const LEGAL: &str = "sourcescan-failed-5-completed.validate.json";
const LEGAL_UID: &str = "94f92d23-f99b-4ca9-84ee-0f8f20f961dd";
const UNFINISHED: &str = "scan_admission_bodies_unfinished";
const HELD: &str = "scan_admission_memory_held_bytes";
const IN_FLIGHT: &str = "scan_admission_reviews_in_flight";
const CONNECTIONS: &str = "scan_admission_connections";
/// The streams that an attack opens on a connection: as many as the server accepts before its settings have arrived.
const NORMAL_STREAMS: u32 = 64;
const RESIDENT: &str = "process_resident_memory_bytes";
const OPEN_FDS: &str = "process_open_fds";

/// Starts the program with a configuration.
fn start(folder: &Folder, config: &str) -> Process {
    std::fs::write(folder.join("config.yaml"), config).unwrap();
    Process::start(command(folder.path(), &["--config", "config.yaml"]), folder.join("errors"))
}

/// Returns a number from the environment, or the default.
fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

async fn sample(process: &Process, name: &str) -> f64 {
    metric(process.admin, name).await.unwrap_or_else(|| panic!("no {name}"))
}

/// Returns the median, the 99th percentile and the maximum, in milliseconds.
fn percentiles(latencies: &mut [Duration]) -> [f64; 3] {
    latencies.sort_unstable();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    [at(0.5), at(0.99), at(1.0)]
}
