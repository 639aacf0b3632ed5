//! Generates load: connections that send reviews and check every answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hyper::body::Bytes;
use memchr::memmem;
use scan_admission::admission::Webhook;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::contender::CONSTANT;
use crate::support::bodies::{Body, Outcome};
use crate::support::client::{Client, handshake};

/// A limit that only the answer of a broken server exceeds.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// A server to which reviews are sent.
#[derive(Clone)]
pub struct Target {
    /// Its ALPN protocol is HTTP/1.1 or h2.
    pub connector: TlsConnector,
    pub address: SocketAddr,
    pub answers: Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// The same constant, always.
    Constant,
    /// A review with the uid of the request and the decision that the body is made for.
    Decision,
    /// The same from a webhook without mutations, which denies a review that ours mutates.
    DeniesOnly,
}

/// One connection with the two reviews that it sends in turn. Each has its own uid, so an answer to another request is
/// an error.
pub struct Connection {
    client: Client,
    reviews: Arc<[Review; 2]>,
    sent: usize,
}

pub struct Review {
    body: Bytes,
    path: &'static str,
    parts: Vec<String>,
}

/// Returns the path at which a webhook is served.
pub fn path(webhook: Webhook) -> &'static str {
    match webhook {
        Webhook::Validating => "/validate",
        Webhook::Mutating => "/mutate",
    }
}

