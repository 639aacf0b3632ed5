//! Walks over real TLS sockets: bytes in, bytes out, and everything that can be wrong with a request.

#[path = "support/client.rs"]
mod client;
#[path = "support/folder.rs"]
mod folder;
#[path = "support/running.rs"]
mod running;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use client::{FAR, connect, connector, get, head, metric, request, rest, shake, until_metric, write};
use folder::{fixture, fixtures};
use hyper::Method;
use running::{Running, settings};
use scan_admission::admission::{self, BODY_MAX_BYTES, Context, Door, Fault, Policy};
use scan_admission::config::{Config, Limits};
use scan_admission::law::RULES;
use scan_admission::server::limits::PIECE_BYTES;
use time::OffsetDateTime;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

const DOORS: [(&str, Door); 2] = [("/validate", Door::Validate), ("/mutate", Door::Mutate)];
const PROTOCOLS: [&str; 2] = ["http/1.1", "h2"];
const LEGAL: &str = "sourcescan-failed-5-completed.validate.json";
const IN_FLIGHT: &str = "scan_admission_reviews_in_flight";
/// A wait in the server that no test is to sit through.
const NEVER: Duration = Duration::from_secs(3600);

fn context(door: Door) -> Context<'static> {
    static POLICY: LazyLock<Policy> = LazyLock::new(Policy::default);
    Context { door, now: OffsetDateTime::now_utc(), rules: RULES, policy: &POLICY }
}

fn answer(body: &[u8], door: Door) -> (u16, String) {
    let answer = admission::answer(body, &context(door));
    (answer.http, String::from_utf8(answer.body).unwrap())
}

fn text(reply: client::Reply) -> (u16, String) {
    (reply.code, String::from_utf8(reply.body).unwrap())
}

