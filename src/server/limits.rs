//! The limits of the server that cannot be configured, each with its derivation.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::admission::{BODY_MAX_BYTES, JUDGEMENT_MAX_BYTES};

/// The most bytes of a body that are buffered: one byte more than a review may have, so that `answer` detects that it
/// is too large.
pub const BODY_BUFFER_BYTES: usize = BODY_MAX_BYTES + 1;

/// The most bytes of a body that are read, so that the client has sent the whole body before it gets the answer. Two
/// objects of 3 MiB, the largest that the API server accepts, are 36 MiB if Go escapes every byte to six; 4 MiB are for
/// the rest of the review. A longer body is not from an API server: it is answered, and then its connection is closed.
pub const BODY_READ_BYTES: usize = 40 << 20;

/// The bytes that are kept of a shed body, for the uid in its answer. The API server writes the uid first, and a
/// typical review has less than 10 KiB with its objects.
pub const PREFIX_BYTES: usize = 16 << 10;

/// The number of shed bodies whose rest is read and dropped at the same time: more than API servers send at once. Their
/// memory is 5.5 MiB.
pub const DRAINED_BODIES: usize = 256;

/// The memory of a request besides its body, from its head to the end of its answer: its stream, its task and their
/// timers. Measured: 5 KiB for an HTTP/2 stream.
pub const REQUEST_BYTES: usize = 6 << 10;

/// The memory of a body is at most this multiple of its received bytes, even if its head announces more. Each growth
/// copies the body; with doubling, each byte is copied about once.
pub const RESERVE_FACTOR: usize = 2;
/// The initial memory of a body, unless its head announces less.
pub const FIRST_BUFFER_BYTES: usize = 1 << 10;

/// The memory of all bodies and answers: `limits.bodiesBytes` and a sixteenth. Half of the sixteenth is for
/// [`REQUEST_BYTES`], so that bodies can use all of `limits.bodiesBytes`. The other half is for short bodies. They are
/// judged at once, so they need not be shed while long bodies wait to be judged.
pub const fn memory_bytes(bodies_bytes: usize) -> usize {
    bodies_bytes + bodies_bytes / 16
}

/// The part of [`memory_bytes`] that long bodies may use.
pub const fn long_bodies_bytes(bodies_bytes: usize) -> usize {
    bodies_bytes + bodies_bytes / 32
}

/// The part of [`memory_bytes`] that a single connection may use: a quarter, so that no connection can fill the memory
/// alone, but at least enough for one body of the largest size and a request on every stream.
pub fn connection_bytes(bodies_bytes: usize) -> usize {
    (bodies_bytes / 4).max(BODY_BUFFER_BYTES + STREAMS as usize * REQUEST_BYTES)
}

/// The longest body that is judged on the thread that read it. At 40 ns a byte, the most that any body takes, this is
/// 2.6 ms, which is short enough for the other connections of the thread.
pub const SHORT_BYTES: usize = 64 << 10;
/// The most conditions, in both objects together, of a review that is judged on the thread that read it. A scan has
/// four conditions; this many, with every member wrong, take 5 ms to judge or to mutate.
pub const SHORT_CONDITIONS: usize = 256;
/// The number of longer reviews that are judged at the same time, on separate threads; at most one per core. The
/// longest review takes 0.34 s at 40 ns a byte, so the eight that fit in the default memory are answered within 1.4 s.
/// The number is small, since each such review needs memory besides its body.
pub const LONG_REVIEWS: usize = 2;
/// The number of concurrent HTTP/2 streams of a connection. An API server opens another connection if it needs more.
pub const STREAMS: u32 = 64;

/// The longest head of an HTTP/1.1 request. Those of API servers are below 1 KiB. hyper reads bodies into the same
/// buffer, so a smaller one would be slower.
pub const HEAD_BYTES: usize = 16 << 10;
/// The longest header list of an HTTP/2 request. The longest tokens that API servers send fit in 8 KiB. Heads are
/// dropped before their bodies are read, so those of many streams do not add up.
pub const HEADER_LIST_BYTES: u32 = 8 << 10;

/// The flow-control window of an HTTP/2 connection and of each of its streams: the smallest that HTTP/2 allows for a
/// connection. With a round trip of 1 ms, as within a cluster, this allows 64 MB a second.
pub const WINDOW_BYTES: u32 = 65_535;

/// The number of HTTP/2 frames, besides those of reviews, that a connection may send at once. More are allowed after
/// each answer and each second. Go's client sends two WINDOW_UPDATE frames for an answer, a PING every 30 s, and a
/// RST_STREAM with a PING for each request that it cancels. Cancelling requests on all 64 streams at once counts as 64
/// times 9 frames.
pub const FRAMES: u32 = 1_000;
pub const FRAMES_PER_ANSWER: u32 = 16;
pub const FRAMES_PER_SECOND: u32 = 10;
/// The number of frames that a RST_STREAM counts as, since the request that it cancels has cost as much as several
/// frames.
pub const RESET_FRAMES: usize = 8;
/// A long frame, such as a head, counts as one more frame for each of these bytes. The longest head that is accepted
/// counts as fewer than [`FRAMES_PER_ANSWER`].
pub const FRAME_BYTES: usize = 1 << 10;
/// The number of streams of a connection that the server may reset because of errors of the client. An API server makes
/// none.
pub const ERROR_RESETS: usize = 64;

