//! Test of many captured and damaged reviews, each with its recorded decision.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use scan_admission::admission::{Context, EventReasons, ReviewSettings, Webhook, answer};
use scan_admission::rules::RULES;
use scan_admission::server::memory::SharedMemory;
use scan_admission::server::metrics::{EventMetrics, Metrics};
use time::OffsetDateTime;

use crate::support::client::Client;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::review_edits::{captured, edited, edits};
use crate::support::waits::until_metric;
use crate::{CONNECTIONS, IN_FLIGHT, LEGAL, RESIDENT, number, sample, start};

/// The damaged variants of each captured review, beside the review itself.
const DAMAGES: usize = 7;
const CLIENTS: usize = 4;
const SEED: [u8; 32] = [7; 32];
/// The allowed growth. In a run of a million reviews, a leak of 17 bytes each exceeds it.
const GROWTH_MAX_BYTES: f64 = (16 << 20) as f64;

struct Case {
    path: &'static str,
    body: String,
}

/// Returns the cases of each captured review. The seed is fixed, so they are the same in every run.
fn cases() -> Vec<(&'static str, Vec<Case>)> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    captured()
        .iter()
        .map(|captured| {
            let path = if captured.name.ends_with("mutate") { "/mutate" } else { "/validate" };
            let damaged =
                (0..DAMAGES).map(|_| edited(&captured.lean, &edits().new_tree(&mut runner).unwrap().current()));
            let bodies = std::iter::once(captured.text.clone()).chain(damaged);
            (captured.name.as_str(), bodies.map(|body| Case { path, body }).collect())
        })
        .collect()
}

/// Returns the decision and its rules: `deny cve-total,phase-unknown`.
fn decision(code: u16, body: &str) -> String {
    let part = |name: &str| {
        let begin = body.find(name)? + name.len();
        Some(&body[begin..begin + body[begin..].find('"')?])
    };
    let Some(decision) = part(r#""decision":""#) else { return code.to_string() };
    let rules = [part(r#""rules":""#), part(r#""mutations":""#)].into_iter().flatten();
    rules.fold(decision.to_owned(), |text, rules| format!("{text} {rules}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_run_repeats_the_recorded_decisions_in_constant_memory() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/soak.txt");
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    let cases = cases();
    let folder = Folder::new();
    let process = start(&folder, "");
    let ca = folder.join("certs/ca.crt");
    let mut clients = Vec::new();
    for index in 0..CLIENTS {
        clients.push(Client::new(&ca, process.address, if index % 2 == 0 { "http/1.1" } else { "h2" }).await);
    }

    // The first run is in order, and is compared with the recorded decisions.
    let mut found = String::new();
    let mut expected_decisions = Vec::new();
    for (name, cases) in cases {
        let mut decisions = Vec::new();
        for case in cases {
            let reply = clients[0].post(case.path, case.body.clone()).await;
            let decided = decision(reply.code, std::str::from_utf8(&reply.body).unwrap());
            decisions.push(decided.clone());
            expected_decisions.push((case, decided));
        }
        writeln!(found, "{name}: {}", decisions.join(" | ")).unwrap();
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
    } else {
        for (found, recorded) in found.lines().zip(recorded.lines()) {
            assert_eq!(found, recorded, "UPDATE=1 rewrites the record");
        }
        assert_eq!(found.lines().count(), recorded.lines().count(), "UPDATE=1 rewrites the record");
    }

    // The further runs repeat the cases, in a different order for each client.
    let expected_decisions = std::sync::Arc::new(expected_decisions);
    let each = number("SOAK_REVIEWS", 4_000) / CLIENTS;
    let begun = Instant::now();
    let mut warm_bytes = 0.0;
    for (reviews, part) in [(each / 10, "first"), (each - each / 10, "last")] {
        let load: Vec<_> = clients
            .drain(..)
            .enumerate()
            .map(|(index, mut client)| {
                let expected_decisions = expected_decisions.clone();
                tokio::spawn(async move {
                    // The step is odd and the number of cases is a multiple of eight, so each client visits nearly all
                    // cases.
                    let mut at = index;
                    for _ in 0..reviews {
                        at = (at + 2 * index + 389) % expected_decisions.len();
                        let (case, expected) = &expected_decisions[at];
                        let reply = client.post(case.path, case.body.clone()).await;
                        let decided = decision(reply.code, std::str::from_utf8(&reply.body).unwrap());
                        assert_eq!(decided, *expected, "{} {}", case.path, case.body);
                    }
                    client
                })
            })
            .collect();
        for client in load {
            clients.push(client.await.expect("every decision is the recorded one"));
        }
        let resident = sample(&process, RESIDENT).await;
        println!(
            "soak, {part}: {} reviews, {:.1?}, resident {:.1} MiB",
            reviews * CLIENTS,
            begun.elapsed(),
            resident / f64::from(1 << 20)
        );
        if warm_bytes == 0.0 {
            warm_bytes = resident;
        }
        assert!(resident - warm_bytes < GROWTH_MAX_BYTES, "memory grew from {warm_bytes} to {resident} bytes");
    }
    drop(clients);
    until_metric(process.admin, CONNECTIONS, 0.0).await;
    assert_eq!(sample(&process, IN_FLIGHT).await, 0.0);
    assert_eq!(sample(&process, "scan_admission_panics_total").await, 0.0);
}

/// Prints the cost of answering the review of a legal status and a denied one, and of recording each in the metrics.
#[test]
#[ignore = "prints figures: cargo test --release --test load -- --ignored --nocapture soak::print"]
fn print_the_cost_of_metrics() {
    const RUNS: u32 = 20_000;
    let (now, settings) = (OffsetDateTime::now_utc(), ReviewSettings::default());
    let metrics = Metrics::new(RULES, &SharedMemory::new(1 << 20), Counter::default(), EventMetrics::default());
    let legal = fixture(LEGAL);
    let denied = String::from_utf8(legal.clone()).unwrap().replacen("\"Completed\"", "\"Done\"", 1).into_bytes();
    for (name, body) in [("allowed", legal), ("denied", denied)] {
        let context = Context {
            webhook: Webhook::Validating,
            now,
            rules: RULES,
            settings: &settings,
            events: EventReasons::default(),
        };
        let mut least = [f64::MAX; 2];
        for _ in 0..10 {
            let begun = Instant::now();
            for _ in 0..RUNS {
                std::hint::black_box(answer(std::hint::black_box(&body), &context));
            }
            least[0] = least[0].min(begun.elapsed().as_nanos() as f64 / f64::from(RUNS));
            let summary = answer(&body, &context).summary;
            let begun = Instant::now();
            for _ in 0..RUNS {
                metrics.in_flight.inc();
                metrics.record(Webhook::Validating, std::hint::black_box(&summary), body.len(), begun.elapsed());
                metrics.in_flight.dec();
            }
            least[1] = least[1].min(begun.elapsed().as_nanos() as f64 / f64::from(RUNS));
        }
        let [answered, counted] = least;
        println!("{name}: answer {answered:.0} ns, metrics {counted:.0} ns, {:.2} %", 100.0 * counted / answered);
    }
}
