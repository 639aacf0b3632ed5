//! Tests every time limit of a connection on a clock that the tests move, so no test waits.

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
use crate::support::client::{self, connector, handshake};
use crate::support::folder::Folder;
use crate::support::frames;
use crate::support::request_head::head;

const SECOND: Duration = Duration::from_secs(1);
/// The flag of a PING frame that answers another.
const ACK: u8 = 1;
const HEAD: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct Pipe {
    io: DuplexStream,
    folder: Folder,
    shared: Arc<Shared>,
    stop: watch::Sender<StopStage>,
    server: JoinHandle<()>,
}

/// Returns an in-memory connection whose requests are answered after `delay`.
fn pipe(delay: Duration, answer_bytes: usize) -> Pipe {
    pipe_to(|_| {
        Router::new().fallback(move || async move {
            sleep(delay).await;
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
    let shared = Arc::new(Shared::new(&[], config, OffsetDateTime::now_utc, Counter::default(), None));
    let (peer, memory) = (([127, 0, 0, 1], 1).into(), shared.memory.connection());
    let connection = ConnectionContext { peer, activity: Activity::new(), memory };
    let server = tokio::spawn({
        let (shared, router) = (shared.clone(), router(shared.clone()));
        async move { serve_tls(server_io, connection, tls, &shared, stopping, router).await }
    });
    Pipe { io, folder, shared, stop, server }
}

impl Pipe {
    /// Completes a handshake for this protocol.
    async fn open(self, protocol: &str) -> (TlsStream<DuplexStream>, JoinHandle<()>, watch::Sender<StopStage>) {
        let connector = connector(&self.folder.join("ca.crt"), protocol, rustls::ALL_VERSIONS);
        (handshake(&connector, self.io).await, self.server, self.stop)
    }
}

/// Reads one whole answer.
async fn answered(stream: &mut TlsStream<DuplexStream>) {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n.") {
        text.push(stream.read_u8().await.unwrap().into());
    }
}

/// Waits until the server's task ends. The clock jumps from one timer to the next, so this takes no longer than the
/// server's own timers.
async fn ended(server: JoinHandle<()>) {
    timeout(Duration::from_secs(100_000), server).await.expect("the connection ends").unwrap();
}

async fn seconds_until_closed(stream: &mut TlsStream<DuplexStream>) -> u64 {
    let before = Instant::now();
    let mut bytes = Vec::new();
    let _ =
        timeout(Duration::from_secs(100_000), stream.read_to_end(&mut bytes)).await.expect("the connection is closed");
    before.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_handshake_is_cut_off() {
    let limits = Limits::default();
    let mut pipe = pipe(Duration::ZERO, 1);
    let before = Instant::now();
    pipe.io.write_all(b"\x16\x03\x01").await.unwrap();
    ended(pipe.server).await;
    assert_eq!(before.elapsed().as_secs(), limits.handshake.as_secs());
    assert_eq!((pipe.shared.metrics.handshakes_failed.get(), pipe.shared.metrics.handshakes.get()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_the_api_server_would_close_it() {
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
async fn a_slow_head_is_cut_off_at_the_first_and_at_later_requests() {
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
        assert!(server.is_finished(), "the connection is closed while the head is incomplete");
        assert!((2.0..=3.0).contains(&before.elapsed().as_secs_f64()), "{:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_in_two_packets_and_a_slow_answer_are_accepted() {
    let (mut stream, server, _stop) = pipe(60 * SECOND, 1).open("http/1.1").await;
    for _ in 0..3 {
        write(&mut stream, &HEAD[..10]).await;
        sleep(SECOND).await;
        write(&mut stream, &HEAD[10..]).await;
        answered(&mut stream).await;
    }
    // The time limit of the head does not apply to the body, which has the deadline of the handler.
    write(&mut stream, head("/", 100)).await;
    write(&mut stream, "half").await;
    sleep(30 * SECOND).await;
    assert!(!server.is_finished());
    write(&mut stream, [b'.'; 96]).await;
    answered(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_is_abandoned() {
    let (mut stream, server, _stop) = pipe(Duration::ZERO, 1 << 20).open("http/1.1").await;
    let before = Instant::now();
    write(&mut stream, HEAD).await;
    ended(server).await;
    assert_eq!(before.elapsed().as_secs(), Limits::default().write.as_secs());
}

/// HTTP/2 sends no data while the client's window is closed.
#[tokio::test(start_paused = true)]
async fn an_http2_answer_without_a_window_is_abandoned() {
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
        // A live client answers pings.
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
async fn an_http2_client_without_a_preface_or_answers_to_pings_is_cut_off() {
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
async fn a_stop_closes_connections_that_do_not_close_by_themselves() {
    // An HTTP/2 client that never sends its preface, and an unfinished handshake.
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
async fn a_stop_waits_for_the_answer_and_announces_the_close() {
    let (mut stream, server, stop) = pipe(5 * SECOND, 1).open("http/1.1").await;
    write(&mut stream, HEAD).await;
    sleep(SECOND).await;
    stop.send_replace(StopStage::Stopping);
    let reply = rest(&mut stream).await;
    assert!(reply.contains("connection: close\r\n") && reply.ends_with("\r\n\r\n."), "{reply}");
    ended(server).await;
}

#[test]
fn the_default_limits_are_in_the_required_order() {
    let limits = Limits::default();
    assert!(limits.idle > 90 * SECOND, "the API server closes first, after 90 s");
    assert!(limits.drain > limits.body, "a stop waits for the longest body");
    assert!(limits.drain < 30 * SECOND, "the server stops before Kubernetes kills it");
    // Two objects of 3 MiB, with each byte escaped to six.
    const { assert!(BODY_READ_BYTES > 2 * 6 * (3 << 20)) };
}
