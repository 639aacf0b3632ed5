//! Measures the stages of a review inside the process, with criterion.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use scan_admission::admission::{self, Webhook};
use serde_json::Value;

use crate::results::{WorstRow, rounded};
use crate::support::bodies::Body;
use crate::support::review_context::context;
use crate::support::{stages, worst_bodies};

/// The measured time of one stage.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub median_nanos: f64,
    /// Half of the 95 % confidence interval of the median.
    pub spread_nanos: f64,
}

/// The costs by the name of the body and of the stage.
pub type Costs = BTreeMap<(String, String), Cost>;

/// Measures every stage whose id, such as `decode/6 KB, allowed, validating`, contains `filter`.
pub fn run(bodies: &[Body], filter: &str, is_quick: bool) -> Costs {
    let millis = |full, quick| Duration::from_millis(if is_quick { quick } else { full });
    let mut criterion = Criterion::default()
        .output_directory(&folder())
        .warm_up_time(millis(100, 5))
        .measurement_time(millis(300, 30))
        .sample_size(if is_quick { 10 } else { 30 })
        .nresamples(if is_quick { 1001 } else { 10_000 })
        .without_plots();
    let mut costs = Costs::new();
    for body in bodies {
        stages::each(body, &context(body.webhook), |stage, run| {
            let name = body.name();
            if !format!("{stage}/{name}").contains(filter) {
                return;
            }
            let mut group = criterion.benchmark_group(stage);
            group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: body.text.len() as u64 });
            group.bench_function(&name, |bencher| bencher.iter(&mut *run));
            group.finish();
            costs.insert((name.clone(), stage.to_owned()), cost(stage, &name));
        });
    }
    costs
}

/// Returns the folder of criterion. It is kept between runs, so that criterion compares each run with the last one.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench/criterion")
}

/// Reads the result that criterion has just written.
fn cost(stage: &str, name: &str) -> Cost {
    let path = folder().join(stage).join(name).join("new/estimates.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let median = &serde_json::from_str::<Value>(&text).expect("criterion writes JSON")["median"];
    let of = |pointer| median.pointer(pointer).and_then(Value::as_f64).expect("criterion estimates the median");
    let (low, high) = (of("/confidence_interval/lower_bound"), of("/confidence_interval/upper_bound"));
    Cost { median_nanos: of("/point_estimate"), spread_nanos: (high - low) / 2.0 }
}

/// Measures the worst bodies at both webhooks. The best of a few runs counts, since other load only adds time.
pub fn worst() -> Vec<WorstRow> {
    let rows = worst_bodies::all().into_iter().map(|body| {
        let cost = |webhook| {
            let runs = (0..5).map(|_| {
                let start = Instant::now();
                let answer = admission::answer(body.text.as_bytes(), &context(webhook));
                assert!(!answer.body.is_empty());
                start.elapsed()
            });
            rounded(runs.min().unwrap_or_default().as_secs_f64() * 1e9 / body.text.len() as f64)
        };
        WorstRow {
            validating_nanos_a_byte: cost(Webhook::Validating),
            mutating_nanos_a_byte: cost(Webhook::Mutating),
            bytes: body.text.len() as u64,
            body: body.name,
        }
    });
    rows.collect()
}
