//! Measures `replay` with a log that is generated as a stream, as long as that of a cluster for a month.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use procfs::process::Process;
use procfs::ticks_per_second;
use serde_json::Value;

use crate::support::program::clean;

/// The mixes of a log: every how many events one is a status write of a scan.
const MIXES: [(&str, u64); 2] = [("one event in ten is of a scan", 10), ("every event is of a scan", 1)];
/// The number of status writes of a scan in a row.
const WRITES_OF_A_SCAN: u64 = 5;
/// Every how many scans the first status has an error.
const PLANTED_EVERY: u64 = 100;

/// The result of a replay.
pub struct Replayed {
    pub log_bytes: u64,
    pub cpu_seconds: f64,
    pub peak_bytes: u64,
    pub report: Value,
}

/// Prints a row of a table for each mix of a log with this number of events.
pub fn run(events: u64) {
    println!("| log of {events} events | GB | MB/s of CPU | CPU s | peak of resident memory |\n|---|--:|--:|--:|--:|");
    for (name, every) in MIXES {
        let Replayed { log_bytes, cpu_seconds, peak_bytes, report } = replay(events, every);
        check(&report, events, every);
        let mb = log_bytes as f64 / 1e6;
        println!(
            "| {name} | {:.2} | {:.0} | {cpu_seconds:.1} | {:.1} MB |",
            mb / 1e3,
            mb / cpu_seconds,
            peak_bytes as f64 / 1e6
        );
    }
}

/// Replays small logs, and checks that the planted errors are found.
pub fn replay_finds_the_planted_errors() {
    for (_, every) in MIXES {
        check(&replay(5_000, every).report, 5_000, every);
    }
}

fn check(report: &Value, events: u64, every: u64) {
    let count = |name: &str| report["counts"][name].as_u64().expect("a number");
    let writes = events / every;
    let scans = writes.div_ceil(WRITES_OF_A_SCAN);
    assert_eq!(count("events"), events);
    assert_eq!(count("statusWrites"), writes);
    assert_eq!(count("upperBounds"), scans);
    assert_eq!(count("denied"), scans.div_ceil(PLANTED_EVERY));
    assert_eq!(count("clean"), writes - count("denied"));
    assert_eq!(report["rows"][0]["rule"], "phase-unknown");
}

