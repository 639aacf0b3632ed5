//! Formats the results: as Markdown on the terminal and in tests/bench/RESULTS.md, as a chart, and as a sentence in README.md.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use procfs::{CpuInfo, Current as _, Meminfo};

use crate::chart;
use crate::figures::{AT_ONCE, CONTENDERS, CONTROLLER_RUNTIME, Cell, KUBE, MIB, OURS};
use crate::results::{ContenderRow, Goal, Results, SideRow, Spread, WorstRow, WriteResults, WriteRow};

/// The marks around the sentence in README.md.
pub const MARKS: [&str; 2] = ["<!-- cargo bench writes this -->\n\n", "\n<!-- until here -->"];

const EXPLAINED: &str = "\
What each does: *floor* is axum and rustls with our settings, and answers a constant when it has received the body.
*kube-rs* is the same server; it decodes the body to `AdmissionReview<DynamicObject>` and checks the total.
*controller-runtime* decodes both objects to unstructured and checks the total, the phase and a few types. Ours evaluates
all rules and compares with the old object: **the last two do less work**.

CPU is measured twice. Our own client checks every answer. It takes most of a core, so on two cores the server shares its caches
with the client and often waits. h2load only checks the code of an answer and takes a quarter of a core, so that the server is never
idle. The first is closer to a busy node, and the second to a busy server.

Latencies are measured at half of the rate that is reached, from the time at which a review is due, whether or not the reviews before
it are answered. For the peak, ours runs with `bodiesBytes: 256Mi`, since 64 bodies of 1.1 MB are a little more than the default allows.";

const WRITES_EXPLAINED: &str = "\
A client updates the status of scans like that of the 6 KB review with a merge patch. *API server* and *webhook* are the processor
time of a write; the API server has its etcd in the same process, and is built without inlining, so a released one takes less.
*Added* is the difference to no admission, and *× floor* the ratio to a floor with as many calls, each in the same
round. The median of all rounds is followed by the lowest and the highest. A latency is measured from the time at which a write is
due. kube-rs and controller-runtime have one webhook and do less work, ours has two.";

/// The number of the worst bodies in RESULTS.md.
const WORST: usize = 10;

/// Writes the files of the results: results.json, and those that are made of it.
pub fn keep(results: &Results) {
    results.write();
    let readme = fs::read_to_string(readme_path()).expect("README.md");
    let (before, _, after) = around(&readme).expect("README.md has the marks");
    fs::write(readme_path(), format!("{before}{}{after}", headline(results))).expect("README.md");
    fs::write(results_path(), markdown(results)).expect("RESULTS.md");
    if let Some(writes) = &results.writes {
        fs::write(chart_path(), chart::svg(writes)).expect("writes.svg");
    }
}

pub fn results_path() -> PathBuf {
    root().join("tests/bench/RESULTS.md")
}

pub fn chart_path() -> PathBuf {
    root().join("tests/bench/writes.svg")
}

pub fn readme_path() -> PathBuf {
    root().join("README.md")
}

/// Returns README.md up to and including the first mark, the sentence, and the rest from the second mark.
pub fn around(readme: &str) -> Option<(&str, &str, &str)> {
    let begin = readme.find(MARKS[0])? + MARKS[0].len();
    let end = begin + readme[begin..].find(MARKS[1])?;
    Some((&readme[..begin], &readme[begin..end], &readme[end..]))
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns RESULTS.md.
pub fn markdown(results: &Results) -> String {
    let mut out = String::from(
        "# What a review costs\n\nWritten by `cargo bench`; do not edit. [results.json](results.json) has all figures.\n\n",
    );
    let _ = writeln!(out, "{}", headline(results));
    if results.writes.is_some() {
        out +=
            "![The processor time that admission adds to a write of a status, by the rate of writes](writes.svg)\n\n";
    }
    contenders(results, &mut out);
    if let Some(why) = &results.missing {
        let _ = writeln!(out, "\n{CONTROLLER_RUNTIME} is missing: {why}.");
    }
    let _ = writeln!(out, "\n{EXPLAINED}\n\n{}\n", results.versions);
    goals(results, &mut out);
    if let Some(writes) = &results.writes {
        self::writes(writes, &mut out);
    }
    stages(results, &mut out);
    if !results.worst.is_empty() {
        out += &worst(&results.worst);
    }
    out
}

/// Returns the sentence of README.md, on one line.
pub fn headline(results: &Results) -> String {
    let [ours, kube, controller_runtime] = [OURS, KUBE, CONTROLLER_RUNTIME].map(|contender| {
        let row = side_row(results, contender, Cell::Allowed6Kb);
        row.map_or("–".to_owned(), |row| format!("{:.0} µs", row.cpu_micros.median))
    });
    format!(
        "A status update of 6 KB costs {ours} of CPU. A webhook with kube-rs takes {kube}, one with controller-runtime \
         {controller_runtime}.\n"
    )
}

fn side_row<'r>(results: &'r Results, contender: &str, cell: Cell) -> Option<&'r SideRow> {
    let review = cell.body().name();
    let is_cold = cell == Cell::Cold;
    results.side_by_side.iter().find(|row| row.contender == contender && row.review == review && row.is_cold == is_cold)
}

