//! Limits of a connection that hyper does not have: the time of a head, the time of a write, HTTP/2 frames, and turns of reading.
//!
//! hyper's `header_read_timeout` also runs while a kept connection is idle: at 2 s it would cut the API server's idle
//! connections, at 100 s it would accept a head that is sent byte by byte. So the clock of a head starts here, at its first byte.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::frame_limiter::FrameLimiter;
use super::limits::TURN_BYTES;
use crate::config::Limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// What a connection is doing: shared by its stream, its service, its driver, and the task that accepts connections.
pub struct Activity {
    origin: Instant,
    requests: AtomicUsize,
    answers: AtomicUsize,
    in_flight: AtomicUsize,
    /// Of those in flight, the ones whose bodies are whole.
    whole: AtomicUsize,
    /// When the last request ended, or the first one after a pause began.
    progress_millis: AtomicU64,
}

impl Activity {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            requests: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            whole: AtomicUsize::new(0),
            progress_millis: AtomicU64::new(0),
        })
    }

    /// A request's head is complete; its answer is when the returned value is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlightRequest {
        self.requests.fetch_add(1, Relaxed);
        if self.in_flight.fetch_add(1, Relaxed) == 0 {
            self.progress();
        }
        InFlightRequest(self.clone())
    }

    /// A request's body is whole, until the returned value is dropped.
    pub fn whole(self: &Arc<Self>) -> WholeRequest {
        self.whole.fetch_add(1, Relaxed);
        WholeRequest(self.clone())
    }

    /// A request was answered, and not given up by its client.
    pub fn answered(&self) {
        self.answers.fetch_add(1, Relaxed);
    }

    fn progress(&self) {
        let millis = self.origin.elapsed().as_millis();
        self.progress_millis.store(u64::try_from(millis).unwrap_or(u64::MAX), Relaxed);
    }

    fn is_quiet(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
    }

    fn since(&self) -> Instant {
        self.origin + Duration::from_millis(self.progress_millis.load(Relaxed))
    }

    /// None while a request is judged or answered. A body that is read for longer than `slow` is a slow one.
    pub fn usefulness(&self, slow: Duration) -> Option<Usefulness> {
        let since = self.since();
        if self.is_quiet() {
            let is_used = self.requests.load(Relaxed) > 0;
            return Some(if is_used { Usefulness::Idle(since) } else { Usefulness::Unused(since) });
        }
        let is_slow = since.elapsed() > slow;
        let reading = if is_slow { Usefulness::Slow(since) } else { Usefulness::Reading(since) };
        (self.whole.load(Relaxed) == 0).then_some(reading)
    }

    /// Returns when no request has been in flight for `limit`.
    pub async fn quiet_for(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let since = if self.is_quiet() { self.since() } else { now };
            if since + limit <= now {
                return;
            }
            sleep_until(since + limit).await;
        }
    }
}

/// How useful a connection is that has no request being judged, and since when. The least useful comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usefulness {
    Unused(Instant),
    /// All of its requests have bodies that are slow to come.
    Slow(Instant),
    Idle(Instant),
    Reading(Instant),
}

pub struct InFlightRequest(Arc<Activity>);

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.0.progress();
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

pub struct WholeRequest(Arc<Activity>);

impl Drop for WholeRequest {
    fn drop(&mut self) {
        self.0.whole.fetch_sub(1, Relaxed);
    }
}

/// A stream that fails when a head of HTTP/1.1 takes longer than `head` from its first byte, when frames of HTTP/2 are too
/// many, or when a write stalls for `write`. After [`TURN_BYTES`] it lets other connections have their turn.
pub struct TimeoutStream<I> {
    io: I,
    activity: Arc<Activity>,
    head: Option<Duration>,
    frames: Option<FrameLimiter>,
    write: Duration,
    /// The clock of the head that is being read, and how many requests there had been before it.
    reading: Option<(usize, Pin<Box<Sleep>>)>,
    writing: Option<Pin<Box<Sleep>>>,
    /// Read since there was last nothing to read, or others had their turn.
    turn_bytes: usize,
}

impl<I> TimeoutStream<I> {
    /// HTTP/2 has no time limit of a head: its pings detect a peer that is stuck within a frame.
    pub fn new(io: I, activity: Arc<Activity>, protocol: Protocol, limits: &Limits) -> Self {
        let (head, frames) = match protocol {
            Protocol::Http1 => (Some(limits.head), None),
            Protocol::Http2 => (None, Some(FrameLimiter::new(Instant::now()))),
        };
        Self { io, activity, head, frames, write: limits.write, reading: None, writing: None, turn_bytes: 0 }
    }

    fn count_frames(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        frames.read(bytes, self.activity.answers.load(Relaxed), Instant::now())
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
            earlier => *earlier = has_bytes.then(|| (requests, Box::pin(sleep(limit)))),
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
        if this.turn_bytes >= TURN_BYTES {
            this.turn_bytes = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        let read_bytes = buf.filled().len() - before;
        this.turn_bytes = if polled.is_ready() { this.turn_bytes + read_bytes } else { 0 };
        this.check_head(cx, read_bytes > 0)?;
        this.count_frames(&buf.filled()[before..])?;
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
