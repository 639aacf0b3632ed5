//! Waits for a sample of /metrics, and the time after which every wait of a test fails.

use std::net::SocketAddr;
use std::time::Duration;

use super::http::get;

/// For waits that only a broken server makes long.
pub const FAR: Duration = Duration::from_secs(60);

/// The value of a sample of /metrics, by its whole name with labels.
pub async fn metric(admin: SocketAddr, name: &str) -> Option<f64> {
    let reply = get(admin, "/metrics").await;
    let text = String::from_utf8(reply.body).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until a sample has a value.
pub async fn until_metric(admin: SocketAddr, name: &str, value: f64) {
    let waited = tokio::time::timeout(FAR, async {
        while metric(admin, name).await != Some(value) {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{name} never became {value}");
}
