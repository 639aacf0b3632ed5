//! From a review that was read to its answer, before its deadline and without holding up others.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::limits::SHORT_CONDITIONS;
use super::memory::{BodyMemory, Piece, ReceivedBody};
use crate::admission::{self, Answer, Context, Fault, Webhook};
use crate::config::Config;

/// A permit for a review in flight, given back when it is dropped.
struct InFlightPermit(Arc<Shared>);

impl InFlightPermit {
    fn take(shared: &Arc<Shared>) -> Self {
        shared.metrics.in_flight.inc();
        Self(shared.clone())
    }

    /// None where `limit` are taken.
    fn take_of(shared: &Arc<Shared>, limit: usize) -> Option<Self> {
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

/// A review that was read. Its memory is held until it is judged, even if nobody waits for it any more.
pub struct PendingReview {
    pub shared: Arc<Shared>,
    pub config: Arc<Config>,
    pub webhook: Webhook,
    pub body: ReceivedBody,
    pub memory: BodyMemory,
}

impl PendingReview {
    /// The answer, or at the deadline a fault.
    ///
    /// Nearly every review is judged here: that takes 0.1 ms commonly and 5 ms at worst, which other connections of this thread
    /// can wait for, and to wake another thread and be woken by it costs as much as to judge. It waits for nobody, so it needs
    /// no permit of others. What may take longer is judged on a thread of its own, a few at a time, and may wait for one; so
    /// connections go on, and there is a limit to how many wait. A permit ends with the verdict, or at the deadline.
    pub async fn judge(mut self, deadline: Instant) -> Answer {
        if let Some(answer) = self.judge_if_short() {
            return answer;
        }
        let Some(_permit) = InFlightPermit::take_of(&self.shared, self.config.limits.reviews) else {
            return self.fault(Fault::TooManyRequests);
        };
        let rest = std::mem::take(&mut self.body.rest);
        let review = Arc::new(self);
        let judged = async {
            // No error: the semaphore is never closed.
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
            // `answer` does not panic: the process is about to end.
            Ok(Err(_)) => review.fault(Fault::Internal),
            Err(_) => review.fault(Fault::Timeout),
        }
    }

    /// Answers it unjudged. The uid is near the beginning or nowhere: to look for it in 8 MiB would take too long.
    pub fn fault(&self, fault: Fault) -> Answer {
        self.with_context(|context| admission::fault(&self.body.first.bytes, fault, context))
    }

    /// None where the review may take long to judge: it was only decoded.
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
        answer(&Context { webhook: self.webhook, now, rules: self.shared.rules, settings: &self.config.settings })
    }
}