/// A captured review with one count off: refused at one door, mended at the other.
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
        for (path, door) in DOORS {
            for (name, body) in fixtures() {
                let expected = answer(&body, door);
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
async fn refusals_mends_and_bodies_that_are_no_review() {
    let server = Running::new(settings()).await;
    let (refused, mended) = (answer(&damaged(), Door::Validate).1, answer(&damaged(), Door::Mutate).1);
    assert!(refused.contains("[cve-total]") && mended.contains(r#""patchType":"JSONPatch""#), "{refused} {mended}");
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
        for (path, door) in DOORS {
            for body in &bodies {
                let reply = client.post(path, body.clone()).await;
                assert_eq!(text(reply), answer(body, door), "{protocol} {path}");
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
        assert_eq!(text(reply), answer(&fixture(LEGAL), Door::Validate));
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_review_of_a_door_is_said_so() {
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
            for (path, door) in DOORS {
                let reply = client.send(request(Method::POST, path, content_type, fixture(LEGAL))).await;
                assert_eq!(text(reply), answer(&fixture(LEGAL), door), "{content_type:?}");
            }
        }
        let reply = client.send(request(Method::POST, "/validate", Some("application/json; a=b"), "x")).await;
        assert_eq!(text(reply), answer(b"x", Door::Validate));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_of_the_limit_is_judged_and_one_byte_more_is_refused_with_the_uid() {
    let server = Running::new(settings()).await;
    let mut body = fixture(LEGAL);
    body.resize(BODY_MAX_BYTES, b' ');
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for (path, door) in DOORS {
            assert_eq!(text(client.post(path, body.clone()).await), answer(&body, door));
            // The rest is read before the answer, so the connection is good for the next review.
            for more_bytes in [1, 1 << 20] {
                let mut body = body.clone();
                body.resize(BODY_MAX_BYTES + more_bytes, b' ');
                let expected = answer(&body, door);
                assert_eq!(expected.1.contains("413"), door == Door::Validate, "{expected:?}");
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
    for (path, door) in DOORS {
        let mut stream = connect(&server.ca, server.address).await;
        write(&mut stream, head(&format!("{path}?timeout=40ms"), body.len())).await;
        write(&mut stream, &body[..body.len() - 1]).await;
        let expected = admission::fault(&body[..body.len() - 1], Fault::TooLate, &context(door));
        assert_eq!(expected.http, 200);
        // The rest of the body can no longer be told from the next head: the connection ends.
        let reply = rest(&mut stream).await;
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        assert!(reply.ends_with(std::str::from_utf8(&expected.body).unwrap()), "{reply}");
    }
    server.stop().await;
}

fn settings_with(limits: Limits) -> scan_admission::server::Settings {
    let config = Arc::new(Config { limits, ..Config::default() });
    scan_admission::server::Settings { config: watch::channel(config).1, ..settings() }
}

#[tokio::test]
async fn without_memory_a_review_is_shed_with_its_uid() {
    let limits = Limits { bodies_bytes: PIECE_BYTES, ..Limits::default() };
    let server = Running::new(settings_with(limits)).await;
    let body = fixture(LEGAL);
    let mut first = connect(&server.ca, server.address).await;
    write(&mut first, head("/validate", body.len())).await;
    write(&mut first, &body[..100]).await;
    until_metric(server.admin, IN_FLIGHT, 1.0).await;

    let mut client = server.client("h2").await;
    for (path, door) in DOORS {
        let expected = admission::fault(&body, Fault::TooBusy, &context(door));
        let reply = client.post(path, body.clone()).await;
        assert_eq!(text(reply), (200, String::from_utf8(expected.body).unwrap()));
    }
    assert_eq!(metric(server.admin, "scan_admission_reviews_shed_total").await, Some(2.0));

    write(&mut first, &body[100..]).await;
    until_metric(server.admin, IN_FLIGHT, 0.0).await;
    let reply = client.post("/validate", body.clone()).await;
    assert_eq!(text(reply), answer(&body, Door::Validate), "there is memory again");
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
    assert_eq!(text(reply), answer(&body, Door::Validate));
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
    assert!(rest(&mut stream).await.ends_with(&answer(&body, Door::Validate).1));
    server.stop().await;
}

#[tokio::test]
async fn beyond_the_connections_there_are_the_next_waits() {
    let server = Running::new(settings_with(Limits { connections: 1, ..Limits::default() })).await;
    let mut first = server.client("http/1.1").await;
    let (ca, address) = (server.ca.clone(), server.address);
    let second = tokio::spawn(async move { client::Client::new(&ca, address, "http/1.1").await });
    for _ in 0..20 {
        first.post("/validate", fixture(LEGAL)).await;
    }
    assert!(!second.is_finished(), "there is room for one");
    drop(first);
    let mut second = tokio::time::timeout(FAR, second).await.expect("room again").unwrap();
    assert_eq!(second.post("/validate", fixture(LEGAL)).await.code, 200);
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
    assert!(reply.contains("connection: close") && reply.ends_with(&answer(&body, Door::Validate).1), "{reply}");
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
        for severity in ["refuse", "advise"] {
            let sample = format!("scan_admission_findings_total{{rule=\"{}\",severity=\"{severity}\"}} 0\n", rule.id);
            assert!(all.contains(&sample), "{sample}");
        }
        let sample = format!("scan_admission_mends_total{{rule=\"{}\"}} 0\n", rule.id);
        assert_eq!(all.contains(&sample), rule.mend.is_some(), "{sample}");
    }
    assert!(all.contains("scan_admission_build_info{version=") && all.ends_with("# EOF\n"));

    let mut client = server.client("h2").await;
    for (path, _) in DOORS {
        client.post(path, fixture(LEGAL)).await;
        client.post(path, damaged()).await;
        client.post(path, "no review").await;
    }
    let odd = String::from_utf8(fixture(LEGAL)).unwrap().replace("\"UPDATE\"", "\"HACK\"");
    client.post("/validate", odd.replace("\"sourcescans\"", "\"hacks\"")).await;
    let reviews = |door: &str, verdict: &str| {
        format!(
            "scan_admission_reviews_total{{door=\"{door}\",operation=\"UPDATE\",resource=\"sourcescans/status\",verdict=\"{verdict}\"}}"
        )
    };
    for (door, verdict) in
        [("validate", "allowed"), ("validate", "refused"), ("mutate", "allowed"), ("mutate", "mended")]
    {
        let name = reviews(door, verdict);
        assert_eq!(metric(admin, &name).await, Some(1.0), "{name}");
    }
    for (name, value) in [
        ("scan_admission_findings_total{rule=\"cve-total\",severity=\"refuse\"}", 1.0),
        ("scan_admission_mends_total{rule=\"cve-total\"}", 1.0),
        ("scan_admission_review_duration_seconds_count{door=\"mutate\"}", 3.0),
        ("scan_admission_review_duration_seconds_bucket{le=\"+Inf\",door=\"validate\"}", 4.0),
        ("scan_admission_review_body_bytes_bucket{le=\"1024.0\",door=\"validate\"}", 1.0),
        ("scan_admission_review_body_bytes_bucket{le=\"16384.0\",door=\"validate\"}", 4.0),
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
