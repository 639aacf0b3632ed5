//! Drops connections at each of their awaits, with injected yields. Whatever a review has taken is given back, and later reviews
//! are answered. Certificates are swapped at each await of a handshake.
//!
//! Everything runs in the process of the test, over pipes in memory. The seeds are fixed.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{io, iter};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prometheus_client::metrics::counter::Counter;
use rustls::sign::CertifiedKey;
use scan_admission::config::Limits;
use scan_admission::rules::RULES;
use scan_admission::server::Shared;
use scan_admission::server::connection::{ConnectionContext, StopStage, serve};
use scan_admission::server::handler::{VALIDATE, router};
use scan_admission::server::timeouts::{Activity, Protocol};
use scan_admission::tls::development;
use scan_admission::tls::server_config::server_config;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::support::client::{connector, request};
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::waits::WAIT_MAX;

const LEGAL: &str = "sourcescan-failed-5-completed.validate.json";
/// The bytes that a pipe holds. A review of 6 KB then takes some dozen reads.
const PIPE_BYTES: usize = 512;
const SEEDS: [u64; 3] = [1, 2, 3];

/// A small generator of numbers: xorshift.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A stream that is not ready every third time, and reads and writes only parts.
struct Hesitant {
    io: DuplexStream,
    numbers: Numbers,
}

impl Hesitant {
    fn hesitates(&mut self, context: &Context<'_>) -> bool {
        let hesitates = self.numbers.below(3) == 0;
        if hesitates {
            context.waker().wake_by_ref();
        }
        hesitates
    }

    fn part(&mut self, length: usize) -> usize {
        1 + self.numbers.below(length.max(1) as u64) as usize
    }
}

impl AsyncRead for Hesitant {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.hesitates(context) {
            return Poll::Pending;
        }
        let mut part = vec![0; self.part(to.remaining()).min(to.remaining())];
        let mut read = ReadBuf::new(&mut part);
        let polled = Pin::new(&mut self.io).poll_read(context, &mut read);
        to.put_slice(read.filled());
        polled
    }
}

