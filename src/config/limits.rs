//! The limits that a configuration may choose, each with where its default comes from beside its value.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::{self, Memory, Time};

/// What the server allows at most. Times are durations such as `5s` or `1m30s`, from 100ms to 1h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Connections to the review address at once, from 1 to 1000000. At the limit, the least useful connection is closed to
    /// admit a new one, but none with a review that is judged; where all have one, the new connection is closed. Read once at the
    /// start: a change waits for a restart.
    #[serde(deserialize_with = "value::count")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: usize,
    /// Reviews in flight at once, from 1 to 1000000: those whose bodies are whole and that are not decided. Beyond it reviews
    /// are shed. It does not apply to bodies of up to 64Ki with up to 256 conditions, which are judged at once.
    #[serde(deserialize_with = "value::count")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub reviews: usize,
    /// Memory for bodies that are received or judged, and for answers that are not taken, such as `64Mi`, from 16Mi to 64Gi.
    /// Beyond it the oldest of those that wait for a client is evicted: the body is dropped, or the connection of the answer is
    /// closed. A sixteenth is added, for requests besides their bodies and for short bodies. Read once at the start: a change
    /// waits for a restart.
    #[serde(deserialize_with = "value::memory", serialize_with = "value::write_memory")]
    #[schemars(with = "Memory")]
    pub bodies_bytes: usize,
    /// From the connection to the end of the TLS handshake.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub handshake: Duration,
    /// From the first byte of an HTTP/1.1 head to its last. At the limit of connections, one whose bodies take longer is closed
    /// before those that are idle.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub head: Duration,
    /// From the last answer (or the handshake) to the next request. API servers close idle connections after 90 s, and it
    /// should be they who do.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub idle: Duration,
    /// From the end of the head to the end of the body, and to the verdict on it, unless `?timeout=` says less.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub body: Duration,
    /// How long a client may leave an answer untaken, in HTTP/2 too.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub write: Duration,
    /// From the signal to stop to the end of the last connection: `body` and some seconds, within the pod's
    /// terminationGracePeriodSeconds.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Three API servers with 200 changing requests in flight each (their default) are 600 connections; the
            // next power of two leaves room for idle ones. What each takes at worst is in `server::limits`.
            connections: 1024,
            // Those three API servers again: each change waits for one review at a time. Only long ones, beyond 64 KiB, count:
            // 600 of 100 KiB, for which there is memory, are judged in 2.4 s by one core, at 40 ns a byte at worst.
            reviews: 600,
            // Eight of the largest bodies, or some thousand common ones. Allocated bytes are counted, so bodies take no more
            // than this. With the connections it fits a container of 256 MiB, as `server::limits::most_bytes` adds up.
            bodies_bytes: 64 << 20,
            // Two round trips and one signature: far below a second even across regions.
            handshake: Duration::from_secs(5),
            // A head is one packet.
            head: Duration::from_secs(2),
            // The API server keeps idle connections for 90 s; it has to be the one that closes them, or it would
            // send a review into a connection that is just being closed.
            idle: Duration::from_secs(100),
            // The API server's default for a webhook's timeoutSeconds. Eight of the biggest bodies take 2.7 s of one core.
            body: Duration::from_secs(10),
            // As long as a review at most waits for its answer.
            write: Duration::from_secs(10),
            // The longest body, and 2 s to judge and answer it; well within the 30 s that Kubernetes waits.
            drain: Duration::from_secs(12),
        }
    }
}
