//! Tests of a rule that panics. This is a crate of its own, because a process has one panic hook and one log.

mod support {
    pub mod client;
    pub mod fixtures;
    pub mod folder;
    pub mod http;
    pub mod in_process;
    pub mod json_reply;
    pub mod panicking_rule;
    pub mod waits;
}

use std::io::Write;
use std::sync::{Arc, Mutex};

use scan_admission::engine::{Change, Findings, Patch, Rule};
use scan_admission::server::ServerSettings;

use crate::support::client::Client;
use crate::support::fixtures::fixture;
use crate::support::in_process::{Running, settings};
use crate::support::panicking_rule::PANICS;
use crate::support::waits::until_metric;

const SECRET: &str = "contents of an object";

fn check(_: &Change<'_>, _: &mut Findings<'_>) {
    panic!("{SECRET}");
}

fn mutate(_: &Change<'_>, _: &mut Patch) {
    panic!("{SECRET}");
}

static RULES: [Rule; 1] = [Rule { check: |change, findings| check(change, findings), mutate: Some(mutate), ..PANICS }];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_is_answered_counted_and_logged_without_its_message() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let server =
        Running::with(ServerSettings { rules: &RULES, ..settings() }, |server| server.install_panic_hook()).await;
    let admin = server.admin;
    for protocol in ["http/1.1", "h2"] {
        let mut client = Client::new(&server.ca, server.address, protocol).await;
        for (path, is_allowed) in [("/validate", false), ("/mutate", true), ("/validate", false)] {
            let reply = client.post(path, fixture("sourcescan-failed-5-completed.validate.json")).await;
            let response = &reply.json()["response"];
            assert_eq!((reply.code, &response["allowed"]), (200, &is_allowed.into()), "{response}");
            assert_eq!(response["uid"], "94f92d23-f99b-4ca9-84ee-0f8f20f961dd");
            assert_eq!(response["status"]["code"], if is_allowed { serde_json::Value::Null } else { 500.into() });
        }
    }
    // Restores the default hook, so that a failure of this test is printed.
    drop(std::panic::take_hook());
    until_metric(admin, "scan_admission_panics_total", 6.0).await;
    server.stop().await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("location=\"tests/panics.rs:").count(), 6, "{log}");
    let is_review = |line: &&str| {
        ["decision=\"error\" fault=\"internal\"", " peer=127.0.0.1:", " uid=\"94f92d23-f99b-4ca9-84ee-0f8f20f961dd\""]
            .iter()
            .all(|part| line.contains(part))
    };
    assert_eq!(log.lines().filter(is_review).count(), 6, "{log}");
    assert!(log.contains("kind=\"SourceScan\"") && log.contains("count=6"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
}
