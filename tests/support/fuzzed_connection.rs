//! What the fuzz targets `http1` and `h2` check of an input: any bytes on a connection after its handshake, on a clock that
//! jumps from one timer to the next.
//!
//! The first byte of an input chooses the server and how the client behaves. The other bytes are what the client sends; with
//! HTTP/2, they follow the preface and the settings.

mod answers;

use std::cell::Cell;
use std::sync::{Arc, Once};
use std::time::Duration;

use axum::Router;
use prometheus_client::metrics::counter::Counter;
use scan_admission::config::{Config, Limits};
use scan_admission::rules::RULES;
use scan_admission::server::Shared;
use scan_admission::server::connection::{ConnectionContext, StopStage, serve};
use scan_admission::server::handler::{VALIDATE, router};
use scan_admission::server::timeouts::{Activity, Protocol};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::frames;
use super::request_head::head;
use super::review_context::now;

/// The window of each stream, which an API server makes larger.
const WINDOW_BYTES: u32 = 1 << 20;
/// What a duplex stream buffers in each direction, like the buffer of a socket.
const PIPE_BYTES: usize = 16 << 10;
/// The pause between the pieces of a slow client. Two of them exceed the limit of a head, and seven that of a body.
const PAUSE: Duration = Duration::from_millis(1500);
/// The number of slow pieces; the rest is sent at once.
const SLOW_PIECES: usize = 32;
/// The memory of the server that is short of it: enough for a few requests.
const TIGHT_BYTES: usize = 64 << 10;
/// More conditions than the server judges on the thread of the connection.
const MANY_CONDITIONS: usize = 300;

/// Any bytes on a connection.
pub fn check_connection(protocol: Protocol, bytes: &[u8]) {
    thread_local! {
        static SERVERS: Servers = Servers::new();
    }
    SERVERS.with(|servers| servers.check(protocol, bytes));
}

/// Counts panics of this thread, also those that tokio catches.
fn panics() -> usize {
    thread_local! {
        static PANICS: Cell<usize> = const { Cell::new(0) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A thread that ends has no count any more.
            let _ = PANICS.try_with(|panics| panics.set(panics.get() + 1));
            before(panic);
        }));
    });
    PANICS.with(Cell::get)
}

/// How a client behaves.
struct Behaviour {
    is_tight: bool,
    ends: ClientEnd,
    reads_answers: bool,
    piece_bytes: usize,
    pause: Duration,
    /// Whether the client of the other connection also sends a review that is judged on a thread.
    is_with_long: bool,
}

/// What happens after a client has sent everything.
#[derive(Clone, Copy, PartialEq)]
enum ClientEnd {
    /// It sends no more, and reads the answers.
    HalfClose,
    /// It does nothing, until the server closes the connection.
    Stay,
    /// It closes the connection.
    Drop,
    /// The server stops.
    Stop,
}

impl Behaviour {
    fn of(byte: u8) -> Self {
        let ends = [ClientEnd::HalfClose, ClientEnd::Stay, ClientEnd::Drop, ClientEnd::Stop];
        let (piece_bytes, pause) = match byte >> 4 & 3 {
            0 => (usize::MAX, Duration::ZERO),
            1 => (1, Duration::ZERO),
            2 => (100, Duration::ZERO),
            _ => (100, PAUSE),
        };
        let ends = ends[usize::from(byte >> 1 & 3)];
        let [is_tight, reads_answers, is_with_long] = [byte & 1 == 1, byte >> 3 & 1 == 0, byte >> 6 & 1 == 1];
        Self { is_tight, ends, reads_answers, piece_bytes, pause, is_with_long }
    }

    /// Whether every request that is complete gets its answer.
    fn is_fair(&self) -> bool {
        // A body must not have too many small pieces.
        let is_normal = self.piece_bytes > 1 && self.pause.is_zero();
        self.ends == ClientEnd::Stay && !self.is_tight && self.reads_answers && is_normal
    }
}

