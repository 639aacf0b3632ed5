//! The limits of the server that are not configured, each with its derivation.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::admission::{BODY_MAX_BYTES, JUDGEMENT_MAX_BYTES};

/// How much of a body is buffered: one byte more than a review may have, so that `answer` sees that it is too large.
pub const BODY_BUFFER_BYTES: usize = BODY_MAX_BYTES + 1;

/// How much of a body is read, so that the client has sent everything before it gets its answer.
/// Two objects of 3 MiB, the most the API server takes, with every byte escaped to six by Go are 36 MiB;
/// 4 MiB are for the rest of the review. A longer body is not an API server's: it is answered, then its connection is closed.
pub const BODY_READ_BYTES: usize = 40 << 20;

/// How much is kept of a shed body, for the uid in its answer. The API server writes the uid first, and a common review with its
/// objects has less than 10 KiB.
pub const PREFIX_BYTES: usize = 16 << 10;

/// Shed bodies whose rest is read and dropped at the same time: more than API servers send at once. They take 5.5 MiB.
pub const DRAINED_BODIES: usize = 256;

/// Memory of a request besides its body, from its head to the end of its answer: its stream, its task and their timers. Measured:
/// 5 KiB for a stream of HTTP/2.
pub const REQUEST_BYTES: usize = 6 << 10;

/// A body is given at most this many times the memory of its received bytes, whatever its head announces. Each growth copies
/// the body; doubling copies each byte about once.
pub const RESERVE_FACTOR: usize = 2;
/// What a body is given at first, unless less is announced.
pub const FIRST_BUFFER_BYTES: usize = 1 << 10;

/// The memory of all bodies and answers: `limits.bodiesBytes` and a sixteenth. Half of the sixteenth is for [`REQUEST_BYTES`], so
/// that bodies may take what is configured. The other half is for short bodies, which are judged at once, so that none of them is
/// shed while long ones wait to be judged.
pub const fn memory_bytes(bodies_bytes: usize) -> usize {
    bodies_bytes + bodies_bytes / 16
}

/// The part of [`memory_bytes`] that long bodies may take.
pub const fn long_bodies_bytes(bodies_bytes: usize) -> usize {
    bodies_bytes + bodies_bytes / 32
}

/// The part of it that one connection may take: a quarter, so that one connection alone cannot fill the memory, but at least one of
/// the largest bodies and a request on every stream.
pub fn connection_bytes(bodies_bytes: usize) -> usize {
    (bodies_bytes / 4).max(BODY_BUFFER_BYTES + STREAMS as usize * REQUEST_BYTES)
}

/// The longest body that is judged on the thread that read it. At 40 ns a byte, the most that any body takes, that is 2.6 ms,
/// which other connections of the thread can wait for.
pub const SHORT_BYTES: usize = 64 << 10;
/// The most conditions, in both objects together, of a review that is judged there. A scan has four; this many, each wrong in
/// every member, take 5 ms to judge or to mutate.
pub const SHORT_CONDITIONS: usize = 256;
/// Longer reviews that are judged at the same time, on threads of their own; on one core it is one. The longest takes 0.34 s at
/// 40 ns a byte, so the eight that there is memory for are answered in 1.4 s. Each takes memory besides its body, so they are few.
pub const LONG_REVIEWS: usize = 2;
/// Concurrent HTTP/2 streams of a connection. An API server opens another connection for more.
pub const STREAMS: u32 = 64;

/// The longest head of HTTP/1.1. The API server's are below 1 KiB; hyper reads bodies into the same buffer, so less would be slower.
pub const HEAD_BYTES: usize = 16 << 10;
/// The longest header list of HTTP/2: 8 KiB have room for the longest tokens that API servers send. Heads are dropped before
/// their bodies are read, so those of many streams do not add up.
pub const HEADER_LIST_BYTES: u32 = 8 << 10;

/// Flow-control window of an HTTP/2 connection and of each of its streams: the smallest that HTTP/2 allows for a connection. At
/// a round trip of 1 ms, as within a cluster, that is 64 MB a second.
pub const WINDOW_BYTES: u32 = 65_535;

