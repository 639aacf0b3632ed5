//! The order and the durations of the measurements.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::core;
use crate::figures::{AT_ONCE, Cell, Figures, Process, Row};
use crate::measure::{Contender, Server, Times, Workspace, first_answer};
use crate::support::bodies::{Body, Outcome, Shape, Size};
use scan_admission::admission::Webhook;

pub struct Plan {
    is_quick: bool,
    /// Whether the results are written to files.
    pub is_kept: bool,
    /// The number of rounds. Each measures all contenders one after another.
    rounds: usize,
    starts: usize,
    reviews: u64,
    side: Times,
    matrix: Times,
    connections: &'static [usize],
}

/// The number of connections when contenders are compared.
const CONNECTIONS: usize = 8;

const fn times(warm: u64, closed: u64, open: u64) -> Times {
    let millis = Duration::from_millis;
    Times { warm: millis(warm), closed: millis(closed), open: millis(open) }
}

impl Plan {
    pub const FULL: Plan = Plan {
        is_quick: false,
        is_kept: true,
        rounds: 5,
        starts: 11,
        reviews: 100_000,
        side: times(150, 800, 800),
        matrix: times(50, 500, 600),
        connections: &[1, 8, 64],
    };
    pub const QUICK: Plan = Plan {
        is_quick: true,
        is_kept: false,
        rounds: 1,
        starts: 3,
        reviews: 5_000,
        side: times(50, 300, 200),
        matrix: times(20, 100, 50),
        connections: &[8],
    };

    pub fn run(&self) -> Figures {
        let begun = Instant::now();
        let log = |what: &str| eprintln!("{:4} s  {what}", begun.elapsed().as_secs());
        log("building what is missing");
        let mut all = vec![Contender::Floor, Contender::Ours, Contender::Kube];
        let mut figures = Figures { reviews: self.reviews, ..Figures::default() };
        match controller_runtime() {
            Ok(program) => all.push(Contender::ControllerRuntime(program)),
            Err(why) => figures.missing = Some(why),
        }
        log("in process");
        figures.costs = core::run(&Body::all(), "", self.is_quick);
        // One thread is enough and leaves the other core to the server.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let workspace = Workspace::new();
            log("contenders side by side");
            self.side_by_side(&workspace, &all, &mut figures).await;
            log("starts and memory");
            self.processes(&workspace, &all, &mut figures).await;
            log("ours in full");
            self.matrix(&workspace, &mut figures).await;
        });
        if self.is_kept {
            log("the worst bodies");
            figures.worst = core::worst();
        }
        log("done");
        figures
    }

    async fn side_by_side(&self, workspace: &Workspace, all: &[Contender], figures: &mut Figures) {
        let mut servers: Vec<(&Contender, Server)> =
            all.iter().map(|contender| (contender, workspace.start(contender))).collect();
        for _ in 0..self.rounds {
            // The order changes, so that no contender always follows the same one.
            servers.rotate_left(1);
            for cell in Cell::ALL.into_iter().chain(Cell::OURS) {
                let body = cell.body();
                for (contender, server) in &servers {
                    if **contender != Contender::Ours && Cell::OURS.contains(&cell) {
                        continue;
                    }
                    let sample = match cell {
                        Cell::Cold => server.cold(&body, "http/1.1", CONNECTIONS, self.side).await,
                        _ => server.keep_alive(&body, "http/1.1", CONNECTIONS, self.side).await,
                    };
                    figures.side.entry((contender.name(), cell)).or_default().push(sample);
                    if cell == Cell::Cold {
                        continue;
                    }
                    let has_both = **contender == Contender::Ours && cell == Cell::Allowed6Kb;
                    for protocol in if has_both { &["http/1.1", "h2"][..] } else { &["http/1.1"] } {
                        if let Some(micros) = server.h2load(&body, protocol, CONNECTIONS, self.side.closed) {
                            figures.h2load.entry((contender.name(), cell, protocol)).or_default().push(micros);
                        }
                    }
                }
            }
        }
    }

    async fn processes(&self, workspace: &Workspace, all: &[Contender], figures: &mut Figures) {
        let (small, big) = (Cell::Allowed6Kb.body(), Cell::Allowed1Mb.body());
        for contender in all {
            let binary_bytes = contender.program().map(|path| std::fs::metadata(path).expect("a program").len());
            let resident_bytes = workspace.start(contender).resident_bytes_after(&small, self.reviews).await;
            let with_room = if *contender == Contender::Ours { &Contender::OursWithRoom } else { contender };
            let peak_bytes = workspace.start(with_room).peak_bytes_with(&big, AT_ONCE).await;
            let process = Process { binary_bytes, starts: Vec::new(), resident_bytes, peak_bytes };
            figures.processes.insert(contender.name(), process);
        }
        for _ in 0..self.starts {
            for contender in all {
                let start = first_answer(workspace, contender, &small).await;
                figures.processes.get_mut(contender.name()).expect("measured").starts.push(start);
            }
        }
    }

    async fn matrix(&self, workspace: &Workspace, figures: &mut Figures) {
        let (ours, with_room) = (workspace.start(&Contender::Ours), workspace.start(&Contender::OursWithRoom));
        for body in Body::all() {
            let ours = if body.size == Size::Mb1 { &with_room } else { &ours };
            for protocol in ["http/1.1", "h2"] {
                let mut add = |connections, sample| {
                    figures.matrix.push(Row { body: body.name(), protocol, connections, sample });
                };
                for &connections in self.connections {
                    add(Some(connections), ours.keep_alive(&body, protocol, connections, self.matrix).await);
                }
                // A handshake costs the same whatever the body is, so only these bodies are measured with new
                // connections.
                if body.outcome == Outcome::Allowed
                    && body.webhook == Webhook::Validating
                    && body.shape != Shape::Conditions
                {
                    add(None, ours.cold(&body, protocol, CONNECTIONS, self.matrix).await);
                }
            }
        }
    }
}

/// Builds the webhook of tests/bench/controller-runtime, if Go is installed.
pub fn controller_runtime() -> Result<PathBuf, String> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench/controller-runtime");
    let built = Command::new("go")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/controller-runtime"))
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .arg(".")
        .status();
    match built {
        Ok(status) if status.success() => Ok(program),
        Ok(status) => Err(format!("go build ended with {status}")),
        Err(error) => Err(format!("no Go: {error}")),
    }
}
