//! Reads the answers of a connection, and compares them with those of the core.

use scan_admission::admission::{self, Webhook};
use serde_json::Value;

use super::super::frames::{self, DATA, END_STREAM, Frame, HEADERS, PING, SETTINGS};
use super::super::request_head::head;
use super::super::review_context::context;

/// The codes of the server's answers, and of hyper's to what is not HTTP.
const CODES: [u16; 9] = [100, 200, 400, 404, 405, 414, 415, 431, 503];
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// The frames that a server may send on the connection, and on a stream.
const CONNECTION_FRAMES: &[u8] = &[SETTINGS, PING, GOAWAY, WINDOW_UPDATE];
const STREAM_FRAMES: &[u8] = &[HEADERS, DATA, RST_STREAM, WINDOW_UPDATE];

pub struct Http1Answer<'a> {
    pub code: u16,
    pub body: &'a [u8],
    pub is_complete: bool,
}

/// Splits what a server has sent into its answers.
pub fn http1_answers(mut bytes: &[u8]) -> Vec<Http1Answer<'_>> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            answers.push(Http1Answer { code: 0, body: bytes, is_complete: false });
            break;
        };
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 ")).unwrap();
        let code = status[..3].parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        let rest = &bytes[end + 4..];
        let (body, rest) = rest.split_at(length.min(rest.len()));
        answers.push(Http1Answer { code, body, is_complete: body.len() == length });
        bytes = rest;
    }
    answers
}

/// Checks the answers to any bytes. With `is_fair`, nothing but the bytes decides about them.
pub fn check_http1(sent: &[u8], received: &[u8], is_fair: bool) {
    // The answer to a HEAD request has the length of a body that is not sent.
    if sent.windows(4).any(|word| word == b"HEAD") {
        return;
    }
    let answers = http1_answers(received);
    for answer in answers.iter().filter(|answer| answer.is_complete) {
        assert!(CODES.contains(&answer.code), "{}", answer.code);
        assert!(answer.body.is_empty() || serde_json::from_slice::<Value>(answer.body).is_ok());
    }
    if !is_fair {
        return;
    }
    assert!(answers.iter().all(|answer| answer.is_complete), "{}", String::from_utf8_lossy(received));
    let due = http1_reviews(sent);
    assert!(answers.len() >= due.len(), "{} answers to {} reviews", answers.len(), due.len());
    for (answer, (webhook, body)) in answers.iter().zip(due) {
        let expected = admission::answer(body, &context(webhook));
        let [found, due] = [answer.body, &expected.body].map(String::from_utf8_lossy);
        assert_eq!((answer.code, found), (expected.http, due));
    }
}

/// Returns the reviews at the start of what a client has sent, up to the first request that is written in another way than an
/// API server's.
fn http1_reviews(mut sent: &[u8]) -> Vec<(Webhook, &[u8])> {
    let mut reviews = Vec::new();
    'requests: loop {
        for webhook in [Webhook::Validating, Webhook::Mutating] {
            let length = sent.windows(4).position(|four| four == b"\r\n\r\n").and_then(|end| {
                let line = sent[..end].rsplit(|byte| *byte == b'\n').next()?;
                std::str::from_utf8(line.strip_prefix(b"Content-Length: ")?).ok()?.parse::<usize>().ok()
            });
            let Some(length) = length else { return reviews };
            let Some(rest) = sent.strip_prefix(head(path(webhook), length).as_bytes()) else { continue };
            let Some((body, rest)) = rest.split_at_checked(length) else { return reviews };
            reviews.push((webhook, body));
            sent = rest;
            continue 'requests;
        }
        return reviews;
    }
}

fn path(webhook: Webhook) -> &'static str {
    match webhook {
        Webhook::Validating => "/validate",
        Webhook::Mutating => "/mutate",
    }
}

/// Checks the frames that answer any bytes. With `is_fair`, nothing but the bytes decides about them.
pub async fn check_http2(sent: &[u8], received: &[u8], is_fair: bool) {
    let received = split_frames(received).await;
    assert!(received.first().is_none_or(|frame| (frame.kind, frame.stream) == (SETTINGS, 0)));
    for Frame { kind, stream, .. } in &received {
        let kinds = if *stream == 0 { CONNECTION_FRAMES } else { STREAM_FRAMES };
        assert!(kinds.contains(kind), "a frame of type {kind} for stream {stream}");
    }
    let sent_frames = split_frames(sent).await;
    let Some(due) = http2_reviews(sent, &sent_frames).filter(|_| is_fair) else { return };
    for (stream, webhook, body) in due {
        let of_stream: Vec<&Frame> = received.iter().filter(|frame| frame.stream == stream).collect();
        let of_kind = |kind| of_stream.iter().filter(move |frame| frame.kind == kind);
        assert_eq!(of_kind(HEADERS).count(), 1, "answers to {stream}");
        let data: Vec<u8> = of_kind(DATA).flat_map(|frame| &frame.payload).copied().collect();
        let expected = admission::answer(body, &context(webhook)).body;
        assert_eq!(String::from_utf8_lossy(&data), String::from_utf8_lossy(&expected));
        assert_eq!(of_stream.iter().filter(|frame| frame.flags & END_STREAM != 0).count(), 1);
    }
}

/// Splits bytes into frames. One that is cut is left out.
async fn split_frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = frames::next(&mut bytes).await {
        frames.push(frame);
    }
    frames
}

/// Returns the reviews of a client that sends nothing but reviews as an API server does, without padding and compression.
fn http2_reviews<'f>(sent: &[u8], frames: &'f [Frame]) -> Option<Vec<(u32, Webhook, &'f [u8])>> {
    let (mut reviews, mut written) = (Vec::new(), Vec::new());
    for ([head, data], stream) in frames.as_chunks().0.iter().zip((1..).step_by(2)) {
        let is_of = |webhook: &Webhook| head.payload == frames::block(path(*webhook), &[]);
        let webhook = [Webhook::Validating, Webhook::Mutating].into_iter().find(is_of)?;
        written.extend(frames::post(stream, path(webhook), &[]));
        written.extend(frames::frame(DATA, END_STREAM, stream, &data.payload));
        reviews.push((stream, webhook, data.payload.as_slice()));
    }
    (written == sent).then_some(reviews)
}