/// Streams a log into the program.
fn replay(events: u64, every: u64) -> Replayed {
    let before = children_ticks();
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    clean(&mut command);
    command.args(["replay", "-o", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let mut chunk = Vec::new();
    let mut log_bytes = 0;
    for number in 0..events {
        write_event(&mut chunk, number, every);
        if chunk.len() > 1 << 20 || number + 1 == events {
            stdin.write_all(&chunk).expect("the program reads");
            log_bytes += chunk.len() as u64;
            chunk.clear();
        }
    }
    // The program waits for more, so all but the last bytes are replayed.
    let peak_bytes = peak_bytes(&child);
    drop(stdin);
    let mut printed = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut printed).expect("text");
    assert!(child.wait().expect("it ends").success());
    let cpu_seconds = (children_ticks() - before) as f64 / ticks_per_second() as f64;
    Replayed { log_bytes, cpu_seconds, peak_bytes, report: serde_json::from_str(&printed).expect("JSON") }
}

fn peak_bytes(child: &Child) -> u64 {
    let status = Process::new(child.id() as i32).and_then(|process| process.status()).expect("it runs");
    status.vmhwm.expect("Linux reports it") << 10
}

/// Returns the processor time of the children of this process that have ended.
fn children_ticks() -> i64 {
    let stat = Process::myself().and_then(|process| process.stat()).expect("Linux reports it");
    stat.cutime + stat.cstime
}

/// Writes an event as an API server does: a status write, or another event at level Metadata.
fn write_event(log: &mut Vec<u8>, number: u64, every: u64) {
    let (minute, second) = (number / 60_000 % 60, number / 1000 % 60);
    let time = format!("2026-11-20T08:{minute:02}:{second:02}.{:06}Z", number % 1000 * 1000);
    let head =
        format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"5c3a1b06-0000-4000-8000-{number:012}","#);
    let written = if number.is_multiple_of(every) {
        let write = number / every;
        let scan = write / WRITES_OF_A_SCAN;
        let is_planted = write.is_multiple_of(WRITES_OF_A_SCAN) && scan.is_multiple_of(PLANTED_EVERY);
        let object = scan_object(scan, write + 1, if is_planted { "Done" } else { "Completed" });
        write!(log, "{head}{}\"requestObject\":{object},\"responseObject\":{object},{}", scan_head(scan), tail(&time))
    } else {
        write!(log, "{head}{}{}", LEASE, tail(&time))
    };
    written.expect("memory");
}

fn scan_head(scan: u64) -> String {
    format!(
        r#""level":"RequestResponse","stage":"ResponseComplete","requestURI":"/apis/scanning.apps.tanzu.vmware.com/v1beta1/namespaces/team-{0}/sourcescans/scan-{scan}/status","verb":"update","user":{{"username":"system:serviceaccount:scan-link-system:scan-link-controller","uid":"7d0b64a6-5bb3-4cbb-a5e1-8d0ab6b2b1a9","groups":["system:serviceaccounts","system:serviceaccounts:scan-link-system","system:authenticated"]}},"sourceIPs":["10.0.12.34"],"userAgent":"manager/v0.0.0 (linux/amd64) kubernetes/$Format","objectRef":{{"resource":"sourcescans","namespace":"team-{0}","name":"scan-{scan}","apiGroup":"scanning.apps.tanzu.vmware.com","apiVersion":"v1beta1","subresource":"status"}},"responseStatus":{{"metadata":{{}},"code":200}},"#,
        scan % 20
    )
}

/// The members between the auditID and the times of an event that renews a Lease.
const LEASE: &str = r#""level":"Metadata","stage":"ResponseComplete","requestURI":"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/ip-10-0-12-34.eu-central-1.compute.internal?timeout=10s","verb":"update","user":{"username":"system:node:ip-10-0-12-34.eu-central-1.compute.internal","groups":["system:nodes","system:authenticated"]},"sourceIPs":["10.0.12.34"],"userAgent":"kubelet/v1.36.3 (linux/amd64) kubernetes/0123456","objectRef":{"resource":"leases","namespace":"kube-node-lease","name":"ip-10-0-12-34.eu-central-1.compute.internal","uid":"6f9a1d3e-2b44-4a7c-9a2d-0c3a4f5e6d7b","apiGroup":"coordination.k8s.io","apiVersion":"v1","resourceVersion":"123456789"},"responseStatus":{"metadata":{},"code":200},"#;

fn tail(time: &str) -> String {
    let annotations = r#""annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding of ClusterRole to ServiceAccount"}"#;
    format!("\"requestReceivedTimestamp\":\"{time}\",\"stageTimestamp\":\"{time}\",{annotations}}}\n")
}

/// A scan as an API server returns it, without managedFields.
fn scan_object(scan: u64, version: u64, phase: &str) -> String {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        format!(
            r#"{{"lastTransitionTime":"2026-11-20T08:00:00Z","message":"{message}","observedGeneration":1,"reason":"{reason}","status":"{status}","type":"{kind}"}}"#
        )
    };
    let conditions = [
        condition("Scanning", "False", "JobFinished", "The scan job terminated"),
        condition("Succeeded", "True", "JobFinished", "The scan job finished"),
        condition("SendingResults", "True", "ResultsSent", "The scan results were sent"),
        condition("PolicySucceeded", "True", "EvaluationPassed", "No CVEs were found that violated the policy"),
    ]
    .join(",");
    let blob = format!(
        r#"{{"blob":{{"revision":"main/5805c6502976c10f5529e7f7aeb0af0c370c0354","url":"http://source-controller.flux-system.svc.cluster.local./gitrepository/dev/app-{scan}/5805c6502976c10f5529e7f7aeb0af0c370c0354.tar.gz"}}"#
    );
    format!(
        r#"{{"apiVersion":"scanning.apps.tanzu.vmware.com/v1beta1","kind":"SourceScan","metadata":{{"creationTimestamp":"2026-11-20T08:00:00Z","generation":1,"labels":{{"app.kubernetes.io/part-of":"app-{scan}","carto.run/workload-name":"app-{scan}"}},"name":"scan-{scan}","namespace":"team-{team}","resourceVersion":"{version}","uid":"4ddd55ed-2033-4000-8000-{scan:012}"}},"spec":{blob},"scanPolicy":"scan-policy","scanTemplate":"blob-source-scan-template"}},"status":{{"artifact":{blob}}},"compliantArtifact":{blob}}},"conditions":[{conditions}],"cveCount":{{"critical":0,"high":0,"low":12,"medium":9,"total":21,"unknown":0}},"metadataUrl":"https://metadata-store-app.metadata-store.svc.cluster.local:8443/api/sources?digest=5805c6502976c10f5529e7f7aeb0af0c370c0354","observedGeneration":1,"observedPolicyGeneration":1,"observedTemplateGeneration":1,"observedTemplateUID":"b46ef6e7-5e4d-4e9b-9aee-ebb1c3e645c2","phase":"{phase}","scannedAt":"2026-11-20T08:00:00Z","scannedBy":{{"scanner":{{"name":"Grype","vendor":"Anchore","version":"v0.37.0"}}}}}}}}"#,
        team = scan % 20
    )
}
