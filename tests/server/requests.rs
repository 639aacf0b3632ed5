//! Tests requests over real TLS sockets: the answers to reviews, and every way in which a request can be wrong.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use hyper::Method;
use scan_admission::admission::{self, BODY_MAX_BYTES, Context, EventReasons, Fault, ReviewSettings, Webhook};
use scan_admission::config::{Config, Limits};
use scan_admission::engine::{Change, Findings, Rule};
use scan_admission::rules::RULES;
use scan_admission::server::ServerSettings;
use scan_admission::server::limits::{LONG_REVIEWS, SHORT_BYTES, SHORT_CONDITIONS};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::sockets::{connect, rest, write};
use crate::support::client::{self, connector, handshake, request};
use crate::support::fixtures::fixture;
use crate::support::http::get;
use crate::support::in_process::{Running, settings};
use crate::support::panicking_rule::PANICS;
use crate::support::request_head::head;
use crate::support::waits::{WAIT_MAX, metric, until_metric};

const WEBHOOKS: [(&str, Webhook); 2] = [("/validate", Webhook::Validating), ("/mutate", Webhook::Mutating)];
const PROTOCOLS: [&str; 2] = ["http/1.1", "h2"];
const LEGAL: &str = "sourcescan-failed-5-completed.validate.json";
const UNFINISHED: &str = "scan_admission_bodies_unfinished";
const HELD: &str = "scan_admission_memory_held_bytes";
const IN_FLIGHT: &str = "scan_admission_reviews_in_flight";
/// A time limit that is never reached in a test.
const NEVER: Duration = Duration::from_secs(3600);

/// Returns all captured reviews with their names.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reviews");
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(!names.is_empty());
    names.into_iter().map(|name| (name.clone(), fixture(&name))).collect()
}

fn context(webhook: Webhook) -> Context<'static> {
    static SETTINGS: LazyLock<ReviewSettings> = LazyLock::new(ReviewSettings::default);
    Context {
        webhook,
        now: OffsetDateTime::now_utc(),
        rules: RULES,
        settings: &SETTINGS,
        events: EventReasons::default(),
    }
}

fn answer(body: &[u8], webhook: Webhook) -> (u16, String) {
    let answer = admission::answer(body, &context(webhook));
    (answer.http, String::from_utf8(answer.body).unwrap())
}

fn text(reply: client::Reply) -> (u16, String) {
    (reply.code, String::from_utf8(reply.body).unwrap())
}

/// Returns a captured review with a wrong total: denied at the validating webhook, mutated at the mutating one.
fn damaged() -> Vec<u8> {
    let mut review: serde_json::Value = serde_json::from_slice(&fixture(LEGAL)).unwrap();
    let count = &mut review["request"]["object"]["status"];
    let total = ["cveCount", "CVECount"].into_iter().find(|name| !count[name].is_null()).unwrap();
    let count = count[total].as_object_mut().unwrap();
    let (_, value) = count.iter_mut().find(|(name, _)| name.to_lowercase().ends_with("total")).unwrap();
    *value = (value.as_u64().unwrap() - 1).into();
    serde_json::to_vec(&review).unwrap()
}

