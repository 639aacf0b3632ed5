//! The figures of a run, the goals that they are compared with, and the results that are made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::core::Costs;
use crate::measure::{Latency, Sample};
use crate::results::{CaseRow, ContenderRow, Goal, Results, SideRow, Spread, StageRow, WorstRow, rounded};
use crate::support::bodies::{Body, Outcome, Shape, Size};
use scan_admission::admission::Webhook;

/// The names of the contenders.
pub const FLOOR: &str = "floor";
pub const OURS: &str = "ours";
pub const KUBE: &str = "kube-rs";
pub const CONTROLLER_RUNTIME: &str = "controller-runtime";
pub const CONTENDERS: [&str; 4] = [FLOOR, OURS, KUBE, CONTROLLER_RUNTIME];

/// The number of concurrent reviews when the peak of memory is measured.
pub const AT_ONCE: usize = 64;

/// A case in which contenders are compared: over HTTP/1.1, with eight connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Allowed6Kb,
    Allowed110Kb,
    Allowed1Mb,
    /// At the mutating webhook, like the next one.
    AllowedMutating,
    Mutated,
    Denied,
    Cold,
}

impl Cell {
    /// The cases in which all contenders are compared.
    pub const ALL: [Cell; 4] = [Cell::Allowed6Kb, Cell::Allowed110Kb, Cell::Allowed1Mb, Cell::Cold];
    pub const OURS: [Cell; 3] = [Cell::AllowedMutating, Cell::Mutated, Cell::Denied];

    pub fn body(self) -> Body {
        let (size, shape, outcome, webhook) = match self {
            Cell::Allowed6Kb | Cell::Cold => (Size::Kb6, Shape::Plain, Outcome::Allowed, Webhook::Validating),
            Cell::Allowed110Kb => (Size::Kb110, Shape::Fields, Outcome::Allowed, Webhook::Validating),
            Cell::Allowed1Mb => (Size::Mb1, Shape::Fields, Outcome::Allowed, Webhook::Validating),
            Cell::AllowedMutating => (Size::Kb6, Shape::Plain, Outcome::Allowed, Webhook::Mutating),
            Cell::Mutated => (Size::Kb6, Shape::Plain, Outcome::Mutated, Webhook::Mutating),
            Cell::Denied => (Size::Kb6, Shape::Plain, Outcome::Denied, Webhook::Validating),
        };
        Body::new(size, shape, outcome, webhook)
    }
}

/// The start time and memory of a contender that has its own process.
#[derive(Debug, Clone)]
pub struct Process {
    pub binary_bytes: Option<u64>,
    pub starts: Vec<Duration>,
    pub resident_bytes: u64,
    pub peak_bytes: u64,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub body: String,
    pub protocol: &'static str,
    /// The number of connections; none if each review has a new one, eight at once.
    pub connections: Option<usize>,
    pub sample: Sample,
}

#[derive(Debug, Default)]
pub struct Figures {
    pub costs: Costs,
    /// The samples, one for each round.
    pub side: BTreeMap<(&'static str, Cell), Vec<Sample>>,
    /// The processor time with h2load by protocol, in microseconds, one for each round.
    pub h2load: BTreeMap<(&'static str, Cell, &'static str), Vec<f64>>,
    pub processes: BTreeMap<&'static str, Process>,
    /// The number of reviews before the resident memory was read.
    pub reviews: u64,
    /// All cases of ours.
    pub matrix: Vec<Row>,
    pub worst: Vec<WorstRow>,
    /// The reason that a contender is missing.
    pub missing: Option<String>,
}

fn cpu(sample: &Sample) -> f64 {
    sample.cpu_micros
}

fn p99(sample: &Sample) -> f64 {
    sample.latency.map_or(f64::NAN, |latency| latency.p99_micros)
}

impl Figures {
    fn spread(&self, contender: &'static str, cell: Cell, of: fn(&Sample) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.side.get(&(contender, cell))?.iter().filter_map(of))
    }

    /// Compares the processor time with h2load, round by round.
    fn h2load_ratio(
        &self,
        one: (&'static str, Cell, &'static str),
        other: (&'static str, Cell, &'static str),
    ) -> Option<Spread> {
        let (a, b) = (self.h2load.get(&one)?, self.h2load.get(&other)?);
        Spread::of(a.iter().zip(b).map(|(a, b)| a / b))
    }

