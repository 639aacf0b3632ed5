//! Tests of the program with a log that cannot be written, and with few file descriptors.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::support::client::Client;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::http::get;
use crate::support::process::Process;
use crate::support::program::command;
use crate::support::waits::{metric, until_metric};
use crate::{CONNECTIONS, LEGAL, LEGAL_UID};

const LOST: &str = "scan_admission_log_lines_lost_total";

/// Returns a review that is denied, which the program logs.
fn denied() -> Vec<u8> {
    let review = String::from_utf8(fixture(LEGAL)).unwrap();
    review.replacen("\"Completed\"", "\"Done\"", 1).into_bytes()
}

/// Starts the program with this stderr, and sends denied reviews until log lines have been lost.
async fn loses_lines(stderr: impl Into<Stdio>, log: &str) {
    let folder = Folder::new();
    let process = Process::start_with(command(folder.path(), &["--log", log]), stderr, folder.join("errors"));
    let ca = folder.join("certs/ca.crt");
    let mut client = Client::new(&ca, process.address, "http/1.1").await;
    loop {
        let reply = client.post("/validate", denied()).await;
        let response = reply.json()["response"].clone();
        assert_eq!((reply.code, &response["uid"]), (200, &LEGAL_UID.into()));
        assert_eq!(response["status"]["code"], 422, "{response}");
        if metric(process.admin, LOST).await > Some(0.0) {
            break;
        }
    }
    let mut another = Client::new(&ca, process.address, "h2").await;
    assert_eq!(another.post("/validate", fixture(LEGAL)).await.json()["response"]["allowed"], true);
    assert_eq!(get(process.admin, "/readyz").await.code, 200);
    assert_eq!(metric(process.admin, "scan_admission_panics_total").await, Some(0.0));
}

#[tokio::test]
async fn a_full_closed_or_stuck_log_loses_only_log_lines() {
    loses_lines(File::options().write(true).open("/dev/full").unwrap(), "info").await;
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    loses_lines(closed, "info").await;
    // The pipe is never read.
    let (_reader, stuck) = std::io::pipe().unwrap();
    loses_lines(stuck, "trace").await;
}

#[tokio::test]
async fn few_file_descriptors_limit_connections_and_not_health() {
    const FILES: usize = 112;
    let folder = Folder::new();
    let program = command(folder.path(), &[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {FILES} && exec \"$@\""), "sh"]).arg(program.get_program());
    shell.args(program.get_args()).current_dir(folder.path()).stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let process = Process::start(shell, folder.join("errors"));
    let room = FILES - 64 - 32;
    let message = format!(
        "the process may open {FILES} files, but 1024 connections need 1120 (64 for the admin address, 32 for the process itself); accepting {room} connections"
    );
    assert!(process.errors().contains(&message), "{}", process.errors());
    let ca = folder.join("certs/ca.crt");
    let mut held = Vec::new();
    for _ in 0..2 * FILES {
        held.push(tokio::net::TcpStream::connect(process.address).await.unwrap());
    }
    for _ in 0..32 {
        held.push(tokio::net::TcpStream::connect(process.admin).await.unwrap());
    }
    until_metric(process.admin, CONNECTIONS, room as f64).await;
    let reply = Client::new(&ca, process.address, "http/1.1").await.post("/validate", fixture(LEGAL)).await;
    assert_eq!(reply.json()["response"]["allowed"], true);
    assert_eq!(get(process.admin, "/readyz").await.code, 200);
    assert!(!process.errors().contains("cannot accept"), "{}", process.errors());
    println!("own descriptors: {:?}", metric(process.admin, "process_open_fds").await);
}
