//! Walks over real TLS sockets: bytes in, bytes out, and everything that can be wrong with a request.

#[path = "support/client.rs"]
mod client;
#[path = "support/folder.rs"]
mod folder;
#[path = "support/panics.rs"]
mod panics;
#[path = "support/running.rs"]
mod running;

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use client::{FAR, connect, connector, get, head, metric, request, rest, shake, until_metric, write};
use folder::{fixture, fixtures};
use hyper::Method;
use running::{Running, settings};
use scan_admission::admission::{self, BODY_MAX_BYTES, Context, Fault, ReviewSettings, Webhook};
use scan_admission::config::{Config, Limits};
use scan_admission::engine::{Change, Findings, Rule};
use scan_admission::rules::RULES;
use scan_admission::server::limits::{PIECE_BYTES, SHORT_BYTES, SHORT_CONDITIONS};
use time::OffsetDateTime;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

const WEBHOOKS: [(&str, Webhook); 2] = [("/validate", Webhook::Validating), ("/mutate", Webhook::Mutating)];
const PROTOCOLS: [&str; 2] = ["http/1.1", "h2"];
const LEGAL: &str = "sourcescan-failed-5-completed.validate.json";
const IN_FLIGHT: &str = "scan_admission_reviews_in_flight";
/// A wait in the server that no test is to sit through.
const NEVER: Duration = Duration::from_secs(3600);

fn context(webhook: Webhook) -> Context<'static> {
    static SETTINGS: LazyLock<ReviewSettings> = LazyLock::new(ReviewSettings::default);
    Context { webhook, now: OffsetDateTime::now_utc(), rules: RULES, settings: &SETTINGS }
}

fn answer(body: &[u8], webhook: Webhook) -> (u16, String) {
    let answer = admission::answer(body, &context(webhook));
    (answer.http, String::from_utf8(answer.body).unwrap())
}

fn text(reply: client::Reply) -> (u16, String) {
    (reply.code, String::from_utf8(reply.body).unwrap())
}

