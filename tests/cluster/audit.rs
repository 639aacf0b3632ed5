//! `audit` on a cluster that has scans and no webhook yet.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use scan_admission::rules::RULES;
use serde_json::{Value, json};
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Test;
use crate::controlplane::{ControlPlane, Namespace, User, eventually};
use crate::installed::{generate, program};
use crate::replicas::client;
use crate::requests_and_answers::with;
use crate::support::folder::Folder;

pub const TESTS: &[(&str, Test)] = &[("audit-finds-what-was-planted", audit_finds_what_was_planted)];

/// Of both kinds together. AUDIT_SCANS names another number.
const SCANS: usize = 10_000;
const NAMESPACES: usize = 7;
/// So many at a time; the API server queues what is more.
const WRITERS: usize = 32;
/// One page and the program, unoptimised. The peak was 24 MB over 2,000 scans as over 10,000.
const MEMORY_MAX_KB: u64 = 64 << 10;

/// A fault of every n-th scan, where it is found, and how a status gets it.
type Planted = (usize, &'static str, &'static str, fn(&mut Value));

const PLANTED: &[Planted] = &[
    (97, "phase-unknown", "status.phase", |status| status["phase"] = json!("Done")),
    (193, "cve-total", "status.cveCount.total", |status| status["cveCount"]["total"] = json!(7)),
    (389, "metadata-url", "status.metadataUrl", |status| status["metadataUrl"] = json!("here")),
];

fn sound() -> Value {
    let condition = |kind: &str, status: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": "JobFinished", "message": message,
            "lastTransitionTime": "2026-11-20T08:03:00Z"})
    };
    json!({
        "phase": "Completed",
        "conditions": [condition("Scanning", "False", "The scan job terminated"), condition("Succeeded", "True", "done")],
        "cveCount": {"critical": 1, "high": 0, "medium": 0, "low": 0, "unknown": 0, "total": 1},
        "metadataUrl": "https://example.com/results",
        "scannedBy": {"scanner": {"name": "Grype", "vendor": "Anchore", "version": "v0.37.0"}},
        "scannedAt": "2026-11-20T08:03:00Z",
    })
}

/// Scan number n, and the rules that it breaks.
fn planted(number: usize) -> (Value, Vec<(&'static str, &'static str)>) {
    let mut status = sound();
    let faults = PLANTED.iter().filter(|(every, ..)| number.is_multiple_of(*every));
    let broken = faults.map(|(_, rule, field, plant)| {
        plant(&mut status);
        (*rule, *field)
    });
    let broken = broken.collect();
    let mut object = with(&format!("scan-{number}"), json!({"status": status}));
    if number % 2 == 1 {
        object["kind"] = json!("ImageScan");
        object["spec"] = json!({"registry": {"image": "example.com/a:1"}, "scanTemplate": "template"});
    }
    (object, broken)
}

fn namespace_of(number: usize) -> String {
    format!("team-{}", number % NAMESPACES)
}

async fn write(client: Client, count: usize) {
    let permits = Arc::new(Semaphore::new(WRITERS));
    let mut writes = JoinSet::new();
    for number in 0..count {
        let permit = permits.clone().acquire_owned().await.unwrap();
        let object: DynamicObject = serde_json::from_value(planted(number).0).unwrap();
        let kind = object.types.clone().unwrap().kind;
        let resource =
            ApiResource::from_gvk(&GroupVersionKind::gvk("scanning.apps.tanzu.vmware.com", "v1beta1", &kind));
        let scans: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace_of(number), &resource);
        writes.spawn(async move {
            scans.create(&PostParams::default(), &object).await.unwrap();
            drop(permit);
        });
    }
    while let Some(written) = writes.join_next().await {
        written.unwrap();
    }
}

pub fn audit(cluster: &ControlPlane, user: User, arguments: &[&str]) -> Command {
    let mut command = program(&["audit", "--now", "2026-11-24T12:00:00Z", "--kubeconfig"]);
    command.arg(cluster.kubeconfig(user)).args(arguments);
    command
}

fn run(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Runs it, and says the most memory that it was seen to have.
fn measured(mut command: Command) -> (Value, u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(stdout).unwrap());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let found =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = found.unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    (serde_json::from_str(&reader.join().unwrap()).unwrap(), peak)
}

