//! Reloading: polls for a new certificate or configuration, and applies it.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::tls::files::Poll;

/// The numbers of polls, of successful reloads and of failed reloads.
#[derive(Clone, Default)]
pub struct ReloadCounts {
    pub polls: Counter,
    pub reloads: Counter,
    pub failures: Counter,
}

/// Polls once per interval `every`, and passes each new value to `apply`. `item` names the value in the log.
pub async fn poll_and_apply<T: Send + 'static>(
    item: &'static str,
    mut poll: Poll<T>,
    every: Duration,
    clock: fn() -> OffsetDateTime,
    mut apply: impl FnMut(T),
    counts: ReloadCounts,
) {
    loop {
        sleep(every).await;
        // On another thread, so that a hanging disk does not delay reviews.
        let polled = spawn_blocking(move || {
            let found = poll(clock());
            (poll, found)
        });
        let Ok((back, found)) = polled.await else {
            return tracing::error!(item, "polling panicked; restart the server to load changes");
        };
        poll = back;
        match found {
            None => {}
            Some(Ok(newer)) => {
                apply(newer);
                counts.reloads.inc();
            }
            Some(Err(error)) => {
                // Logged before it is counted: the line exists once the count is visible.
                tracing::warn!(item, %error, "reload failed; keeping the current version");
                counts.failures.inc();
            }
        }
        // Counted last: the new value is in use once the count is visible.
        counts.polls.inc();
    }
}
