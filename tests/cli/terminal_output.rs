//! Tests that texts from an API server reach a terminal without control characters.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use crate::support::folder::Folder;
use crate::support::program;

/// Starts an API server that answers every request with an error, or the requests of `audit` with a list of `items`.
fn api_server(items: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
                    head.push(byte[0]);
                }
                let (line, body) = answer(&String::from_utf8_lossy(&head), items);
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {line}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            });
        }
    });
    address
}

fn answer(head: &str, items: Option<&str>) -> (&'static str, String) {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let Some(items) = items else {
        let message = r"no\u001b[2J\u202e \u009b31m";
        let status = format!(
            r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","reason":"InternalError","code":500}}"#
        );
        return ("500 Internal Server Error", status);
    };
    let group = "scanning.apps.tanzu.vmware.com";
    let body = if path.contains("/sourcescans") {
        format!(r#"{{"apiVersion":"{group}/v1beta1","kind":"SourceScanList","metadata":{{}},"items":{items}}}"#)
    } else if path.contains("/imagescans") {
        format!(r#"{{"apiVersion":"{group}/v1beta1","kind":"ImageScanList","metadata":{{}},"items":[]}}"#)
    } else if path.contains(&format!("/{group}/v1beta1")) {
        let resource = |name: &str, kind: &str| {
            format!(r#"{{"name":"{name}","singularName":"","namespaced":true,"kind":"{kind}","verbs":["list"]}}"#)
        };
        let resources = [resource("sourcescans", "SourceScan"), resource("imagescans", "ImageScan")].join(",");
        format!(
            r#"{{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"{group}/v1beta1","resources":[{resources}]}}"#
        )
    } else {
        let version = format!(r#"{{"groupVersion":"{group}/v1beta1","version":"v1beta1"}}"#);
        let group = format!(r#"{{"name":"{group}","versions":[{version}],"preferredVersion":{version}}}"#);
        if path.ends_with("/apis") {
            format!(r#"{{"kind":"APIGroupList","apiVersion":"v1","groups":[{group}]}}"#)
        } else {
            group.replacen('{', r#"{"kind":"APIGroup","apiVersion":"v1","#, 1)
        }
    };
    ("200 OK", body)
}

/// Runs a command against this API server. Returns its exit code and its output on both streams.
fn run(arguments: &[&str], address: &str) -> (Option<i32>, String) {
    let folder = Folder::new();
    let kubeconfig = folder.join("kubeconfig");
    fs::write(
        &kubeconfig,
        format!("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"),
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    program::clean(&mut command);
    let output = command.args(arguments).arg("--kubeconfig").arg(&kubeconfig).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn assert_plain(printed: &str) {
    let unfit = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
    assert_eq!(printed.chars().find(unfit), None, "{printed:?}");
}

#[test]
fn errors_of_an_api_server_have_no_control_characters() {
    let address = api_server(None);
    for command in ["audit", "doctor"] {
        let (code, printed) = run(&[command], &address);
        assert_plain(&printed);
        assert!(code == Some(2) && printed.contains("no?[2J? ?31m"), "{command}: {printed}");
    }
}

#[test]
fn names_and_contents_of_stored_scans_have_no_control_characters() {
    let address = api_server(Some(
        r#"[{"metadata":{"namespace":"\u001b[2J","name":"a\nb\u202e"},"spec":{"blob":{"url":"\u001b[31m"},"scanTemplate":"t"},"status":{"phase":"\u001b[1m","cveCount":{"\u009b":1}}},{"metadata":{"name":"\u001b[2J","namespace":7}}]"#,
    ));
    let (code, printed) = run(&["audit"], &address);
    assert_plain(&printed);
    assert!(code == Some(2) && printed.contains("error: ?[2J/a?b? SourceScan status.phase: "), "{printed}");
    assert!(printed.contains("\n?[2J"), "the table: {printed}");
}
