//! From whoever has a newer certificate, or a newer configuration, to those who use it.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Looks for something newer at a time: none, one that is proven, or what is wrong with the one that was found.
pub type Look<T> = Box<dyn FnMut(OffsetDateTime) -> Option<Result<T, String>> + Send>;

/// What was done for newer ones.
#[derive(Clone, Default)]
pub struct Counts {
    pub looks: Counter,
    pub reloads: Counter,
    pub failures: Counter,
}

/// Looks at every interval, and hands what is found to `take`. `what` it is, lines in the log say.
pub async fn follow<T: Send + 'static>(
    what: &'static str,
    mut look: Look<T>,
    every: Duration,
    clock: fn() -> OffsetDateTime,
    mut take: impl FnMut(T),
    counts: Counts,
) {
    loop {
        sleep(every).await;
        // On another thread: a disk that hangs is to hold no review.
        let looked = spawn_blocking(move || {
            let found = look(clock());
            (look, found)
        });
        let Ok((back, found)) = looked.await else {
            return tracing::error!(what, "a look for a newer one was lost to a panic: restart to renew it");
        };
        look = back;
        match found {
            None => {}
            Some(Ok(newer)) => {
                take(newer);
                counts.reloads.inc();
            }
            Some(Err(error)) => {
                // Before it is counted: who sees the count finds the line.
                tracing::warn!(what, %error, "a newer one cannot be used: the last good one goes on");
                counts.failures.inc();
            }
        }
        // Last: who sees this grow knows that what was found is used.
        counts.looks.inc();
    }
}
