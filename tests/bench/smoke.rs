//! The part that `cargo test` runs: every contender answers correctly, a wrong answer is detected, and README.md has
//! the results.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::chart;
use crate::figures::Cell;
use crate::load::Answers;
use crate::measure::{Contender, Times, Workspace, first_answer};
use crate::replay::replay_finds_the_planted_errors;
use crate::report::{around, chart_path, headline, markdown, readme_path, results_path};
use crate::results::Results;
use crate::support::bodies::{Body, Outcome};

const TIMES: Times = Times { warm: Duration::ZERO, closed: Duration::from_millis(20), open: Duration::from_millis(20) };

pub fn run() -> ExitCode {
    let trial = |name, test: fn()| {
        Trial::test(name, move || -> Result<(), Failed> {
            test();
            Ok(())
        })
    };
    let trials = vec![
        trial("ours_answers_every_review", ours_answers_every_review),
        trial("other_contenders_answer", other_contenders_answer),
        trial("a_wrong_answer_is_detected", a_wrong_answer_is_detected),
        trial("memory_and_starts_are_measured", memory_and_starts_are_measured),
        trial("replay_finds_the_planted_errors", replay_finds_the_planted_errors),
        trial("the_files_have_the_results", the_files_have_the_results),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn run_async<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
}

fn ours_answers_every_review() {
    let workspace = Workspace::new();
    let server = workspace.start(&Contender::Ours);
    run_async(async {
        for body in Body::all() {
            for protocol in ["http/1.1", "h2"] {
                server.keep_alive(&body, protocol, 2, TIMES).await;
            }
        }
        server.cold(&Cell::Cold.body(), "h2", 2, TIMES).await;
    });
}

fn other_contenders_answer() {
    let workspace = Workspace::new();
    run_async(async {
        for contender in [Contender::Floor, Contender::Kube] {
            let server = workspace.start(&contender);
            for cell in Cell::ALL {
                server.keep_alive(&cell.body(), "http/1.1", 2, TIMES).await;
            }
            server.cold(&Cell::Cold.body(), "h2", 2, TIMES).await;
        }
    });
}

fn a_wrong_answer_is_detected() {
    let workspace = Workspace::new();
    run_async(async {
        let (floor, ours) = (workspace.start(&Contender::Floor), workspace.start(&Contender::Ours));
        let denied = Cell::Denied.body();
        // An answer that never has the uid, and ours, which denies a review that is expected to be allowed or mutated.
        let of_another = Body { outcome: Outcome::Allowed, ..denied.clone() };
        let not_mutated = Body { outcome: Outcome::Mutated, ..denied };
        for (server, body) in [
            (floor.expecting(Answers::Decision), Cell::Allowed6Kb.body()),
            (ours.expecting(Answers::Decision), of_another),
            (ours.expecting(Answers::Decision), not_mutated),
            (ours.expecting(Answers::Constant), Cell::Allowed6Kb.body()),
        ] {
            let name = body.name();
            let ended = tokio::spawn(async move { server.review(&body).await }).await;
            assert!(ended.is_err_and(|error| error.is_panic()), "{name} passes");
        }
    });
}

fn memory_and_starts_are_measured() {
    let workspace = Workspace::new();
    run_async(async {
        let small = Cell::Allowed6Kb.body();
        assert!(workspace.start(&Contender::Ours).resident_bytes_after(&small, 100).await > 0);
        let peak_bytes = workspace.start(&Contender::OursWithRoom).peak_bytes_with(&small, 64).await;
        assert!(peak_bytes > 64 * small.text.len() as u64);
        assert!(first_answer(&workspace, &Contender::Ours, &small).await > Duration::ZERO);
    });
}

/// `cargo bench` writes these files.
fn the_files_have_the_results() {
    let results = Results::read();
    let read = |path: PathBuf| fs::read_to_string(path).expect("a file of the results");
    let readme = read(readme_path());
    let (_, sentence, _) = around(&readme).expect("README.md has the marks");
    assert_eq!(sentence, headline(&results), "README.md differs from results.json: run cargo bench");
    assert_eq!(read(results_path()), markdown(&results), "RESULTS.md differs from results.json: run cargo bench");
    if let Some(writes) = &results.writes {
        assert_eq!(
            read(chart_path()),
            chart::svg(writes),
            "writes.svg differs from results.json: run cargo bench -- writes"
        );
    }
}
