//! Reads request bodies, within limits of size, time and memory.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio::time::{Instant, timeout_at};

use super::limits::{
    BODY_BUFFER_BYTES, BODY_READ_BYTES, FIRST_BUFFER_BYTES, RESERVE_FACTOR, SHORT_BYTES, SMALL_PIECE_BYTES,
    SMALL_PIECES,
};
use super::memory::{BodyMemory, ConnectionMemory, ReceivedBody};
use crate::config::value::parse_duration;

/// How reading ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Complete,
    Timeout,
    Shed,
    /// The body is truncated, malformed, or sent in too many small pieces.
    Broken,
}

/// The first bytes of a body, up to the size limit of a review, in memory that all connections share.
pub struct BodyBuffer {
    memory: BodyMemory,
}

impl BodyBuffer {
    pub fn new(connection: &Arc<ConnectionMemory>) -> Self {
        Self { memory: connection.begin_body() }
    }

    /// Reads `body` to its end or to the limit, and buffers its first bytes. The rest of a shed body is read until
    /// nothing is received for `silence`, since most clients read the answer only after they have sent the whole body.
    pub async fn read<B: Body<Data = Bytes> + Unpin>(&self, body: B, deadline: Instant, silence: Duration) -> End {
        let memory = &self.memory;
        let announced_bytes = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let mut reading = pin!(each_piece(body, |data| push(memory, announced_bytes, data)));
        let read = tokio::select! {
            biased;
            read = timeout_at(deadline, &mut reading) => read,
            () = memory.shed() => tokio::select! {
                biased;
                read = timeout_at(deadline, &mut reading) => read,
                () = memory.abandoned(silence) => Ok(Ok(())),
            },
        };
        match read {
            Ok(Err(Broken)) => End::Broken,
            _ if memory.is_shed() => End::Shed,
            // The deadline may have passed although the body is complete, if this task was not polled for some time.
            Ok(Ok(())) if Instant::now() < deadline => End::Complete,
            _ => End::Timeout,
        }
    }

    /// Ends reading: the body can no longer be evicted. Returns the kept bytes, and whether these are all received
    /// bytes.
    pub fn finish(mut self) -> (ReceivedBody, BodyMemory, bool) {
        let (bytes, has_all) = self.memory.finish();
        (bytes, self.memory, has_all)
    }
}

/// Reads a body that is not a review to its end or to the limit, and drops it, since most clients read the answer only
/// after they have sent the whole body.
pub async fn discard<B>(body: B, connection: &Arc<ConnectionMemory>, deadline: Instant, silence: Duration) -> End
where
    B: Body<Data = Bytes> + Unpin,
{
    let memory = connection.begin_body();
    tokio::select! {
        biased;
        read = timeout_at(deadline, each_piece(body, |_| memory.push(&[]))) => match read {
            Err(_) => End::Timeout,
            Ok(Err(Broken)) => End::Broken,
            Ok(Ok(())) => End::Complete,
        },
        () = memory.abandoned(silence) => End::Shed,
    }
}

struct Broken;

/// Passes each piece of a body to `take`, up to [`BODY_READ_BYTES`].
async fn each_piece<B: Body<Data = Bytes> + Unpin>(mut body: B, mut take: impl FnMut(&[u8])) -> Result<(), Broken> {
    let (mut read_bytes, mut pieces) = (0, 0);
    while let Some(frame) = body.frame().await {
        // A frame without data is a trailer.
        let Ok(data) = frame.map_err(|_| Broken)?.into_data() else { continue };
        take(&data);
        read_bytes += data.len();
        pieces += 1;
        if read_bytes > BODY_READ_BYTES {
            break;
        }
        if pieces > SMALL_PIECES + read_bytes / SMALL_PIECE_BYTES {
            return Err(Broken);
        }
    }
    Ok(())
}

/// Keeps as much of `data` as the limits allow. `announced_bytes` is 0 without a Content-Length.
fn push(memory: &BodyMemory, announced_bytes: usize, data: &[u8]) {
    let (received_bytes, capacity_bytes) = memory.sizes();
    let data = &data[..data.len().min(BODY_BUFFER_BYTES - received_bytes)];
    let needed_bytes = received_bytes + data.len();
    if needed_bytes > capacity_bytes && !memory.is_shed() {
        memory.reserve(capacity_for(needed_bytes, announced_bytes));
    }
    memory.push(data);
}

/// Returns how much memory to reserve for a body. A short body gets more than its received bytes, since each growth
/// copies it, but at most [`RESERVE_FACTOR`] times as much, even if its head announces more. A long body grows by
/// pieces of [`SHORT_BYTES`].
fn capacity_for(received_bytes: usize, announced_bytes: usize) -> usize {
    if received_bytes > SHORT_BYTES {
        return received_bytes.next_multiple_of(SHORT_BYTES);
    }
    let most_bytes = if announced_bytes == 0 { SHORT_BYTES } else { announced_bytes.min(SHORT_BYTES) };
    (RESERVE_FACTOR * received_bytes).max(FIRST_BUFFER_BYTES).min(most_bytes).max(received_bytes)
}

