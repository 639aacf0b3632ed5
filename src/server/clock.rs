//! The clock by which reviews are judged, with a detection of jumps.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use prometheus_client::metrics::counter::Counter;
use time::OffsetDateTime;
use tokio::time::Instant;

/// A change of the wall clock by more than this is a jump. Gradual corrections change the clock by at most 0.05 % of
/// the elapsed time, so they exceed this only after 33 hours without a review. The limit is below the 5 minutes from
/// which on a rule warns that a time is in the future.
const JUMP_SECONDS: u64 = 60;

/// The wall clock, compared with a monotonic clock.
pub struct Clock {
    wall: fn() -> OffsetDateTime,
    origin: Instant,
    /// The wall time at `origin`, in Unix seconds, as calculated from the last reading.
    origin_seconds: AtomicI64,
    jumps: Counter,
}

impl Clock {
    pub fn new(wall: fn() -> OffsetDateTime, jumps: Counter) -> Self {
        Self { wall, origin: Instant::now(), origin_seconds: AtomicI64::new(wall().unix_timestamp()), jumps }
    }

    /// Returns the wall time. Jumps are logged and counted, and do not change the result.
    pub fn now(&self) -> OffsetDateTime {
        let now = (self.wall)();
        let elapsed = i64::try_from(self.origin.elapsed().as_secs()).unwrap_or(i64::MAX);
        let origin_seconds = now.unix_timestamp().saturating_sub(elapsed);
        let before = self.origin_seconds.swap(origin_seconds, Relaxed);
        if origin_seconds.abs_diff(before) > JUMP_SECONDS {
            tracing::warn!(
                seconds = origin_seconds.saturating_sub(before),
                "the system clock was set; judging reviews by the new time"
            );
            self.jumps.inc();
        }
        now
    }
}
