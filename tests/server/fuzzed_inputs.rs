//! Replays the committed inputs of the fuzz targets of connections: in memory as the fuzzer does, and over TLS.

use scan_admission::server::timeouts::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::support::client::{Client, connector, handshake};
use crate::support::fixtures::fixture;
use crate::support::frames;
use crate::support::fuzz_corpus::replay;
use crate::support::fuzzed_connection::check_connection;
use crate::support::http::tcp;
use crate::support::in_process::{Running, settings};
use crate::support::waits::{WAIT_MAX, until_metric};

const REVIEW: &str = "sourcescan-failed-5-completed.validate.json";

#[test]
fn inputs_of_the_target_http1_hold() {
    assert!(replay("http1", |bytes| check_connection(Protocol::Http1, bytes)) > 50);
}

#[test]
fn inputs_of_the_target_h2_hold() {
    assert!(replay("h2", |bytes| check_connection(Protocol::Http2, bytes)) > 50);
}

/// Sends each input over a socket and TLS. Each client reads until the server closes the connection.
#[tokio::test]
async fn a_server_answers_after_the_inputs_of_both_targets() {
    let server = Running::with(settings(), |_| {}).await;
    for (target, protocol) in [("http1", "http/1.1"), ("h2", "h2")] {
        let connector = connector(&server.ca, protocol, rustls::ALL_VERSIONS);
        let mut inputs = Vec::new();
        replay(target, |bytes| inputs.push(bytes.to_vec()));
        for input in inputs {
            let mut stream = handshake(&connector, tcp(server.address).await).await;
            let preface = if protocol == "h2" { frames::begin(&[]) } else { Vec::new() };
            // The server may close the connection before it has read everything.
            let _ = stream.write_all(&[&preface, &input[1..]].concat()).await;
            let _ = stream.shutdown().await;
            let mut answers = Vec::new();
            let _ =
                timeout(WAIT_MAX, stream.read_to_end(&mut answers)).await.expect("the server closes the connection");
        }
        let reply = Client::new(&server.ca, server.address, protocol).await.post("/validate", fixture(REVIEW)).await;
        assert_eq!((reply.code, &reply.json()["response"]["allowed"]), (200, &true.into()));
    }
    for gauge in ["reviews_in_flight", "bodies_unfinished", "memory_held_bytes", "connections"] {
        until_metric(server.admin, &format!("scan_admission_{gauge}"), 0.0).await;
    }
    server.stop().await;
}
