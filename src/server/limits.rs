//! A limit on everything, each with where it comes from beside its value.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::admission::BODY_MAX_BYTES;

/// What of a body is buffered, one byte more than a review may have: so `answer` sees that it is too large.
pub const BODY_BUFFER_BYTES: usize = BODY_MAX_BYTES + 1;

/// What of a body is read at all, so that the client has sent everything when it gets its answer.
/// Two objects of 3 MiB, the most the API server takes, with every byte escaped to six by Go are 36 MiB;
/// 4 MiB are for the rest of the review. A longer body does not come from an API server: answer, then close.
pub const BODY_READ_BYTES: usize = 40 << 20;

/// The memory for bodies is shared out in pieces of this size, and one piece is what a review that is shed may hold:
/// the API server writes the uid first, and even the objects of a common review end within 10 KiB.
pub const PIECE_BYTES: usize = 64 << 10;

/// What is judged where it is read: at worst a byte takes 5 ns to read (lists in lists), which is 10 ms for all.
pub const SHORT_BYTES: usize = 2 << 20;
/// Conditions of both objects of such a review. A scan has four; so many take 5 ms to judge, or to mutate, each of them wrong
/// in every member.
pub const SHORT_CONDITIONS: usize = 256;

/// A body with a Content-Length reserves at most so many times the bytes that were received of it, so that a length alone
/// reserves no memory. The first 8 KiB, which HTTP/1.1 reads at once, reserve enough for every common body.
pub const RESERVE_FACTOR: usize = 256;

/// HTTP/2 streams a connection. An API server opens another connection for more, and each stream may hold a piece.
pub const STREAMS: u32 = 64;

/// HTTP/1.1 heads and HTTP/2 header lists. The API server's are below 1 KiB; 16 KiB is hyper's own choice for HTTP/2.
pub const HEAD_BYTES: usize = 16 << 10;

/// What is read of a socket at once: the greatest record of TLS. By itself rustls reads 4 KiB, which is a system call more
/// for a common review and 200 more for a megabyte.
pub const READ_BYTES: usize = (16 << 10) + 256 + 5;

/// Connections to the admin address: a kubelet and two Prometheus servers need three.
pub const ADMIN_CONNECTIONS: usize = 64;

/// File descriptors besides those of connections: 3 standard streams, 2 listeners, about 10 of the runtime and of signals,
/// 2 connections to the API server, a file that is read, one for each port at its limit, where a new connection is accepted
/// while the one that is closed ends. 19 and some more; measured are 13 without a cluster.
pub const OWN_DESCRIPTORS: usize = 32;

/// How long accepting rests after an error that would only repeat (no file descriptors left): no spin, no long outage.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// HTTP/2 pings find a peer that is gone, or stuck in the middle of a frame: after 30 s, as Go's own transport does.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Shorter than any limit of a request may be set to; ten times a second is nothing to wake up for.
pub const TICK: Duration = Duration::from_millis(100);

/// Within what time a change of certificate files is served; they are read twice in it. Two reads of some KiB
/// cost nothing, and a second adds nothing to the 60 to 90 s after which a kubelet mounts what is new in a Secret.
pub const CERTS_POLL: &str = "1s";
/// Less would be busy with nothing else; more would take half of what cert-manager leaves of its shortest certificates
/// (an hour, renewed 20 minutes before its end).
pub const POLL_RANGE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);

/// Within what time a change of the configuration counts, likewise.
pub const CONFIG_POLL: &str = "1s";

/// How often the dates of the certificate that is served are compared with the clock: two numbers, and an alarm that is
/// at most so late.
pub const EXPIRY_POLL: Duration = Duration::from_secs(60);

/// How often a development certificate is looked at: at the last third of its life, a month, some minutes do not matter.
pub const DEVELOPMENT_POLL: Duration = Duration::from_secs(3600);
