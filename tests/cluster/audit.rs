//! Tests `audit` on a cluster that has scans and no webhook yet.

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

pub const TESTS: &[(&str, Test)] = &[("audit-finds-the-planted-errors", audit_finds_the_planted_errors)];

/// The number of scans, of both kinds together. The variable AUDIT_SCANS sets another number.
const SCANS: usize = 10_000;
const NAMESPACES: usize = 7;
/// The number of concurrent writes. The API server queues further ones.
const WRITERS: usize = 32;
/// Covers one page of the list and the unoptimised program. The measured peak was 24 MB for 2,000 scans and for 10,000.
const MEMORY_MAX_KB: u64 = 64 << 10;

/// An error that every n-th scan has: n, the rule, the field, and the change of the status.
type Planted = (usize, &'static str, &'static str, fn(&mut Value));

const PLANTED: &[Planted] = &[
    (97, "phase-unknown", "status.phase", |status| status["phase"] = json!("Done")),
    (193, "cve-total", "status.cveCount.total", |status| status["cveCount"]["total"] = json!(7)),
    (389, "metadata-url", "status.metadataUrl", |status| status["metadataUrl"] = json!("here")),
];

pub fn valid_status() -> Value {
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

/// Returns scan number n and the rules that it breaks.
pub fn planted(number: usize) -> (Value, Vec<(&'static str, &'static str)>) {
    let mut status = valid_status();
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

/// Creates this many scans, in [`NAMESPACES`] namespaces.
pub async fn write(client: Client, count: usize) {
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

/// Runs the command and returns its report and its highest resident memory.
fn run_and_measure(mut command: Command) -> (Value, u64) {
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

fn audit_finds_the_planted_errors(_: &Namespace<'_>) {
    let cluster = ControlPlane::start().unwrap_or_else(|error| panic!("{error:?}"));
    let folder = Folder::new();
    let (code, stdout, stderr) = run(audit(&cluster, User::Admin, &[]));
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("this cluster has neither SourceScans nor ImageScans"), "{stderr}");

    // Without a status subresource, a scan is created together with its status.
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

    let (report, peak) = run_and_measure(audit(&cluster, User::Admin, &["-o", "json"]));
    eprintln!("{count} scans, at most {peak} kB");
    assert!(peak > 0 && peak < MEMORY_MAX_KB, "{peak} kB");
    assert_only_planted_errors(&report, count);
    assert_same_findings_as_check(&cluster, &report);
    assert_modes_apply(&cluster, &folder);
    assert_text_output(&cluster, &report);
    assert_reports(&cluster, &folder, &report);
    assert_unreadable_clusters_are_errors(&cluster);
}

fn assert_only_planted_errors(report: &Value, count: usize) {
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

/// `check` must report the same findings with the same messages; only the positions in the file differ.
fn assert_same_findings_as_check(cluster: &ControlPlane, report: &Value) {
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

/// With rules set to warn, nothing is denied in the namespaces that the setting applies to.
fn assert_modes_apply(cluster: &ControlPlane, folder: &Folder) {
    let modes = r#"{"phase-unknown": warn, "cve-total": "off", "metadata-url": audit}"#;
    let path = folder.join("config.yaml");
    let config = path.to_str().unwrap();
    // As README.md recommends for the start.
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

fn assert_text_output(cluster: &ControlPlane, report: &Value) {
    let (code, stdout, stderr) = run(audit(cluster, User::Admin, &[]));
    assert_eq!(code, Some(1), "{stderr}");
    let (lines, table) = stdout.split_once("\n\n").unwrap();
    assert_eq!(lines.lines().count(), report["findings"].as_array().unwrap().len());
    let line = "error: team-0/scan-0 SourceScan status.phase: Unsupported value: \"Done\": supported \
                values: \"Pending\", \"Scanning\", \"Completed\", \"Failed\", \"Error\" [phase-unknown]";
    assert!(lines.lines().any(|found| found == line), "{lines}");
    assert!(table.starts_with("NAMESPACE  RULE "), "{table}");
    let (table, origins) = table.split_once("\n\n").unwrap();
    assert_eq!(table.lines().count(), report["rules"].as_array().unwrap().len() + 1);
    assert_origins(cluster, report, origins);
    assert!(!stderr.contains('\r'), "no progress unless stderr is a terminal: {stderr}");
    assert!(stderr.ends_with(" clean\n"), "{stderr}");
    // A reader that closes the pipe early causes no error.
    let mut command = audit(cluster, User::Admin, &[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

/// Findings are grouped by the manager that the API server has recorded, and by the template of the scan.
fn assert_origins(cluster: &ControlPlane, report: &Value, text: &str) {
    let arguments = ["get", "sourcescan", "scan-0", "--namespace=team-0", "--show-managed-fields", "-o", "json"];
    let stored = cluster.kubectl(User::Admin).args(arguments).run();
    let stored: Value = serde_json::from_str(stored.ok()).unwrap();
    let of = |keys: [&str; 2]| {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.filter(|finding| keys == ["scanTemplate", "manager"].map(|key| finding[key].as_str().unwrap())).count()
    };
    let origins = report["origins"].as_array().unwrap();
    let mut total = 0;
    for origin in origins {
        let keys = ["scanTemplate", "manager"].map(|key| origin[key].as_str().unwrap());
        assert_eq!(origin["findings"], of(keys), "{origin}");
        assert_eq!(origin["manager"], stored["metadata"]["managedFields"][0]["manager"], "{origin}");
        total += of(keys);
    }
    assert_eq!(total, report["findings"].as_array().unwrap().len());
    assert!(origins.iter().any(|origin| origin["scanTemplate"] == stored["spec"]["scanTemplate"]), "{origins:?}");
    let times = [&origins[0]["since"], &stored["metadata"]["managedFields"][0]["time"]].map(|it| it.as_str().unwrap());
    assert!(times[0] <= times[1], "{times:?}");
    let [findings, template, manager, since] =
        ["findings", "scanTemplate", "manager", "since"].map(|key| origins[0][key].to_string().replace('"', ""));
    let first =
        format!("{findings} of {total} findings come from ScanTemplate {template}, manager {manager}, since {since}");
    assert_eq!(text.lines().next(), Some(first.as_str()));
    assert_eq!(text.lines().count(), origins.len());
}

/// Several reports are written in one run. A scan of a cluster has no file, so its namespace is the suite of JUnit.
fn assert_reports(cluster: &ControlPlane, folder: &Folder, report: &Value) {
    let [json, junit, markdown] = ["json", "junit", "markdown"].map(|format| folder.join(format));
    let outputs = [&json, &junit, &markdown].map(|file| {
        let format = file.file_name().unwrap().to_str().unwrap();
        format!("{format}={}", file.display())
    });
    let arguments: Vec<&str> = outputs.iter().flat_map(|output| ["-o", output]).collect();
    let (code, stdout, stderr) = run(audit(cluster, User::Admin, &arguments));
    assert_eq!((code, stdout), (Some(1), run(audit(cluster, User::Admin, &[])).1), "{stderr}");
    assert_eq!(&serde_json::from_slice::<Value>(&fs::read(json).unwrap()).unwrap(), report);
    let junit = fs::read_to_string(junit).unwrap();
    let scans = report["counts"]["scans"].as_u64().unwrap();
    assert!(junit.contains(&format!("<testsuites name=\"scan-admission\" tests=\"{scans}\"")), "{junit}");
    assert_eq!(junit.matches("<testsuite ").count(), NAMESPACES, "{junit}");
    let markdown = fs::read_to_string(markdown).unwrap();
    assert!(markdown.starts_with(&format!("### scan-admission: {scans} scans: ")), "{markdown}");
    assert!(markdown.contains(" findings come from ScanTemplate "), "{markdown}");
    assert!(markdown.contains("| `SourceScan team-0/scan-0` |  | :x: `status"), "{markdown}");
    // The other formats need a place in a file.
    for format in ["sarif", "github"] {
        let (code, stdout, stderr) = run(audit(cluster, User::Admin, &["-o", format]));
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains("where FORMAT is one of text, json, junit, markdown"), "{stderr}");
    }
}

fn assert_unreadable_clusters_are_errors(cluster: &ControlPlane) {
    let (code, stdout, stderr) = run(audit(cluster, User::Webhook, &["-o", "json"]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("cannot list resource \"sourcescans\""), "{stderr}");
    assert!(stderr.contains("docs/doctor.md has a ClusterRole that grants this right"), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["errors"].as_array().map(Vec::len), Some(2), "{report}");

    // A port that was free a moment ago, so no process listens on it.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = fs::read_to_string(cluster.kubeconfig(User::Admin)).unwrap();
    let folder = Folder::new();
    fs::write(folder.join("kubeconfig"), text.replace(&cluster.ready().address, &format!("https://127.0.0.1:{port}")))
        .unwrap();
    let mut command = program(&["audit", "--kubeconfig"]);
    command.arg(folder.join("kubeconfig"));
    let (code, stdout, stderr) = run(command);
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("the API groups of the cluster cannot be read: "), "{stderr}");
    assert!(stderr.to_lowercase().contains("connection refused"), "{stderr}");
}