    /// Compares round by round, so that other load of the machine affects both values.
    fn ratio(
        &self,
        (contender, cell): (&'static str, Cell),
        (to, to_cell): (&'static str, Cell),
        of: fn(&Sample) -> f64,
    ) -> Option<Spread> {
        let (a, b) = (self.side.get(&(contender, cell))?, self.side.get(&(to, to_cell))?);
        Spread::of(a.iter().zip(b).map(|(a, b)| of(a) / of(b)))
    }

    pub fn goals(&self, counts: &Value) -> Vec<Goal> {
        let times = |what: &str, limit: f64, is_most: bool, found: Option<Spread>| Goal {
            what: what.to_owned(),
            limit: format!("{} {limit} ×", if is_most { "≤" } else { "≥" }),
            measured: found.map_or("–".to_owned(), |found| {
                format!("{:.2} × ({:.2}–{:.2})", found.median, found.low, found.high)
            }),
            is_reached: found.map(|found| if is_most { found.median <= limit } else { found.median >= limit }),
        };
        let mut goals = Vec::new();
        for (cell, size, floor, controller_runtime) in [
            (Cell::Allowed6Kb, "6 KB", 1.6, 9.0),
            (Cell::Allowed110Kb, "110 KB", 1.4, 20.0),
            (Cell::Allowed1Mb, "1.1 MB", 1.6, 20.0),
        ] {
            let of = |contender| (contender, cell, "http/1.1");
            let what = format!("CPU with h2load, {size} allowed: ours / floor");
            goals.push(times(&what, floor, true, self.h2load_ratio(of(OURS), of(FLOOR))));
            let what = format!("CPU with h2load, {size} allowed: controller-runtime / ours");
            let found = self.h2load_ratio(of(CONTROLLER_RUNTIME), of(OURS));
            goals.push(times(&what, controller_runtime, false, found));
        }
        let ours = |cell, protocol| (OURS, cell, protocol);
        for (what, limit, one, other) in [
            (
                "CPU with h2load, 6 KB: mutated / allowed at the same webhook",
                1.35,
                ours(Cell::Mutated, "http/1.1"),
                ours(Cell::AllowedMutating, "http/1.1"),
            ),
            (
                "CPU with h2load, 6 KB allowed: HTTP/2 / HTTP/1.1",
                1.3,
                ours(Cell::Allowed6Kb, "h2"),
                ours(Cell::Allowed6Kb, "http/1.1"),
            ),
        ] {
            goals.push(times(what, limit, true, self.h2load_ratio(one, other)));
        }
        let denied = self.ratio((OURS, Cell::Denied), (OURS, Cell::Allowed6Kb), cpu);
        goals.push(times("CPU, 6 KB: denied / allowed", 1.3, true, denied));
        let cold = self.ratio((OURS, Cell::Cold), (FLOOR, Cell::Cold), cpu);
        goals.push(times("CPU, 6 KB, a new connection for each review: ours / floor", 1.15, true, cold));
        let p99 = self.ratio((OURS, Cell::Allowed6Kb), (FLOOR, Cell::Allowed6Kb), p99);
        goals.push(times("p99 at half of capacity, 6 KB allowed: ours / floor", 2.0, true, p99));
        goals.extend(self.in_process(counts));
        goals.extend(self.of_process());
        goals
    }

    fn in_process(&self, counts: &Value) -> Vec<Goal> {
        let body = Cell::Allowed6Kb.body().name();
        let cost = self.costs.get(&(body.clone(), "answer".to_owned())).map(|cost| cost.median_nanos / 1e3);
        let allocations = |name: &str| counts[name]["answer"].as_u64();
        let small = allocations(&body);
        let grown = [Size::Kb110, Size::Mb1]
            .map(|size| allocations(&Body::new(size, Shape::Fields, Outcome::Allowed, Webhook::Validating).name()));
        vec![
            Goal {
                what: "Time of `answer` in process, 6 KB allowed".to_owned(),
                limit: "≤ 8 µs".to_owned(),
                measured: cost.map_or("–".to_owned(), |micros| format!("{micros:.1} µs")),
                is_reached: cost.map(|micros| micros <= 8.0),
            },
            Goal {
                what: "Allocations of `answer`, 6 KB allowed".to_owned(),
                limit: "≤ 10".to_owned(),
                measured: small.map_or("–".to_owned(), |count| count.to_string()),
                is_reached: small.map(|count| count <= 10),
            },
            Goal {
                what: "Additional allocations for 1.1 MB".to_owned(),
                limit: "0".to_owned(),
                measured: format!("{}", grown[1].unwrap_or_default() as i64 - small.unwrap_or_default() as i64),
                is_reached: small.map(|_| grown.iter().all(|grown| *grown == small)),
            },
        ]
    }

    fn of_process(&self) -> Vec<Goal> {
        let ours = self.processes.get(OURS);
        let mib = |what: String, limit: u64, found: Option<u64>| Goal {
            what,
            limit: format!("≤ {:.1} MiB", limit as f64 / MIB),
            measured: found.map_or("–".to_owned(), |found| format!("{:.1} MiB", found as f64 / MIB)),
            is_reached: found.map(|found| found <= limit),
        };
        let bodies_bytes = (AT_ONCE * Cell::Allowed1Mb.body().text.len()) as u64;
        let start = ours.and_then(|ours| Spread::of(ours.starts.iter().map(Duration::as_secs_f64)));
        vec![
            mib(
                format!("Resident after {} reviews of 6 KB", self.reviews),
                15 << 20,
                ours.map(|ours| ours.resident_bytes),
            ),
            mib(
                format!("Peak with {AT_ONCE} concurrent bodies of 1.1 MB: their size and 16 MiB"),
                bodies_bytes + (16 << 20),
                ours.map(|ours| ours.peak_bytes),
            ),
            Goal {
                what: "Start to first answer".to_owned(),
                limit: "≤ 50 ms".to_owned(),
                measured: start.map_or("–".to_owned(), |start| {
                    format!("{:.1} ms ({:.1}–{:.1})", start.median * 1e3, start.low * 1e3, start.high * 1e3)
                }),
                is_reached: start.map(|start| start.median <= 0.05),
            },
        ]
    }
}

pub const MIB: f64 = (1 << 20) as f64;

impl Figures {
    /// Returns the results that are kept, with the allocations of counts.json.
    pub fn results(self, counts: &Value, machine: String, versions: String) -> Results {
        Results {
            machine,
            versions,
            reviews: self.reviews,
            contenders: self.contenders(),
            side_by_side: self.side_rows(),
            goals: self.goals(counts),
            stages: self.stages(counts),
            cases: self.matrix.iter().map(Row::case).collect(),
            worst: self.worst,
            missing: self.missing,
            writes: None,
        }
    }

    fn contenders(&self) -> Vec<ContenderRow> {
        let rows = CONTENDERS.iter().filter_map(|contender| {
            let process = self.processes.get(contender)?;
            Some(ContenderRow {
                contender: (*contender).to_owned(),
                start_millis: Spread::of(process.starts.iter().map(|start| start.as_secs_f64() * 1e3))?,
                resident_bytes: process.resident_bytes,
                peak_bytes: process.peak_bytes,
                binary_bytes: process.binary_bytes,
            })
        });
        rows.collect()
    }

    fn side_rows(&self) -> Vec<SideRow> {
        let cells = Cell::ALL.into_iter().chain(Cell::OURS);
        let rows = cells.flat_map(|cell| CONTENDERS.map(|contender| (cell, contender)));
        let row = |(cell, contender)| {
            let latency = |of: fn(&Sample) -> Option<f64>| self.spread(contender, cell, of);
            Some(SideRow {
                review: cell.body().name(),
                is_cold: cell == Cell::Cold,
                contender: contender.to_owned(),
                cpu_micros: self.spread(contender, cell, |sample| Some(sample.cpu_micros))?,
                h2load_cpu_micros: self
                    .h2load
                    .get(&(contender, cell, "http/1.1"))
                    .and_then(|values| Spread::of(values.iter().copied())),
                per_second: self.spread(contender, cell, |sample| Some(sample.per_second))?,
                p50_micros: latency(|sample| Some(sample.latency?.p50_micros)),
                p99_micros: latency(|sample| Some(sample.latency?.p99_micros)),
                p999_micros: latency(|sample| Some(sample.latency?.p999_micros)),
            })
        };
        rows.filter_map(row).collect()
    }

    fn stages(&self, counts: &Value) -> Vec<StageRow> {
        let rows = Body::all().into_iter().filter_map(|body| {
            let name = body.name();
            let cost = |stage: &str| self.costs.get(&(name.clone(), stage.to_owned()));
            let micros = |stage: &str| Some(rounded(cost(stage)?.median_nanos / 1e3));
            Some(StageRow {
                bytes: body.text.len() as u64,
                decode: micros("decode")?,
                judge: micros("validate").or_else(|| micros("mutate"))?,
                encode: micros("encode")?,
                answer: micros("answer")?,
                answer_spread: rounded(cost("answer")?.spread_nanos / 1e3),
                allocations: counts[&name]["answer"].as_u64()?,
                review: name,
            })
        });
        rows.collect()
    }
}

impl Row {
    fn case(&self) -> CaseRow {
        let Sample { cpu_micros, per_second, latency } = self.sample;
        let micros = |of: fn(Latency) -> f64| latency.map(|latency| rounded(of(latency)));
        CaseRow {
            review: self.body.clone(),
            protocol: self.protocol.to_owned(),
            connections: self.connections,
            cpu_micros: rounded(cpu_micros),
            per_second: rounded(per_second),
            p50_micros: micros(|latency| latency.p50_micros),
            p99_micros: micros(|latency| latency.p99_micros),
            p999_micros: micros(|latency| latency.p999_micros),
        }
    }
}
