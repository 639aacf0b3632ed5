//! From a review that was read to its answer, before its deadline and without holding up others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::Shared;
use super::body::BodyBuffer;
use super::limits::{PIECE_BYTES, SHORT_BYTES, SHORT_CONDITIONS};
use crate::admission::{self, Answer, Context, Fault, Webhook};
use crate::config::Config;

/// A permit for a review in flight, given back when it is dropped: a client may go away at any time.
pub struct InFlightPermit(Arc<Shared>);

impl InFlightPermit {
    /// None where `limit` are taken.
    pub fn take(shared: &Arc<Shared>, limit: usize) -> Option<Self> {
        let taken = shared.metrics.in_flight.inc();
        let permit = Self(shared.clone());
        usize::try_from(taken).is_ok_and(|taken| taken < limit).then_some(permit)
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}

/// Signals to reviews whose bodies are slow that others are being shed.
///
/// An API server sends a body at once. Otherwise slow bodies could occupy every permit until their deadline, and then again.
#[derive(Default)]
pub struct ShedSignal(Notify);

impl ShedSignal {
    pub fn notify(&self) {
        self.0.notify_waiters();
    }

    /// Returns when another is shed although this one has had its time.
    pub async fn outlasts(&self, patience: Duration) {
        sleep(patience).await;
        self.0.notified().await;
    }
}

/// A review that is being judged. It holds its memory and its permit until then, even if nobody waits for it any more.
pub struct PendingReview {
    pub shared: Arc<Shared>,
    pub config: Arc<Config>,
    pub webhook: Webhook,
    pub body: BodyBuffer,
    pub permit: Option<InFlightPermit>,
}

impl PendingReview {
    /// The answer, or at the deadline a fault.
    ///
    /// Nearly every review is judged here: that takes 0.1 ms commonly, 1 ms for a megabyte and 10 ms at worst, which other
    /// connections of this thread can wait for, and to wake another thread and be woken by it costs as much as to judge.
    /// What may take longer, at 8 MiB more than a second, is judged on a thread of its own, so that connections, health
    /// and metrics go on. Of those there are as many at a time as there are cores: the threads that serve keep half of the
    /// processor.
    pub async fn judge(self, deadline: Instant) -> Answer {
        if let Some(answer) = self.judge_if_short() {
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
            Err(_) => review.fault(Fault::Timeout),
        }
    }

    /// Answers it unjudged. The uid is in the first piece or nowhere: to look for it in 8 MiB would take too long.
    pub fn fault(&self, fault: Fault) -> Answer {
        let first = self.body.bytes.len().min(PIECE_BYTES);
        self.with_context(|context| admission::fault(&self.body.bytes[..first], fault, context))
    }

    /// None where the review may take long to judge: it was only decoded.
    fn judge_if_short(&self) -> Option<Answer> {
        let bytes = &self.body.bytes;
        if bytes.len() > SHORT_BYTES {
            return None;
        }
        self.with_context(|context| match admission::decode(bytes, context) {
            Ok(review) => (review.request.condition_count() <= SHORT_CONDITIONS)
                .then(|| admission::answer_review(&review, context)),
            Err(answer) => Some(*answer),
        })
    }

    fn answer(&self) -> Answer {
        self.with_context(|context| admission::answer(&self.body.bytes, context))
    }

    fn with_context<T>(&self, answer: impl FnOnce(&Context<'_>) -> T) -> T {
        let now = self.shared.clock.now();
        answer(&Context { webhook: self.webhook, now, rules: self.shared.rules, settings: &self.config.settings })
    }
}
