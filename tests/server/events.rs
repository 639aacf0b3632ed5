//! Tests that reviews hand Events over without waiting, and how the writer treats each answer of the API server. A
//! stand-in for the API server gives the answers, one for each connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scan_admission::admission::EventReasons;
use scan_admission::admission::event::StatusEvent;
use scan_admission::cluster::events::EventWriter;
use scan_admission::cluster::events::series::SeriesLimits;
use scan_admission::server::events::EventQueue;
use scan_admission::server::metrics::EventDrop;
use scan_admission::server::{Server, ServerSettings};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use crate::support::client::Client;
use crate::support::fixtures::fixture;
use crate::support::in_process::{Running, settings};
use crate::support::waits::{WAIT_MAX, metric, until_metric};

/// A denied review of the scan with this uid.
fn denied(uid: &str) -> String {
    let mut review: Value = serde_json::from_slice(&fixture("sourcescan-failed-5-completed.validate.json")).unwrap();
    let request = &mut review["request"];
    request["object"]["status"]["phase"] = json!("Complete");
    for object in ["object", "oldObject"] {
        request[object]["metadata"]["uid"] = json!(uid);
    }
    review.to_string()
}

async fn start(queue: &Arc<EventQueue>) -> (Running, Client) {
    let settings = ServerSettings { events: Some(queue.clone()), ..settings() };
    let server = Running::with(settings, |_: &Server| {}).await;
    let client = Client::new(&server.ca, server.address, "http/1.1").await;
    (server, client)
}

async fn post(client: &mut Client, review: String) {
    let reply = client.post("/validate", review).await;
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(answer["response"]["status"]["code"], 422, "{answer}");
}

fn queue() -> (Arc<EventQueue>, Receiver<Box<StatusEvent>>) {
    let (queue, events) = EventQueue::new(EventReasons { denied: true, warned: false });
    (Arc::new(queue), events)
}

/// Writes the Events of the queue to an API server at `address`.
fn spawn_writer(address: SocketAddr, queue: &EventQueue, events: Receiver<Box<StatusEvent>>) {
    let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    let client = kube::Client::try_from(config).unwrap();
    let limits = SeriesLimits { rest: Duration::from_millis(1), ..SeriesLimits::default() };
    let writer = EventWriter { client, instance: "pod".to_owned(), limits };
    tokio::spawn(writer.run(OffsetDateTime::now_utc, events, queue.metrics.clone()));
}

#[tokio::test]
async fn a_denial_hands_an_event_over_and_a_full_queue_drops_it() {
    let (queue, mut events) = queue();
    let (server, mut client) = start(&queue).await;
    post(&mut client, denied("u-1")).await;
    let event = events.recv().await.unwrap();
    assert_eq!((event.scan.uid.as_str(), event.rules.as_slice()), ("u-1", &["phase-unknown"][..]), "{}", event.note);
    let allowed = fixture("sourcescan-failed-5-completed.validate.json");
    assert_eq!(client.post("/validate", allowed).await.code, 200);
    // Nobody takes the Events from here on.
    for number in 0..scan_admission::server::limits::QUEUED_EVENTS + 10 {
        post(&mut client, denied(&format!("u-{number}"))).await;
    }
    until_metric(server.admin, "scan_admission_events_dropped_total{reason=\"queue\"}", 10.0).await;
}