/// A piece of a body that is smaller than this, and not the last, is a small piece. A packet has 1,400 bytes.
pub const SMALL_PIECE_BYTES: usize = 256;
/// The number of pieces that a body may have in addition to one for each [`SMALL_PIECE_BYTES`]. It is limited, since
/// each piece costs work.
pub const SMALL_PIECES: usize = 1_000;

/// The most memory of a connection besides bodies and answers: 16 KiB each for the read buffer of its socket, for a
/// received TLS record and its plaintext, for records that are sent, and for the buffer of HTTP; and 16 KiB for
/// everything else. HTTP/2 has a smaller buffer, and [`WINDOW_BYTES`] in addition. Measured: 50 KiB when idle, 90 KiB
/// while a body is sent.
pub const CONNECTION_BYTES: usize = 112 << 10;
/// The most bytes of an unread answer that TLS buffers.
pub const TLS_WRITE_BYTES: usize = 16 << 10;

/// The memory of the process before its first connection, with the stacks of its threads. Measured: 8 MiB.
pub const PROCESS_BYTES: usize = 16 << 20;

/// The bytes that are read from a socket at once: the largest TLS record. By default rustls reads 4 KiB, which is one
/// system call more for a typical review and 200 more for a megabyte.
pub const READ_BYTES: usize = (16 << 10) + 256 + 5;

/// The most memory of the process: each of `connections` uses all that it may, all memory for bodies is in use, and the
/// longest reviews are being judged, each with its body copied into one piece. The memory limit in the manifests is
/// above this.
pub const fn most_bytes(connections: usize, bodies_bytes: usize) -> usize {
    PROCESS_BYTES
        + memory_bytes(bodies_bytes)
        + LONG_REVIEWS * (BODY_BUFFER_BYTES + JUDGEMENT_MAX_BYTES)
        // One connection more than the limit, which is accepted while another one is closed for it.
        + (connections + 1) * CONNECTION_BYTES
}

/// The bytes that are read from a connection before it yields to the other connections of its thread. Heads of HTTP/2
/// are the most expensive input: this many bytes of them take 0.3 ms.
pub const TURN_BYTES: usize = 64 << 10;

/// The number of connections to the admin address. A kubelet and two Prometheus servers need three.
pub const ADMIN_CONNECTIONS: usize = 64;

/// The number of Events that wait for the task that writes them, which only counts most of them: a thread that denies
/// 20,000 reviews a second, more than any, fills it in 50 ms. An Event has at most 2.2 KiB, half of it the note, so the
/// queue has at most 2.2 MiB. [`PROCESS_BYTES`] has room for it.
pub const QUEUED_EVENTS: usize = 1_024;

/// The number of file descriptors besides those of connections: 3 standard streams, 2 listeners, about 10 for the
/// runtime and for signals, 3 connections to the API server, a file that is read, and one for each of the two ports,
/// since at the limit a new connection is accepted while another one is being closed. These are 21; the others are a
/// reserve. Measured: 13 without a cluster.
pub const OWN_DESCRIPTORS: usize = 32;

/// The pause after an error of accepting a connection. Most such errors, such as a lack of file descriptors, would
/// repeat at once: the pause is long enough not to spin, and short enough not to be an outage.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// HTTP/2 pings detect within 30 s a peer that is gone, or that is stuck within a frame, as Go's own transport does.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval of a timer that is always armed. It is half of the shortest default time limit: with a shorter limit, a
/// review costs one system call more. Waking up once a second takes 0.01 % of a core; ten times a second took 0.1 %.
pub const TICK: Duration = Duration::from_secs(1);

/// The default time within which a change of the certificate files is served. The files are read twice in this time.
/// Five seconds are short compared with the 60 to 90 s after which a kubelet mounts a changed Secret. Each read takes
/// 0.1 to 0.2 ms of processor time, so reads twice a second would be most of what an idle server does.
pub const CERTS_POLL: &str = "5s";
/// The range of the polling flags. With less, the process would do little else. With more, polling would use up half of
/// the time that cert-manager leaves for its shortest certificates, which are valid for an hour and renewed 20 minutes
/// before they expire.
pub const POLL_RANGE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);

/// The default time within which a change of the configuration is applied, for the same reasons as [`CERTS_POLL`].
pub const CONFIG_POLL: &str = "5s";

/// The interval at which the dates of the serving certificate are compared with the clock, which costs nothing.
/// Warnings are late by at most this.
pub const EXPIRY_POLL: Duration = Duration::from_secs(60);

/// The interval at which a development certificate is checked. It is renewed in the last third of its life, which is a
/// month, so an hour does not matter.
pub const DEVELOPMENT_POLL: Duration = Duration::from_secs(3600);
