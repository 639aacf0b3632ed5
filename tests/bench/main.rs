//! Measures the speed of the webhook, and that of other webhooks for comparison.
//!
//!     cargo bench                   all but the writes, in under 12 minutes; keeps the results in tests/bench/results.json
//!     cargo bench -- --quick        the same in under 1 minute and less precise; writes nothing
//!     cargo bench -- worst          the bodies that cost the most time per byte to judge, inside the process
//!     cargo bench -- replay         the replay of audit logs
//!     cargo bench -- writes         writes of a status through a real API server, with webhooks and with policies; kept, too
//!     cargo bench -- report         RESULTS.md, the chart and the sentence of README.md again, from results.json
//!     cargo bench -- train          the reviews of the profile that .ci/profile makes; measures nothing
//!     cargo bench -- core FILTER    only the stages inside the process, compared with the last run: `decode`, `answer/6 KB`, …
//!
//! The variable BINARY names the program to measure, instead of the one that cargo has built.
//!
//! `cargo test` takes no measurements. It tests that every contender answers every review correctly.

mod chart;
mod contender;
mod core;
mod figures;
mod load;
mod measure;
mod plan;
mod replay;
mod report;
mod results;
mod smoke;
mod train;
mod writes;
#[path = "../support"]
mod support {
    pub mod bodies;
    pub mod client;
    pub mod controlplane;
    pub mod folder;
    pub mod program;
    pub mod request_head;
    pub mod review_context;
    pub mod stages;
    pub mod worst_bodies;
}

use std::path::Path;
use std::process::ExitCode;

use plan::Plan;

use crate::support::bodies::Body;

/// The number of events in a log that is replayed.
const EVENTS: u64 = 1_000_000;
const QUICK_EVENTS: u64 = 100_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with("--")).collect();
    let has = |flag| args.iter().any(|arg| arg == flag);
    if let ["contender", name, certificate, key] = words[..] {
        contender::serve(name, Path::new(certificate), Path::new(key));
        return ExitCode::SUCCESS;
    }
    // `cargo bench` passes this flag, `cargo test` does not.
    if !has("--bench") {
        return smoke::run();
    }
    if let ["worst"] = words[..] {
        println!("{}", report::worst(&core::worst()));
        return ExitCode::SUCCESS;
    }
    if let ["train"] = words[..] {
        train::run();
        return ExitCode::SUCCESS;
    }
    if let ["report"] = words[..] {
        report::keep(&results::Results::read());
        return ExitCode::SUCCESS;
    }
    if let ["writes"] = words[..] {
        writes::run(has("--quick"));
        return ExitCode::SUCCESS;
    }
    if let ["replay"] = words[..] {
        replay::run(if has("--quick") { QUICK_EVENTS } else { EVENTS });
        return ExitCode::SUCCESS;
    }
    if let ["core", ref filter @ ..] = words[..] {
        core::run(&Body::all(), &filter.join(" "), has("--quick"));
        return ExitCode::SUCCESS;
    }
    let plan = if has("--quick") { Plan::QUICK } else { Plan::FULL };
    let counts = std::fs::read_to_string(report::root().join("tests/bench/counts.json")).expect("counts.json");
    let counts = serde_json::from_str(&counts).expect("counts.json is JSON");
    let results = plan.run().results(&counts, report::machine(), report::versions());
    println!("{}", report::markdown(&results));
    if plan.is_kept {
        report::keep(&results::Results { writes: results::Results::read().writes, ..results });
        replay::run(EVENTS);
    }
    ExitCode::SUCCESS
}
