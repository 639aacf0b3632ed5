//! The limits that a configuration can set. Each default is derived beside its value.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::{self, Memory, Time};

/// The limits of the server. Each is a maximum. Times are durations such as `5s` or `1m30s`, from 100ms to 1h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// The number of open connections to the review address, from 1 to 1000000. At the limit, the least useful
    /// connection is closed to admit a new one. A connection whose review is being judged is not closed. If no
    /// connection can be closed, the new connection is. Read at the start only: a change takes effect after a
    /// restart.
    #[serde(deserialize_with = "value::count")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: usize,
    /// The number of reviews in flight, from 1 to 1000000: reviews whose body is complete and that are not decided yet.
    /// Further reviews are shed. The limit does not apply to bodies of up to 64Ki with up to 256 conditions, which are
    /// judged immediately.
    #[serde(deserialize_with = "value::count")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub reviews: usize,
    /// The memory for bodies that are being received or judged, and for answers that the client has not read yet, such
    /// as `64Mi`, from 16Mi to 64Gi. At the limit, the oldest body or answer that waits for its client is evicted: the
    /// body is dropped, or the connection of the answer is closed. A sixteenth is added, for the other parts of
    /// requests and for short bodies. Read at the start only: a change takes effect after a restart.
    #[serde(deserialize_with = "value::memory", serialize_with = "value::write_memory")]
    #[schemars(with = "Memory")]
    pub bodies_bytes: usize,
    /// The time from the connection to the end of the TLS handshake.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub handshake: Duration,
    /// The time from the first byte of an HTTP/1.1 head to its last byte. At the limit of connections, a connection
    /// whose body takes longer than this is closed before idle connections.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub head: Duration,
    /// The time from the last answer (or the handshake) to the next request. API servers close idle connections after
    /// 90 s, so this should be longer.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub idle: Duration,
    /// The time from the end of the head to the decision, including the time to receive the body. A shorter
    /// `?timeout=` takes precedence.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub body: Duration,
    /// The time that a client may take to read an answer, with HTTP/2 as well.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub write: Duration,
    /// The time from the signal to stop to the end of the last connection. Set it to some seconds more than `body`, and
    /// less than the terminationGracePeriodSeconds of the pod.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Three API servers with 200 mutating requests in flight each (their default) need 600 connections. The
            // next power of two leaves room for idle connections. `server::limits` has the most that each connection
            // takes.
            connections: 1024,
            // The same three API servers, since each request waits for one review at a time. Only bodies beyond 64 KiB
            // count: one core judges 600 bodies of 100 KiB, which fit the memory, in 2.5 s at 40 ns a byte at worst.
            reviews: 600,
            // Eight of the largest bodies, or thousands of common ones. Allocated bytes are counted, so bodies take no
            // more memory than this. Together with the connections this fits a container of 256 MiB
            // (`server::limits::most_bytes`).
            bodies_bytes: 64 << 20,
            // Two round trips and one signature take far less than a second, even across regions.
            handshake: Duration::from_secs(5),
            // A head is one packet.
            head: Duration::from_secs(2),
            // The API server closes idle connections after 90 s. If the webhook closed them first, the API server could
            // send a review into a connection that is being closed.
            idle: Duration::from_secs(100),
            // The default of timeoutSeconds of a webhook. Eight of the largest bodies take one core 2.7 s.
            body: Duration::from_secs(10),
            // The API server does not wait longer for an answer either.
            write: Duration::from_secs(10),
            // The time for a body and its decision, and 2 s to send the answer; well within the 30 s of grace that
            // Kubernetes gives a pod.
            drain: Duration::from_secs(12),
        }
    }
}
