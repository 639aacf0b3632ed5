//! Every time limit of a connection, on a clock that the tests move: nothing here waits.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus_client::metrics::counter::Counter;
use scan_admission::config::Limits;
use scan_admission::server::Shared;
use scan_admission::server::connection::{ConnectionContext, StopStage, serve_tls};
use scan_admission::server::handler;
use scan_admission::server::limits::{BODY_READ_BYTES, PING_INTERVAL, PING_TIMEOUT};
use scan_admission::server::timeouts::Activity;
use scan_admission::tls::development;
use scan_admission::tls::server_config::server_config;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::client::TlsStream;

use crate::sockets::{rest, write};
use crate::support::client::{self, connector, shake};
use crate::support::folder::Folder;
use crate::support::frames;
use crate::support::request_head::head;

const SECOND: Duration = Duration::from_secs(1);
/// The flag of a PING that answers one.
const ACK: u8 = 1;
const HEAD: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct Pipe {
    io: DuplexStream,
    folder: Folder,
    shared: Arc<Shared>,
    stop: watch::Sender<StopStage>,
    server: JoinHandle<()>,
}

/// A connection through memory, whose requests are answered after `takes`.
fn pipe(takes: Duration, answer_bytes: usize) -> Pipe {
    pipe_to(|_| {
        Router::new().fallback(move || async move {
            sleep(takes).await;
            vec![b'.'; answer_bytes]
        })
    })
}

fn pipe_to(router: impl FnOnce(Arc<Shared>) -> Router) -> Pipe {
    let folder = Folder::new();
    let certificate = development::certificate(folder.path(), OffsetDateTime::now_utc()).unwrap();
    let (_renew, certificate) = watch::channel(Some(Arc::new(certificate)));
    let tls = TlsAcceptor::from(Arc::new(server_config(certificate, None).unwrap()));
    let (stop, stopping) = watch::channel(StopStage::Serving);
    let (io, server_io) = duplex(16 << 10);
    let (_, config) = watch::channel(Arc::default());
    let shared = Arc::new(Shared::new(&[], config, OffsetDateTime::now_utc, Counter::default()));
    let (peer, memory) = (([127, 0, 0, 1], 1).into(), shared.memory.connection());
    let connection = ConnectionContext { peer, activity: Activity::new(), memory };
    let server = tokio::spawn({
        let (shared, router) = (shared.clone(), router(shared.clone()));
        async move { serve_tls(server_io, connection, tls, &shared, stopping, router).await }
    });
    Pipe { io, folder, shared, stop, server }
}

impl Pipe {
    /// Shakes hands for a protocol.
    async fn open(self, protocol: &str) -> (TlsStream<DuplexStream>, JoinHandle<()>, watch::Sender<StopStage>) {
        let connector = connector(&self.folder.join("ca.crt"), protocol, rustls::ALL_VERSIONS);
        (shake(&connector, self.io).await, self.server, self.stop)
    }
}

/// Reads one whole answer.
async fn answered(stream: &mut TlsStream<DuplexStream>) {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n.") {
        text.push(stream.read_u8().await.unwrap().into());
    }
}

/// The clock of the tests jumps from one timer to the next: this waits for no longer than the server does.
async fn ended(server: JoinHandle<()>) {
    timeout(Duration::from_secs(100_000), server).await.expect("the connection ends").unwrap();
}

