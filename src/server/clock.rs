//! The time that reviews are judged at, and whether it jumps.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use prometheus_client::metrics::counter::Counter;
use time::OffsetDateTime;
use tokio::time::Instant;

/// A jump is more than what corrections of a clock add up to between two reviews (0.05 % of the time at most: 33 hours for
/// this), and less than the 5 minutes from which on a time is warned of for being ahead.
const JUMP_SECONDS: u64 = 60;

/// The clock on the wall, held against one that nobody sets.
pub struct Clock {
    wall: fn() -> OffsetDateTime,
    origin: Instant,
    /// What the wall's clock said when the other one began, as far as is known now.
    began_at: AtomicI64,
    jumps: Counter,
}

impl Clock {
    pub fn new(wall: fn() -> OffsetDateTime, jumps: Counter) -> Self {
        Self { wall, origin: Instant::now(), began_at: AtomicI64::new(wall().unix_timestamp()), jumps }
    }

    /// Jumps are logged and counted; the wall clock is used all the same.
    pub fn now(&self) -> OffsetDateTime {
        let now = (self.wall)();
        let elapsed = i64::try_from(self.origin.elapsed().as_secs()).unwrap_or(i64::MAX);
        let began_at = now.unix_timestamp().saturating_sub(elapsed);
        let before = self.began_at.swap(began_at, Relaxed);
        if began_at.abs_diff(before) > JUMP_SECONDS {
            tracing::warn!(
                seconds = began_at.saturating_sub(before),
                "the clock has jumped: times are judged by the new one"
            );
            self.jumps.inc();
        }
        now
    }
}
