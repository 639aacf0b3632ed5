//! Accepts connections up to a limit, and drains them when the server stops.
//!
//! At the connection limit, the least useful connection is closed to admit a new one: of those that were never used the oldest,
//! then one whose bodies are slow, then the one that has been idle for longest, then one that sends a body. So a client that
//! only holds connections, or sends without end, cannot keep an API server out. Where all have a review that is judged the new
//! one is closed at once, which its client can see; in a queue it would wait for its timeout.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::connection::{StopStage, reaching};
use super::limits::ACCEPT_PAUSE;
use super::listen::canonical;
use super::metrics::PortMetrics;
use super::timeouts::Activity;
use crate::config::Limits;

/// Spawns `serve` for each connection until the server stops, and returns those that are still open.
pub async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    limit: usize,
    slow: Duration,
    mut stop: watch::Receiver<StopStage>,
    metrics: &PortMetrics,
    serve: impl Fn(TcpStream, SocketAddr, Arc<Activity>) -> F,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let mut open = HashMap::new();
    loop {
        metrics.open.set(i64::try_from(connections.len()).unwrap_or(i64::MAX));
        tokio::select! {
            () = reaching(&mut stop, StopStage::Stopping) => return connections,
            Some(ended) = connections.join_next_with_id() => {
                open.remove(&ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id));
                report(ended.map(|_| ()));
            }
            // One more than the limit, until the connection that was closed for it has ended.
            accepted = listener.accept(), if connections.len() <= limit => match accepted {
                Ok((stream, peer)) => {
                    if connections.len() >= limit {
                        metrics.closed.inc();
                        let Some(id) = least_useful(&open, slow) else { continue };
                        if let Some((_, connection)) = open.remove(&id) {
                            connection.abort();
                        }
                    }
                    // Answers are small: waiting to fill a packet would only delay them. Without it they still arrive.
                    let _ = stream.set_nodelay(true);
                    let activity = Activity::new();
                    let connection = connections.spawn(serve(stream, canonical(peer), activity.clone()));
                    open.insert(connection.id(), (activity, connection));
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// Waits for the connections to end, as long as is allowed.
pub async fn drain(mut connections: JoinSet<()>, limits: &Limits, what: &str) {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if timeout(limits.drain, all).await.is_err() {
        tracing::warn!(what, connections = connections.len(), "cutting connections that did not end in time");
    }
}

/// None where all have a request that is judged or answered.
fn least_useful(open: &HashMap<Id, (Arc<Activity>, AbortHandle)>, slow: Duration) -> Option<Id> {
    let all = open.iter().filter_map(|(id, (activity, _))| Some((activity.usefulness(slow)?, *id)));
    all.min_by_key(|(usefulness, _)| *usefulness).map(|(_, id)| id)
}

fn report(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a connection was lost to a panic");
    }
}
