//! The limits that a configuration may choose, each with where its default comes from beside its value.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::{self, Memory, Time};

/// What the server allows at most. Times are durations such as `5s` or `1m30s`, from 100ms to 1h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Connections to the review address at once, from 1 to 1000000. At the limit, the least recently useful connection
    /// without a request in flight is closed to admit a new one; where there is none, the new one is closed. Read once at
    /// the start: a change waits for a restart.
    #[serde(deserialize_with = "value::count")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: usize,
    /// Reviews in flight at once, being read or judged, from 1 to 1000000. Beyond it reviews are shed.
    #[serde(deserialize_with = "value::count")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub reviews: usize,
    /// Memory for the bodies of all reviews in flight, such as `64Mi`, from 16Mi to 64Gi. Beyond it reviews are shed. Each
    /// takes 64Ki at least, and one whose length is not announced may reserve twice its length. Read once at the start: a
    /// change waits for a restart.
    #[serde(deserialize_with = "value::memory", serialize_with = "value::write_memory")]
    #[schemars(with = "Memory")]
    pub bodies_bytes: usize,
    /// From the connection to the end of the TLS handshake.
    #[serde(deserialize_with = "value::duration", serialize_with = "value::write_duration")]
    #[schemars(with = "Time")]
    pub handshake: Duration,
    /// From the first byte of an HTTP/1.1 head to its last. A body that takes longer is shed first, where others would be.
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
    /// How long a client may leave an answer untaken.
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
            // next power of two leaves room for idle ones. At 56 KiB of TLS and HTTP buffers each: 56 MiB.
            connections: 1024,
            // Those three API servers again: each change waits for one review at a time. At 0.1 ms each they are judged in
            // 60 ms by one core, and at 10 ms, the worst of 64 KiB, in 6 s: before their deadline. One piece of memory for
            // each is 38 MiB of the 64 below.
            reviews: 600,
            // Eight of the biggest bodies, or a thousand common ones. Where no length is announced a growing vector may
            // reserve twice its length: 128 MiB at worst, which with the connections fits a container of 256 MiB.
            bodies_bytes: 64 << 20,
            // Two round trips and one signature: far below a second even across regions.
            handshake: Duration::from_secs(5),
            // A head is one packet.
            head: Duration::from_secs(2),
            // The API server keeps idle connections for 90 s; it has to be the one that closes them, or it would
            // send a review into a connection that is just being closed.
            idle: Duration::from_secs(100),
            // The API server's default for a webhook's timeoutSeconds. Eight of the biggest bodies take 10 s of one core.
            body: Duration::from_secs(10),
            // As long as a review at most waits for its answer.
            write: Duration::from_secs(10),
            // The longest body, and 2 s to judge and answer it; well within the 30 s that Kubernetes waits.
            drain: Duration::from_secs(12),
        }
    }
}