/// The servers of a process: one with the default limits, and one with little memory.
struct Servers {
    runtime: Runtime,
    roomy: FuzzedServer,
    tight: FuzzedServer,
}

impl Servers {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let [roomy, tight] = runtime.block_on(async {
            [Limits::default(), Limits { bodies_bytes: TIGHT_BYTES, ..Limits::default() }].map(FuzzedServer::new)
        });
        Self { runtime, roomy, tight }
    }

    fn check(&self, protocol: Protocol, bytes: &[u8]) {
        let Some((first, sent)) = bytes.split_first() else { return };
        let behaviour = Behaviour::of(*first);
        let server = if behaviour.is_tight { &self.tight } else { &self.roomy };
        let before = panics();
        let received = self.runtime.block_on(async {
            let received = server.talk(protocol, &behaviour, sent).await;
            server.check_given_back().await;
            server.check_good_requests(behaviour.is_with_long).await;
            server.check_given_back().await;
            received
        });
        assert_eq!(panics(), before, "the server has panicked");
        assert_eq!(self.runtime.metrics().num_alive_tasks(), 0);
        let is_fair = behaviour.is_fair();
        match protocol {
            Protocol::Http1 => answers::check_http1(sent, &received, is_fair),
            Protocol::Http2 => self.runtime.block_on(answers::check_http2(sent, &received, is_fair)),
        }
    }
}

struct FuzzedServer {
    limits: Limits,
    shared: Arc<Shared>,
    router: Router,
}

impl FuzzedServer {
    fn new(limits: Limits) -> Self {
        let config = watch::channel(Arc::new(Config { limits, ..Config::default() })).1;
        let shared = Arc::new(Shared::new(RULES, config, now, Counter::default(), None));
        Self { limits, router: router(shared.clone()), shared }
    }

    /// Opens a connection.
    fn connect(&self, protocol: Protocol, stop: watch::Receiver<StopStage>) -> (DuplexStream, JoinHandle<()>) {
        let (io, server_io) = duplex(PIPE_BYTES);
        let (peer, memory) = (([127, 0, 0, 1], 1).into(), self.shared.memory.connection());
        let connection = ConnectionContext { peer, activity: Activity::new(), memory };
        let (limits, router) = (self.limits, self.router.clone());
        let serving = async move { serve(server_io, connection, protocol, &limits, stop, router).await };
        (io, tokio::spawn(serving))
    }

    /// Sends the bytes as the client behaves, and returns the answers that it has read.
    async fn talk(&self, protocol: Protocol, behaviour: &Behaviour, sent: &[u8]) -> Vec<u8> {
        let (stop, stopping) = watch::channel(StopStage::Serving);
        let (io, serving) = self.connect(protocol, stopping);
        let (mut reader, writer) = split(io);
        let reading = async move {
            let mut received = Vec::new();
            if behaviour.reads_answers {
                let _ = reader.read_to_end(&mut received).await;
            }
            received
        };
        let mut reading = Box::pin(reading);
        let sending = send(writer, protocol, behaviour, sent);
        let writer = if behaviour.reads_answers {
            tokio::select! {
                received = &mut reading => {
                    self.ended(ClientEnd::Drop, serving).await;
                    return received;
                }
                writer = sending => writer,
            }
        } else {
            sending.await
        };
        // Short of memory, a server closes connections with answers that are not read yet.
        if !behaviour.is_tight {
            self.check_good_requests(behaviour.is_with_long).await;
        }
        match behaviour.ends {
            ClientEnd::Drop => {
                drop((reading, writer));
                self.ended(ClientEnd::Drop, serving).await;
                return Vec::new();
            }
            ClientEnd::Stop => drop(stop.send_replace(StopStage::Stopping)),
            ClientEnd::HalfClose | ClientEnd::Stay => {}
        }
        tokio::join!(reading, self.ended(behaviour.ends, serving)).0
    }

