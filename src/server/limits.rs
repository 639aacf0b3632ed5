//! A limit on everything, each with where it comes from beside its value.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::admission::{BODY_MAX_BYTES, JUDGEMENT_MAX_BYTES};

/// What of a body is buffered, one byte more than a review may have: so `answer` sees that it is too large.
pub const BODY_BUFFER_BYTES: usize = BODY_MAX_BYTES + 1;

/// What of a body is read at all, so that the client has sent everything when it gets its answer.
/// Two objects of 3 MiB, the most the API server takes, with every byte escaped to six by Go are 36 MiB;
/// 4 MiB are for the rest of the review. A longer body does not come from an API server: answer, then close.
pub const BODY_READ_BYTES: usize = 40 << 20;

/// What is kept of a body that was dropped, or finds no memory, for the uid in its answer: the API server writes the uid first,
/// and even the objects of a common review end within 10 KiB.
pub const PREFIX_BYTES: usize = 16 << 10;

/// Bodies that were dropped and whose rest is read all the same: more than API servers send at once, and 5.5 MiB.
pub const LINGERING: usize = 256;

/// What a request takes besides its body, from its head to the end of its answer: its stream, its task and their timers.
/// Measured are 5 KiB a stream of HTTP/2.
pub const REQUEST_BYTES: usize = 6 << 10;

/// A body is given at most so many times the memory of what was received of it, whatever its head announces: growing is
/// copying, and to double copies each byte once.
pub const RESERVE_FACTOR: usize = 2;
/// And this at first, where as much is announced: the first read of HTTP/1.1 has most of a common body.
pub const FIRST_BUFFER_BYTES: usize = 1 << 10;

/// All that bodies and answers may take together: what is configured, and a sixteenth. Half of that is for [`REQUEST_BYTES`], so
/// that bodies of the size that is configured fit, and the other half for short bodies, which are judged at once: so that none of
/// them is shed while long ones wait to be judged.
pub const fn memory_bytes(bodies_bytes: usize) -> usize {
    bodies_bytes + bodies_bytes / 16
}

/// What is left of it for long bodies.
pub const fn long_bodies_bytes(bodies_bytes: usize) -> usize {
    bodies_bytes + bodies_bytes / 32
}

/// What one connection may take of it: a quarter, so that it takes four to fill the memory, and one of the biggest bodies with
/// the streams beside it in any case.
pub fn connection_bytes(bodies_bytes: usize) -> usize {
    (bodies_bytes / 4).max(BODY_BUFFER_BYTES + STREAMS as usize * REQUEST_BYTES)
}

/// What is judged where it is read: at 40 ns a byte, the most that any takes, that is 2.6 ms, which other connections of the
/// thread can wait for.
pub const SHORT_BYTES: usize = 64 << 10;
/// Conditions of both objects of such a review. A scan has four; so many take 5 ms to judge, or to mutate, each of them wrong
/// in every member.
pub const SHORT_CONDITIONS: usize = 256;
/// Longer reviews that are judged at the same time, on threads of their own; or one where there is one core. At 0.34 s for the
/// longest, 40 ns a byte, these answer the eight that there is memory for in 1.4 s, and each takes memory beside its body.
pub const LONG_REVIEWS: usize = 2;
/// HTTP/2 streams a connection. An API server opens another connection for more.
pub const STREAMS: u32 = 64;

/// HTTP/1.1 heads. The API server's are below 1 KiB; hyper reads bodies into the same buffer, so less would be slower.
pub const HEAD_BYTES: usize = 16 << 10;
/// HTTP/2 header lists: 8 KiB are room for the longest tokens that API servers send. Heads are dropped before their bodies are
/// read, so what adds up is no more than is read of a socket at once.
pub const HEADER_LIST_BYTES: u32 = 8 << 10;

/// What a client may send on a connection of HTTP/2, and on each of its streams, before it is read: the least that HTTP/2 has
/// for a connection. Within a cluster a round trip takes a millisecond, so that is 64 MB a second.
pub const WINDOW_BYTES: u32 = 65_535;

/// Frames of an HTTP/2 connection that bring no review forward: at first, or after a while; for each answer; and in a second.
/// Go's client sends two WINDOW_UPDATEs for an answer, a PING in 30 s, and RST_STREAM with a PING for what it gives up: on all
/// streams at once that is 64 times 9.
pub const FRAMES: u32 = 1_000;
pub const FRAMES_AN_ANSWER: u32 = 16;
pub const FRAMES_A_SECOND: u32 = 10;
/// What RST_STREAM counts: the request that it gives up has cost as much as some.
pub const RESET_FRAMES: usize = 8;
/// And a long frame, such as a head, counts once more for each of these. The longest head that is taken is less than its answer
/// gives back.
pub const FRAME_BYTES: usize = 1 << 10;
/// Streams that are reset for what the client did wrong in them: an API server does nothing wrong.
pub const WRONG_STREAMS: usize = 64;

/// Less of a body than this, unless it is the end, is a small piece. A packet has 1,400 bytes.
pub const SMALL_PIECE_BYTES: usize = 256;
/// So many a body may have beyond those of its length: 256 KiB from a client that writes byte by byte cost too much.
pub const SMALL_PIECES: usize = 1_000;

/// What a connection takes besides bodies and answers, at most: 16 KiB each for what is read of its socket, for a record of TLS
/// that comes and its text, for those that go, and for what HTTP reads; 16 for all else, and in HTTP/2, which reads less at
/// once, [`WINDOW_BYTES`]. Measured are 50 KiB of an idle one, and 90 of one that sends a body.
pub const CONNECTION_BYTES: usize = 112 << 10;
/// What TLS buffers of what the client does not take.
pub const TLS_WRITE_BYTES: usize = 16 << 10;

/// The process before its first connection, with the stacks of its threads. Measured are 8 MiB.
pub const PROCESS_BYTES: usize = 16 << 20;

/// What is read of a socket at once: the greatest record of TLS. By itself rustls reads 4 KiB, which is a system call more
/// for a common review and 200 more for a megabyte.
pub const READ_BYTES: usize = (16 << 10) + 256 + 5;

/// What the process takes at most, with so many connections that each do their worst, all memory for bodies taken, and the
/// longest reviews being judged: of each a copy in one piece, and what judging takes. The manifests' limit of memory is above it.
pub const fn most_bytes(connections: usize, bodies_bytes: usize) -> usize {
    PROCESS_BYTES
        + memory_bytes(bodies_bytes)
        + LONG_REVIEWS * (BODY_BUFFER_BYTES + JUDGEMENT_MAX_BYTES)
        + connections * CONNECTION_BYTES
}

/// What is read of a connection at a stretch, before others have their turn: in heads of HTTP/2, which cost most, 0.3 ms.
pub const TURN_BYTES: usize = 64 << 10;

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