/// Adds the table of the main results.
fn contenders(results: &Results, out: &mut String) {
    let _ = writeln!(out, "| status update, HTTP/1.1 | {} |\n|---|{}", CONTENDERS.join(" | "), "---|".repeat(4));
    let mut row = |what: &str, of: &dyn Fn(&'static str) -> Option<String>| {
        let cells = CONTENDERS.map(|contender| of(contender).unwrap_or("–".to_owned()));
        let _ = writeln!(out, "| {what} | {} |", cells.join(" | "));
    };
    let micros = |value: f64| format!("{value:.0} µs");
    let cells = [(Cell::Allowed6Kb, "6 KB"), (Cell::Allowed110Kb, "110 KB"), (Cell::Allowed1Mb, "1.1 MB")];
    for (cell, size) in cells {
        row(&format!("{size}: CPU, our client"), &|contender| {
            Some(micros(side_row(results, contender, cell)?.cpu_micros.median))
        });
        row(&format!("{size}: CPU, h2load"), &|contender| {
            Some(micros(side_row(results, contender, cell)?.h2load_cpu_micros?.median))
        });
    }
    row("6 KB, a new connection for each: CPU", &|contender| {
        Some(micros(side_row(results, contender, Cell::Cold)?.cpu_micros.median))
    });
    row("6 KB: p99 at half of capacity", &|contender| {
        Some(micros(side_row(results, contender, Cell::Allowed6Kb)?.p99_micros?.median))
    });
    let process = |contender: &str| results.contenders.iter().find(|row| row.contender == contender);
    row("start to first answer", &|contender| Some(format!("{:.0} ms", process(contender)?.start_millis.median)));
    let mib = |contender: &str, bytes: fn(&ContenderRow) -> Option<u64>| {
        Some(format!("{:.1} MiB", bytes(process(contender)?)? as f64 / MIB))
    };
    row(&format!("resident after {} reviews of 6 KB", results.reviews), &|contender| {
        mib(contender, |row| Some(row.resident_bytes))
    });
    row(&format!("peak with {AT_ONCE} concurrent bodies of 1.1 MB"), &|contender| {
        mib(contender, |row| Some(row.peak_bytes))
    });
    row("binary", &|contender| mib(contender, |row| row.binary_bytes));
    let _ = writeln!(out, "\n`cargo bench` on {}.", results.machine);
}

fn goals(results: &Results, out: &mut String) {
    *out += "## Goals\n\nEach ratio compares values of the same round. The median of all rounds is followed by the lowest and the highest.\n\n";
    *out += "| goal | limit | measured | |\n|---|---|---|---|\n";
    for Goal { what, limit, measured, is_reached } in &results.goals {
        let result = match is_reached {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "not measured",
        };
        let _ = writeln!(out, "| {what} | {limit} | {measured} | {result} |");
    }
    *out += "\n";
}

/// Returns the name of a rate of writes.
pub fn rate_name(rate: Option<u64>) -> String {
    rate.map_or("As many writes as possible".to_owned(), |rate| format!("{rate} writes a second"))
}

