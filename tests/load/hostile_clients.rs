//! Tests of normal clients beside hostile ones. The hostile clients are processes of this test binary, whose
//! environment names the attack and the address.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

use crate::support::client::{Client, connector, request};
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::http::get;
use crate::support::process::Process;
use crate::support::request_head::head;
use crate::support::waits::{WAIT_MAX, until_metric};
use crate::{
    CONNECTIONS, HELD, IN_FLIGHT, LEGAL, LEGAL_UID, OPEN_FDS, RESIDENT, UNFINISHED, number, percentiles, sample, start,
};

/// The attacks, with the number of processes, and the metric and value that show that the attack is under way. A
/// process has at most 500 open connections, so that the limit of open files suffices.
const ATTACKS: &[(&str, usize, (&str, f64))] = &[
    ("slow-heads", 1, (CONNECTIONS, 0.0)),
    ("slow-bodies", 2, (UNFINISHED, 600.0)),
    ("silent-streams", 1, (UNFINISHED, 600.0)),
    ("trickling-streams", 1, (UNFINISHED, 600.0)),
    ("fat-heads", 1, (CONNECTIONS, 60.0)),
    ("untaken", 1, (HELD, 20e6)),
    ("floods", 1, (CONNECTIONS, 0.0)),
    ("worst-bodies", 1, (IN_FLIGHT, 1.0)),
    ("half-open", 3, (CONNECTIONS, 1000.0)),
    ("idle", 3, (CONNECTIONS, 1000.0)),
    ("reconnect", 1, (CONNECTIONS, 0.0)),
    ("huge-heads", 1, (CONNECTIONS, 0.0)),
    ("rapid-reset", 1, (CONNECTIONS, 0.0)),
    ("garbage", 1, (CONNECTIONS, 0.0)),
    ("smuggling", 1, (CONNECTIONS, 0.0)),
    // Attacks on every share of the memory at once.
    ("great-bodies worst-bodies untaken", 2, (HELD, 60e6)),
];
/// The timeout of a kubelet's probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS_EACH: usize = 500;
const NORMAL_CLIENTS: usize = 2;
/// The memory limit of the container in the manifests.
const LIMIT_BYTES: f64 = (256 << 20) as f64;

/// Clients that send reviews as API servers do. A wrong or missing answer fails the test.
struct NormalClients(Vec<Client>);

impl NormalClients {
    async fn reviews(&mut self, count: usize) -> Vec<Duration> {
        let mut latencies = Vec::new();
        for _ in 0..count {
            for client in &mut self.0 {
                let begun = Instant::now();
                let reply = timeout(WAIT_MAX, client.post("/validate?timeout=10s", fixture(LEGAL))).await;
                let review = reply.expect("an answer").json();
                let response = &review["response"];
                assert_eq!((&response["uid"], &response["allowed"]), (&LEGAL_UID.into(), &true.into()), "{review}");
                latencies.push(begun.elapsed());
            }
        }
        latencies
    }
}

struct Attack(Vec<Child>);