/// The API server takes the connection and never answers.
#[tokio::test]
async fn reviews_do_not_wait_for_the_api_server() {
    const DENIALS: u64 = 3_000;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (queue, events) = queue();
    spawn_writer(silent.local_addr().unwrap(), &queue, events);
    let (_server, mut client) = start(&queue).await;
    for number in 0..DENIALS {
        post(&mut client, denied(&format!("u-{number}"))).await;
    }
    // Each is counted: those that cannot be written within ten minutes are dropped.
    let kept = SeriesLimits::default().series as u64;
    let dropped = async {
        while EventDrop::ALL.iter().map(|why| queue.metrics.dropped(*why)).sum::<u64>() != DENIALS - kept {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT_MAX, dropped).await.expect("the others are counted");
}

/// Serves each connection with the next answer, and then with 201. Returns the requests.
async fn stand_in(answers: Vec<String>) -> (SocketAddr, Arc<Mutex<Vec<(Instant, String)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests: Arc<Mutex<Vec<(Instant, String)>>> = Arc::default();
    let seen = requests.clone();
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // A request ends with its JSON.
            while !request.ends_with(b"}") {
                let mut bytes = [0; 4096];
                match stream.read(&mut bytes).await.unwrap() {
                    0 => break,
                    count => request.extend_from_slice(&bytes[..count]),
                }
            }
            seen.lock().unwrap().push((Instant::now(), String::from_utf8(request).unwrap()));
            let answer = answers.next().unwrap_or_else(|| reply("201 Created", "", &json!({})));
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, requests)
}

fn reply(code: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {code}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

fn status(code: u16, reason: &str, causes: &Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": format!("it is {reason}"), "details": {"causes": causes}})
}

#[tokio::test]
async fn each_answer_of_the_api_server_is_counted_and_treated() {
    let none = json!([]);
    let terminating = json!([{"reason": "NamespaceTerminating", "message": "it ends", "field": "metadata.namespace"}]);
    // The answer, its result, and whether the Event is tried again.
    let cases = [
        (reply("201 Created", "", &json!({})), "created", false),
        (reply("409 Conflict", "", &status(409, "AlreadyExists", &none)), "created", false),
        (reply("403 Forbidden", "", &status(403, "Forbidden", &none)), "forbidden", true),
        (reply("403 Forbidden", "", &status(403, "Forbidden", &terminating)), "missing", false),
        (reply("404 Not Found", "", &status(404, "NotFound", &none)), "missing", false),
        (reply("422 Unprocessable Entity", "", &status(422, "Invalid", &none)), "rejected", false),
        (reply("429 Too Many Requests", "retry-after: 1\r\n", &json!("too many")), "throttled", true),
        (reply("503 Service Unavailable", "retry-after: 1\r\n", &json!("later")), "failed", true),
        (reply("500 Internal Server Error", "", &json!("broken")), "failed", true),
        (String::new(), "failed", true),
    ];
    for (answer, result, is_retried) in cases {
        let pauses = answer.contains("retry-after: 1");
        let (address, requests) = stand_in(vec![answer.clone()]).await;
        let (queue, events) = queue();
        spawn_writer(address, &queue, events);
        let (server, mut client) = start(&queue).await;
        post(&mut client, denied("u-1")).await;
        let series = |result: &str| format!("scan_admission_event_writes_total{{result=\"{result}\"}}");
        if is_retried {
            until_metric(server.admin, &series("created"), 1.0).await;
        }
        until_metric(server.admin, &series(result), 1.0).await;
        let rejected = metric(server.admin, "scan_admission_events_dropped_total{reason=\"rejected\"}").await;
        let is_dropped = !is_retried && result != "created";
        assert_eq!(rejected, Some(f64::from(u8::from(is_dropped))), "{answer}");
        let requests = requests.lock().unwrap();
        assert_eq!(requests.len(), 1 + usize::from(is_retried), "{answer}");
        if let [(first, one), (second, other)] = requests.as_slice() {
            assert!(!pauses || *second - *first >= Duration::from_secs(1), "{answer}");
            // The name is the same, so an Event whose answer was lost is not written twice.
            let body = |request: &str| request.split_once("\r\n\r\n").unwrap().1.to_owned();
            assert_eq!(body(one), body(other));
        }
        let (_, request) = &requests[0];
        assert!(request.starts_with("POST /apis/events.k8s.io/v1/namespaces/recording/events?"), "{request}");
    }
}
