//! Waits for a sample of /metrics, and the time limit of every wait in a test.

use std::net::SocketAddr;
use std::time::Duration;

use super::http::get;

/// The time limit of a wait. Only a broken program reaches it, however busy the machine is: the longest wait, for all policies of
/// an API server to be in force, takes 20 s on an idle machine.
pub const WAIT_MAX: Duration = Duration::from_secs(300);

/// Returns the value of a sample of /metrics, by its full name with labels.
pub async fn metric(admin: SocketAddr, name: &str) -> Option<f64> {
    let reply = get(admin, "/metrics").await;
    let text = String::from_utf8(reply.body).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until a sample has this value.
pub async fn until_metric(admin: SocketAddr, name: &str, value: f64) {
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while metric(admin, name).await != Some(value) {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{name} never became {value}");
}