/// A captured review with one count off: denied at one webhook, mutated at the other.
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
async fn denials_mutations_and_bodies_that_are_no_review() {
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
async fn tls_1_2_and_1_3_are_spoken() {
    let server = Running::new(settings()).await;
    for version in rustls::ALL_VERSIONS {
        let connector = connector(&server.ca, "http/1.1", &[version]);
        let stream = shake(&connector, TcpStream::connect(server.address).await.unwrap()).await;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        let reply = client::Client::over(stream).await.post("/validate", fixture(LEGAL)).await;
        assert_eq!(text(reply), answer(&fixture(LEGAL), Webhook::Validating));
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_review_for_a_webhook_is_said_so() {
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
        assert_eq!(reply.body.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");

        // A review is answered whatever it calls itself.
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

#[tokio::test]
async fn a_body_of_the_limit_is_judged_and_one_byte_more_is_denied_with_the_uid() {
    let server = Running::new(settings()).await;
    let mut body = fixture(LEGAL);
    body.resize(BODY_MAX_BYTES, b' ');
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for (path, webhook) in WEBHOOKS {
            assert_eq!(text(client.post(path, body.clone()).await), answer(&body, webhook));
            // The rest is read before the answer, so the connection is good for the next review.
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
async fn a_body_that_stops_is_answered_at_its_deadline() {
    let limits = Limits { body: NEVER, idle: NEVER, drain: NEVER, ..Limits::default() };
    let server = Running::new(settings_with(limits)).await;
    let body = fixture(LEGAL);
    for (path, webhook) in WEBHOOKS {
        let mut stream = connect(&server.ca, server.address).await;
        write(&mut stream, head(&format!("{path}?timeout=40ms"), body.len())).await;
        write(&mut stream, &body[..body.len() - 1]).await;
        let expected = admission::fault(&body[..body.len() - 1], Fault::Timeout, &context(webhook));
        assert_eq!(expected.http, 200);
        // The rest of the body can no longer be told from the next head: the connection ends.
        let reply = rest(&mut stream).await;
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        assert!(reply.ends_with(std::str::from_utf8(&expected.body).unwrap()), "{reply}");
    }
    server.stop().await;
}

fn settings_with(limits: Limits) -> scan_admission::server::ServerSettings {
    let config = Arc::new(Config { limits, ..Config::default() });
    scan_admission::server::ServerSettings { config: watch::channel(config).1, ..settings() }
}

#[tokio::test]
async fn without_memory_a_review_is_shed_with_its_uid() {
    let limits = Limits { bodies_bytes: PIECE_BYTES, head: NEVER, ..Limits::default() };
    let server = Running::new(settings_with(limits)).await;
    let body = fixture(LEGAL);
    let mut first = connect(&server.ca, server.address).await;
    write(&mut first, head("/validate", body.len())).await;
    write(&mut first, &body[..100]).await;
    until_metric(server.admin, IN_FLIGHT, 1.0).await;

    let mut client = server.client("h2").await;
    for (path, webhook) in WEBHOOKS {
        let expected = admission::fault(&body, Fault::TooManyRequests, &context(webhook));
        let reply = client.post(path, body.clone()).await;
        assert_eq!(text(reply), (200, String::from_utf8(expected.body).unwrap()));
    }
    assert_eq!(metric(server.admin, "scan_admission_reviews_shed_total").await, Some(2.0));

    write(&mut first, &body[100..]).await;
    until_metric(server.admin, IN_FLIGHT, 0.0).await;
    let reply = client.post("/validate", body.clone()).await;
    assert_eq!(text(reply), answer(&body, Webhook::Validating), "there is memory again");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_only_its_own_connection() {
    let server = Running::new(settings()).await;
    let body = fixture(LEGAL);
    let mut gone = connect(&server.ca, server.address).await;
    write(&mut gone, head("/validate", body.len())).await;
    write(&mut gone, &body[..100]).await;
    until_metric(server.admin, IN_FLIGHT, 1.0).await;
    drop(gone);
    until_metric(server.admin, IN_FLIGHT, 0.0).await;
    // Nonsense instead of a handshake, and instead of a request.
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
    tokio::time::timeout(FAR, stream.read_exact(&mut go_on)).await.expect("an answer").unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    write(&mut stream, &body).await;
    assert!(rest(&mut stream).await.ends_with(&answer(&body, Webhook::Validating).1));
    server.stop().await;
}

#[tokio::test]
async fn beyond_the_reviews_there_are_the_next_is_shed_with_its_uid() {
    let (sender, config) = watch::channel(Arc::default());
    let limits = Limits { head: NEVER, ..Limits::default() };
    let reviews = |reviews| Arc::new(Config { limits: Limits { reviews, ..limits }, ..Config::default() });
    sender.send_replace(reviews(1));
    let server = Running::new(scan_admission::server::ServerSettings { config, ..settings() }).await;
    let body = fixture(LEGAL);
    let mut first = connect(&server.ca, server.address).await;
    write(&mut first, head("/validate", body.len())).await;
    write(&mut first, &body[..100]).await;
    until_metric(server.admin, IN_FLIGHT, 1.0).await;
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for (path, webhook) in WEBHOOKS {
            let expected = admission::fault(&body, Fault::TooManyRequests, &context(webhook));
            let reply = client.post(path, body.clone()).await;
            assert_eq!(text(reply), (200, String::from_utf8(expected.body).unwrap()));
        }
    }
    assert_eq!(metric(server.admin, "scan_admission_reviews_shed_total").await, Some(4.0));
    // Another limit is for the next review.
    sender.send_replace(reviews(2));
    let mut client = server.client("h2").await;
    assert_eq!(text(client.post("/validate", body.clone()).await), answer(&body, Webhook::Validating));
    assert_eq!(metric(server.admin, IN_FLIGHT).await, Some(1.0), "what is shed has given its place back");
    write(&mut first, &body[100..]).await;
    until_metric(server.admin, IN_FLIGHT, 0.0).await;
    server.stop().await;
}

#[tokio::test]
async fn who_sends_a_body_slowly_gives_up_the_place_when_another_is_shed() {
    let head_time = Duration::from_millis(100);
    let limits = Limits { reviews: 1, head: head_time, body: NEVER, ..Limits::default() };
    let server = Running::new(settings_with(limits)).await;
    let body = fixture(LEGAL);
    let mut slow = connect(&server.ca, server.address).await;
    write(&mut slow, head("/validate", body.len())).await;
    write(&mut slow, &body[..body.len() - 1]).await;
    until_metric(server.admin, IN_FLIGHT, 1.0).await;
    let mut client = server.client("h2").await;
    let mut shed = 0;
    let waited = tokio::time::timeout(FAR, async {
        while text(client.post("/validate", body.clone()).await) != answer(&body, Webhook::Validating) {
            shed += 1;
        }
    });
    waited.await.expect("there is a place again");
    assert!(shed > 0, "the place was held");
    let expected = admission::fault(&body[..body.len() - 1], Fault::TooManyRequests, &context(Webhook::Validating));
    let reply = rest(&mut slow).await;
    assert!(reply.ends_with(std::str::from_utf8(&expected.body).unwrap()), "{reply}");
    server.stop().await;
}

#[tokio::test]
async fn in_a_full_house_the_connection_that_is_needed_least_gives_way() {
    const CLOSED: &str = "scan_admission_connections_closed_total";
    let server = Running::new(settings_with(Limits { connections: 3, ..Limits::default() })).await;
    let body = fixture(LEGAL);
    // Older than all, and used.
    let mut used = server.client("http/1.1").await;
    assert_eq!(used.post("/validate", body.clone()).await.code, 200);
    let mut half_open = TcpStream::connect(server.address).await.unwrap();
    let mut busy = connect(&server.ca, server.address).await;
    write(&mut busy, head("/validate", body.len())).await;
    until_metric(server.admin, IN_FLIGHT, 1.0).await;

    let mut unused = connect(&server.ca, server.address).await;
    rest(&mut half_open).await;
    let mut newer = connect(&server.ca, server.address).await;
    rest(&mut unused).await;
    write(&mut newer, head("/validate", body.len())).await;
    until_metric(server.admin, IN_FLIGHT, 2.0).await;
    assert_eq!(used.post("/validate", body.clone()).await.code, 200, "what was used goes last");
    assert_eq!(metric(server.admin, CLOSED).await, Some(2.0));

    let mut newest = connect(&server.ca, server.address).await;
    tokio::time::timeout(FAR, used.closed()).await.expect("there was nothing else left");
    write(&mut newest, head("/validate", body.len())).await;
    until_metric(server.admin, IN_FLIGHT, 3.0).await;
    let mut beyond = TcpStream::connect(server.address).await.unwrap();
    rest(&mut beyond).await;
    until_metric(server.admin, CLOSED, 4.0).await;
    assert_eq!(metric(server.admin, "scan_admission_connections").await, Some(3.0));
    for stream in [&mut busy, &mut newer, &mut newest] {
        write(stream, &body).await;
    }
    until_metric(server.admin, IN_FLIGHT, 0.0).await;
    server.stop().await;
}

/// The clock of a test, some days off.
fn jumping() -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::days(DAYS_OFF.load(Relaxed))
}
static DAYS_OFF: AtomicI64 = AtomicI64::new(0);

#[tokio::test]
async fn a_clock_that_jumps_by_a_day_and_back_is_counted_and_believed() {
    let server = Running::new(scan_admission::server::ServerSettings { clock: jumping, ..settings() }).await;
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

/// A rule that takes as long as a test says.
fn slow(_: &Change<'_>, _: &mut Findings<'_>) {
    let _turn = SLOW.lock();
}
static SLOW: Mutex<()> = Mutex::new(());
static SLOW_RULES: [Rule; 1] = [Rule { check: slow, mutate: None, ..panics::PANICS }];

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "it is for another thread to wait for")]
async fn what_is_long_to_judge_holds_nobody_up_and_is_answered_at_its_deadline() {
    let limits = Limits { body: NEVER, ..Limits::default() };
    let server =
        Running::new(scan_admission::server::ServerSettings { rules: &SLOW_RULES, ..settings_with(limits) }).await;
    let (ca, address, admin) = (server.ca.clone(), server.address, server.admin);
    // Longer than what is judged where it is read, and with more to judge.
    let mut big = fixture(LEGAL);
    big.resize(SHORT_BYTES + 1, b' ');
    let mut many: serde_json::Value = serde_json::from_slice(&fixture(LEGAL)).unwrap();
    let conditions = many["request"]["object"]["status"]["conditions"].as_array_mut().unwrap();
    conditions.resize(SHORT_CONDITIONS + 1, conditions[0].clone());
    let many = many.to_string().into_bytes();
    let turn = SLOW.lock().unwrap();
    // More of them than there are cores, or threads that serve: this test has one.
    let count = 2 + std::thread::available_parallelism().unwrap().get();
    let post = |path, body: &Vec<u8>| {
        let (ca, body) = (ca.clone(), body.clone());
        tokio::spawn(async move { client::Client::new(&ca, address, "http/1.1").await.post(path, body).await })
    };
    let mut judged = vec![post("/validate?timeout=100ms", &many)];
    until_metric(admin, IN_FLIGHT, 1.0).await;
    judged.extend((1..count).map(|index| post("/validate", [&big, &many][index % 2])));
    until_metric(admin, "scan_admission_deadlines_missed_total", 1.0).await;
    // Nobody waits for the first any more, but it takes its place until it is done.
    until_metric(admin, IN_FLIGHT, count as f64).await;
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

#[tokio::test]
async fn a_stop_lets_reviews_in_flight_finish_and_nothing_else_holds_it() {
    let limits = Limits { idle: NEVER, drain: NEVER, handshake: NEVER, head: NEVER, body: NEVER, ..Limits::default() };
    let server = Running::new(settings_with(limits)).await;
    let (address, admin) = (server.address, server.admin);
    let body = fixture(LEGAL);
    // Idle: once used in either protocol, and never used. And one that never shakes hands.
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
    until_metric(admin, IN_FLIGHT, 1.0).await;
    assert_eq!(get(admin, "/readyz").await.code, 200);

    let stopped = tokio::spawn(server.stop());
    let waited = tokio::time::timeout(FAR, async {
        while get(admin, "/readyz").await.code != 503 {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it is not ready once it stops");
    assert_eq!(get(admin, "/livez").await.code, 200);
    assert!(!stopped.is_finished(), "a review is in flight");
    write(&mut in_flight, &body[100..]).await;
    let reply = rest(&mut in_flight).await;
    assert!(reply.contains("connection: close") && reply.ends_with(&answer(&body, Webhook::Validating).1), "{reply}");
    stopped.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn the_admin_address_says_how_it_is_and_what_was_done() {
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
    assert!(all.contains("scan_admission_build_info{version="));

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
    assert!(!all.to_lowercase().contains("hack"), "no client makes labels");
    server.stop().await;
}
