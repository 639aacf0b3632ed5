//! Time limits inside a connection that hyper does not have.
//!
//! hyper's `header_read_timeout` also runs while a kept connection is idle: at 2 s it would cut the API server's idle
//! connections, at 100 s it would let a head trickle. So the clock of a head starts here, at its first byte.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// What a connection is doing: shared by its stream, its service, its driver, and the task that accepts connections.
pub struct Activity {
    origin: Instant,
    requests: AtomicUsize,
    in_flight: AtomicUsize,
    quiet_since_millis: AtomicU64,
}

impl Activity {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            requests: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            quiet_since_millis: AtomicU64::new(0),
        })
    }

    /// A request's head is complete; its answer is when the returned value is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlightRequest {
        self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlightRequest(self.clone())
    }

    fn is_quiet(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
    }

    /// None while a request is in flight.
    pub fn quiet(&self) -> Option<Quiet> {
        let millis = Duration::from_millis(self.quiet_since_millis.load(Relaxed));
        self.is_quiet().then(|| Quiet { was_used: self.requests.load(Relaxed) > 0, since: self.origin + millis })
    }

    /// Returns when no request has been in flight for `limit`.
    pub async fn quiet_for(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let since = self.quiet().map_or(now, |quiet| quiet.since);
            if since + limit <= now {
                return;
            }
            sleep_until(since + limit).await;
        }
    }
}

/// A connection without a request in flight. The least useful comes first: those that were never used, then by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quiet {
    pub was_used: bool,
    pub since: Instant,
}

pub struct InFlightRequest(Arc<Activity>);

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        let millis = self.0.origin.elapsed().as_millis();
        self.0.quiet_since_millis.store(u64::try_from(millis).unwrap_or(u64::MAX), Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A stream that fails when a head takes longer than `head` from its first byte, or a write stalls for `write`.
pub struct TimeoutStream<I> {
    io: I,
    activity: Arc<Activity>,
    head: Option<Duration>,
    write: Duration,
    /// The clock of the head that is being read, and how many requests there had been before it.
    reading: Option<(usize, Pin<Box<Sleep>>)>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<I> TimeoutStream<I> {
    /// `head` is for HTTP/1.1; in HTTP/2 pings find a peer that is stuck within a frame.
    pub fn new(io: I, activity: Arc<Activity>, head: Option<Duration>, write: Duration) -> Self {
        Self { io, activity, head, write, reading: None, writing: None }
    }

    fn check_head(&mut self, cx: &mut Context<'_>, has_bytes: bool) -> io::Result<()> {
        let Some(limit) = self.head.filter(|_| self.activity.is_quiet()) else { return Ok(()) };
        let requests = self.activity.requests.load(Relaxed);
        match &mut self.reading {
            Some((before, clock)) if *before == requests => {
                if clock.as_mut().poll(cx).is_ready() {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the head took too long"));
                }
            }
            // The clock, if any, is that of an earlier head.
            stale => *stale = has_bytes.then(|| (requests, Box::pin(sleep(limit)))),
        }
        Ok(())
    }

    fn check_write<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.writing = None;
            return polled;
        }
        let clock = self.writing.get_or_insert_with(|| Box::pin(sleep(self.write)));
        match clock.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no answer"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for TimeoutStream<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        this.check_head(cx, buf.filled().len() > before)?;
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for TimeoutStream<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, buf);
        this.check_write(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.check_write(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_flush(cx);
        this.check_write(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_shutdown(cx);
        this.check_write(cx, polled)
    }
}
