//! Accepts connections up to a limit, and drains them when the server stops.
//!
//! At the connection limit, the least useful connection is closed to admit a new one. The candidates, in this order,
//! are: the oldest connection that was never used, a connection whose bodies arrive slowly, the connection that has
//! been idle for longest, and a connection that is sending a body. So a client that only opens connections, or sends
//! without end, cannot lock out an API server. If a review is being judged on every connection, the new connection is
//! closed at once. Its client notices that; in a queue, it would wait until its timeout.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::connection::{StopStage, wait_for_stage};
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
            () = wait_for_stage(&mut stop, StopStage::Stopping) => return connections,
            Some(ended) = connections.join_next_with_id() => {
                open.remove(&ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id));
                log_panic(ended.map(|_| ()));
            }
            // One connection more than the limit is open until the task of the connection that was closed has ended.
            accepted = listener.accept(), if connections.len() <= limit => match accepted {
                Ok((stream, peer)) => {
                    if connections.len() >= limit {
                        metrics.closed.inc();
                        let Some(id) = least_useful(&open, slow) else { continue };
                        if let Some((_, connection)) = open.remove(&id) {
                            connection.abort();
                        }
                    }
                    // Answers are small, so waiting to fill a packet only delays them. An error can be ignored: answers
                    // are then only later.
                    let _ = stream.set_nodelay(true);
                    let activity = Activity::new();
                    let connection = connections.spawn(serve(stream, canonical(peer), activity.clone()));
                    open.insert(connection.id(), (activity, connection));
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; retrying");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// Waits for the connections of a port to end, for at most `limits.drain`.
pub async fn drain(mut connections: JoinSet<()>, limits: &Limits, port: &str) {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    if timeout(limits.drain, all).await.is_err() {
        tracing::warn!(port, connections = connections.len(), "closing the connections that did not end in time");
    }
}

/// Returns the connection to close at the limit, or `None` if every connection has a request that is judged or
/// answered.
fn least_useful(open: &HashMap<Id, (Arc<Activity>, AbortHandle)>, slow: Duration) -> Option<Id> {
    let all = open.iter().filter_map(|(id, (activity, _))| Some((activity.usefulness(slow)?, *id)));
    all.min_by_key(|(usefulness, _)| *usefulness).map(|(_, id)| id)
}

fn log_panic(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a connection was closed by a panic");
    }
}
