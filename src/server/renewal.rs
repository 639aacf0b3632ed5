//! From whoever has a newer certificate to the handshakes.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Looks for a newer certificate at a time: none, one that is proven, or what is wrong with the one that was found.
pub type Look = Box<dyn FnMut(OffsetDateTime) -> Option<Result<CertifiedKey, String>> + Send>;

/// What was done for newer certificates.
#[derive(Clone, Default)]
pub struct Counts {
    pub looks: Counter,
    pub reloads: Counter,
    pub failures: Counter,
}

/// Looks at every interval, and sends on what is found: the next handshake has it, open connections go on.
pub async fn follow(
    mut look: Look,
    every: Duration,
    clock: fn() -> OffsetDateTime,
    renew: watch::Sender<Option<Arc<CertifiedKey>>>,
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
            return tracing::error!("a look for a newer certificate was lost to a panic: restart to renew it");
        };
        look = back;
        match found {
            None => {}
            Some(Ok(certificate)) => {
                renew.send_replace(Some(Arc::new(certificate)));
                counts.reloads.inc();
            }
            Some(Err(error)) => {
                counts.failures.inc();
                tracing::warn!(%error, "a newer certificate cannot be used: the old one is still served");
            }
        }
        // Last: who sees this grow knows that what was found is served.
        counts.looks.inc();
    }
}
