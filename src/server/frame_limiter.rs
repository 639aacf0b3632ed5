//! Limits the HTTP/2 frames of a connection that are not part of a review: PRIORITY, PING, SETTINGS, WINDOW_UPDATE,
//! RST_STREAM, empty and small DATA, CONTINUATION, and unknown types. Each costs work, and a client can send them
//! without end.
//!
//! Frames are counted in the bytes of the connection before h2 parses them, since hyper and h2 limit only some types.

use std::io;

use tokio::time::Instant;

use super::limits::{FRAME_BYTES, FRAMES, FRAMES_PER_ANSWER, FRAMES_PER_SECOND, RESET_FRAMES, SMALL_PIECE_BYTES};

/// The connection preface, which a client sends before its first frame.
const PREFACE_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

#[derive(Clone)]
pub struct FrameLimiter {
    /// The bytes of the preface or of a payload that remain to be skipped.
    skip_bytes: usize,
    /// The header of the next frame, of which `header_bytes` were read.
    header: [u8; FRAME_HEADER_BYTES],
    header_bytes: usize,
    /// The cost of the frames that the client may still send.
    budget: u32,
    refilled: Instant,
    /// The number of answers at the last refill.
    answers: usize,
}

impl FrameLimiter {
    pub fn new(now: Instant) -> Self {
        let (header, header_bytes, skip_bytes) = ([0; FRAME_HEADER_BYTES], 0, PREFACE_BYTES);
        Self { skip_bytes, header, header_bytes, budget: FRAMES, refilled: now, answers: 0 }
    }

    /// Counts the frames in the next `bytes` of a connection on which `answers` requests were answered so far. Returns
    /// an error, which closes the connection, if the frames exceed the budget.
    pub fn read(&mut self, mut bytes: &[u8], answers: usize, now: Instant) -> io::Result<()> {
        self.refill(answers, now);
        while !bytes.is_empty() {
            let skipped = self.skip_bytes.min(bytes.len());
            self.skip_bytes -= skipped;
            bytes = &bytes[skipped..];
            let more = (FRAME_HEADER_BYTES - self.header_bytes).min(bytes.len());
            self.header[self.header_bytes..self.header_bytes + more].copy_from_slice(&bytes[..more]);
            self.header_bytes += more;
            bytes = &bytes[more..];
            if self.header_bytes == FRAME_HEADER_BYTES {
                self.header_bytes = 0;
                self.count_frame()?;
            }
        }
        Ok(())
    }

    fn count_frame(&mut self) -> io::Result<()> {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.skip_bytes = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let cost = match kind {
            DATA if self.skip_bytes >= SMALL_PIECE_BYTES || flags & END_STREAM != 0 => 0,
            RST_STREAM => RESET_FRAMES,
            _ => 1 + self.skip_bytes / FRAME_BYTES,
        };
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        self.budget = self
            .budget
            .checked_sub(cost)
            .ok_or_else(|| io::Error::other("too many frames that are not part of a review"))?;
        Ok(())
    }

    fn refill(&mut self, answers: usize, now: Instant) {
        let more = u32::try_from(answers - self.answers).unwrap_or(u32::MAX).saturating_mul(FRAMES_PER_ANSWER);
        self.answers = answers;
        let seconds = now.duration_since(self.refilled).as_secs();
        if seconds > 0 {
            self.refilled = now;
        }
        let more = more.saturating_add(u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(FRAMES_PER_SECOND));
        self.budget = self.budget.saturating_add(more).min(FRAMES);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload_bytes: usize) -> Vec<u8> {
        let length = payload_bytes.to_be_bytes();
        let mut bytes = vec![length[5], length[6], length[7], kind, flags, 0, 0, 0, 1];
        bytes.resize(FRAME_HEADER_BYTES + payload_bytes, 0);
        bytes
    }

    fn after_preface(now: Instant) -> FrameLimiter {
        let mut limiter = FrameLimiter::new(now);
        limiter.read(&[b'P'; PREFACE_BYTES], 0, now).unwrap();
        limiter
    }

    #[test]
    fn frames_are_counted_however_they_are_split() {
        let now = Instant::now();
        let frames = [frame(1, 4, 100), frame(DATA, 0, 16384), frame(DATA, END_STREAM, 3), frame(8, 0, 4)].concat();
        for size in [1, 2, 5, 9, 10, 1000, 100_000] {
            let mut limiter = after_preface(now);
            for piece in frames.chunks(size) {
                limiter.read(piece, 0, now).unwrap();
            }
            assert_eq!(limiter.budget, FRAMES - 2, "the head and the WINDOW_UPDATE, in pieces of {size}");
        }
    }

    #[test]
    fn frames_that_are_not_part_of_a_review_are_limited() {
        let now = Instant::now();
        for (kind, payload_bytes, most) in [
            (DATA, 0, FRAMES),
            (DATA, SMALL_PIECE_BYTES - 1, FRAMES),
            (2, 5, FRAMES),
            (RST_STREAM, 4, FRAMES / RESET_FRAMES as u32),
            (4, 0, FRAMES),
            (6, 8, FRAMES),
            (9, 0, FRAMES),
            (66, 0, FRAMES),
            (1, 14 * FRAME_BYTES, FRAMES / 15),
        ] {
            let mut limiter = after_preface(now);
            let repeated = frame(kind, 0, payload_bytes);
            let accepted = (0..).take_while(|_| limiter.read(&repeated, 0, now).is_ok()).count();
            assert_eq!(accepted, most as usize, "{kind}");
        }
    }

    #[test]
    fn answers_and_time_allow_more_frames() {
        let now = Instant::now();
        let mut limiter = after_preface(now);
        let repeated = frame(6, 0, 8).repeat(FRAMES as usize);
        limiter.read(&repeated, 0, now).unwrap();
        assert!(limiter.clone().read(&frame(6, 0, 8), 0, now).is_err());
        limiter.read(&frame(6, 0, 8).repeat(FRAMES_PER_ANSWER as usize), 1, now).unwrap();
        let later = now + Duration::from_secs(2);
        limiter.read(&frame(6, 0, 8).repeat(2 * FRAMES_PER_SECOND as usize), 1, later).unwrap();
        assert!(limiter.clone().read(&frame(6, 0, 8), 1, later).is_err());
        limiter.read(&repeated, 1, later + Duration::from_secs(1_000_000)).unwrap();
        assert!(limiter.clone().read(&frame(6, 0, 8), 1, later).is_err(), "at most the initial budget");
    }
}