impl Review {
    fn new(body: &Body, number: usize, answers: Answers) -> Self {
        let (before, after) = body.text.split_once(r#""uid":""#).expect("a review has a uid");
        let (_, after) = after.split_at(8);
        let uid = format!(r#""uid":"{number:08x}"#);
        let rest = after.split_once('"').expect("a uid ends").0;
        let allowed = |is| format!(r#""allowed":{is}"#);
        let parts = match (answers, body.outcome) {
            (Answers::Constant, _) => vec![CONSTANT.to_owned()],
            (_, Outcome::Allowed) => vec![allowed(true)],
            (_, Outcome::Denied) | (Answers::DeniesOnly, Outcome::Mutated) => vec![allowed(false)],
            (_, Outcome::Mutated) => vec![allowed(true), r#""patchType":"JSONPatch""#.to_owned()],
        };
        let of_uid = (answers != Answers::Constant).then(|| format!("{uid}{rest}\""));
        let path = path(body.webhook);
        Review { body: format!("{before}{uid}{after}").into(), path, parts: parts.into_iter().chain(of_uid).collect() }
    }

    fn check(&self, code: u16, body: &[u8]) {
        let is_right = code == 200 && self.parts.iter().all(|part| memmem::find(body, part.as_bytes()).is_some());
        assert!(is_right, "expected code 200 and {:?}, got {code}: {}", self.parts, String::from_utf8_lossy(body));
    }
}

impl Connection {
    pub async fn new(target: &Target, body: &Body, number: usize) -> Self {
        let reviews = [0, 1].map(|turn| Review::new(body, 2 * number + turn, target.answers));
        Self::with(target, Arc::new(reviews)).await
    }

    async fn with(target: &Target, reviews: Arc<[Review; 2]>) -> Self {
        let stream = TcpStream::connect(target.address).await.expect("a connection");
        // The API server's client sets this option, too.
        stream.set_nodelay(true).expect("a socket");
        let client = Client::over(handshake(&target.connector, stream).await).await;
        Connection { client, reviews, sent: 0 }
    }

    /// Sends the next review and checks its answer.
    pub async fn review(&mut self) {
        let review = &self.reviews[self.sent % 2];
        self.sent += 1;
        let reply =
            timeout(WAIT_MAX, self.client.post(review.path, review.body.clone())).await.expect("an answer in time");
        review.check(reply.code, &reply.body);
    }
}

/// Opens all connections concurrently. Each has received its first answers.
pub async fn connect(target: &Target, body: &Body, count: usize) -> Vec<Connection> {
    let mut all = Vec::new();
    for number in 0..count {
        let mut connection = Connection::new(target, body, number).await;
        connection.review().await;
        connection.review().await;
        all.push(connection);
    }
    all
}

/// Sends `count` reviews or for `time`, one after another on every connection. Returns their number and the time taken.
pub async fn closed(connections: &mut Vec<Connection>, count: u64, time: Duration) -> (u64, Duration) {
    let begun = Instant::now();
    let left = Arc::new(AtomicU64::new(count));
    let sending = move |mut connection: Connection| {
        let left = left.clone();
        async move {
            let mut sent = 0;
            // Sends at least one review, however slow the machine is.
            while (sent == 0 || begun.elapsed() < time)
                && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
            {
                connection.review().await;
                sent += 1;
            }
            (connection, sent)
        }
    };
    let sent = each(connections, sending).await.into_iter().sum();
    (sent, begun.elapsed())
}

fn less(left: u64) -> Option<u64> {
    left.checked_sub(1)
}

/// Returns the latencies in nanoseconds when a review is due every `interval`, whether or not the reviews before it are
/// answered. A latency is measured from the time at which the review is due.
pub async fn open(connections: &mut Vec<Connection>, interval: Duration, time: Duration) -> Histogram<u64> {
    let count = (time.as_nanos() / interval.as_nanos()).max(1) as u64;
    let due = Arc::new(Semaphore::new(0));
    // The start is a little later, so that all connections are waiting by then.
    let begun = Instant::now() + Duration::from_millis(5);
    let pace = {
        let due = due.clone();
        thread::spawn(move || pace(&due, begun, interval, count))
    };
    let next = Arc::new(AtomicU64::new(0));
    let sending = move |mut connection: Connection| {
        let (due, next) = (due.clone(), next.clone());
        async move {
            let mut latencies = Histogram::<u64>::new(3).expect("three digits");
            // The semaphore is closed at the end.
            while let Ok(permit) = due.acquire().await {
                permit.forget();
                let due_at = begun + interval * next.fetch_add(1, Ordering::Relaxed) as u32;
                connection.review().await;
                latencies += due_at.elapsed().as_nanos() as u64;
            }
            (connection, latencies)
        }
    };
    let all = each(connections, sending).await;
    pace.join().expect("the pacing thread does not panic");
    all.into_iter().reduce(|sum, one| sum + one).expect("a connection")
}

/// Releases a permit whenever a review is due. This is a thread, since the timers of the runtime count milliseconds.
fn pace(due: &Semaphore, begun: Instant, interval: Duration, count: u64) {
    finer_sleep();
    let mut released = 0;
    while released < count {
        thread::sleep((begun + interval * released as u32).saturating_duration_since(Instant::now()));
        let now_due = begun.elapsed().as_nanos() / interval.as_nanos() + 1;
        let now_due = (now_due as u64).clamp(released, count);
        due.add_permits((now_due - released) as usize);
        released = now_due;
    }
    while due.available_permits() > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    due.close();
}

/// Turns off the timer slack, by which the kernel lets a thread sleep up to 50 µs longer to save wakeups. Where this
/// fails, all latencies include the slack.
fn finer_sleep() {
    let thread = std::fs::read_link("/proc/thread-self").ok().and_then(|path| Some(path.file_name()?.to_owned()));
    if let Some(thread) = thread {
        let _ = std::fs::write(std::path::Path::new("/proc").join(thread).join("timerslack_ns"), "1");
    }
}

/// Sends reviews for `time`, `at_once` at a time, each on a new connection.
pub async fn cold(target: &Target, body: &Body, at_once: usize, time: Duration) -> (u64, Duration) {
    let begun = Instant::now();
    let mut all = JoinSet::new();
    for number in 0..at_once {
        let target = target.clone();
        let reviews = Arc::new([0, 1].map(|turn| Review::new(body, 2 * number + turn, target.answers)));
        all.spawn(async move {
            let mut sent = 0;
            while sent == 0 || begun.elapsed() < time {
                Connection::with(&target, reviews.clone()).await.review().await;
                sent += 1;
            }
            sent
        });
    }
    let sent = all.join_all().await.into_iter().sum();
    (sent, begun.elapsed())
}

/// Runs `each` on all connections concurrently and puts them back.
async fn each<T: Send + 'static, F: Future<Output = (Connection, T)> + Send + 'static>(
    connections: &mut Vec<Connection>,
    each: impl Fn(Connection) -> F,
) -> Vec<T> {
    let mut all = JoinSet::new();
    for connection in connections.drain(..) {
        all.spawn(each(connection));
    }
    let (back, made) = all.join_all().await.into_iter().unzip();
    *connections = back;
    made
}
