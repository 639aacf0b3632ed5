//! Formats the results as Markdown: on the terminal, in tests/bench/RESULTS.md, and as a sentence in README.md.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use procfs::{CpuInfo, Current as _, Meminfo};
use serde_json::Value;

use crate::figures::{AT_ONCE, CONTENDERS, CONTROLLER_RUNTIME, Cell, Figures, Goal, KUBE, MIB, OURS, Spread};
use crate::measure::{Latency, Sample};
use crate::support::bodies::Body;

/// The marks around the sentence in README.md.
pub const MARKS: [&str; 2] = ["<!-- cargo bench writes this -->\n\n", "\n<!-- until here -->"];

const EXPLAINED: &str = "\
What each does: *floor* is axum and rustls with our settings, and answers a constant when it has received the body.
*kube-rs* is the same server; it decodes the body to `AdmissionReview<DynamicObject>` and checks the total.
*controller-runtime* decodes both objects to unstructured and checks the total, the phase and a few types. Ours evaluates
all rules and compares with the old object: **the last two do less work**. The load generator and the servers share the
machine, so the reviews per second measure both. Latencies are measured at half of that rate, from the time at which a
review is due, whether or not the reviews before it are answered. For the peak, ours runs with `bodiesBytes: 256Mi`,
since 64 bodies of 1.1 MB are a little more than the default allows.";

/// Prints the results, and writes them to files if they are kept.
pub fn show(figures: &Figures, is_kept: bool) {
    let text = results(figures);
    println!("{text}");
    if is_kept {
        let readme = fs::read_to_string(readme_path()).expect("README.md");
        let (before, _, after) = around(&readme).expect("README.md has the marks");
        fs::write(readme_path(), format!("{before}{}{after}", headline(figures))).expect("README.md");
        let (_, writes) = split_results();
        fs::write(results_path(), text + &writes).expect("RESULTS.md");
    }
}

/// The heading of the results of `cargo bench -- writes`, at the end of RESULTS.md.
const WRITES: &str = "\n## What a write of a status costs\n";

/// Returns RESULTS.md up to the results of `cargo bench -- writes`, and these.
fn split_results() -> (String, String) {
    let text = fs::read_to_string(results_path()).expect("RESULTS.md");
    let at = text.find(WRITES).unwrap_or(text.len());
    (text[..at].to_owned(), text[at..].to_owned())
}

/// Writes the results of `cargo bench -- writes`.
pub fn keep_writes(tables: &str) {
    let (before, _) = split_results();
    let command = format!("\nWritten by `cargo bench -- writes` on {}; do not edit.\n\n{}\n", machine(), versions());
    fs::write(results_path(), before + WRITES + &command + "\n" + tables).expect("RESULTS.md");
}

pub fn results_path() -> PathBuf {
    root().join("tests/bench/RESULTS.md")
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn results(figures: &Figures) -> String {
    let counts = fs::read_to_string(root().join("tests/bench/counts.json")).expect("counts.json");
    let counts: Value = serde_json::from_str(&counts).expect("counts.json is JSON");
    let mut out = String::from("# What a review costs\n\nWritten by `cargo bench`; do not edit.\n\n");
    let _ = writeln!(out, "{}", headline(figures));
    out += &table(figures);
    if let Some(why) = &figures.missing {
        let _ = writeln!(out, "\n{CONTROLLER_RUNTIME} is missing: {why}.");
    }
    let _ = writeln!(out, "\n{EXPLAINED}\n\n{}\n", versions());
    let _ = writeln!(
        out,
        "## Goals\n\nEach ratio compares values of the same round. The median of all rounds is followed by the lowest and the highest.\n"
    );
    out += "| goal | limit | measured | |\n|---|---|---|---|\n";
    for Goal { what, limit, measured, is_reached } in figures.goals(&counts) {
        let result = match is_reached {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "not measured",
        };
        let _ = writeln!(out, "| {what} | {limit} | {measured} | {result} |");
    }
    out += "\n## Side by side\n\nHTTP/1.1, 8 connections. The median of all rounds is followed by the lowest and the highest.\n\n";
    side_by_side(figures, &mut out);
    out += "\n## In process\n\n";
    in_process(figures, &counts, &mut out);
    out += "\n## All cases of ours\n\n";
    matrix(figures, &mut out);
    out
}

/// Returns the sentence of README.md, on one line.
fn headline(figures: &Figures) -> String {
    let [ours, kube, controller_runtime] = [OURS, KUBE, CONTROLLER_RUNTIME].map(|contender| {
        let spread = figures.spread(contender, Cell::Allowed6Kb, |sample| sample.cpu_micros);
        spread.map_or("–".to_owned(), |spread| format!("{:.0} µs", spread.median))
    });
    format!(
        "A status update of 6 KB costs {ours} of CPU. A webhook with kube-rs takes {kube}, one with controller-runtime \
         {controller_runtime}.\n"
    )
}

/// Returns a table of the main results.
fn table(figures: &Figures) -> String {
    let mut out = format!("| status update, HTTP/1.1 | {} |\n|---|{}\n", CONTENDERS.join(" | "), "---|".repeat(4));
    let mut row = |what: &str, of: &dyn Fn(&'static str) -> Option<String>| {
        let cells = CONTENDERS.map(|contender| of(contender).unwrap_or("–".to_owned()));
        let _ = writeln!(out, "| {what} | {} |", cells.join(" | "));
    };
    for (cell, size) in [(Cell::Allowed6Kb, "6 KB"), (Cell::Allowed110Kb, "110 KB"), (Cell::Allowed1Mb, "1.1 MB")] {
        let cpu =
            |contender| Some(format!("{:.0} µs", figures.spread(contender, cell, |sample| sample.cpu_micros)?.median));
        row(&format!("{size}: CPU per review"), &cpu);
    }
    let p99 = |contender| Some(format!("{:.0} µs", figures.spread(contender, Cell::Allowed6Kb, p99)?.median));
    row("6 KB: p99 at half of capacity", &p99);
    let start = |contender| {
        let starts = figures.processes.get(contender)?.starts.iter().map(|start| start.as_secs_f64() * 1e3);
        Some(format!("{:.0} ms", Spread::of(starts)?.median))
    };
    row("start to first answer", &start);
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / MIB);
    let resident = |contender| Some(mib(figures.processes.get(contender)?.resident_bytes));
    row(&format!("resident after {} reviews of 6 KB", figures.reviews), &resident);
    row(&format!("peak with {AT_ONCE} concurrent bodies of 1.1 MB"), &|contender| {
        Some(mib(figures.processes.get(contender)?.peak_bytes))
    });
    row("binary", &|contender| figures.processes.get(contender)?.binary_bytes.map(mib));
    let _ = writeln!(out, "\n`cargo bench` on {}.", machine());
    out
}

