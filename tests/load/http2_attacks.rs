//! Attacks with single HTTP/2 frames: streams that send nothing, answers that are not read, and floods of frames.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use crate::http2::{self, Reader, Writer};
use crate::support::client::{Client, connector};
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::frames;
use crate::support::request_head::head;
use crate::support::waits::{WAIT_MAX, until_metric};
use crate::{CONNECTIONS as CONNECTIONS_OPEN, LEGAL, NORMAL_STREAMS, start};

/// The connections of an attack that needs no other number.
const CONNECTIONS: usize = 66;
/// The frames after which the server must have closed the connection. It closes it much earlier.
const FLOOD_FRAMES: usize = 2_000_000;

/// Runs an attack until it is dropped or ends by itself. Returns false if there is no attack of this name.
pub async fn run(kind: &str, address: SocketAddr, ca: &Path) -> bool {
    match kind {
        "silent-streams" => all(11, || reopened(address, ca.to_owned(), Vec::new(), |_| Vec::new())).await,
        "fat-heads" => all(CONNECTIONS, || reopened(address, ca.to_owned(), fat(), |_| Vec::new())).await,
        "trickling-streams" => all(11, || reopened(address, ca.to_owned(), Vec::new(), small_pieces)).await,
        "untaken" => all(CONNECTIONS, || untaken(address, ca.to_owned())).await,
        "worst-bodies" => all(8, || worst(address, ca.to_owned())).await,
        "great-bodies" => all(400, || great(address, ca.to_owned())).await,
        "floods" => {
            for (name, flood) in FLOODS {
                flooded(name, *flood, address, ca).await;
            }
        }
        _ => return false,
    }
    true
}

async fn all<F: Future<Output = ()> + Send + 'static>(count: usize, attack: impl Fn() -> F) {
    let attacks: JoinSet<()> = (0..count).map(|_| attack()).collect();
    attacks.join_all().await;
}

/// Returns 14 KB of headers.
fn fat() -> Vec<(String, String)> {
    (0..14).map(|number| (format!("x-{number}"), "y".repeat(1000))).collect()
}

/// Returns a frame with one byte of a body.
fn small_pieces(stream: u32) -> Vec<u8> {
    frames::frame(frames::DATA, 0, stream, b" ")
}

/// Holds the maximum number of streams open, and opens another for each stream that is answered.
async fn reopened(address: SocketAddr, ca: PathBuf, more: Vec<(String, String)>, trickle: fn(u32) -> Vec<u8>) {
    let more: Vec<_> = more.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    loop {
        let Some((mut reader, mut writer)) = http2::open(&ca, address, &[]).await else { continue };
        let mut open: Vec<u32> = (0..NORMAL_STREAMS).map(|number| 2 * number + 1).collect();
        let mut next = 2 * NORMAL_STREAMS + 1;
        let mut bytes: Vec<u8> =
            open.iter().flat_map(|stream| frames::post(*stream, "/validate?timeout=10s", &more)).collect();
        while http2::send(&mut writer, &bytes).await {
            bytes.clear();
            match timeout(Duration::from_millis(200), frames::next(&mut reader)).await {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    let is_over = frame.kind == http2::RST_STREAM
                        || (frame.kind <= frames::HEADERS && frame.flags & frames::END_STREAM != 0);
                    if let Some(at) = open.iter().position(|stream| *stream == frame.stream).filter(|_| is_over) {
                        open[at] = next;
                        bytes = frames::post(next, "/validate?timeout=10s", &more);
                        next += 2;
                    }
                }
                Err(_) => bytes.extend(open.iter().flat_map(|stream| trickle(*stream))),
            }
        }
    }
}

/// Sends reviews on the maximum number of streams, with a flow-control window of zero for their answers.
async fn untaken(address: SocketAddr, ca: PathBuf) {
    let body = fixture(LEGAL);
    loop {
        let Some((mut reader, mut writer)) = http2::open(&ca, address, &[(frames::WINDOW, 0)]).await else { continue };
        let mut window = i64::from(u16::MAX);
        for stream in (0..NORMAL_STREAMS).map(|number| 2 * number + 1) {
            while window < body.len() as i64 {
                let Some(frame) = frames::next(&mut reader).await else { break };
                if (frame.kind, frame.stream) == (http2::WINDOW_UPDATE, 0) {
                    window += i64::from(u32::from_be_bytes(frame.payload.try_into().unwrap()));
                }
            }
            let mut bytes = frames::post(stream, "/validate?timeout=10s", &[]);
            bytes.extend(frames::frame(frames::DATA, frames::END_STREAM, stream, &body));
            window -= body.len() as i64;
            if !http2::send(&mut writer, &bytes).await {
                break;
            }
        }
        while frames::next(&mut reader).await.is_some() {}
    }
}

