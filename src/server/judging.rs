//! From a review that was read to its answer, in time: its own, and that of the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::Shared;
use super::body::Kept;
use super::limits::{PIECE_BYTES, SHORT_BYTES, SHORT_CONDITIONS};
use crate::admission::{self, Answer, Context, Door, Fault};
use crate::config::Config;

/// One of the places for reviews in flight, given back when it is dropped: a client may go away in the middle.
pub struct Place(Arc<Shared>);

impl Place {
    /// None where `limit` are taken.
    pub fn take(shared: &Arc<Shared>, limit: usize) -> Option<Self> {
        let taken = shared.metrics.in_flight.inc();
        let place = Self(shared.clone());
        usize::try_from(taken).is_ok_and(|taken| taken < limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}

/// Tells who sends a body slowly that others are shed for it.
///
/// An API server sends a body in one go. Else whoever holds all places with bodies that do not end would keep the API servers
/// out until the deadline, and then again.
#[derive(Default)]
pub struct Shortage(Notify);

impl Shortage {
    pub fn tell(&self) {
        self.0.notify_waiters();
    }

    /// Returns when another is shed although this one has had its time.
    pub async fn outlasts(&self, patience: Duration) {
        sleep(patience).await;
        self.0.notified().await;
    }
}

/// What a verdict depends on. Its memory and its place are taken for as long as it is judged, whoever still waits for it.
pub struct Review {
    pub shared: Arc<Shared>,
    pub config: Arc<Config>,
    pub door: Door,
    pub kept: Kept,
    pub place: Option<Place>,
}

impl Review {
    /// The verdict, or at the deadline a fault.
    ///
    /// Nearly every review is judged here: that takes 0.1 ms commonly, 1 ms for a megabyte and 10 ms at worst, which other
    /// connections of this thread can wait for, and to wake another thread and be woken by it costs as much as to judge.
    /// What may take longer, at 8 MiB more than a second, is judged on a thread of its own, so that connections, health
    /// and metrics go on. Of those there are as many at a time as there are cores: the threads that serve keep half of the
    /// processor.
    pub async fn judge(self, deadline: Instant) -> Answer {
        let bytes = &self.kept.bytes;
        if bytes.len() <= SHORT_BYTES
            && let Some(answer) =
                self.with_context(|context| admission::answer_if_short(bytes, SHORT_CONDITIONS, context))
        {
            return answer;
        }
        let review = Arc::new(self);
        let judged = async {
            // No error: the semaphore is never closed.
            let core = review.shared.cores.clone().acquire_owned().await.ok();
            let review = review.clone();
            spawn_blocking(move || {
                let answer = review.answer();
                drop(core);
                answer
            })
            .await
        };
        match timeout_at(deadline, judged).await {
            Ok(Ok(answer)) => answer,
            // `answer` does not panic: the process is about to end.
            Ok(Err(_)) => review.fault(Fault::Internal),
            Err(_) => review.fault(Fault::TooLate),
        }
    }

    /// Answers it unjudged. The uid is in the first piece or nowhere: to look for it in 8 MiB would take too long.
    pub fn fault(&self, fault: Fault) -> Answer {
        let first = self.kept.bytes.len().min(PIECE_BYTES);
        self.with_context(|context| admission::fault(&self.kept.bytes[..first], fault, context))
    }

    fn answer(&self) -> Answer {
        self.with_context(|context| admission::answer(&self.kept.bytes, context))
    }

    fn with_context<T>(&self, answer: impl FnOnce(&Context<'_>) -> T) -> T {
        let now = self.shared.clock.now();
        answer(&Context { door: self.door, now, rules: self.shared.rules, policy: &self.config.policy })
    }
}
