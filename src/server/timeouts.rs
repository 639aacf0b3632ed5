//! Limits of a connection that hyper does not have: the time for a request head, the time for a write, the number of
//! HTTP/2 frames, and the bytes that are read in one turn.
//!
//! hyper's `header_read_timeout` also runs while a keep-alive connection is idle: at 2 s it would close idle
//! connections of the API server, and at 100 s it would accept a head that is sent byte by byte. The timeout here
//! starts with the first byte of a head.

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

/// The activity of a connection, shared by its stream, its service, its driver, and the task that accepts connections.
pub struct Activity {
    origin: Instant,
    requests: AtomicUsize,
    answers: AtomicUsize,
    in_flight: AtomicUsize,
    /// The number of requests in flight whose bodies are complete.
    complete_bodies: AtomicUsize,
    /// When the last request ended, or when a request began on an idle connection, in milliseconds after `origin`.
    changed_millis: AtomicU64,
}

impl Activity {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            requests: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            complete_bodies: AtomicUsize::new(0),
            changed_millis: AtomicU64::new(0),
        })
    }

    /// Counts a request whose head is complete. The request is in flight until the returned value is dropped.
    pub fn begin_request(self: &Arc<Self>) -> InFlightRequest {
        self.requests.fetch_add(1, Relaxed);
        if self.in_flight.fetch_add(1, Relaxed) == 0 {
            self.set_changed();
        }
        InFlightRequest(self.clone())
    }

    /// Counts a request whose body is complete, until the returned value is dropped.
    pub fn complete_body(self: &Arc<Self>) -> CompleteBody {
        self.complete_bodies.fetch_add(1, Relaxed);
        CompleteBody(self.clone())
    }

    /// Counts a request that was answered, and not cancelled by its client.
    pub fn answered(&self) {
        self.answers.fetch_add(1, Relaxed);
    }

    fn set_changed(&self) {
        let millis = self.origin.elapsed().as_millis();
        self.changed_millis.store(u64::try_from(millis).unwrap_or(u64::MAX), Relaxed);
    }

    fn is_idle(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
    }

    fn changed(&self) -> Instant {
        self.origin + Duration::from_millis(self.changed_millis.load(Relaxed))
    }

    /// Returns how useful the connection is, or `None` while a request is judged or answered. Bodies that take longer
    /// than `slow` are slow.
    pub fn usefulness(&self, slow: Duration) -> Option<Usefulness> {
        let since = self.changed();
        if self.is_idle() {
            let is_used = self.requests.load(Relaxed) > 0;
            return Some(if is_used { Usefulness::Idle(since) } else { Usefulness::Unused(since) });
        }
        let is_slow = since.elapsed() > slow;
        let reading = if is_slow { Usefulness::Slow(since) } else { Usefulness::Reading(since) };
        (self.complete_bodies.load(Relaxed) == 0).then_some(reading)
    }

    /// Waits until no request has been in flight for `limit`.
    pub async fn idle_for(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let since = if self.is_idle() { self.changed() } else { now };
            if since + limit <= now {
                return;
            }
            sleep_until(since + limit).await;
        }
    }
}

/// The usefulness of a connection on which no request is judged, with the time of its last change. The variants are
/// ordered from the least to the most useful. Of two connections with the same variant, the older is less useful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usefulness {
    Unused(Instant),
    /// The bodies of all of its requests arrive slowly.
    Slow(Instant),
    Idle(Instant),
    Reading(Instant),
}

pub struct InFlightRequest(Arc<Activity>);

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.0.set_changed();
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

pub struct CompleteBody(Arc<Activity>);

impl Drop for CompleteBody {
    fn drop(&mut self) {
        self.0.complete_bodies.fetch_sub(1, Relaxed);
    }
}

/// A stream that fails when an HTTP/1.1 head takes longer than `head` from its first byte, when the client sends too
/// many HTTP/2 frames, or when a write stalls for `write`. After every [`TURN_BYTES`] it yields to other connections.
pub struct TimeoutStream<I> {
    io: I,
    activity: Arc<Activity>,
    head: Option<Duration>,
    frames: Option<FrameLimiter>,
    write: Duration,
    /// The timer of the head that is being read, and the number of requests before it.
    head_timer: Option<(usize, Pin<Box<Sleep>>)>,
    write_timer: Option<Pin<Box<Sleep>>>,
    /// The bytes that were read since the stream last waited for data or yielded.
    turn_bytes: usize,
}

impl<I> TimeoutStream<I> {
    /// HTTP/2 needs no timeout for a head: its pings detect a peer that is stuck within a frame.
    pub fn new(io: I, activity: Arc<Activity>, protocol: Protocol, limits: &Limits) -> Self {
        let (head, frames) = match protocol {
            Protocol::Http1 => (Some(limits.head), None),
            Protocol::Http2 => (None, Some(FrameLimiter::new(Instant::now()))),
        };
        Self { io, activity, head, frames, write: limits.write, head_timer: None, write_timer: None, turn_bytes: 0 }
    }

    fn count_frames(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        frames.read(bytes, self.activity.answers.load(Relaxed), Instant::now())
    }

    fn check_head(&mut self, cx: &mut Context<'_>, has_bytes: bool) -> io::Result<()> {
        let Some(limit) = self.head.filter(|_| self.activity.is_idle()) else { return Ok(()) };
        let requests = self.activity.requests.load(Relaxed);
        match &mut self.head_timer {
            Some((before, timer)) if *before == requests => {
                if timer.as_mut().poll(cx).is_ready() {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the request head took too long"));
                }
            }
            // The timer, if any, belongs to an earlier head.
            earlier => *earlier = has_bytes.then(|| (requests, Box::pin(sleep(limit)))),
        }
        Ok(())
    }

    fn check_write<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write_timer = None;
            return polled;
        }
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep(self.write)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => {
                let message = "the client did not read the answer in time";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
            }
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
