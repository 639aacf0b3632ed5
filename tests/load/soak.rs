//! Test of many captured and damaged reviews, each with its recorded decision, while certificates and configurations change and
//! clients come and go. With `SOAK_REVIEWS=10000000` and `--release` it takes minutes.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use scan_admission::admission::{Context, EventReasons, ReviewSettings, Webhook, answer};
use scan_admission::rules::RULES;
use scan_admission::server::memory::SharedMemory;
use scan_admission::server::metrics::{EventMetrics, Metrics};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::client::{Client, connector, handshake};
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::http::tcp;
use crate::support::pki::Ca;
use crate::support::process::Process;
use crate::support::program::command;
use crate::support::review_edits::{captured, edited, edits};
use crate::support::waits::until_metric;
use crate::{CONNECTIONS, HELD, IN_FLIGHT, LEGAL, RESIDENT, UNFINISHED, number, sample};

/// The damaged variants of each captured review, beside the review itself.
const DAMAGES: usize = 7;
const CLIENTS: usize = 4;
const SEED: [u8; 32] = [7; 32];
/// The allowed growth. In a run of ten million reviews, a leak of 2 bytes each exceeds it.
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

/// The parts of the run. After the first, each begins with a new certificate and another configuration.
const PARTS: usize = 10;
/// A client goes away and comes back after this many reviews.
const REVIEWS_OF_A_CONNECTION: usize = 500;
const CERTIFICATE_RELOADS: &str = "scan_admission_certificate_reloads_total";
const CONFIG_RELOADS: &str = "scan_admission_config_reloads_total";

/// A server, with what its files contain.
struct Soaked {
    folder: Folder,
    ca: Ca,
    process: Process,
}

impl Soaked {
    fn start() -> Self {
        let (folder, ca) = (Folder::new(), Ca::new());
        std::fs::write(folder.join("ca.crt"), &ca.pem).unwrap();
        std::fs::write(folder.join("config.yaml"), "").unwrap();
        ca.pair(0).write(&folder.join("tls.crt"), &folder.join("tls.key"));
        let files = ["--tls-cert=tls.crt", "--tls-key=tls.key", "--config=config.yaml"];
        let polls = ["--certs-poll=10ms", "--config-poll=10ms"];
        let process = Process::start(command(folder.path(), &[&files[..], &polls].concat()), folder.join("errors"));
        Self { folder, ca, process }
    }

    fn connector(&self, index: usize) -> TlsConnector {
        connector(&self.folder.join("ca.crt"), ["http/1.1", "h2"][index % 2], rustls::ALL_VERSIONS)
    }

    /// Replaces both files by others, and waits until they are used. The configuration has no effect on the reviews.
    async fn renew(&self, time: usize) {
        let pair = self.ca.pair(time as u64);
        pair.write(&self.folder.join("tls.crt"), &self.folder.join("tls.key"));
        let config = format!("overrides: [{{namespaces: [none-{time}], rules: {{phase-unknown: warn}}}}]");
        std::fs::write(self.folder.join("config.yaml"), config).unwrap();
        for metric in [CERTIFICATE_RELOADS, CONFIG_RELOADS] {
            until_metric(self.process.admin, metric, time as f64).await;
        }
        let stream = connect(&self.connector(0), self.process.address).await;
        assert_eq!(stream.get_ref().1.peer_certificates().unwrap()[0], pair.der);
    }
}

async fn connect(connector: &TlsConnector, address: SocketAddr) -> TlsStream<TcpStream> {
    handshake(connector, tcp(address).await).await
}

/// Sends the first half of a request over HTTP/1.1, and goes away.
async fn go_away(connector: &TlsConnector, address: SocketAddr, case: &Case) {
    let mut stream = connect(connector, address).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        case.path,
        case.body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&case.body.as_bytes()[..case.body.len() / 2]).await.unwrap();
    stream.flush().await.unwrap();
}

/// Sends reviews, and compares each decision with the recorded one.
async fn repeat(soaked: Arc<Soaked>, expected: Arc<Vec<(Case, String)>>, index: usize, reviews: usize) {
    let (address, connector) = (soaked.process.address, soaked.connector(index));
    // The step is odd and the number of cases is a multiple of eight, so each client visits nearly all cases.
    let mut at = index;
    for first in (0..reviews).step_by(REVIEWS_OF_A_CONNECTION) {
        let mut client = Client::over(connect(&connector, address).await).await;
        for _ in first..reviews.min(first + REVIEWS_OF_A_CONNECTION) {
            at = (at + 2 * index + 389) % expected.len();
            let (case, expected) = &expected[at];
            let reply = client.post(case.path, case.body.clone()).await;
            let decided = decision(reply.code, std::str::from_utf8(&reply.body).unwrap());
            assert_eq!(decided, *expected, "{} {}", case.path, case.body);
        }
        go_away(&soaked.connector(0), address, &expected[at].0).await;
    }
}

/// Answers all cases in order, and compares the decisions with the recorded ones. Returns the cases with their decisions.
async fn in_order(soaked: &Soaked) -> Vec<(Case, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/soak.txt");
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    let mut client = Client::over(connect(&soaked.connector(0), soaked.process.address).await).await;
    let (mut found, mut expected) = (String::new(), Vec::new());
    for (name, cases) in cases() {
        let mut decisions = Vec::new();
        for case in cases {
            let reply = client.post(case.path, case.body.clone()).await;
            let decided = decision(reply.code, std::str::from_utf8(&reply.body).unwrap());
            decisions.push(decided.clone());
            expected.push((case, decided));
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
    expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_run_repeats_the_recorded_decisions_in_constant_memory() {
    let soaked = Arc::new(Soaked::start());
    let expected = Arc::new(in_order(&soaked).await);
    let reviews = number("SOAK_REVIEWS", 8_000) / CLIENTS / PARTS;
    let begun = Instant::now();
    let mut warm_bytes = 0.0;
    for part in 0..PARTS {
        let load: Vec<_> =
            (0..CLIENTS).map(|index| tokio::spawn(repeat(soaked.clone(), expected.clone(), index, reviews))).collect();
        if part > 0 {
            soaked.renew(part).await;
        }
        for client in load {
            client.await.expect("every decision is the recorded one");
        }
        let resident = sample(&soaked.process, RESIDENT).await;
        println!(
            "soak: {} reviews, {:.0?}, resident {:.1} MiB",
            reviews * CLIENTS * (part + 1),
            begun.elapsed(),
            resident / f64::from(1 << 20)
        );
        if part == 0 {
            warm_bytes = resident;
        }
        assert!(resident - warm_bytes < GROWTH_MAX_BYTES, "memory grew from {warm_bytes} to {resident} bytes");
    }
    until_metric(soaked.process.admin, CONNECTIONS, 0.0).await;
    for metric in [IN_FLIGHT, UNFINISHED, HELD, "scan_admission_panics_total"] {
        assert_eq!(sample(&soaked.process, metric).await, 0.0, "{metric}");
    }
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