/// HTTP/2 frames that are not part of a review: how many a connection may send at once, how many more for each answer, and how
/// many more in each second. Go's client sends two WINDOW_UPDATEs for an answer, a PING every 30 s, and RST_STREAM with a PING
/// for each request that it cancels: on all 64 streams at once these count 64 times 9.
pub const FRAMES: u32 = 1_000;
pub const FRAMES_AN_ANSWER: u32 = 16;
pub const FRAMES_A_SECOND: u32 = 10;
/// How many frames an RST_STREAM counts as: the request that it cancels has cost as much as several.
pub const RESET_FRAMES: usize = 8;
/// A long frame, such as a head, counts once more for each of these bytes. The longest head that is accepted counts less than
/// [`FRAMES_AN_ANSWER`].
pub const FRAME_BYTES: usize = 1 << 10;
/// Streams of a connection that the server may reset for errors of the client; an API server makes none.
pub const WRONG_STREAMS: usize = 64;

/// A piece of a body that is smaller than this, and not the last, is a small piece. A packet has 1,400 bytes.
pub const SMALL_PIECE_BYTES: usize = 256;
/// Pieces that a body may have beyond one for each [`SMALL_PIECE_BYTES`] of it, since each piece costs work.
pub const SMALL_PIECES: usize = 1_000;

/// Memory of a connection besides bodies and answers, at most: 16 KiB each for the read buffer of its socket, for a received TLS
/// record and its plaintext, for records that are sent, and for the buffer of HTTP; and 16 KiB for everything else. HTTP/2, whose
/// buffer is smaller, has [`WINDOW_BYTES`] in addition. Measured: 50 KiB when idle, 90 KiB while a body is sent.
pub const CONNECTION_BYTES: usize = 112 << 10;
/// How much TLS buffers of an answer that the client does not read.
pub const TLS_WRITE_BYTES: usize = 16 << 10;

/// Memory of the process before its first connection, with the stacks of its threads. Measured: 8 MiB.
pub const PROCESS_BYTES: usize = 16 << 20;

/// How much is read from a socket at once: the largest TLS record. By default rustls reads 4 KiB, which is one more system call
/// for a common review and 200 more for a megabyte.
pub const READ_BYTES: usize = (16 << 10) + 256 + 5;

/// The most memory of the process: each of `connections` takes all that it can, all memory for bodies is taken, and the longest
/// reviews are being judged, for each of which the body is copied into one piece. The memory limit of the manifests is above it.
pub const fn most_bytes(connections: usize, bodies_bytes: usize) -> usize {
    PROCESS_BYTES
        + memory_bytes(bodies_bytes)
        + LONG_REVIEWS * (BODY_BUFFER_BYTES + JUDGEMENT_MAX_BYTES)
        // One more, which is accepted while another is closed for it.
        + (connections + 1) * CONNECTION_BYTES
}

/// How much is read from a connection before the others of its thread have their turn. Heads of HTTP/2 cost most: this much of
/// them takes 0.3 ms.
pub const TURN_BYTES: usize = 64 << 10;

/// Connections to the admin address: a kubelet and two Prometheus servers need three.
pub const ADMIN_CONNECTIONS: usize = 64;

/// File descriptors besides those of connections: 3 standard streams, 2 listeners, about 10 of the runtime and of signals,
/// 2 connections to the API server, a file that is read, and one for each of the two ports: at its limit a new connection is
/// accepted while another is still being closed. These are 20; the others are a reserve. Measured: 13 without a cluster.
pub const OWN_DESCRIPTORS: usize = 32;

/// How long accepting pauses after an error that would only repeat, such as no file descriptors left: long enough not to spin,
/// short enough not to be an outage.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// HTTP/2 pings detect a peer that is gone or stuck within a frame: after 30 s, as Go's own transport does.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval of a timer that is always armed. It is no longer than the shortest time limit that can be configured; waking up
/// ten times a second costs next to nothing.
pub const TICK: Duration = Duration::from_millis(100);

/// How soon a change of certificate files is served: they are read twice in this time. Two reads of some KiB cost next to
/// nothing, and a second is little beside the 60 to 90 s after which a kubelet mounts a changed Secret.
pub const CERTS_POLL: &str = "1s";
/// What the polls may be set to. With less the process would do little else; more would use up half of the time that cert-manager
/// leaves of its shortest certificates (an hour, renewed 20 minutes before its end).
pub const POLL_RANGE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);

/// How soon a change of the configuration counts, likewise.
pub const CONFIG_POLL: &str = "1s";

/// How often the dates of the served certificate are compared with the clock, which costs nothing. An alarm is late by this much
/// at most.
pub const EXPIRY_POLL: Duration = Duration::from_secs(60);

/// How often a development certificate is checked. It is renewed in the last third of its life, a month, so an hour does not
/// matter.
pub const DEVELOPMENT_POLL: Duration = Duration::from_secs(3600);
