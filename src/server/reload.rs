//! Reloading: polls for a newer certificate or configuration, and hands it to those who use it.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::tls::files::Poll;

/// How often something was polled, replaced, or could not be.
#[derive(Clone, Default)]
pub struct ReloadCounts {
    pub polls: Counter,
    pub reloads: Counter,
    pub failures: Counter,
}

/// Polls at every interval, and hands what is new to `apply`. `what` it is stands in the log.
pub async fn poll_and_apply<T: Send + 'static>(
    what: &'static str,
    mut poll: Poll<T>,
    every: Duration,
    clock: fn() -> OffsetDateTime,
    mut apply: impl FnMut(T),
    counts: ReloadCounts,
) {
    loop {
        sleep(every).await;
        // On another thread: a disk that hangs must not hold up reviews.
        let polled = spawn_blocking(move || {
            let found = poll(clock());
            (poll, found)
        });
        let Ok((back, found)) = polled.await else {
            return tracing::error!(what, "polling has panicked: restart to reload");
        };
        poll = back;
        match found {
            None => {}
            Some(Ok(newer)) => {
                apply(newer);
                counts.reloads.inc();
            }
            Some(Err(error)) => {
                // Before it is counted, so that the line is there when the count is seen.
                tracing::warn!(what, %error, "reload failed; keeping the current version");
                counts.failures.inc();
            }
        }
        // Last, so that what was found is in use when the count is seen.
        counts.polls.inc();
    }
}