/// Posts a review that is expensive to judge: a condition type of a million escaped characters.
async fn worst(address: SocketAddr, ca: PathBuf) {
    let mut review: serde_json::Value = serde_json::from_slice(&fixture(LEGAL)).unwrap();
    review["request"]["object"]["status"]["conditions"][0]["type"] = "\n".repeat(1_000_000).into();
    let body = review.to_string();
    loop {
        post(address, &ca, body.len(), &body).await;
    }
}

/// Sends half of a long body, and waits.
async fn great(address: SocketAddr, ca: PathBuf) {
    const BODY_BYTES: usize = 300_000;
    loop {
        post(address, &ca, BODY_BYTES, &" ".repeat(BODY_BYTES / 2)).await;
    }
}

/// Sends a head with `length_bytes` and all or a part of the body, and waits for an answer.
async fn post(address: SocketAddr, ca: &Path, length_bytes: usize, body: &str) {
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let Ok(stream) = TcpStream::connect(address).await else { return };
    let Ok(mut stream) = connector(ca, "http/1.1", rustls::ALL_VERSIONS).connect(name, stream).await else { return };
    let _ = stream.write_all((head("/validate?timeout=10s", length_bytes) + body).as_bytes()).await;
    let _ = stream.flush().await;
    let _ = stream.read_u8().await;
}

type Flood = fn(u32) -> Vec<u8>;

const FLOODS: &[(&str, Flood)] = &[
    ("PRIORITY", |_| frames::frame(http2::PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
    ("PING", |_| frames::frame(frames::PING, 0, 0, &[0; 8])),
    ("SETTINGS", |_| frames::frame(frames::SETTINGS, 0, 0, &[])),
    ("WINDOW_UPDATE", |number| frames::frame(http2::WINDOW_UPDATE, 0, if number == 0 { 0 } else { 1 }, &[0, 0, 0, 1])),
    ("unknown", |_| frames::frame(0x42, 0, 0, &[])),
    ("empty DATA", |_| frames::frame(frames::DATA, 0, 1, &[])),
    ("small DATA", |_| frames::frame(frames::DATA, 0, 1, b" ")),
    ("RST_STREAM", |_| frames::frame(http2::RST_STREAM, 0, 1, &[0, 0, 0, 8])),
    ("rapid reset", |number| {
        let stream = 2 * number + 3;
        [frames::post(stream, "/validate", &[]), frames::frame(http2::RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    }),
    ("malformed heads", |number| {
        let block = frames::block("/validate", &[("Upper-Case", "")]);
        frames::frame(frames::HEADERS, frames::END_HEADERS, 2 * number + 3, &block)
    }),
    ("CONTINUATION", |number| match number {
        0 => frames::frame(frames::HEADERS, 0, 3, &frames::block("/validate", &[])),
        _ => frames::frame(http2::CONTINUATION, 0, 3, &[]),
    }),
];

#[tokio::test]
async fn a_flood_of_frames_closes_only_its_own_connection() {
    let folder = Folder::new();
    let process = start(&folder, "");
    let ca = folder.join("certs/ca.crt");
    let mut client = Client::new(&ca, process.address, "h2").await;
    for (name, flood) in FLOODS {
        flooded(name, *flood, process.address, &ca).await;
        let reply = client.post("/validate", fixture(LEGAL)).await;
        assert_eq!(reply.json()["response"]["allowed"], true, "{name}");
    }
    until_metric(process.admin, CONNECTIONS_OPEN, 1.0).await;
}

/// Sends a flood of frames until the server closes the connection, which it must do.
async fn flooded(name: &str, flood: Flood, address: SocketAddr, ca: &Path) {
    let Some((reader, mut writer)) = http2::open(ca, address, &[]).await else { return };
    let closed = tokio::spawn(until_closed(reader));
    http2::send(&mut writer, &frames::post(1, "/validate?timeout=10s", &[])).await;
    let sent = timeout(WAIT_MAX, async {
        for first in (0..FLOOD_FRAMES as u32).step_by(100) {
            let bytes: Vec<u8> = (first..first + 100).flat_map(flood).collect();
            if closed.is_finished() || !http2::send(&mut writer, &bytes).await {
                return first as usize;
            }
        }
        FLOOD_FRAMES
    });
    let sent = sent.await.unwrap_or(FLOOD_FRAMES);
    assert!(sent < FLOOD_FRAMES, "{name}: the server accepted {sent} frames without closing the connection");
    drop::<Writer>(writer);
}

async fn until_closed(mut reader: Reader) {
    while frames::next(&mut reader).await.is_some() {}
}