#[tokio::test]
async fn every_captured_review_is_answered_as_the_core_answers_it() {
    let server = Running::new(settings()).await;
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for (path, webhook) in WEBHOOKS {
            for (name, body) in fixtures() {
                let expected = answer(&body, webhook);
                assert!(expected.1.contains(r#""allowed":true"#), "{name} is legal");
                let reply = client.post(&format!("{path}?timeout=5s"), body).await;
                assert_eq!(reply.headers["content-type"], "application/json");
                assert_eq!(text(reply), expected, "{protocol} {path} {name}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn denials_mutations_and_invalid_reviews_are_answered_as_the_core_answers_them() {
    let server = Running::new(settings()).await;
    let (denied, mutated) = (answer(&damaged(), Webhook::Validating).1, answer(&damaged(), Webhook::Mutating).1);
    assert!(denied.contains("[cve-total]") && mutated.contains(r#""patchType":"JSONPatch""#), "{denied} {mutated}");
    let bodies: [Vec<u8>; 7] = [
        damaged(),
        Vec::new(),
        b"not JSON".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe".to_vec(),
        br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u""#.to_vec(),
        b"[".repeat(1_000_000),
    ];
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for (path, webhook) in WEBHOOKS {
            for body in &bodies {
                let reply = client.post(path, body.clone()).await;
                assert_eq!(text(reply), answer(body, webhook), "{protocol} {path}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_supported() {
    let server = Running::new(settings()).await;
    for version in rustls::ALL_VERSIONS {
        let connector = connector(&server.ca, "http/1.1", &[version]);
        let stream = handshake(&connector, TcpStream::connect(server.address).await.unwrap()).await;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        let reply = client::Client::over(stream).await.post("/validate", fixture(LEGAL)).await;
        assert_eq!(text(reply), answer(&fixture(LEGAL), Webhook::Validating));
    }
    server.stop().await;
}

#[tokio::test]
async fn requests_that_are_no_review_are_rejected_with_the_reason() {
    let server = Running::new(settings()).await;
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        let reply = client.post("/other", fixture(LEGAL)).await;
        let status = reply.json();
        assert_eq!((reply.code, &status["kind"], &status["code"]), (404, &"Status".into(), &404.into()));
        assert!(status["message"].as_str().unwrap().contains("/validate or /mutate"));

        let reply = client.send(request(Method::GET, "/validate", None, "")).await;
        assert_eq!((reply.code, reply.headers["allow"].to_str().unwrap()), (405, "POST"));
        assert_eq!(reply.json()["reason"], "MethodNotAllowed");

        let reply = client.send(request(Method::POST, "/validate", Some("text/yaml"), "kind: AdmissionReview")).await;
        let status = reply.json();
        assert_eq!((reply.code, &status["reason"]), (415, &"UnsupportedMediaType".into()));
        assert!(status["message"].as_str().unwrap().contains("application/json"), "{status}");
        assert_eq!(reply.body.iter().filter(|byte| **byte == b'\n').count(), 1, "the body is one line");

        // A review is answered whatever its content type is.
        for content_type in [None, Some("text/plain"), Some("Application/JSON; charset=utf-8")] {
            for (path, webhook) in WEBHOOKS {
                let reply = client.send(request(Method::POST, path, content_type, fixture(LEGAL))).await;
                assert_eq!(text(reply), answer(&fixture(LEGAL), webhook), "{content_type:?}");
            }
        }
        let reply = client.send(request(Method::POST, "/validate", Some("application/json; a=b"), "x")).await;
        assert_eq!(text(reply), answer(b"x", Webhook::Validating));
    }
    server.stop().await;
}

/// A client that is answered before its body is read would get a broken pipe instead of the answer.
#[tokio::test]
async fn a_rejected_request_is_read_before_it_is_answered() {
    let server = Running::new(settings()).await;
    let body = vec![b'x'; 2 << 20];
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for _ in 0..5 {
            assert_eq!(client.post("/other", body.clone()).await.code, 404, "{protocol}");
            let put = request(Method::PUT, "/mutate", None, body.clone());
            assert_eq!(client.send(put).await.code, 405, "{protocol}");
            for encoding in ["gzip", "identity, zstd", "GZIP"] {
                let mut post = request(Method::POST, "/validate", Some("application/json"), body.clone());
                post.headers_mut().insert("content-encoding", encoding.parse().unwrap());
                let reply = client.send(post).await;
                assert_eq!((reply.code, &reply.headers["accept-encoding"]), (415, &"identity".parse().unwrap()));
                let message = reply.json()["message"].as_str().unwrap().to_owned();
                let name = encoding.split(", ").last().unwrap();
                assert!(message.contains("Content-Encoding") && message.contains(name), "{message}");
            }
            let mut post = request(Method::POST, "/validate", Some("application/json"), fixture(LEGAL));
            post.headers_mut().insert("content-encoding", "Identity".parse().unwrap());
            assert_eq!(client.send(post).await.code, 200);
        }
    }
    until_metric(server.admin, HELD, 0.0).await;
    server.stop().await;
}

#[tokio::test]
async fn a_truncated_body_or_malformed_chunks_are_a_bad_request() {
    let server = Running::new(settings()).await;
    let chunked = "POST /validate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let review = String::from_utf8(fixture(LEGAL)).unwrap();
    let chunk = format!("{:x}\r\n{review}\r\n", review.len());
    let small_pieces: String = review.chars().map(|char| format!("1\r\n{char}\r\n")).collect();
    for (what, body) in [
        ("a bad chunk", "ZZ\r\nx\r\n".to_owned()),
        ("a bad chunk after a review", chunk.clone() + "ZZ\r\n"),
        ("a chunk without its end", "5\r\nhello, world\r\n0\r\n\r\n".to_owned()),
        ("20,000 trailers", chunk.clone() + "0\r\n" + &"x: y\r\n".repeat(20_000) + "\r\n"),
        ("small pieces", small_pieces + "0\r\n\r\n"),
    ] {
        for path in ["/validate", "/nowhere"] {
            let mut stream = connect(&server.ca, server.address).await;
            let _ = stream.write_all((chunked.replace("/validate", path) + &body).as_bytes()).await;
            let _ = stream.flush().await;
            let reply = rest(&mut stream).await;
            assert!(reply.starts_with("HTTP/1.1 400"), "{what}: {reply}");
            assert!(reply.contains("cannot read the body of the request"), "{what}: {reply}");
        }
    }
    let name = "scan_admission_reviews_total{webhook=\"validating\",operation=\"other\",resource=\"other\",\
                decision=\"error\",fault=\"bad-request\"}";
    assert!(metric(server.admin, name).await > Some(0.0), "the faults are counted");
    // A client that ends its stream in the middle of the body and waits for the answer.
    let mut stream = connect(&server.ca, server.address).await;
    write(&mut stream, head("/validate", 1000) + "half").await;
    stream.shutdown().await.unwrap();
    let reply = rest(&mut stream).await;
    assert!(reply.starts_with("HTTP/1.1 400"), "{reply}");
    server.stop().await;
}

#[tokio::test]
async fn a_body_at_the_limit_is_judged_and_one_byte_more_is_denied_with_the_uid() {
    let server = Running::new(settings()).await;
    let mut body = fixture(LEGAL);
    body.resize(BODY_MAX_BYTES, b' ');
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for (path, webhook) in WEBHOOKS {
            assert_eq!(text(client.post(path, body.clone()).await), answer(&body, webhook));
            // The rest of the body is read before the answer, so the connection can carry the next review.
            for more_bytes in [1, 1 << 20] {
                let mut body = body.clone();
                body.resize(BODY_MAX_BYTES + more_bytes, b' ');
                let expected = answer(&body, webhook);
                assert_eq!(expected.1.contains("413"), webhook == Webhook::Validating, "{expected:?}");
                assert_eq!(text(client.post(path, body).await), expected);
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stalled_body_is_answered_at_its_deadline() {
    let limits = Limits { body: NEVER, idle: NEVER, drain: NEVER, ..Limits::default() };
    let server = Running::new(settings_with(limits)).await;
    let body = fixture(LEGAL);
    for (path, webhook) in WEBHOOKS {
        let mut stream = connect(&server.ca, server.address).await;
        write(&mut stream, head(&format!("{path}?timeout=40ms"), body.len())).await;
        write(&mut stream, &body[..body.len() - 1]).await;
        let expected = admission::fault(&body[..body.len() - 1], Fault::Timeout, &context(webhook));
        assert_eq!(expected.http, 200);
        // The rest of the body can no longer be told from the next head, so the connection is closed.
        let reply = rest(&mut stream).await;
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        assert!(reply.ends_with(std::str::from_utf8(&expected.body).unwrap()), "{reply}");
    }
    server.stop().await;
}

fn settings_with(limits: Limits) -> ServerSettings {
    let config = Arc::new(Config { limits, ..Config::default() });
    ServerSettings { config: watch::channel(config).1, ..settings() }
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the lock is for another thread")]
async fn without_memory_a_long_review_is_shed_with_its_uid_and_a_short_one_is_judged() {
    let _alone = ALONE.lock().await;
    let limits = Limits { bodies_bytes: 16 << 20, body: NEVER, ..Limits::default() };
    let server = Running::new(ServerSettings { rules: &SLOW_RULES, ..settings_with(limits) }).await;
    let mut body = fixture(LEGAL);
    body.resize(BODY_MAX_BYTES, b' ');
    let turn = SLOW.lock().unwrap();
    let mut judged = Vec::new();
    for count in 1..=2 {
        let (mut client, body) = (server.client("http/1.1").await, body.clone());
        judged.push(tokio::spawn(async move { client.post("/validate", body).await }));
        until_metric(server.admin, IN_FLIGHT, f64::from(count)).await;
    }
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for (path, webhook) in WEBHOOKS {
            let expected = admission::fault(&fixture(LEGAL), Fault::TooManyRequests, &context(webhook));
            let reply = client.post(path, body.clone()).await;
            assert_eq!(text(reply), (200, String::from_utf8(expected.body).unwrap()));
            let short = vec![b'x'; SHORT_BYTES];
            assert_eq!(text(client.post(path, short.clone()).await), answer(&short, webhook));
        }
    }
    assert_eq!(metric(server.admin, "scan_admission_reviews_shed_total").await, Some(4.0));
    drop(turn);
    for judged in judged {
        assert_eq!(judged.await.unwrap().json()["response"]["allowed"], true);
    }
    let reply = server.client("h2").await.post("/validate", body.clone()).await;
    assert_eq!(reply.json()["response"]["allowed"], true, "memory is free again");
    until_metric(server.admin, HELD, 0.0).await;
    server.stop().await;
}

#[tokio::test]
async fn the_oldest_incomplete_body_is_evicted() {
    const PART_BYTES: usize = BODY_MAX_BYTES / 4 * 3;
    // With so little memory, one connection may take more than half of it, and two such bodies fit.
    let limits = Limits { bodies_bytes: 2 * BODY_MAX_BYTES, body: NEVER, ..Limits::default() };
    let server = Running::new(settings_with(limits)).await;
    let mut body = fixture(LEGAL);
    body.resize(BODY_MAX_BYTES, b' ');
    let mut slow = Vec::new();
    for count in 1..=3 {
        let mut stream = connect(&server.ca, server.address).await;
        write(&mut stream, head("/validate", body.len())).await;
        until_metric(server.admin, UNFINISHED, f64::from(count)).await;
        if count < 3 {
            write(&mut stream, &body[..PART_BYTES]).await;
        }
        slow.push(stream);
    }
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while metric(server.admin, HELD).await < Some(2.0 * PART_BYTES as f64) {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("both bodies are received");
    // The two bodies take all memory, although the head of the third announces as much. The third takes the memory of
    // the first.
    let mut stream = slow.pop().unwrap();
    write(&mut stream, &body[..PART_BYTES]).await;
    let expected = admission::fault(&fixture(LEGAL), Fault::TooManyRequests, &context(Webhook::Validating));
    let reply = rest(&mut slow[0]).await;
    assert!(reply.ends_with(std::str::from_utf8(&expected.body).unwrap()), "{reply}");
    // A head alone takes no memory from other requests, and the other bodies are judged when they are complete.
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut stream = connect(&server.ca, server.address).await;
        write(&mut stream, head("/validate", body.len())).await;
        silent.push(stream);
    }
    until_metric(server.admin, UNFINISHED, 52.0).await;
    for stream in [&mut stream, &mut slow[1]] {
        write(stream, &body[PART_BYTES..]).await;
        until_metric(server.admin, IN_FLIGHT, 0.0).await;
        let mut reply = vec![0; 12];
        tokio::time::timeout(WAIT_MAX, stream.read_exact(&mut reply)).await.expect("an answer").unwrap();
        assert_eq!(reply, b"HTTP/1.1 200");
    }
    drop((silent, slow, stream));
    until_metric(server.admin, UNFINISHED, 0.0).await;
    until_metric(server.admin, HELD, 0.0).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_only_its_own_connection() {
    let server = Running::new(settings()).await;
    let body = fixture(LEGAL);
    let mut gone = connect(&server.ca, server.address).await;
    write(&mut gone, head("/validate", body.len())).await;
    write(&mut gone, &body[..100]).await;
    until_metric(server.admin, UNFINISHED, 1.0).await;
    drop(gone);
    until_metric(server.admin, UNFINISHED, 0.0).await;
    // Garbage instead of a handshake, and instead of a request.
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    write(&mut plain, "GET / HTTP/1.1\r\n\r\n").await;
    rest(&mut plain).await;
    until_metric(server.admin, "scan_admission_tls_handshake_failures_total", 1.0).await;
    let mut nonsense = connect(&server.ca, server.address).await;
    write(&mut nonsense, "\0\0\0\r\n\r\n").await;
    rest(&mut nonsense).await;

    let reply = server.client("http/1.1").await.post("/validate", body.clone()).await;
    assert_eq!(text(reply), answer(&body, Webhook::Validating));
    server.stop().await;
}

#[tokio::test]
async fn expect_100_continue_is_answered() {
    let server = Running::new(settings()).await;
    let body = fixture(LEGAL);
    let mut stream = connect(&server.ca, server.address).await;
    let head =
        head("/validate", body.len()).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    write(&mut stream, head).await;
    let mut go_on = [0; 25];
    tokio::time::timeout(WAIT_MAX, stream.read_exact(&mut go_on)).await.expect("an answer").unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    write(&mut stream, &body).await;
    assert!(rest(&mut stream).await.ends_with(&answer(&body, Webhook::Validating).1));
    server.stop().await;
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the lock is for another thread")]
async fn at_the_limit_of_reviews_the_next_is_shed_with_its_uid() {
    let _alone = ALONE.lock().await;
    let (sender, config) = watch::channel(Arc::default());
    let limits = Limits { body: NEVER, ..Limits::default() };
    let reviews = |reviews| Arc::new(Config { limits: Limits { reviews, ..limits }, ..Config::default() });
    sender.send_replace(reviews(1));
    let server = Running::new(ServerSettings { rules: &SLOW_RULES, config, ..settings() }).await;
    let mut body = fixture(LEGAL);
    body.resize(SHORT_BYTES + 1, b' ');
    let turn = SLOW.lock().unwrap();
    #[expect(clippy::async_yields_async, reason = "the answer is awaited later")]
    let post = async |count| {
        let (mut client, body) = (server.client("http/1.1").await, body.clone());
        let posted = tokio::spawn(async move { client.post("/validate", body).await });
        until_metric(server.admin, IN_FLIGHT, count).await;
        posted
    };
    let first = post(1.0).await;
    // A body that is not complete has no permit.
    let mut unfinished = connect(&server.ca, server.address).await;
    write(&mut unfinished, head("/validate", body.len())).await;
    until_metric(server.admin, UNFINISHED, 1.0).await;
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for (path, webhook) in WEBHOOKS {
            let expected = admission::fault(&body, Fault::TooManyRequests, &context(webhook));
            let reply = client.post(path, body.clone()).await;
            assert_eq!(text(reply), (200, String::from_utf8(expected.body).unwrap()));
        }
    }
    assert_eq!(metric(server.admin, "scan_admission_reviews_shed_total").await, Some(4.0));
    // A changed limit applies to the next review.
    sender.send_replace(reviews(2));
    let second = post(2.0).await;
    drop(turn);
    for posted in [first, second] {
        assert_eq!(posted.await.unwrap().json()["response"]["allowed"], true);
    }
    until_metric(server.admin, IN_FLIGHT, 0.0).await;
    drop(unfinished);
    server.stop().await;
}

#[tokio::test]
async fn at_the_limit_the_least_useful_connection_is_closed() {
    const CLOSED: &str = "scan_admission_connections_closed_total";
    let server = Running::new(settings_with(Limits { connections: 3, ..Limits::default() })).await;
    let body = fixture(LEGAL);
    // This connection is older than all others, and has been used.
    let mut used = server.client("http/1.1").await;
    assert_eq!(used.post("/validate", body.clone()).await.code, 200);
    let mut half_open = TcpStream::connect(server.address).await.unwrap();
    let mut busy = connect(&server.ca, server.address).await;
    write(&mut busy, head("/validate", body.len())).await;
    until_metric(server.admin, UNFINISHED, 1.0).await;

    let mut unused = connect(&server.ca, server.address).await;
    rest(&mut half_open).await;
    let mut newer = connect(&server.ca, server.address).await;
    rest(&mut unused).await;
    write(&mut newer, head("/validate", body.len())).await;
    until_metric(server.admin, UNFINISHED, 2.0).await;
    assert_eq!(used.post("/validate", body.clone()).await.code, 200, "a used connection is closed last");
    assert_eq!(metric(server.admin, CLOSED).await, Some(2.0));

    let mut newest = connect(&server.ca, server.address).await;
    tokio::time::timeout(WAIT_MAX, used.closed()).await.expect("only the used connection is left");
    write(&mut newest, head("/validate", body.len())).await;
    until_metric(server.admin, UNFINISHED, 3.0).await;
    let mut beyond = connect(&server.ca, server.address).await;
    rest(&mut busy).await;
    until_metric(server.admin, CLOSED, 4.0).await;
    assert_eq!(metric(server.admin, "scan_admission_connections").await, Some(3.0));
    for stream in [&mut newer, &mut newest, &mut beyond] {
        write(stream, head("/validate", body.len())).await;
        write(stream, &body).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn at_the_limit_slow_bodies_are_closed_before_idle_connections_and_reviews_are_not() {
    const CLOSED: &str = "scan_admission_connections_closed_total";
    let _alone = ALONE.lock().await;
    let limits = Limits { connections: 3, head: Duration::from_millis(100), body: NEVER, ..Limits::default() };
    let server = Running::new(ServerSettings { rules: &SLOW_RULES, ..settings_with(limits) }).await;
    let mut used = server.client("http/1.1").await;
    used.post("/validate", "no review").await;
    let mut slow = connect(&server.ca, server.address).await;
    write(&mut slow, head("/validate", 100)).await;
    until_metric(server.admin, UNFINISHED, 1.0).await;
    let mut second = server.client("http/1.1").await;
    second.post("/validate", "no review").await;
    tokio::time::sleep(3 * limits.head).await;
    let mut third = server.client("http/1.1").await;
    rest(&mut slow).await;
    let turn = SLOW.lock().unwrap();
    let mut body = fixture(LEGAL);
    body.resize(SHORT_BYTES + 1, b' ');
    let judged = [&mut used, &mut second, &mut third].map(|client| client.post("/validate", body.clone()));
    let [first, second, third] = judged;
    let beyond = async {
        until_metric(server.admin, IN_FLIGHT, 3.0).await;
        rest(&mut TcpStream::connect(server.address).await.unwrap()).await;
        until_metric(server.admin, CLOSED, 2.0).await;
        drop(turn);
    };
    let (first, second, third, ()) = tokio::join!(first, second, third, beyond);
    for reply in [first, second, third] {
        assert_eq!(reply.json()["response"]["allowed"], true);
    }
    server.stop().await;
}

/// The test's clock, which is some days off.
fn jumping() -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::days(DAYS_OFF.load(Relaxed))
}
static DAYS_OFF: AtomicI64 = AtomicI64::new(0);

#[tokio::test]
async fn a_jump_of_the_clock_is_counted_and_the_wall_time_is_used() {
    let server = Running::new(ServerSettings { clock: jumping, ..settings() }).await;
    let now = scan_admission::scan::time::format(OffsetDateTime::now_utc()).unwrap();
    let body = String::from_utf8(fixture(LEGAL)).unwrap().replace("2026-11-20T08:22:00Z", &now);
    let mut client = server.client("h2").await;
    for (jumps, days) in [0, 1, -1, 0, -1].into_iter().enumerate() {
        DAYS_OFF.store(days, Relaxed);
        for _ in 0..2 {
            let reply = client.post("/validate", body.clone()).await.json();
            let response = &reply["response"];
            assert_eq!(response["allowed"], true, "{response}");
            assert_eq!(response.to_string().contains("[scanned-at]"), days < 0, "{days} days off: {response}");
        }
        assert_eq!(metric(server.admin, "scan_admission_clock_jumps_total").await, Some(jumps as f64), "{days}");
        assert_eq!(get(server.admin, "/readyz").await.code, 200);
    }
    server.stop().await;
}

/// A rule that takes as long as the test decides.
fn slow(_: &Change<'_>, _: &mut Findings<'_>) {
    let _turn = SLOW.lock();
}
static SLOW: Mutex<()> = Mutex::new(());
/// Held by tests that hold [`SLOW`].
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static SLOW_RULES: [Rule; 1] = [Rule { check: slow, mutate: None, ..PANICS }];

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the lock is for another thread")]
async fn slow_reviews_block_no_others_and_are_answered_at_their_deadline() {
    let _alone = ALONE.lock().await;
    let limits = Limits { body: NEVER, ..Limits::default() };
    let server = Running::new(ServerSettings { rules: &SLOW_RULES, ..settings_with(limits) }).await;
    let (ca, address, admin) = (server.ca.clone(), server.address, server.admin);
    // The body is longer than one that is judged on the thread that reads it, and has more to judge.
    let mut big = fixture(LEGAL);
    big.resize(SHORT_BYTES + 1, b' ');
    let mut many: serde_json::Value = serde_json::from_slice(&fixture(LEGAL)).unwrap();
    let conditions = many["request"]["object"]["status"]["conditions"].as_array_mut().unwrap();
    conditions.resize(SHORT_CONDITIONS + 1, conditions[0].clone());
    let many = many.to_string().into_bytes();
    let turn = SLOW.lock().unwrap();
    // There are more long reviews than cores and than threads of the server, of which this test has one.
    let count = 2 + std::thread::available_parallelism().unwrap().get().min(LONG_REVIEWS);
    let post = |path, body: &Vec<u8>| {
        let (ca, body) = (ca.clone(), body.clone());
        tokio::spawn(async move { client::Client::new(&ca, address, "http/1.1").await.post(path, body).await })
    };
    let mut judged = vec![post("/validate?timeout=100ms", &many)];
    until_metric(admin, IN_FLIGHT, 1.0).await;
    // The permit is free again at the deadline, although the review is still being judged.
    until_metric(admin, "scan_admission_deadlines_missed_total", 1.0).await;
    until_metric(admin, IN_FLIGHT, 0.0).await;
    judged.extend((1..count).map(|index| post("/validate", [&big, &many][index % 2])));
    until_metric(admin, IN_FLIGHT, count as f64 - 1.0).await;
    assert_eq!(get(admin, "/readyz").await.code, 200);
    let reply = server.client("h2").await.post("/validate", "no review").await;
    assert_eq!(text(reply), answer(b"no review", Webhook::Validating));
    drop(turn);
    for (index, judged) in judged.into_iter().enumerate() {
        let reply = judged.await.unwrap().json();
        let response = &reply["response"];
        assert_eq!(response["uid"], "94f92d23-f99b-4ca9-84ee-0f8f20f961dd");
        let code = if index == 0 { 504.into() } else { serde_json::Value::Null };
        assert_eq!(response["status"]["code"], code, "{index}: {response}");
    }
    until_metric(admin, IN_FLIGHT, 0.0).await;
    server.stop().await;
}

/// The server of this test has one thread for reviews, which a review blocks.
#[tokio::test]
async fn health_and_metrics_never_wait_for_reviews() {
    let _alone = ALONE.lock().await;
    let server = Running::new(ServerSettings { rules: &SLOW_RULES, ..settings() }).await;
    let admin = server.admin;
    let ask = move |path: &str| {
        let mut stream = std::net::TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    };
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let prober = std::thread::spawn(move || {
        let turn = SLOW.lock().unwrap();
        locked.send(()).unwrap();
        while !ask("/metrics").contains(&format!("\n{IN_FLIGHT} 1\n")) {
            std::thread::yield_now();
        }
        let replies = ["/livez", "/readyz", "/metrics"].map(ask);
        drop(turn);
        replies
    });
    is_locked.await.unwrap();
    let reply = server.client("h2").await.post("/validate", fixture(LEGAL)).await;
    assert_eq!(reply.json()["response"]["allowed"], true);
    for reply in prober.join().unwrap() {
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stop_waits_only_for_reviews_in_flight() {
    let limits = Limits { idle: NEVER, drain: NEVER, handshake: NEVER, head: NEVER, body: NEVER, ..Limits::default() };
    let server = Running::new(settings_with(limits)).await;
    let (address, admin) = (server.address, server.admin);
    let body = fixture(LEGAL);
    // Idle connections: one used in each protocol, one never used, and one that never finishes its handshake.
    let mut used = server.client("http/1.1").await;
    used.post("/validate", body.clone()).await;
    let mut used_http2 = server.client("h2").await;
    used_http2.post("/validate", body.clone()).await;
    let _unused = connect(&server.ca, address).await;
    let _unused_http2 = server.client("h2").await;
    let _half_open = TcpStream::connect(address).await.unwrap();
    let mut in_flight = connect(&server.ca, address).await;
    write(&mut in_flight, head("/validate", body.len())).await;
    write(&mut in_flight, &body[..100]).await;
    until_metric(admin, UNFINISHED, 1.0).await;
    assert_eq!(get(admin, "/readyz").await.code, 200);

    let stopped = tokio::spawn(server.stop());
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while get(admin, "/readyz").await.code != 503 {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the server is not ready once it stops");
    assert_eq!(get(admin, "/livez").await.code, 200);
    assert!(!stopped.is_finished(), "a review is in flight");
    write(&mut in_flight, &body[100..]).await;
    let reply = rest(&mut in_flight).await;
    assert!(reply.contains("connection: close") && reply.ends_with(&answer(&body, Webhook::Validating).1), "{reply}");
    stopped.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn the_admin_address_serves_health_and_metrics() {
    let server = Running::new(settings()).await;
    let admin = server.admin;
    assert_eq!((get(admin, "/livez").await.code, get(admin, "/readyz").await.code), (200, 200));
    assert_eq!((get(admin, "/").await.code, get(admin, "/validate").await.code), (404, 404));
    let all = String::from_utf8(get(admin, "/metrics").await.body).unwrap();
    for rule in RULES {
        for (severity, action, downgraded) in [
            ("error", "deny", ""),
            ("error", "warn", "mode"),
            ("error", "warn", "pre-existing"),
            ("error", "warn", "deleting"),
            ("error", "audit", "mode"),
            ("error", "audit", "pre-existing"),
            ("error", "audit", "deleting"),
            ("warning", "warn", ""),
            ("warning", "audit", ""),
        ] {
            let labels = format!("action=\"{action}\",downgraded=\"{downgraded}\"");
            let sample =
                format!("scan_admission_findings_total{{rule=\"{}\",severity=\"{severity}\",{labels}}} 0\n", rule.id);
            assert!(all.contains(&sample), "{sample}");
        }
        let sample = format!("scan_admission_mutations_total{{rule=\"{}\"}} 0\n", rule.id);
        assert_eq!(all.contains(&sample), rule.mutate.is_some(), "{sample}");
    }
    assert!(
        all.contains("scan_admission_build_info{version=")
            && all.contains("\",commit=\"")
            && all.contains("\",rules=\"")
    );

    let mut client = server.client("h2").await;
    for (path, _) in WEBHOOKS {
        client.post(path, fixture(LEGAL)).await;
        client.post(path, damaged()).await;
        client.post(path, "no review").await;
    }
    let odd = String::from_utf8(fixture(LEGAL)).unwrap().replace("\"UPDATE\"", "\"HACK\"");
    client.post("/validate", odd.replace("\"sourcescans\"", "\"hacks\"")).await;
    let reviews = |webhook: &str, decision: &str| {
        format!(
            "scan_admission_reviews_total{{webhook=\"{webhook}\",operation=\"UPDATE\",resource=\"sourcescans/status\",decision=\"{decision}\",fault=\"\"}}"
        )
    };
    for (webhook, decision) in
        [("validating", "allow"), ("validating", "deny"), ("mutating", "allow"), ("mutating", "mutate")]
    {
        let name = reviews(webhook, decision);
        assert_eq!(metric(admin, &name).await, Some(1.0), "{name}");
    }
    for (name, value) in [
        ("scan_admission_findings_total{rule=\"cve-total\",severity=\"error\",action=\"deny\",downgraded=\"\"}", 1.0),
        ("scan_admission_mutations_total{rule=\"cve-total\"}", 1.0),
        ("scan_admission_review_duration_seconds_count{webhook=\"mutating\"}", 3.0),
        ("scan_admission_review_duration_seconds_bucket{le=\"+Inf\",webhook=\"validating\"}", 4.0),
        ("scan_admission_review_body_bytes_bucket{le=\"1024.0\",webhook=\"validating\"}", 1.0),
        ("scan_admission_review_body_bytes_bucket{le=\"16384.0\",webhook=\"validating\"}", 4.0),
        ("scan_admission_deadlines_missed_total", 0.0),
        ("scan_admission_tls_handshakes_total", 1.0),
        ("scan_admission_panics_total", 0.0),
        (IN_FLIGHT, 0.0),
    ] {
        assert_eq!(metric(admin, name).await, Some(value), "{name}");
    }
    if cfg!(target_os = "linux") {
        let open = metric(admin, "process_open_fds").await;
        assert_eq!(open.map(|open| open > 3.0 && open <= 4096.0), Some(true), "{open:?}");
        let resident = metric(admin, "process_resident_memory_bytes").await.unwrap();
        assert!(resident > 1e6, "{resident}");
        let started = metric(admin, "process_start_time_seconds").await.unwrap();
        let age_seconds = OffsetDateTime::now_utc().unix_timestamp() as f64 - started;
        assert!((-1.0..3600.0).contains(&age_seconds), "{age_seconds}");
        for name in ["process_cpu_seconds_total", "process_max_fds", "process_threads", "process_virtual_memory_bytes"]
        {
            assert!(metric(admin, name).await.is_some(), "{name}");
        }
    }
    let all = String::from_utf8(get(admin, "/metrics").await.body).unwrap();
    assert!(!all.to_lowercase().contains("hack"), "clients cannot create label values");
    server.stop().await;
}