fn audit_finds_what_was_planted(_: &Namespace<'_>) {
    let cluster = ControlPlane::start().unwrap_or_else(|absent| panic!("{absent:?}"));
    let folder = Folder::new();
    let (code, stdout, stderr) = run(audit(&cluster, User::Admin, &[]));
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("this cluster knows no SourceScan and no ImageScan"), "{stderr}");

    // Without a status subresource a scan is created with its status.
    generate(folder.path());
    for kind in ["sourcescans", "imagescans"] {
        let path = folder.join(&format!("base/crds/{kind}.yaml"));
        let text = fs::read_to_string(&path).unwrap().replace("    subresources:\n      status: {}\n", "");
        cluster.kubectl(User::Admin).args(["apply", "-f", "-"]).input(text).run().ok();
    }
    let wait = ["wait", "--for=condition=Established", "--timeout=30s", "--all", "crd"];
    cluster.kubectl(User::Admin).args(wait).run().ok();
    eventually("the kinds are served", || {
        Some(run(audit(&cluster, User::Admin, &[]))).filter(|(code, ..)| *code == Some(0))
    });
    for number in 0..NAMESPACES {
        cluster.namespace(&format!("team-{number}"), &json!({}));
    }
    let count = std::env::var("AUDIT_SCANS").map_or(SCANS, |count| count.parse().unwrap());
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(write(client(&runtime, &cluster, User::Admin), count));

    let (report, peak) = measured(audit(&cluster, User::Admin, &["-o", "json"]));
    eprintln!("{count} scans, at most {peak} kB");
    assert!(peak > 0 && peak < MEMORY_MAX_KB, "{peak} kB");
    exactly_the_planted(&report, count);
    as_check_finds(&cluster, &report);
    modes_count(&cluster, &folder);
    for_people(&cluster, &report);
    what_cannot_be_read(&cluster);
}

fn exactly_the_planted(report: &Value, count: usize) {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let denied = report["findings"].as_array().unwrap().iter().filter(|finding| finding["action"] == "deny");
    let mut found: Vec<_> =
        denied.map(|finding| ["namespace", "name", "rule", "path"].map(|key| text(finding, key))).collect();
    let mut due = Vec::new();
    let mut table: BTreeMap<(String, &str), u64> = BTreeMap::new();
    let mut bad = 0;
    for number in 0..count {
        let (object, broken) = planted(number);
        bad += u64::from(!broken.is_empty());
        for (rule, field) in broken {
            due.push([namespace_of(number), text(&object["metadata"], "name"), rule.to_owned(), field.to_owned()]);
            *table.entry((namespace_of(number), rule)).or_default() += 1;
        }
    }
    found.sort();
    due.sort();
    assert!(found == due, "{} found, {} planted", found.len(), due.len());
    let counts = &report["counts"];
    assert_eq!((&counts["scans"], &counts["denied"], &counts["errors"]), (&json!(count), &json!(bad), &json!(0)));
    let rows = report["rules"].as_array().unwrap().iter().filter(|row| row["deny"] != 0);
    let rows: Vec<_> = rows.map(|row| json!([row["namespace"], row["rule"], row["deny"]])).collect();
    let due: Vec<_> = table.iter().map(|((namespace, rule), count)| json!([namespace, rule, count])).collect();
    assert_eq!(rows, due);
}

/// The same verdict in the same words, but for where it is in a file.
fn as_check_finds(cluster: &ControlPlane, report: &Value) {
    let dump = cluster.kubectl(User::Admin).args(["get", "sourcescans,imagescans", "-A", "-o", "json"]).run();
    let mut check = program(&["check", "--now", "2026-11-24T12:00:00Z", "-o", "json"]);
    let folder = Folder::new();
    fs::write(folder.join("dump.json"), dump.ok()).unwrap();
    check.arg(folder.join("dump.json"));
    let (code, stdout, stderr) = run(check);
    assert_eq!(code, Some(1), "{stderr}");
    let checked: Value = serde_json::from_str(&stdout).unwrap();
    let sorted = |report: &Value| {
        let keys = ["kind", "namespace", "name", "path", "rule", "severity", "action", "message"];
        let findings = report["findings"].as_array().unwrap().iter();
        let mut findings: Vec<_> = findings.map(|finding| keys.map(|key| finding[key].to_string())).collect();
        findings.sort();
        findings
    };
    assert_eq!(sorted(&checked), sorted(report));
}

