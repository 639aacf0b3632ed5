//! Judges a review before its deadline, without delaying other connections.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::limits::SHORT_CONDITIONS;
use super::memory::{BodyMemory, Piece, ReceivedBody};
use crate::admission::{self, Answer, Context, Fault, Webhook};
use crate::config::Config;

/// A permit for a review in flight. It is released when it is dropped.
struct InFlightPermit(Arc<Shared>);

impl InFlightPermit {
    fn take(shared: &Arc<Shared>) -> Self {
        shared.metrics.in_flight.inc();
        Self(shared.clone())
    }

    /// Returns `None` if `limit` permits are taken.
    fn take_within(shared: &Arc<Shared>, limit: usize) -> Option<Self> {
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

/// A review whose body was read. Its memory is held until it is judged, even after its deadline.
pub struct PendingReview {
    pub shared: Arc<Shared>,
    pub config: Arc<Config>,
    pub webhook: Webhook,
    pub body: ReceivedBody,
    pub memory: BodyMemory,
}

impl PendingReview {
    /// Judges the review, or answers with a fault at the deadline.
    ///
    /// Nearly every review is judged on the current thread. That usually takes 0.1 ms, and at most 5 ms, which is short
    /// enough for the other connections of the thread; passing the review to another thread would cost as much as
    /// judging it. Such a review never waits, so `limits.reviews` does not apply to it. A review that may take longer
    /// is judged on a separate thread, a few reviews at a time, so that it does not block connections. `limits.reviews`
    /// limits how many reviews are judged on such threads or wait for one. A permit is held until the decision or the
    /// deadline.
    pub async fn judge(mut self, deadline: Instant) -> Answer {
        if let Some(answer) = self.judge_if_short() {
            return answer;
        }
        let Some(_permit) = InFlightPermit::take_within(&self.shared, self.config.limits.reviews) else {
            return self.fault(Fault::TooManyRequests);
        };
        let rest = std::mem::take(&mut self.body.rest);
        let review = Arc::new(self);
        let judged = async {
            // Never an error, since the semaphore is never closed.
            let thread = review.shared.long_reviews.clone().acquire_owned().await.ok();
            let review = review.clone();
            spawn_blocking(move || {
                let answer = review.answer(rest);
                drop(thread);
                answer
            })
            .await
        };
        match timeout_at(deadline, judged).await {
            Ok(Ok(answer)) => answer,
            // `answer` does not panic, so an error means that the runtime is shutting down.
            Ok(Err(_)) => review.fault(Fault::Internal),
            Err(_) => review.fault(Fault::Timeout),
        }
    }

    /// Answers the review with a fault, without judging it. The uid is searched only in the first piece, where API
    /// servers write it, since searching 8 MiB would take too long.
    pub fn fault(&self, fault: Fault) -> Answer {
        self.with_context(|context| admission::fault(&self.body.first.bytes, fault, context))
    }

    /// Judges a short review. Returns `None` if the body is long, or if it was decoded and has many conditions.
    fn judge_if_short(&self) -> Option<Answer> {
        if !self.body.rest.is_empty() {
            return None;
        }
        let _permit = InFlightPermit::take(&self.shared);
        self.with_context(|context| match admission::decode(&self.body.first.bytes, context) {
            Ok(review) => (review.request.condition_count() <= SHORT_CONDITIONS)
                .then(|| admission::answer_review(review, context)),
            Err(answer) => Some(*answer),
        })
    }

    fn answer(&self, rest: Vec<Piece>) -> Answer {
        let all = ReceivedBody::joined(&self.body.first.bytes, rest);
        self.with_context(|context| admission::answer(&all, context))
    }

    fn with_context<T>(&self, answer: impl FnOnce(&Context<'_>) -> T) -> T {
        let now = self.shared.clock.now();
        let events = self.shared.events.as_ref().map(|queue| queue.reasons).unwrap_or_default();
        let (rules, settings) = (self.shared.rules, &self.config.settings);
        answer(&Context { webhook: self.webhook, now, rules, settings, events })
    }
}