impl AsyncWrite for Hesitant {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.hesitates(context) {
            return Poll::Pending;
        }
        let part = self.part(bytes.len()).min(bytes.len());
        Pin::new(&mut self.io).poll_write(context, &bytes[..part])
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.hesitates(context) { Poll::Pending } else { Pin::new(&mut self.io).poll_flush(context) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Polls a future until it is ready, at most `polls` times. Then drops it.
async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

fn shared() -> Arc<Shared> {
    let config = watch::channel(Arc::default()).1;
    Arc::new(Shared::new(RULES, config, OffsetDateTime::now_utc, Counter::default(), None))
}

/// Serves a connection until it ends or was polled `polls` times. Returns whether it has ended.
async fn serve_polled(shared: &Arc<Shared>, io: DuplexStream, protocol: Protocol, seed: u64, polls: usize) -> bool {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let connection = ConnectionContext { peer, activity: Activity::new(), memory: shared.memory.connection() };
    let (_stage, stop) = watch::channel(StopStage::Serving);
    let io = Hesitant { io, numbers: Numbers(seed) };
    polled(serve(io, connection, protocol, &Limits::default(), stop, router(shared.clone())), polls).await.is_some()
}

/// Sends a review and reads the answer. Returns its code, or `None` if the connection ended before.
async fn post(io: DuplexStream, protocol: Protocol, body: Bytes) -> Option<StatusCode> {
    let request = request(Method::POST, VALIDATE, Some("application/json"), body);
    let io = TokioIo::new(io);
    let response = match protocol {
        Protocol::Http1 => {
            let (mut send, connection) = http1::handshake::<_, Full<Bytes>>(io).await.ok()?;
            tokio::spawn(connection);
            send.send_request(request).await.ok()?
        }
        Protocol::Http2 => {
            let (mut send, connection) = http2::handshake(TokioExecutor::new(), io).await.ok()?;
            tokio::spawn(connection);
            send.send_request(request).await.ok()?
        }
    };
    let status = response.status();
    response.into_body().collect().await.ok()?;
    Some(status)
}

/// Waits until nothing is held. The tasks of HTTP/2 streams and of long reviews end after their connection.
async fn until_all_is_returned(shared: &Shared, case: &str) {
    let held = || [shared.memory.held.get(), shared.memory.bodies.get(), shared.metrics.in_flight.get()];
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while held() != [0; 3] {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{case}: bytes, bodies and reviews are held: {:?}", held());
}

/// The captured review, and the same with so much white space that it is judged on a thread of its own.
fn bodies() -> [(&'static str, Bytes); 2] {
    let legal = fixture(LEGAL);
    let long = [&vec![b' '; 100 << 10][..], &legal].concat();
    [("short", legal.into()), ("long", long.into())]
}

#[tokio::test]
async fn a_connection_that_is_dropped_at_any_await_returns_everything() {
    let shared = shared();
    for (name, body) in bodies() {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            for seed in SEEDS {
                let mut answered = 0;
                // A long review has too many awaits to drop its connection at each.
                let step = if name == "short" { 1 } else { 7 };
                for polls in (1..).step_by(step) {
                    let (client, server) = duplex(if name == "short" { PIPE_BYTES } else { 32 * PIPE_BYTES });
                    let (code, is_over) = tokio::join!(
                        post(client, protocol, body.clone()),
                        serve_polled(&shared, server, protocol, seed, polls)
                    );
                    let case = format!("{name}, {protocol:?}, seed {seed}, {polls} polls");
                    assert!(code.is_none_or(|code| code == StatusCode::OK), "{case}: {code:?}");
                    until_all_is_returned(&shared, &case).await;
                    answered += usize::from(code.is_some());
                    if is_over {
                        break;
                    }
                }
                assert!(answered > 0, "{name}, {protocol:?}, seed {seed}");
            }
        }
    }
    assert_eq!(shared.metrics.panics.get(), 0);
    // No permit is lost: several long reviews at once are answered.
    let [_, (_, long)] = bodies();
    let reviews: Vec<_> = iter::repeat_n(long, 16)
        .map(|body| {
            let shared = shared.clone();
            tokio::spawn(async move {
                let (client, server) = duplex(32 * PIPE_BYTES);
                let served = serve_polled(&shared, server, Protocol::Http1, 1, usize::MAX);
                tokio::join!(post(client, Protocol::Http1, body), served).0
            })
        })
        .collect();
    for review in reviews {
        assert_eq!(review.await.unwrap(), Some(StatusCode::OK));
    }
    until_all_is_returned(&shared, "long reviews at once").await;
}

/// Returns a request of HTTP/1.1 in bytes.
fn bytes_of_request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {VALIDATE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_client_that_goes_away_at_any_byte_gets_everything_returned() {
    let shared = shared();
    let [(_, body), _] = bodies();
    let request = bytes_of_request(&body);
    for sent in 0..=request.len() {
        let (mut client, server) = duplex(request.len());
        client.write_all(&request[..sent]).await.unwrap();
        drop(client);
        assert!(serve_polled(&shared, server, Protocol::Http1, 1, usize::MAX).await, "after {sent} bytes");
        until_all_is_returned(&shared, &format!("after {sent} bytes")).await;
    }
    assert_eq!(shared.metrics.panics.get(), 0);
}

#[tokio::test]
async fn a_certificate_that_is_swapped_during_a_handshake_fails_none() {
    let folders = [Folder::new(), Folder::new()];
    let pairs: Vec<Arc<CertifiedKey>> = folders
        .iter()
        .map(|folder| Arc::new(development::certificate(folder.path(), OffsetDateTime::now_utc()).unwrap()))
        .collect();
    let (sender, current) = watch::channel(Some(pairs[0].clone()));
    let acceptor = TlsAcceptor::from(Arc::new(server_config(current, None).unwrap()));
    let connectors =
        folders.each_ref().map(|folder| connector(&folder.join("ca.crt"), "http/1.1", rustls::ALL_VERSIONS));
    let mut presented = [0; 2];
    // The certificate is swapped before the poll of this number, and once more after it.
    for swap in 1..40 {
        for trusted in 0..2 {
            sender.send_replace(Some(pairs[0].clone()));
            let (client, server) = duplex(256);
            let mut accepted = pin!(acceptor.accept(Hesitant { io: server, numbers: Numbers(swap) }));
            let mut polls = 0;
            let server = poll_fn(|context| {
                polls += 1;
                if polls == swap {
                    sender.send_replace(Some(pairs[1].clone()));
                }
                accepted.as_mut().poll(context)
            });
            let name = "localhost".try_into().unwrap();
            let (client, _server) = tokio::join!(connectors[trusted].connect(name, client), server);
            // The handshake succeeds by one of the two certificates, whose CAs differ; no handshake mixes them.
            if let Ok(stream) = client {
                let certificate = &stream.get_ref().1.peer_certificates().unwrap()[0];
                assert_eq!(certificate, &pairs[trusted].cert[0]);
                presented[trusted] += 1;
            }
        }
    }
    // Each handshake presented one of them, so that exactly one of the two clients accepts it.
    assert_eq!(presented[0] + presented[1], 39, "{presented:?}");
    assert!(presented.iter().all(|count| *count > 0), "{presented:?}");
}