/// Who sets the rules to warn has nothing denied, in the namespaces that it is said of.
fn modes_count(cluster: &ControlPlane, folder: &Folder) {
    let modes = r#"{"phase-unknown": warn, "cve-total": "off", "metadata-url": audit}"#;
    let path = folder.join("config.yaml");
    let config = path.to_str().unwrap();
    // As README.md says for the beginning.
    let every: Vec<_> =
        RULES.iter().filter(|rule| rule.id != "status-writer").map(|rule| format!("{}: warn", rule.id)).collect();
    fs::write(&path, format!("rules: {{{}}}", every.join(", "))).unwrap();
    let (code, _, stderr) = run(audit(cluster, User::Admin, &["--config", config]));
    assert!(code == Some(0) && stderr.contains(" 0 would be denied, "), "{stderr}");
    for (text, due) in
        [(format!("rules: {modes}"), 0), (format!("overrides: [{{namespaces: [team-1], rules: {modes}}}]"), 1)]
    {
        fs::write(&path, text).unwrap();
        let (code, stdout, stderr) = run(audit(cluster, User::Admin, &["-o", "json", "--config", config]));
        assert_eq!(code, Some(due), "{stderr}");
        let report: Value = serde_json::from_str(&stdout).unwrap();
        let rows = report["rules"].as_array().unwrap();
        let row = rows.iter().find(|row| row["namespace"] == "team-1" && row["rule"] == "phase-unknown").unwrap();
        assert!(row["deny"] == 0 && row["warn"] != 0, "{row}");
        assert!(!rows.iter().any(|row| row["namespace"] == "team-1" && row["rule"] == "cve-total"));
        let audited = rows.iter().find(|row| row["namespace"] == "team-1" && row["rule"] == "metadata-url").unwrap();
        assert!(audited["audit"] != 0 && audited["warn"] == 0, "{audited}");
    }
}

fn for_people(cluster: &ControlPlane, report: &Value) {
    let (code, stdout, stderr) = run(audit(cluster, User::Admin, &[]));
    assert_eq!(code, Some(1), "{stderr}");
    let (lines, table) = stdout.split_once("\n\n").unwrap();
    assert_eq!(lines.lines().count(), report["findings"].as_array().unwrap().len());
    let line = "error: team-0/scan-0 SourceScan status.phase: Unsupported value: \"Done\": supported \
                values: \"Pending\", \"Scanning\", \"Completed\", \"Failed\", \"Error\" [phase-unknown]";
    assert!(lines.lines().any(|found| found == line), "{lines}");
    assert!(table.starts_with("NAMESPACE  RULE "), "{table}");
    assert_eq!(table.lines().count(), report["rules"].as_array().unwrap().len() + 1);
    assert!(!stderr.contains('\r'), "no progress where nobody sees it: {stderr}");
    assert!(stderr.ends_with(" clean\n"), "{stderr}");
    // Who has seen enough closes the pipe: no error.
    let mut command = audit(cluster, User::Admin, &[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

fn what_cannot_be_read(cluster: &ControlPlane) {
    let (code, stdout, stderr) = run(audit(cluster, User::Webhook, &["-o", "json"]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("cannot list resource \"sourcescans\""), "{stderr}");
    assert!(stderr.contains("docs/doctor.md has a ClusterRole that gives that right"), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["errors"].as_array().map(Vec::len), Some(2), "{report}");

    // A port that was free a moment ago: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = fs::read_to_string(cluster.kubeconfig(User::Admin)).unwrap();
    let folder = Folder::new();
    fs::write(folder.join("kubeconfig"), text.replace(&cluster.ready.address, &format!("https://127.0.0.1:{port}")))
        .unwrap();
    let mut command = program(&["audit", "--kubeconfig"]);
    command.arg(folder.join("kubeconfig"));
    let (code, stdout, stderr) = run(command);
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("the API groups of the cluster cannot be read: "), "{stderr}");
    assert!(stderr.to_lowercase().contains("connection refused"), "{stderr}");
}
