//! The buffer of a body: how much of it is read, for how long, and from which memory.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::limits::{BODY_BUFFER_BYTES, BODY_READ_BYTES, PIECE_BYTES, RESERVE_FACTOR};
use crate::config::value::parse_duration;

/// How reading ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    Timeout,
    Shed,
    /// The client went away: there is nobody to answer.
    Gone,
}

/// The beginning of a body, in memory that is taken from what all reviews share.
pub struct BodyBuffer {
    pub bytes: Vec<u8>,
    memory: Arc<Semaphore>,
    share: Option<OwnedSemaphorePermit>,
    is_shed: bool,
    /// By the head; 0 where it says nothing.
    announced_bytes: usize,
}

impl BodyBuffer {
    /// `memory` has a permit for each piece. A review that is shed has one, for its uid.
    pub fn new(memory: &Arc<Semaphore>, is_shed: bool) -> Self {
        let share = memory.clone().try_acquire_owned().ok();
        Self {
            bytes: Vec::new(),
            memory: memory.clone(),
            is_shed: is_shed || share.is_none(),
            share,
            announced_bytes: 0,
        }
    }

    /// Reads `body` to its end, or to the limit, and buffers its beginning.
    pub async fn read<B: Body<Data = Bytes> + Unpin>(&mut self, body: B, deadline: Instant) -> End {
        match timeout_at(deadline, self.read_on(body)).await {
            Err(_) => End::Timeout,
            Ok(Err(_)) => End::Gone,
            Ok(Ok(())) if self.is_shed => End::Shed,
            // All of it may have been there while nobody came to look.
            Ok(Ok(())) if deadline <= Instant::now() => End::Timeout,
            Ok(Ok(())) => End::Whole,
        }
    }

    async fn read_on<B: Body<Data = Bytes> + Unpin>(&mut self, mut body: B) -> Result<(), B::Error> {
        self.announced_bytes = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let mut left_bytes = BODY_READ_BYTES;
        while let Some(frame) = body.frame().await {
            // Anything but data is a trailer.
            let Ok(data) = frame?.into_data() else { continue };
            self.push(&data);
            match left_bytes.checked_sub(data.len()) {
                Some(left) => left_bytes = left,
                None => break,
            }
        }
        Ok(())
    }

    fn push(&mut self, data: &[u8]) {
        let fits_bytes = (BODY_BUFFER_BYTES - self.bytes.len()).min(data.len());
        let buffered_bytes = self.bytes.len() + fits_bytes;
        self.reserve(buffered_bytes);
        // Growing is copying: room for all that is announced is reserved at once.
        let room_bytes = self.announced_bytes.min(BODY_BUFFER_BYTES).min(RESERVE_FACTOR * buffered_bytes);
        if self.bytes.capacity() < buffered_bytes && buffered_bytes <= room_bytes {
            self.reserve(room_bytes);
            if !self.is_shed {
                self.bytes.reserve_exact(room_bytes - self.bytes.len());
            }
        }
        let reserved_bytes = self.share.as_ref().map_or(1, OwnedSemaphorePermit::num_permits) * PIECE_BYTES;
        let reserved_bytes = reserved_bytes.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&data[..fits_bytes.min(reserved_bytes)]);
    }

    /// Takes as many pieces as `bytes` need. A review that cannot have them is shed, with what it has.
    fn reserve(&mut self, bytes: usize) {
        let Some(share) = self.share.as_mut().filter(|_| !self.is_shed) else { return };
        let more = bytes.div_ceil(PIECE_BYTES).saturating_sub(share.num_permits());
        match u32::try_from(more).ok().and_then(|more| self.memory.clone().try_acquire_many_owned(more).ok()) {
            Some(permits) => share.merge(permits),
            None => self.is_shed = true,
        }
    }
}

