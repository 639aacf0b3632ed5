//! Tests the program's log: one line for a denial, with the object and the user, and without contents of the object.

use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::sockets::{connect, write};
use crate::support::client::Client;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::process::Process;
use crate::support::program::command;
use crate::support::request_head;

/// Sends a review that is denied, and returns the log.
async fn log_of_a_denial(arguments: &[&str]) -> String {
    let folder = Folder::new();
    let mut program = command(folder.path(), arguments);
    program.env_remove("SCAN_ADMISSION_LOG_FORMAT");
    let process = Process::start(program, folder.join("errors"));
    let review = String::from_utf8(fixture("sourcescan-failed-5-completed.validate.json")).unwrap();
    let review = review.replacen("\"Completed\"", "\"Secretive\"", 1);
    let mut client = Client::new(&folder.join("certs/ca.crt"), process.address, "http/1.1").await;
    let reply = client.post("/validate", fixture("sourcescan-failed-5-completed.validate.json")).await;
    assert_eq!(reply.code, 200);
    let reply = client.post("/validate", review).await;
    assert!(String::from_utf8(reply.body).unwrap().contains("[phase-unknown]"));
    process.errors()
}

#[tokio::test]
async fn a_denial_is_one_line_of_json_without_contents() {
    let log = log_of_a_denial(&[]).await;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let denials: Vec<&Value> = lines.iter().filter(|line| line["message"] == "review").collect();
    let [denial] = denials[..] else { panic!("{log}") };
    for (name, value) in [
        ("level", "INFO"),
        ("webhook", "validating"),
        ("decision", "deny"),
        ("operation", "UPDATE"),
        ("group", "scanning.apps.tanzu.vmware.com"),
        ("version", "v1beta1"),
        ("kind", "SourceScan"),
        ("name", "failed"),
        ("user", "system:serviceaccount:scan-link-system:scan-link-controller"),
    ] {
        assert_eq!(denial[name], value, "{name} in {denial}");
    }
    let rules: Vec<&str> = denial["rules"].as_str().unwrap().split(',').collect();
    assert!(rules.contains(&"phase-unknown"), "{denial}");
    assert!(denial["uid"].is_string() && denial["namespace"].is_string(), "{denial}");
    assert!(denial["latency_micros"].is_u64() && denial["left_out"] == 0, "{denial}");
    assert!(!log.contains("Secretive"), "the contents of an object: {log}");
}

/// An invalid review has no uid and no user, so the address of the client is logged.
#[tokio::test]
async fn an_invalid_review_is_logged_with_the_address_of_its_client() {
    let folder = Folder::new();
    let mut program = command(folder.path(), &[]);
    program.env_remove("SCAN_ADMISSION_LOG_FORMAT");
    let process = Process::start(program, folder.join("errors"));
    let mut stream = connect(&folder.join("certs/ca.crt"), process.address).await;
    let peer = stream.get_ref().0.local_addr().unwrap();
    for body in ["no review", "{}"] {
        write(&mut stream, request_head::head("/validate", body.len()) + body).await;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 400");
        stream = connect(&folder.join("certs/ca.crt"), process.address).await;
    }
    let lines: Vec<Value> = process.errors().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let faults: Vec<&Value> = lines.iter().filter(|line| line["fault"] == "bad-request").collect();
    assert_eq!(faults.len(), 2, "{lines:?}");
    assert_eq!(faults[0]["peer"], peer.to_string());
}

#[tokio::test]
async fn flags_set_the_format_and_the_level_of_the_log() {
    let log = log_of_a_denial(&["--log-format", "text"]).await;
    assert!(
        log.contains(" INFO scan_admission::server::handler: review webhook=\"validating\" decision=\"deny\""),
        "{log}"
    );
    assert_eq!(log_of_a_denial(&["--log", "error"]).await, "");
}