/// Adds the results of `cargo bench -- writes`.
pub fn writes(results: &WriteResults, out: &mut String) {
    let WriteResults { machine, versions, rates, idle, memory } = results;
    let _ = writeln!(
        out,
        "## What a write of a status costs\n\n{WRITES_EXPLAINED}\n\n`cargo bench -- writes` on {machine}. {versions}\n"
    );
    for rate in rates {
        let _ = writeln!(
            out,
            "### {}\n\n| | API server µs | added µs | webhook µs | × floor | writes/s | p50 ms | added | p99 ms | added |\n|---|{}",
            rate_name(rate.rate),
            "--:|".repeat(9)
        );
        for row in &rate.rows {
            let WriteRow { setup, api_server_micros, added_micros, webhook_micros, times_floor, per_second, .. } = row;
            let optional = |value: &Option<_>, digits| {
                value.as_ref().map_or("–".to_owned(), |spread: &Spread| spread.text(digits))
            };
            let _ = writeln!(
                out,
                "| {setup} | {} | {} | {} | {} | {:.0} | {} | {:.1} | {} | {:.1} |",
                api_server_micros.text(0),
                added_micros.text(0),
                optional(webhook_micros, 0),
                optional(times_floor, 2),
                per_second.median,
                row.p50_millis.text(1),
                row.added_p50_millis.median,
                row.p99_millis.text(1),
                row.added_p99_millis.median,
            );
        }
        *out += "\n";
    }
    *out += "### Without writes\n\n| | processor time an hour | share of a core |\n|---|--:|--:|\n";
    for row in idle {
        let seconds = row.seconds_an_hour;
        let _ = writeln!(out, "| {} | {seconds:.2} s | {:.3} % |", row.server, seconds / 36.0);
    }
    if let Some(memory) = memory {
        let _ = writeln!(
            out,
            "\nThe resident memory of ours was {:.1} MiB after {} reviews, and {:.1} MiB after {}, which are two for each write of a \
             day at 20 a second.",
            memory.first_bytes as f64 / MIB,
            memory.first_reviews,
            memory.last_bytes as f64 / MIB,
            memory.last_reviews
        );
    }
    *out += "\n";
}

fn stages(results: &Results, out: &mut String) {
    *out += "## In process\n\nMedians on one thread. `answer` is the whole function. The allocations are those of counts.json, which `cargo test` \
             compares.\n\n| review | decode µs | validate or mutate µs | encode µs | answer µs | allocations |\n|---|--:|--:|--:|--:|--:|\n";
    let small = Cell::Allowed6Kb.body().text.len() as u64;
    for row in results.stages.iter().filter(|row| row.bytes < 2 * small) {
        let _ = writeln!(
            out,
            "| {} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
            row.review, row.decode, row.judge, row.encode, row.answer, row.allocations
        );
    }
    *out += "\n";
}

/// Returns a table of the worst bodies.
pub fn worst(rows: &[WorstRow]) -> String {
    let mut out = String::new();
    let mut all: Vec<&WorstRow> = rows.iter().collect();
    let most = |row: &WorstRow| row.validating_nanos_a_byte.max(row.mutating_nanos_a_byte);
    all.sort_by(|a, b| most(b).total_cmp(&most(a)));
    let _ = writeln!(
        out,
        "## The worst bodies\n\nThe {WORST} bodies of {} that cost the most time for each byte, in process.\n\n\
         | body | KB | ns a byte, validating | ns a byte, mutating |\n|---|--:|--:|--:|",
        all.len()
    );
    for row in all.iter().take(WORST) {
        let _ = writeln!(
            out,
            "| {} | {:.0} | {:.1} | {:.1} |",
            row.body,
            row.bytes as f64 / 1e3,
            row.validating_nanos_a_byte,
            row.mutating_nanos_a_byte
        );
    }
    out
}

/// Describes the machine without its name.
pub fn machine() -> String {
    let cpus = CpuInfo::current().expect("Linux reports it");
    let model = cpus.model_name(0).unwrap_or("an unknown processor").trim().to_owned();
    let memory = Meminfo::current().expect("Linux reports it").mem_total;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: String = kernel.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let cores = cpus.num_cores();
    format!("{model}, {cores} cores, {:.0} GiB, Linux {kernel}", memory as f64 / (1 << 30) as f64)
}

/// Returns the versions of our program and of the libraries that the servers use.
pub fn versions() -> String {
    let output_of = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let lock = include_str!("../../Cargo.lock");
    let of = |name: &str| {
        let after = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).expect("Cargo.lock has it").1;
        format!("{name} {}", after.split_once('"').expect("a version").0)
    };
    let crates = ["scan-admission", "axum", "hyper", "tokio", "rustls", "serde_json", "kube"].map(of).join(", ");
    let modules = include_str!("controller-runtime/go.mod");
    let line = modules.lines().find(|line| line.contains("sigs.k8s.io/controller-runtime ")).expect("go.mod has it");
    let rust = output_of("rustc", "--version").unwrap_or_default();
    let go = output_of("go", "version")
        .map(|version| version.replace("go version ", ""))
        .unwrap_or_else(|| "no Go".to_owned());
    format!("Versions: {crates}; {rust}; {}; {go}.", line.trim())
}
