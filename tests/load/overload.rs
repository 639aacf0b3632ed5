//! Test of more reviews than the permits and the memory allow: each is answered, and the load leaves nothing behind.

use std::time::{Duration, Instant};

use scan_admission::admission::BODY_MAX_BYTES;
use scan_admission::server::limits::most_bytes;
use tokio::time::sleep;

use crate::support::client::Client;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::waits::{WAIT_MAX, metric};
use crate::{LEGAL, LEGAL_UID, RESIDENT, number, percentiles, sample, start};

const REVIEWS: usize = 2;
const CLIENTS: usize = 80;
/// The minimum that the configuration accepts.
const BODIES_MIB: usize = 16;
/// Memory beyond the server's limits: fragmentation of the heap, stacks of threads, and shared libraries that are first
/// used under load.
const SLACK_BYTES: usize = 24 << 20;

#[derive(Default)]
struct Tally {
    judged: Vec<Duration>,
    shed: Vec<Duration>,
    late: usize,
}

impl Tally {
    /// Counts an answer, and checks that it is an answer to this review.
    fn count(&mut self, reply: &crate::support::client::Reply, took: Duration) {
        let review = reply.json();
        let response = &review["response"];
        assert_eq!((reply.code, &response["uid"]), (200, &LEGAL_UID.into()), "{review}");
        match response["status"]["code"].as_u64() {
            None => {
                assert_eq!(response["allowed"], true, "{review}");
                self.judged.push(took);
            }
            Some(429) => {
                assert_eq!(response["status"]["details"]["retryAfterSeconds"], 1, "{review}");
                self.shed.push(took);
            }
            Some(504) => self.late += 1,
            _ => panic!("{review}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_times_as_many_clients_as_permits_are_all_answered() {
    let folder = Folder::new();
    let config = format!("limits: {{reviews: {REVIEWS}, connections: {}, bodiesBytes: {BODIES_MIB}Mi}}\n", CLIENTS + 8);
    let process = start(&folder, &config);
    let (ca, address, admin) = (folder.join("certs/ca.crt"), process.address, process.admin);
    let body = fixture(LEGAL);
    let before_bytes = sample(&process, RESIDENT).await;

    let mut clients = Vec::new();
    for index in 0..CLIENTS {
        clients.push(Client::new(&ca, address, if index % 2 == 0 { "http/1.1" } else { "h2" }).await);
    }
    let mut tally = Tally::default();

    // All clients send at once. The long bodies wait for a core and for memory.
    let seconds = number("OVERLOAD_SECONDS", 0);
    let end = Instant::now() + Duration::from_secs(seconds as u64);
    let load: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(index, mut client)| {
            let body = body.clone();
            tokio::spawn(async move {
                let mut tally = Tally::default();
                for number in 0.. {
                    if number >= 20 && Instant::now() >= end {
                        break;
                    }
                    let mut body = body.clone();
                    match (index + number) % 16 {
                        0 => body.resize(BODY_MAX_BYTES / 2, b' '),
                        1..6 => body.resize(200 << 10, b' '),
                        _ => {}
                    }
                    let begun = Instant::now();
                    let reply = tokio::time::timeout(WAIT_MAX, client.post("/validate?timeout=10s", body)).await;
                    tally.count(&reply.expect("an answer"), begun.elapsed());
                }
                tally
            })
        })
        .collect();
    let mut resident_bytes = before_bytes;
    while !load.iter().all(tokio::task::JoinHandle::is_finished) {
        // Metrics must stay reachable.
        resident_bytes = resident_bytes.max(metric(admin, RESIDENT).await.unwrap());
        sleep(Duration::from_millis(20)).await;
    }
    for client in load {
        let Tally { judged, shed, late } = client.await.unwrap();
        tally.judged.extend(judged);
        tally.shed.extend(shed);
        tally.late += late;
    }
    let over = Instant::now();
    let reply = Client::new(&ca, address, "http/1.1").await.post("/validate", body.clone()).await;
    assert_eq!(reply.json()["response"]["allowed"], true, "after the overload");
    let recovery = over.elapsed();
    assert!(!tally.judged.is_empty() && !tally.shed.is_empty());

    let limit_bytes = most_bytes(CLIENTS + 8, BODIES_MIB << 20) + SLACK_BYTES;
    let grown_bytes = resident_bytes - before_bytes;
    println!(
        "overload: {} judged, p50 p99 max {:.1?} ms; {} shed, {:.1?} ms; {} late; memory +{:.0} MiB of {} MiB; first review after it {recovery:?}",
        tally.judged.len(),
        percentiles(&mut tally.judged),
        tally.shed.len(),
        percentiles(&mut tally.shed),
        tally.late,
        grown_bytes / f64::from(1 << 20),
        limit_bytes >> 20,
    );
    assert!(grown_bytes < limit_bytes as f64, "memory grew by {grown_bytes} bytes, the limit is {limit_bytes}");
}
