//! Limits the log lines per second and counts the lines that are left out, so that a controller in a loop does not fill
//! a disk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// With 500 bytes a line, this is 25 kB a second, or 2 GB a day. Nobody can read faster.
const LINES_PER_SECOND: u32 = 50;

pub struct LogLimiter(Mutex<Second>);

struct Second {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl LogLimiter {
    pub fn new(now: Instant) -> Self {
        Self(Mutex::new(Second { since: now, lines: 0, left_out: 0 }))
    }

    /// Returns `None` if a line has to be left out now. Otherwise returns the number of lines left out since the last
    /// one.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(second.since) >= Duration::from_secs(1) {
            (second.since, second.lines) = (now, 0);
        }
        if second.lines == LINES_PER_SECOND {
            second.left_out += 1;
            return None;
        }
        second.lines += 1;
        Some(std::mem::take(&mut second.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_left_out_are_counted_and_reported_with_the_next_line() {
        let begin = Instant::now();
        let limiter = LogLimiter::new(begin);
        let at = |millis: u64| limiter.admit(begin + Duration::from_millis(millis));
        assert!((0..50).all(|line| at(line) == Some(0)));
        assert!((50..999).all(|millis| at(millis).is_none()));
        assert_eq!((at(1000), at(1001)), (Some(949), Some(0)));
    }
}