    /// Waits until the server has ended a connection, within its limits.
    async fn ended(&self, by: ClientEnd, serving: JoinHandle<()>) {
        let begun = Instant::now();
        timeout(Duration::from_secs(100_000), serving).await.expect("the connection ends").unwrap();
        let Limits { idle, body, write, drain, .. } = self.limits;
        let limit = match by {
            ClientEnd::Stop => drain,
            ClientEnd::Drop => Duration::ZERO,
            ClientEnd::HalfClose | ClientEnd::Stay => idle + body + write + drain,
        };
        // Timers have a resolution of a millisecond.
        assert!(begun.elapsed() <= limit + Duration::from_secs(2), "{:?} after its client", begun.elapsed());
    }

    /// Sends a short review, and perhaps one that is judged on a thread, on another connection.
    async fn check_good_requests(&self, is_with_long: bool) {
        let review = |kind: &str, conditions: usize| {
            json!({
                "apiVersion": "admission.k8s.io/v1",
                "kind": "AdmissionReview",
                "request": {
                    "uid": "good", "operation": "UPDATE", "subResource": "status", "namespace": "dev", "name": "app",
                    "kind": {"group": "scanning.apps.tanzu.vmware.com", "version": "v1beta1", "kind": kind},
                    "object": {"status": {"phase": "Done", "conditions": vec![json!({}); conditions]}},
                },
            })
        };
        let (_stop, stopping) = watch::channel(StopStage::Serving);
        let (mut io, serving) = self.connect(Protocol::Http1, stopping);
        let mut sent = Vec::new();
        // Objects of other kinds are allowed.
        let reviews = [("SourceScan", 0), ("Scan", MANY_CONDITIONS)];
        let reviews = if is_with_long { &reviews[..] } else { &reviews[..1] };
        for (kind, conditions) in reviews {
            let body = review(kind, *conditions).to_string();
            sent.extend([head(VALIDATE, body.len()).into_bytes(), body.into_bytes()].concat());
        }
        io.write_all(&sent).await.unwrap();
        let mut received = Vec::new();
        while answers::http1_answers(&received).iter().filter(|answer| answer.is_complete).count() < reviews.len() {
            let count =
                timeout(self.limits.body, io.read_buf(&mut received)).await.expect("an answer in time").unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&received));
        }
        drop(io);
        for (answer, is_allowed) in answers::http1_answers(&received).iter().zip([false, true]) {
            let json: Value = serde_json::from_slice(answer.body).unwrap();
            let response = &json["response"];
            assert_eq!((answer.code, &response["uid"]), (200, &json!("good")));
            assert_eq!(response["allowed"], is_allowed, "{json}");
        }
        serving.await.unwrap();
    }

    /// Waits until all permits and all memory are given back.
    async fn check_given_back(&self) {
        let held = || {
            let memory = &self.shared.memory;
            [self.shared.metrics.in_flight.get(), memory.bodies.get(), memory.held.get()]
        };
        let begun = Instant::now();
        while held() != [0; 3] {
            assert!(begun.elapsed() < self.limits.body, "in flight, bodies, bytes: {:?}", held());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Sends everything, unless the server closes the connection. Returns the writer, which keeps the connection open.
async fn send<W: AsyncWrite + Unpin>(mut writer: W, protocol: Protocol, behaviour: &Behaviour, sent: &[u8]) -> W {
    if protocol == Protocol::Http2 {
        let _ = writer.write_all(&frames::begin(&[(frames::WINDOW, WINDOW_BYTES)])).await;
    }
    for (index, piece) in sent.chunks(behaviour.piece_bytes.min(sent.len()).max(1)).enumerate() {
        if writer.write_all(piece).await.is_err() {
            break;
        }
        match behaviour.pause {
            Duration::ZERO => tokio::task::yield_now().await,
            pause if index < SLOW_PIECES => sleep(pause).await,
            _ => {}
        }
    }
    if behaviour.ends == ClientEnd::HalfClose {
        let _ = writer.shutdown().await;
    }
    writer
}