/// Returns how long the API server waits for an answer: `?timeout=` minus a margin, but at most `cap`.
pub fn request_timeout(query: Option<&str>, cap: Duration) -> Duration {
    let timeout = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("timeout="));
    let Some(timeout) = timeout.and_then(parse_duration).filter(|timeout| !timeout.is_zero()) else { return cap };
    // A second, since the API server rounds the remaining time up to whole seconds, but no more than a quarter of a
    // short timeout.
    let margin = (timeout / 4).min(Duration::from_secs(1));
    (timeout - margin).min(cap)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::super::limits::PREFIX_BYTES;
    use super::super::memory::SharedMemory;
    use super::*;

    const CAP: Duration = Duration::from_secs(10);
    const NEVER: Duration = Duration::from_secs(3600);

    fn timeout_millis(query: &str) -> u128 {
        request_timeout(Some(query), CAP).as_millis()
    }

    #[test]
    fn the_timeout_of_the_api_server_is_met_with_a_margin() {
        assert_eq!(timeout_millis("timeout=5s"), 4000);
        assert_eq!(timeout_millis("a=b&timeout=1s"), 750);
        assert_eq!(timeout_millis("timeout=500ms"), 375);
        assert_eq!(timeout_millis("timeout=1.5s"), 1125);
        assert_eq!(timeout_millis("timeout=0m6s500ms"), 5500);
        assert_eq!(timeout_millis("timeout=1m30s"), CAP.as_millis(), "never more than the cap");
    }

    #[test]
    fn an_invalid_timeout_is_ignored() {
        for query in
            ["", "timeout=", "timeout=5", "timeout=s", "timeout=-5s", "timeout=0s", "timeout=5x", "timeout=5sx"]
        {
            assert_eq!(timeout_millis(query), CAP.as_millis(), "{query}");
        }
        assert_eq!(timeout_millis("timeout=99999999999999999999999999999999999999999999h"), CAP.as_millis());
        assert_eq!(timeout_millis("timeout=1..5s"), CAP.as_millis());
        assert_eq!(timeout_millis("retimeout=1s"), CAP.as_millis());
    }

    #[test]
    fn memory_follows_the_received_bytes_and_not_the_announced_ones() {
        for announced_bytes in [0, 9_000, BODY_BUFFER_BYTES, usize::MAX] {
            let mut received_bytes = 0;
            while received_bytes < BODY_BUFFER_BYTES && (announced_bytes == 0 || received_bytes < announced_bytes) {
                received_bytes = (received_bytes + 1).max(received_bytes * 3 / 2).min(BODY_BUFFER_BYTES);
                let capacity_bytes = capacity_for(received_bytes, announced_bytes);
                assert!(capacity_bytes >= received_bytes && capacity_bytes < BODY_BUFFER_BYTES + SHORT_BYTES);
                assert!(capacity_bytes <= FIRST_BUFFER_BYTES.max(RESERVE_FACTOR * received_bytes));
            }
        }
        assert_eq!(capacity_for(7_800, 9_000), 9_000, "a common body is copied once");
    }

    /// Never ends, and counts the bytes that were read.
    struct Endless {
        frame: Bytes,
        read_bytes: usize,
    }

    impl Body for &mut Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.read_bytes += self.frame.len();
            Poll::Ready(Some(Ok(Frame::data(self.frame.clone()))))
        }
    }

    async fn read_endless(bodies_bytes: usize, frame_bytes: usize) -> (End, usize, usize) {
        let memory = SharedMemory::new(bodies_bytes);
        let buffer = BodyBuffer::new(&memory.connection());
        let mut body = Endless { frame: vec![0; frame_bytes].into(), read_bytes: 0 };
        let end = buffer.read(&mut body, Instant::now() + NEVER, NEVER).await;
        (end, buffer.finish().0.bytes(), body.read_bytes)
    }

    #[tokio::test]
    async fn an_endless_body_is_read_to_the_limit() {
        // One frame more is read, which shows that the body is longer than the limit.
        let read_bytes = BODY_READ_BYTES + (1 << 20);
        assert_eq!(read_endless(64 << 20, 1 << 20).await, (End::Complete, BODY_BUFFER_BYTES, read_bytes));
        assert_eq!(read_endless(1 << 20, 1 << 20).await, (End::Shed, PREFIX_BYTES, read_bytes));
    }

    #[tokio::test]
    async fn a_body_of_too_many_small_pieces_is_an_error() {
        for frame_bytes in [0, 1, SMALL_PIECE_BYTES / 2] {
            let (end, _, read_bytes) = read_endless(64 << 20, frame_bytes).await;
            assert_eq!(end, End::Broken);
            assert!(read_bytes <= (2 * SMALL_PIECES + 2) * frame_bytes, "{read_bytes}");
        }
        assert_eq!(read_endless(64 << 20, SMALL_PIECE_BYTES).await.0, End::Complete);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_an_evicted_body_is_read_for_a_while() {
        let memory = SharedMemory::new(1 << 20);
        let (first, second) = (BodyBuffer::new(&memory.connection()), BodyBuffer::new(&memory.connection()));
        let data = vec![b'x'; 600 << 10];
        let begun = Instant::now();
        let silence = Duration::from_secs(2);
        let (sender, body) = tokio::sync::mpsc::channel(1);
        let reading = first.read(Waiting(body), begun + CAP, silence);
        let others = async {
            sender.send(Bytes::from(data.clone())).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            push(&second.memory, 0, &data);
        };
        let (end, ()) = tokio::join!(reading, others);
        assert_eq!((end, begun.elapsed().as_secs()), (End::Shed, 3));
        assert_eq!(first.finish().0.bytes(), PREFIX_BYTES);
        let (bytes, _, has_all) = second.finish();
        assert_eq!((bytes.bytes(), has_all), (data.len(), true));
    }

    /// A body that a test sends piece by piece.
    struct Waiting(tokio::sync::mpsc::Receiver<Bytes>);

    impl Body for Waiting {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.poll_recv(cx).map(|data| data.map(|data| Ok(Frame::data(data))))
        }
    }
}
