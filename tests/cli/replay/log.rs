//! Makes audit logs, and replays them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::folder::Folder;
use crate::support::program;

pub const GROUP: &str = "scanning.apps.tanzu.vmware.com";
pub const USER: &str = "system:serviceaccount:scan-link-system:scan-link-controller";

/// Returns a stored scan without errors, with this resourceVersion.
pub fn scan(version: u64, status: Value) -> Value {
    json!({
        "apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1",
        "kind": "SourceScan",
        "metadata": {"name": "app", "namespace": "dev", "uid": "uid-1", "generation": 1,
            "resourceVersion": version.to_string()},
        "spec": {"blob": {"url": "https://example.com/code.tar.gz"}, "scanTemplate": "blob-source-scan-template"},
        "status": status,
    })
}

/// Returns the event of a status update that has succeeded, in this second.
pub fn event(second: u32, response: Value) -> Value {
    let time = format!("2026-11-20T08:{:02}:{:02}.000000Z", second / 60, second % 60);
    json!({
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": format!("audit-{second}"),
        "stage": "ResponseComplete",
        "requestURI": "/apis/scanning.apps.tanzu.vmware.com/v1beta1/namespaces/dev/sourcescans/app/status?fieldManager=x",
        "verb": "update",
        "user": {"username": USER, "groups": ["system:serviceaccounts", "system:authenticated"]},
        "sourceIPs": ["10.0.0.1"],
        "objectRef": {"resource": "sourcescans", "namespace": "dev", "name": "app", "apiGroup": GROUP,
            "apiVersion": "v1beta1", "subresource": "status"},
        "responseStatus": {"metadata": {}, "code": 200},
        "responseObject": response,
        "requestReceivedTimestamp": time,
        "stageTimestamp": time,
        "annotations": {"authorization.k8s.io/decision": "allow"},
    })
}

/// Returns the event with the members of `changes`, as by a merge patch.
pub fn with(mut event: Value, changes: Value) -> Value {
    json_patch::merge(&mut event, &changes);
    event
}

/// A write of the object itself.
pub fn of_main(event: Value, verb: &str) -> Value {
    with(event, json!({"verb": verb, "objectRef": {"subresource": null}}))
}

pub fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// The output and the exit code of a run.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `replay` in a folder.
pub fn run_in(folder: &Path, args: &[&str], stdin: &[u8]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    program::clean(&mut command);
    command.current_dir(folder).arg("replay").args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub fn run(args: &[&str], stdin: &[u8]) -> Run {
    run_in(Folder::new().path(), args, stdin)
}

/// Returns the JSON report of a log that can be read.
pub fn report(log: impl AsRef<[u8]>) -> Value {
    let Run { code, stdout, stderr } = run(&["-o", "json"], log.as_ref());
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    serde_json::from_str(&stdout).unwrap()
}

/// Returns the numbers of a report that are not 0.
pub fn counts(report: &Value) -> Value {
    let counts = report["counts"].as_object().unwrap();
    counts.iter().filter(|(_, count)| **count != json!(0)).map(|(name, count)| (name.clone(), count.clone())).collect()
}

/// Returns the rows of a report as `outcome rule writes/upperBounds`.
pub fn rows(report: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        format!("{} {} {}/{}", text("outcome"), text("rule"), row["writes"], row["upperBounds"])
    };
    report["rows"].as_array().unwrap().iter().map(row).collect()
}

/// Returns the reasons of a member of a report as `reason count first`.
pub fn reasons(report: &Value, member: &str) -> Vec<String> {
    let reason = |reason: &Value| {
        format!("{} {} {}", reason["reason"].as_str().unwrap(), reason["count"], reason["first"].as_str().unwrap())
    };
    report[member].as_array().unwrap().iter().map(reason).collect()
}