impl Attack {
    fn start(kind: &str, processes: usize, address: SocketAddr, ca: &Path) -> Self {
        let attacker = |kind| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--ignored", "--exact", "hostile_clients::attacker", "--nocapture"]);
            command.env("ATTACK", kind).env("ATTACKED", address.to_string()).env("ATTACKED_CA", ca);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
        };
        Self(kind.split(' ').flat_map(|kind| (0..processes).map(move |_| kind)).map(attacker).collect())
    }

    /// Ends the processes and returns whether all have succeeded.
    fn end(self) -> bool {
        let ended: Vec<_> = self
            .0
            .into_iter()
            .map(|mut child| {
                drop(child.stdin.take());
                child.wait().unwrap().success()
            })
            .collect();
        ended.into_iter().all(|is_success| is_success)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviews_are_answered_and_nothing_leaks_beside_hostile_clients() {
    let folder = Folder::new();
    let process = start(&folder, "");
    let ca = folder.join("certs/ca.crt");
    let before = (sample(&process, OPEN_FDS).await, sample(&process, RESIDENT).await);
    let mut normal = NormalClients(Vec::new());
    for index in 0..NORMAL_CLIENTS {
        normal.0.push(Client::new(&ca, process.address, if index % 2 == 0 { "http/1.1" } else { "h2" }).await);
    }
    let mut latencies = normal.reviews(200).await;
    println!("alone: p50 p99 max {:.2?} ms", percentiles(&mut latencies));
    let only = std::env::var("HOSTILE_ONLY").ok();
    for attack in ATTACKS.iter().filter(|(kind, ..)| only.as_ref().is_none_or(|only| only == kind)) {
        attacked(*attack, &process, &ca, &mut normal).await;
    }
    drop(normal);
    until_metric(process.admin, CONNECTIONS, 0.0).await;
    until_metric(process.admin, IN_FLIGHT, 0.0).await;
    until_metric(process.admin, OPEN_FDS, before.0).await;
    until_metric(process.admin, HELD, 0.0).await;
    // This is only printed, because the allocator does not return all of the peak to the system.
    println!("resident: +{:.1} MiB", (sample(&process, RESIDENT).await - before.1) / f64::from(1 << 20));
    assert_eq!(sample(&process, "scan_admission_panics_total").await, 0.0, "{}", process.errors());
}

async fn attacked(
    (kind, processes, held): (&str, usize, (&str, f64)),
    process: &Process,
    ca: &Path,
    normal: &mut NormalClients,
) {
    let attack = Attack::start(kind, processes, process.address, ca);
    let waited = timeout(WAIT_MAX, async {
        while sample(process, held.0).await < held.1 {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the attack is under way");
    let end = Instant::now() + Duration::from_secs(number("HOSTILE_SECONDS", 0) as u64);
    let mut latencies = normal.reviews(200).await;
    let mut most_bytes = sample(process, RESIDENT).await;
    let mut probes = Vec::new();
    for path in ["/livez", "/readyz", "/metrics"].iter().cycle().take(60) {
        let begun = Instant::now();
        assert_eq!(timeout(PROBE_TIMEOUT, get(process.admin, path)).await.expect("an answer in time").code, 200);
        probes.push(begun.elapsed());
    }
    while Instant::now() < end {
        latencies.extend(normal.reviews(10).await);
        most_bytes = most_bytes.max(sample(process, RESIDENT).await);
    }
    // A new connection is served too.
    let mut another = NormalClients(vec![Client::new(ca, process.address, "http/1.1").await]);
    another.reviews(1).await;
    drop(another);
    let open = sample(process, CONNECTIONS).await;
    println!(
        "{kind}: {} reviews, p50 p99 max {:.2?} ms, probes {:.2?} ms, {open} connections, {:.0} MiB",
        latencies.len(),
        percentiles(&mut latencies),
        percentiles(&mut probes),
        most_bytes / f64::from(1 << 20),
    );
    assert!(most_bytes < LIMIT_BYTES, "{kind}: {most_bytes} bytes, the limit of the manifests is {LIMIT_BYTES}");
    assert!(open <= 1025.0);
    assert!(attack.end(), "{kind}: a hostile client got an unexpected answer");
}

/// Runs one attack until stdin is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "started as a process by the test of hostile clients"]
async fn attacker() {
    let Ok(kind) = std::env::var("ATTACK") else { return };
    let victim = Victim {
        address: std::env::var("ATTACKED").unwrap().parse().unwrap(),
        ca: std::env::var_os("ATTACKED_CA").unwrap().into(),
    };
    let is_over = tokio::task::spawn_blocking(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    });
    let attack = async {
        match kind.as_str() {
            "slow-heads" => victim.slow_heads().await,
            "slow-bodies" => victim.slow_bodies().await,
            "half-open" => victim.half_open().await,
            "idle" => victim.idle().await,
            "reconnect" => victim.reconnect().await,
            "huge-heads" => victim.huge_heads().await,
            "rapid-reset" => victim.rapid_reset().await,
            "garbage" => victim.garbage().await,
            "smuggling" => victim.smuggling().await,
            _ => assert!(crate::http2_attacks::run(&kind, victim.address, &victim.ca).await, "{kind}"),
        }
    };
    tokio::select! {
        () = attack => {}
        _ = is_over => {}
    }
}

struct Victim {
    address: SocketAddr,
    ca: PathBuf,
}

/// The rounds of an attack that ends by itself.
const ROUNDS: usize = 300;

impl Victim {
    /// Opens a TLS connection. Returns None where the server closes it, which it may.
    async fn tls(&self) -> Option<TlsStream<TcpStream>> {
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(self.address).await.ok()?;
        connector(&self.ca, "http/1.1", rustls::ALL_VERSIONS).connect(name, stream).await.ok()
    }

    async fn many(&self) -> Vec<TlsStream<TcpStream>> {
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_EACH {
            held.extend(self.tls().await);
        }
        held
    }

    async fn slow_heads(&self) {
        let mut held = self.many().await;
        for byte in head("/validate", 10).bytes().cycle() {
            for stream in &mut held {
                send(stream, &[byte]).await;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn slow_bodies(&self) {
        loop {
            let mut held = self.many().await;
            for stream in &mut held {
                send(stream, head("/validate", 1000).as_bytes()).await;
            }
            for _ in 0..9 {
                for stream in &mut held {
                    send(stream, b" ").await;
                }
                sleep(Duration::from_secs(1)).await;
            }
        }
    }

    async fn half_open(&self) {
        loop {
            let mut held = Vec::new();
            for _ in 0..CONNECTIONS_EACH {
                held.extend(TcpStream::connect(self.address).await);
            }
            sleep(Duration::from_secs(3)).await;
        }
    }

    async fn idle(&self) {
        let _held = self.many().await;
        std::future::pending().await
    }

    async fn reconnect(&self) {
        for round in 0..20 * ROUNDS {
            let stream = TcpStream::connect(self.address).await;
            if round % 10 == 0 {
                drop(self.tls().await);
            }
            drop(stream);
        }
    }

    async fn huge_heads(&self) {
        for _ in 0..ROUNDS / 10 {
            let Some(mut stream) = self.tls().await else { continue };
            let mut sent = stream.write_all(b"POST /validate HTTP/1.1\r\nHost: localhost\r\n").await;
            for number in 0..1000 {
                sent = match sent {
                    Ok(()) => stream.write_all(format!("X-{number}: {}\r\n", "y".repeat(1000)).as_bytes()).await,
                    Err(_) => break,
                };
            }
            let _ = stream.flush().await;
            let reply = read_all(&mut stream).await;
            assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431"), "{reply}");
        }
    }

    async fn rapid_reset(&self) {
        for _ in 0..ROUNDS / 10 {
            let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
            let Ok(stream) = TcpStream::connect(self.address).await else { continue };
            let Ok(stream) = connector(&self.ca, "h2", rustls::ALL_VERSIONS).connect(name, stream).await else {
                continue;
            };
            let Client::Http2(mut send) = Client::over(stream).await else { continue };
            for _ in 0..1000 {
                let answer = send.send_request(request(Method::POST, "/validate", None, fixture(LEGAL)));
                // Dropping the request as soon as it is sent resets the stream.
                let sent = async {
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    _ = answer => {}
                    () = sent => {}
                }
            }
        }
    }

    async fn garbage(&self) {
        for round in 0..ROUNDS {
            let bytes: Vec<u8> = (0..1000_usize).map(|at| (at * 31 + round * 17 + at * at) as u8).collect();
            if let Ok(mut stream) = TcpStream::connect(self.address).await {
                send(&mut stream, &bytes).await;
            }
            let Some(mut stream) = self.tls().await else { continue };
            send(&mut stream, &bytes).await;
            send(&mut stream, b"\r\n\r\n").await;
            let reply = read_all(&mut stream).await;
            assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400"), "{reply}");
        }
    }

    /// Sends requests with an ambiguous length, which one parser may read as a request with a body and another as two
    /// requests.
    async fn smuggling(&self) {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let lengths = [
            format!("Content-Length: 0\r\nContent-Length: {}", smuggled.len()),
            format!("Content-Length: 0, {}", smuggled.len()),
            "Content-Length: +0".to_owned(),
            "Content-Length: -1".to_owned(),
            "Content-Length: 0x10".to_owned(),
            "Content-Length : 0".to_owned(),
            "Transfer-Encoding: chunked, identity".to_owned(),
            "Transfer-Encoding: xchunked".to_owned(),
            "Transfer-Encoding:\x0bchunked".to_owned(),
            "Transfer-Encoding : chunked".to_owned(),
        ];
        for _ in 0..ROUNDS / 10 {
            for length in &lengths {
                let Some(mut stream) = self.tls().await else { continue };
                let bytes = format!("POST /validate HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n{smuggled}");
                send(&mut stream, bytes.as_bytes()).await;
                let reply = read_all(&mut stream).await;
                assert!(
                    reply.starts_with("HTTP/1.1 400") && reply.matches("HTTP/1.1").count() == 1,
                    "{length:?}: {reply}"
                );
            }
        }
    }
}

/// Sends the bytes and ignores errors, because the server may have closed the connection.
async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    if stream.write_all(bytes).await.is_ok() {
        let _ = stream.flush().await;
    }
}

/// Returns everything that the server sends until it closes.
async fn read_all(stream: &mut TlsStream<TcpStream>) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(WAIT_MAX, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    String::from_utf8_lossy(&bytes).into_owned()
}