async fn seconds_until_closed(stream: &mut TlsStream<DuplexStream>) -> u64 {
    let before = Instant::now();
    let mut bytes = Vec::new();
    let _ = timeout(Duration::from_secs(100_000), stream.read_to_end(&mut bytes)).await.expect("it is closed");
    before.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_not_finished_is_cut() {
    let limits = Limits::default();
    let mut pipe = pipe(Duration::ZERO, 1);
    let before = Instant::now();
    pipe.io.write_all(b"\x16\x03\x01").await.unwrap();
    ended(pipe.server).await;
    assert_eq!(before.elapsed().as_secs(), limits.handshake.as_secs());
    assert_eq!((pipe.shared.metrics.handshakes_failed.get(), pipe.shared.metrics.handshakes.get()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_outlives_the_api_server_and_then_ends() {
    for protocol in ["http/1.1", "h2"] {
        let (mut stream, server, _stop) = pipe(Duration::ZERO, 1).open(protocol).await;
        if protocol == "h2" {
            let mut client = client::Client::over(stream).await;
            for _ in 0..2 {
                client.post("/", "").await;
                sleep(95 * SECOND).await;
            }
            client.post("/", "").await;
            let before = Instant::now();
            ended(server).await;
            assert_eq!(before.elapsed().as_secs(), 100);
            continue;
        }
        for _ in 0..2 {
            write(&mut stream, HEAD).await;
            answered(&mut stream).await;
            sleep(95 * SECOND).await;
        }
        write(&mut stream, HEAD).await;
        answered(&mut stream).await;
        assert_eq!(seconds_until_closed(&mut stream).await, 100);
        ended(server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_cut_at_first_and_later() {
    for requests_before in [0, 2] {
        let (mut stream, server, _stop) = pipe(3 * SECOND, 1).open("http/1.1").await;
        for _ in 0..requests_before {
            write(&mut stream, HEAD).await;
            answered(&mut stream).await;
            sleep(50 * SECOND).await;
        }
        let before = Instant::now();
        for byte in HEAD.bytes() {
            if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() || server.is_finished() {
                break;
            }
            sleep(SECOND / 2).await;
        }
        assert!(server.is_finished(), "cut while it trickled");
        assert!((2.0..=3.0).contains(&before.elapsed().as_secs_f64()), "{:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_in_two_packets_and_an_answer_that_takes_its_time_are_fine() {
    let (mut stream, server, _stop) = pipe(60 * SECOND, 1).open("http/1.1").await;
    for _ in 0..3 {
        write(&mut stream, &HEAD[..10]).await;
        sleep(SECOND).await;
        write(&mut stream, &HEAD[10..]).await;
        answered(&mut stream).await;
    }
    // The body is not the head's business: its deadline is the handler's.
    write(&mut stream, head("/", 100)).await;
    write(&mut stream, "half").await;
    sleep(30 * SECOND).await;
    assert!(!server.is_finished());
    write(&mut stream, [b'.'; 96]).await;
    answered(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_given_up() {
    let (mut stream, server, _stop) = pipe(Duration::ZERO, 1 << 20).open("http/1.1").await;
    let before = Instant::now();
    write(&mut stream, HEAD).await;
    ended(server).await;
    assert_eq!(before.elapsed().as_secs(), Limits::default().write.as_secs());
}

/// HTTP/2 writes nothing of an answer where the client's window is closed.
#[tokio::test(start_paused = true)]
async fn an_answer_that_has_no_window_is_given_up() {
    for path in ["/validate", "/nowhere"] {
        let (stream, server, _stop) = pipe_to(handler::router).open("h2").await;
        let (mut reader, mut writer) = split(stream);
        write(&mut writer, frames::begin(&[(frames::WINDOW, 0)])).await;
        let body = frames::frame(frames::DATA, frames::END_STREAM, 1, b"no review");
        write(&mut writer, [frames::post(1, path, &[]), body].concat()).await;
        loop {
            let frame = frames::next(&mut reader).await.expect("a head");
            if (frame.kind, frame.stream) == (frames::HEADERS, 1) {
                break;
            }
        }
        let before = Instant::now();
        // A client that is there answers pings.
        let client = tokio::spawn(async move {
            while let Some(frame) = frames::next(&mut reader).await {
                if frame.kind == frames::PING && frame.flags & ACK == 0 {
                    write(&mut writer, frames::frame(frames::PING, ACK, 0, &frame.payload)).await;
                }
            }
        });
        ended(server).await;
        let write_seconds = Limits::default().write.as_secs_f64();
        let seconds = before.elapsed().as_secs_f64();
        assert!((write_seconds..=1.2 * write_seconds).contains(&seconds), "{path}: {seconds}");
        client.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_http2_peer_that_never_begins_or_never_answers_a_ping_is_cut() {
    let (_stream, server, _stop) = pipe(Duration::ZERO, 1).open("h2").await;
    let before = Instant::now();
    ended(server).await;
    let limits = Limits::default();
    assert_eq!(before.elapsed().as_secs(), (limits.idle + limits.drain).as_secs());

    let (mut stream, server, _stop) = pipe(Duration::ZERO, 1).open("h2").await;
    let before = Instant::now();
    write(&mut stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    ended(server).await;
    assert_eq!(before.elapsed().as_secs(), (PING_INTERVAL + PING_TIMEOUT).as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_what_does_not_end_by_itself() {
    // An HTTP/2 peer that never began, and a handshake.
    let (_stream, server, stop) = pipe(Duration::ZERO, 1).open("h2").await;
    sleep(SECOND).await;
    let before = Instant::now();
    stop.send_replace(StopStage::Stopping);
    ended(server).await;
    assert_eq!(before.elapsed().as_secs(), Limits::default().drain.as_secs());

    let pipe = pipe(Duration::ZERO, 1);
    let before = Instant::now();
    pipe.stop.send_replace(StopStage::Stopping);
    ended(pipe.server).await;
    assert_eq!(before.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_answer_and_says_that_it_closes() {
    let (mut stream, server, stop) = pipe(5 * SECOND, 1).open("http/1.1").await;
    write(&mut stream, HEAD).await;
    sleep(SECOND).await;
    stop.send_replace(StopStage::Stopping);
    let reply = rest(&mut stream).await;
    assert!(reply.contains("connection: close\r\n") && reply.ends_with("\r\n\r\n."), "{reply}");
    ended(server).await;
}

#[test]
fn the_limits_stand_in_the_order_that_they_have_to() {
    let limits = Limits::default();
    assert!(limits.idle > 90 * SECOND, "the API server closes first");
    assert!(limits.drain > limits.body, "a stop waits for the longest body");
    assert!(limits.drain < 30 * SECOND, "before Kubernetes kills");
    // Two objects of 3 MiB with each byte escaped to six.
    const { assert!(BODY_READ_BYTES > 2 * 6 * (3 << 20)) };
}