/// How long the API server still waits: `?timeout=` less a margin, or `cap`, whichever is less.
pub fn patience(query: Option<&str>, cap: Duration) -> Duration {
    let timeout = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("timeout="));
    let Some(timeout) = timeout.and_then(parse_duration).filter(|timeout| !timeout.is_zero()) else { return cap };
    // The API server rounds what is left up to whole seconds; of a short timeout a quarter is for the way back.
    let margin = (timeout / 4).min(Duration::from_secs(1));
    (timeout - margin).min(cap)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    const CAP: Duration = Duration::from_secs(10);

    fn patience_millis(query: &str) -> u128 {
        patience(Some(query), CAP).as_millis()
    }

    #[test]
    fn the_timeout_of_the_api_server_is_kept_with_a_margin() {
        assert_eq!(patience_millis("timeout=5s"), 4000);
        assert_eq!(patience_millis("a=b&timeout=1s"), 750);
        assert_eq!(patience_millis("timeout=500ms"), 375);
        assert_eq!(patience_millis("timeout=1.5s"), 1125);
        assert_eq!(patience_millis("timeout=0m6s500ms"), 5500);
        assert_eq!(patience_millis("timeout=1m30s"), CAP.as_millis(), "never more than the cap");
    }

    #[test]
    fn a_timeout_that_is_none_is_ignored() {
        for query in
            ["", "timeout=", "timeout=5", "timeout=s", "timeout=-5s", "timeout=0s", "timeout=5x", "timeout=5sx"]
        {
            assert_eq!(patience_millis(query), CAP.as_millis(), "{query}");
        }
        assert_eq!(patience_millis("timeout=99999999999999999999999999999999999999999999h"), CAP.as_millis());
        assert_eq!(patience_millis("timeout=1..5s"), CAP.as_millis());
        assert_eq!(patience_millis("retimeout=1s"), CAP.as_millis());
    }

    #[test]
    fn a_body_buffers_no_more_than_its_memory_and_the_limit() {
        let memory = Arc::new(Semaphore::new(3));
        let mut first = BodyBuffer::new(&memory, false);
        first.push(&vec![1; 2 * PIECE_BYTES]);
        assert_eq!((first.bytes.len(), first.is_shed), (2 * PIECE_BYTES, false));

        let mut second = BodyBuffer::new(&memory, false);
        second.push(&vec![2; PIECE_BYTES + 1]);
        assert_eq!((second.bytes.len(), second.is_shed), (PIECE_BYTES, true), "only one piece was left");

        let mut third = BodyBuffer::new(&memory, false);
        third.push(&vec![3; 2 * PIECE_BYTES]);
        assert_eq!((third.bytes.len(), third.is_shed), (PIECE_BYTES, true), "none was left: a prefix only");

        // What is announced is reserved up to many times what has come, and no more.
        drop((first, second));
        let mut liar = BodyBuffer::new(&memory, false);
        liar.announced_bytes = BODY_BUFFER_BYTES;
        liar.push(&[4; 100]);
        assert_eq!((liar.bytes.capacity(), memory.available_permits()), (100 * RESERVE_FACTOR, 2));
        liar.push(&[4; 1000]);
        assert_eq!((liar.bytes.len(), liar.is_shed), (1100, false), "there was room");
        liar.push(&[4; PIECE_BYTES / 2]);
        assert_eq!((liar.bytes.len(), liar.is_shed), (PIECE_BYTES / 2 + 1100, true), "128 pieces are not there");
        let mut honest = BodyBuffer::new(&memory, false);
        honest.announced_bytes = 9_000;
        honest.push(&[5; 1000]);
        honest.push(&[5; 8000]);
        assert_eq!((honest.bytes.len(), honest.bytes.capacity(), honest.is_shed), (9000, 9000, false));

        drop((third, liar, honest));
        assert_eq!(memory.available_permits(), 3, "all is given back");

        let memory = Arc::new(Semaphore::new(1000));
        let mut big = BodyBuffer::new(&memory, false);
        big.push(&vec![4; BODY_BUFFER_BYTES + 5]);
        big.push(&[4]);
        assert_eq!((big.bytes.len(), big.is_shed), (BODY_BUFFER_BYTES, false));
    }

    /// Never ends, and counts what was read of it.
    struct Endless(usize);

    impl Body for &mut Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            static FRAME: [u8; 1 << 20] = [0; 1 << 20];
            self.0 += FRAME.len();
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&FRAME)))))
        }
    }

    #[tokio::test]
    async fn an_endless_body_is_given_up() {
        let memory = Arc::new(Semaphore::new(1000));
        let (mut buffer, mut body) = (BodyBuffer::new(&memory, false), Endless(0));
        let end = buffer.read(&mut body, Instant::now() + Duration::from_secs(3600)).await;
        assert_eq!((end, buffer.bytes.len()), (End::Whole, BODY_BUFFER_BYTES));
        assert_eq!(body.0, BODY_READ_BYTES + (1 << 20), "one frame more tells that there is more");
    }
}