fn p99(sample: &Sample) -> f64 {
    sample.latency.map_or(f64::NAN, |latency| latency.p99_micros)
}

fn side_by_side(figures: &Figures, out: &mut String) {
    *out +=
        "| review | | CPU µs | × floor | reviews/s | p50 µs | p99 µs | p99.9 µs |\n|---|---|--:|--:|--:|--:|--:|--:|\n";
    for cell in Cell::ALL.into_iter().chain(Cell::OURS) {
        let cold = if cell == Cell::Cold { ", new connections" } else { "" };
        let name = cell.body().name();
        for contender in CONTENDERS {
            let shown = |of: fn(&Sample) -> f64| {
                let Some(Spread { median, low, high }) = figures.spread(contender, cell, of) else {
                    return "–".to_owned();
                };
                if median.is_nan() { "–".to_owned() } else { format!("{median:.0} ({low:.0}–{high:.0})") }
            };
            let Some(cpu) = figures.spread(contender, cell, |sample| sample.cpu_micros) else { continue };
            let floor = figures.spread(CONTENDERS[0], cell, |sample| sample.cpu_micros);
            let times = floor.map_or("–".to_owned(), |floor| format!("{:.2}", cpu.median / floor.median));
            let per_second = shown(|sample| sample.per_second);
            let latency = [
                shown(|sample| sample.latency.map_or(f64::NAN, |latency| latency.p50_micros)),
                shown(p99),
                shown(|sample| sample.latency.map_or(f64::NAN, |latency| latency.p999_micros)),
            ];
            let cpu = format!("{:.1} ({:.1}–{:.1})", cpu.median, cpu.low, cpu.high);
            let _ = writeln!(
                out,
                "| {name}{cold} | {contender} | {cpu} | {times} | {per_second} | {} |",
                latency.join(" | ")
            );
        }
    }
}

fn in_process(figures: &Figures, counts: &Value, out: &mut String) {
    *out += "Medians on one thread, with half of their 95 % confidence intervals. `answer` is the whole\n\
             function. The allocations are those of tests/bench/counts.json, which `cargo test` compares.\n\n\
             | review | decode µs | validate or mutate µs | encode µs | answer µs | ± | reviews/s | MB/s | allocations |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for body in Body::all() {
        let name = body.name();
        let cost = |stage: &str| figures.costs.get(&(name.clone(), stage.to_owned()));
        let micros =
            |stage: &str| cost(stage).map_or("–".to_owned(), |cost| format!("{:.1}", cost.median_nanos / 1e3));
        let Some(answer) = cost("answer") else { continue };
        let judge = if cost("validate").is_some() { "validate" } else { "mutate" };
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {:.1} | {:.0} | {:.0} | {} |",
            micros("decode"),
            micros(judge),
            micros("encode"),
            micros("answer"),
            answer.spread_nanos / 1e3,
            1e9 / answer.median_nanos,
            body.text.len() as f64 * 1e3 / answer.median_nanos,
            counts[&name]["answer"],
        );
    }
}

fn matrix(figures: &Figures, out: &mut String) {
    *out += "| review | protocol | connections | CPU µs | reviews/s | p50 µs | p99 µs | p99.9 µs |\n|---|---|--:|--:|--:|--:|--:|--:|\n";
    for row in &figures.matrix {
        let connections = row.connections.map_or("new".to_owned(), |count| count.to_string());
        let Sample { cpu_micros, per_second, latency } = row.sample;
        let latency =
            latency.map_or("– | – | –".to_owned(), |Latency { p50_micros, p99_micros, p999_micros }| {
                format!("{p50_micros:.0} | {p99_micros:.0} | {p999_micros:.0}")
            });
        let (body, protocol) = (&row.body, row.protocol);
        let _ =
            writeln!(out, "| {body} | {protocol} | {connections} | {cpu_micros:.1} | {per_second:.0} | {latency} |");
    }
}

/// Describes the machine without its name.
fn machine() -> String {
    let cpus = CpuInfo::current().expect("Linux reports it");
    let model = cpus.model_name(0).unwrap_or("an unknown processor").trim().to_owned();
    let memory = Meminfo::current().expect("Linux reports it").mem_total;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: String = kernel.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let cores = cpus.num_cores();
    format!("{model}, {cores} cores, {:.0} GiB, Linux {kernel}", memory as f64 / (1 << 30) as f64)
}

/// Returns the versions of our program and of the libraries that the servers use.
fn versions() -> String {
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
