//! The results that are kept: tests/bench/results.json. RESULTS.md, the chart and a sentence of README.md are made of it.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::report::root;

/// All results.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    pub machine: String,
    pub versions: String,
    /// The number of reviews before the resident memory was read.
    pub reviews: u64,
    /// The reason that a contender is missing.
    pub missing: Option<String>,
    pub contenders: Vec<ContenderRow>,
    pub side_by_side: Vec<SideRow>,
    pub goals: Vec<Goal>,
    pub stages: Vec<StageRow>,
    /// All cases of ours.
    pub cases: Vec<CaseRow>,
    pub worst: Vec<WorstRow>,
    /// None before the first run of `cargo bench -- writes`.
    pub writes: Option<WriteResults>,
}

/// The median, lowest and highest value of all rounds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

/// A goal, the measured value, and whether it reaches the goal.
#[derive(Debug, Serialize, Deserialize)]
pub struct Goal {
    pub what: String,
    pub limit: String,
    pub measured: String,
    /// None if it could not be measured.
    pub is_reached: Option<bool>,
}

/// The start and the memory of a contender.
#[derive(Debug, Serialize, Deserialize)]
pub struct ContenderRow {
    pub contender: String,
    pub start_millis: Spread,
    pub resident_bytes: u64,
    pub peak_bytes: u64,
    pub binary_bytes: Option<u64>,
}

/// A case in which contenders are compared, over HTTP/1.1 and with eight connections.
#[derive(Debug, Serialize, Deserialize)]
pub struct SideRow {
    pub review: String,
    /// Whether each review has its own connection.
    pub is_cold: bool,
    pub contender: String,
    pub cpu_micros: Spread,
    /// The same with h2load as the client. None if it is not installed, and with new connections.
    pub h2load_cpu_micros: Option<Spread>,
    pub per_second: Spread,
    /// None with new connections.
    pub p50_micros: Option<Spread>,
    pub p99_micros: Option<Spread>,
    pub p999_micros: Option<Spread>,
}

/// The stages of a review inside the process, in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub struct StageRow {
    pub review: String,
    pub bytes: u64,
    pub decode: f64,
    /// Validate or mutate.
    pub judge: f64,
    pub encode: f64,
    pub answer: f64,
    /// Half of the 95 % confidence interval of `answer`.
    pub answer_spread: f64,
    pub allocations: u64,
}

/// A case of ours alone.
#[derive(Debug, Serialize, Deserialize)]
pub struct CaseRow {
    pub review: String,
    pub protocol: String,
    /// The number of connections; none if each review has a new one, eight at once.
    pub connections: Option<usize>,
    pub cpu_micros: f64,
    pub per_second: f64,
    pub p50_micros: Option<f64>,
    pub p99_micros: Option<f64>,
    pub p999_micros: Option<f64>,
}

/// A body that costs much for each byte.
#[derive(Debug, Serialize, Deserialize)]
pub struct WorstRow {
    pub body: String,
    pub bytes: u64,
    pub validating_nanos_a_byte: f64,
    pub mutating_nanos_a_byte: f64,
}

/// The results of `cargo bench -- writes`.
#[derive(Debug, Serialize, Deserialize)]
pub struct WriteResults {
    pub machine: String,
    pub versions: String,
    pub rates: Vec<RateResults>,
    pub idle: Vec<IdleRow>,
    pub memory: Option<MemoryOfWrites>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct RateResults {
    /// In writes a second. None: as many as possible.
    pub rate: Option<u64>,
    pub rows: Vec<WriteRow>,
}

/// The writes of one setup. The values that are added are those beside no admission, in the same round.
#[derive(Debug, Serialize, Deserialize)]
pub struct WriteRow {
    pub setup: String,
    pub api_server_micros: Spread,
    pub added_micros: Spread,
    /// None without a webhook, like the next one.
    pub webhook_micros: Option<Spread>,
    /// The processor time of the webhook, divided by that of a floor with as many calls.
    pub times_floor: Option<Spread>,
    pub per_second: Spread,
    pub p50_millis: Spread,
    pub p99_millis: Spread,
    pub added_p50_millis: Spread,
    pub added_p99_millis: Spread,
}

/// The processor time that a server takes without writes.
#[derive(Debug, Serialize, Deserialize)]
pub struct IdleRow {
    pub server: String,
    pub seconds_an_hour: f64,
}

/// The resident memory of ours after few and after many reviews.
#[derive(Debug, Serialize, Deserialize)]
pub struct MemoryOfWrites {
    pub first_bytes: u64,
    pub first_reviews: u64,
    pub last_bytes: u64,
    pub last_reviews: u64,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().map(rounded).collect();
        values.sort_by(f64::total_cmp);
        Some(Spread { median: *values.get(values.len() / 2)?, low: *values.first()?, high: *values.last()? })
    }

    /// Formats the spread with this many digits after the point.
    pub fn text(&self, digits: usize) -> String {
        let Spread { median, low, high } = self;
        format!("{median:.digits$} ({low:.digits$}–{high:.digits$})")
    }
}

/// Rounds to thousandths: more digits are noise.
pub fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl Results {
    /// Reads the results that are kept.
    pub fn read() -> Self {
        let text = fs::read_to_string(path()).expect("results.json");
        serde_json::from_str(&text).expect("`cargo bench` writes results.json")
    }

    pub fn write(&self) {
        let text = serde_json::to_string_pretty(self).expect("JSON") + "\n";
        fs::write(path(), text).expect("results.json");
    }
}

fn path() -> PathBuf {
    root().join("tests/bench/results.json")
}
