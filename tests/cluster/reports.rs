//! Tests `audit --watch` and its reports.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, thread};

use scan_admission::cluster::scan_report::ReportApi;
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};

use crate::Test;
use crate::audit::{planted, valid_status, write};
use crate::controlplane::{ControlPlane, Kubectl, Namespace, User, eventually};
use crate::faulty_proxy::FaultyProxy;
use crate::installed::{generate, program};
use crate::replicas::client;
use crate::requests_and_answers::with;
use crate::support::folder::Folder;
use crate::support::http::get;
use crate::support::process::read_line;
use crate::support::waits::metric;

pub const TESTS: &[(&str, Test)] = &[
    ("reports-follow-their-scans", reports_follow_their_scans),
    ("reports-survive-a-faulty-api-server", reports_survive_a_faulty_api_server),
    ("reports-of-many-scans", reports_of_many_scans),
];

const APIS: [ReportApi; 2] = [ReportApi::Openreports, ReportApi::Policyreport];
const TEAM: &str = "team-0";

/// The number of scans of `reports-of-many-scans`. The variable WATCH_SCANS sets another number.
const SCANS: usize = 5_000;
/// The limits for 100,000 scans on two cores.
const FIRST_PASS_MAX: Duration = Duration::from_secs(60);
const MEMORY_MAX_KB: u64 = 96 << 10;

/// The Go module with the CustomResourceDefinitions of openreports.io, and its checksum.
const OPENREPORTS: &str = "github.com/openreports/reports-api@v0.2.1";
const OPENREPORTS_SUM: &str = "h1:g9KS3yle9Y1elmww4TK9EkD1rl6inIaiIJPX6e+u680=";

/// Returns the CustomResourceDefinition of an API of reports. None is part of this repository: that of openreports.io is
/// downloaded as a Go module, and the variable REPORT_CRDS names the folder of the other.
fn report_definition(api: ReportApi) -> Option<PathBuf> {
    let path = match api {
        ReportApi::Openreports => {
            let go = env::var_os("GO").unwrap_or_else(|| "go".into());
            let arguments = ["mod", "download", "-json", OPENREPORTS];
            let output = Command::new(go).args(arguments).current_dir(env::temp_dir()).output().unwrap();
            let module: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let Some(folder) = module["Dir"].as_str() else {
                eprintln!(
                    "skipped: {OPENREPORTS} cannot be downloaded: {module}{}",
                    String::from_utf8_lossy(&output.stderr)
                );
                return None;
            };
            assert_eq!(module["Sum"], OPENREPORTS_SUM);
            Path::new(folder).join("config/crd/openreports.io_reports.yaml")
        }
        ReportApi::Policyreport => {
            let folder = env::var_os("REPORT_CRDS").map(PathBuf::from);
            let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/crds"));
            folder.join("wgpolicyk8s.io_policyreports.yaml")
        }
    };
    if !path.exists() {
        eprintln!("skipped: {} is missing; name its folder in REPORT_CRDS", path.display());
    }
    path.exists().then_some(path)
}

/// A cluster with the kinds, without a webhook.
struct ReportCluster {
    cluster: ControlPlane,
    folder: Folder,
    runtime: Runtime,
}

impl ReportCluster {
    fn start() -> Self {
        let cluster = ControlPlane::start().unwrap_or_else(|error| panic!("{error:?}"));
        let folder = Folder::new();
        generate(folder.path());
        // Without a status subresource, a scan is created together with its status.
        for kind in ["sourcescans", "imagescans"] {
            let path = folder.join(&format!("base/crds/{kind}.yaml"));
            let text = fs::read_to_string(&path).unwrap().replace("    subresources:\n      status: {}\n", "");
            cluster.kubectl(User::Admin).args(["apply", "-f", "-"]).input(text).run().ok();
        }
        for file in ["base/namespace.yaml", "reports/rbac.yaml"] {
            cluster.kubectl(User::Admin).args(["apply", "-f"]).args([folder.join(file)]).run().ok();
        }
        for number in 0..7 {
            cluster.namespace(&format!("team-{number}"), &json!({}));
        }
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let started = Self { cluster, folder, runtime };
        started.wait_for_kinds();
        eventually("the kinds are served", || {
            let names = started.admin().args(["get", "sourcescans,imagescans", "-o", "name"]).run();
            (names.code == Some(0)).then_some(())
        });
        started
    }

    fn install(&self, definition: &Path) {
        self.admin().args(["apply", "-f"]).args([definition]).run().ok();
        self.wait_for_kinds();
    }

    fn wait_for_kinds(&self) {
        let wait = ["wait", "--for=condition=Established", "--timeout=30s", "--all", "crd"];
        self.admin().args(wait).run().ok();
    }

    fn admin(&self) -> Kubectl {
        self.cluster.kubectl(User::Admin).args(["--namespace", TEAM])
    }

    /// Writes a scan with this phase: an ImageScan if its name begins with `image`.
    fn put(&self, name: &str, phase: &str) {
        let mut status = valid_status();
        status["phase"] = json!(phase);
        let mut scan = with(name, json!({"status": status}));
        if name.starts_with("image") {
            scan["kind"] = json!("ImageScan");
            scan["spec"] = json!({"registry": {"image": "example.com/a:1"}, "scanTemplate": "template"});
        }
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.admin().args(apply).input(scan.to_string()).run().ok();
    }

    fn delete(&self, name: &str) {
        let kind = if name.starts_with("image") { "imagescan" } else { "sourcescan" };
        self.admin().args(["delete", kind, name]).run().ok();
    }

    /// Returns the reports by the name of their scan.
    fn reports(&self, api: ReportApi) -> BTreeMap<String, Value> {
        let list = self.admin().args(["get", api.plural(), "-A", "-o", "json"]).run();
        let list: Value = serde_json::from_str(list.ok()).unwrap();
        let reports = list["items"].as_array().unwrap().iter();
        reports.map(|report| (report["scope"]["name"].as_str().unwrap().to_owned(), report.clone())).collect()
    }

    /// Waits until there are reports of exactly these scans.
    #[track_caller]
    fn wait_for(&self, api: ReportApi, scans: &[&str]) -> BTreeMap<String, Value> {
        let mut last = BTreeMap::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("the reports are those of the scans", || {
                last = self.reports(api);
                last.keys().eq(scans).then(|| last.clone())
            })
        }));
        found.unwrap_or_else(|_| panic!("{scans:?} should have reports: {last:#?}"))
    }

    /// Returns how often the program has written a report: created, changed or deleted it.
    fn writes(&self, report: &Value) -> usize {
        let is_write = |event: &&Value| {
            event["objectRef"]["name"] == report["metadata"]["name"]
                && ["create", "patch", "update", "delete"].iter().any(|verb| event["verb"] == *verb)
                && event["user"]["username"] == User::Reports.username()
                && event["stage"] == "ResponseComplete"
        };
        self.cluster.audit().iter().filter(is_write).count()
    }

    fn watch(&self, api: ReportApi, errors: &str) -> Watcher {
        let mut command = watch_command(self.cluster.kubeconfig(User::Reports));
        command.args(["--reports", name(api)]);
        Watcher::start(command, self.folder.join(errors))
    }
}

fn name(api: ReportApi) -> &'static str {
    match api {
        ReportApi::Openreports => "openreports",
        ReportApi::Policyreport => "policyreport",
    }
}

fn watch_command(kubeconfig: &Path) -> Command {
    let mut command = program(&["audit", "--watch", "--admin=127.0.0.1:0", "--kubeconfig"]);
    command.arg(kubeconfig);
    command
}

/// A running `audit --watch`.
struct Watcher {
    child: Child,
    admin: SocketAddr,
    errors: PathBuf,
}

impl Watcher {
    fn start(mut command: Command, errors: PathBuf) -> Self {
        let stderr = File::create(&errors).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let line = read_line(&mut child);
        let admin = line.trim().strip_prefix("ready: health and metrics on http://");
        let admin = admin.unwrap_or_else(|| panic!("{line:?} {}", fs::read_to_string(&errors).unwrap()));
        Self { admin: admin.parse().unwrap(), child, errors }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    fn metric(&self, runtime: &Runtime, name: &str) -> Option<f64> {
        runtime.block_on(metric(self.admin, &format!("scan_admission_{name}")))
    }

    fn is_ready(&self, runtime: &Runtime) -> bool {
        runtime.block_on(get(self.admin, "/readyz")).code == 200
    }

    /// Returns a figure of /proc/PID/status, in kB.
    fn memory_kb(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap()
    }

    /// Stops the program as a kubelet does.
    fn stop(mut self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        let status = eventually("the program stops", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the log of the program:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reports_follow_their_scans(_: &Namespace<'_>) {
    let cluster = ReportCluster::start();
    let mut tested = 0;
    for api in APIS {
        let Some(definition) = report_definition(api) else { continue };
        tested += 1;
        assert_missing_kind_is_an_error(&cluster, api);
        cluster.install(&definition);
        let watcher = assert_reports_follow_changes(&cluster, api);
        let watcher = assert_restarts_write_nothing(&cluster, api, watcher);
        assert_edits_are_undone(&cluster, api);
        assert_replicas_write_the_same(&cluster, api);
        watcher.stop();
        for scan in cluster.reports(api).keys() {
            cluster.delete(scan);
        }
    }
    let rights = cluster.cluster.rights(User::Reports);
    assert!(rights.denied.is_empty(), "{rights:?}");
    if tested == APIS.len() {
        // Lists are for API servers without streaming lists. An apply that creates an object needs the right to create, but
        // is recorded as a patch.
        let is_known = |right: &&String| right.contains(": list ") || right.contains(": create ");
        let unused: Vec<_> = rights.unused.iter().filter(|right| !is_known(right)).collect();
        assert!(unused.is_empty(), "{unused:?}");
    }
    assert_component_is_an_overlay(&cluster);
}

/// The component adds its objects to the base, with the image of the overlay.
fn assert_component_is_an_overlay(cluster: &ReportCluster) {
    let overlay = cluster.folder.join("mine");
    fs::create_dir(&overlay).unwrap();
    let text = "resources: [../base]\ncomponents: [../reports]\nimages: [{name: scan-admission, newName: example.com/a, newTag: b}]\n";
    fs::write(overlay.join("kustomization.yaml"), text).unwrap();
    let built = cluster.admin().args(["kustomize"]).args([&overlay]).run();
    assert_eq!(built.ok().matches("image: example.com/a:b\n").count(), 2, "{built:?}");
    // The API server accepts every object of the component.
    for file in ["rbac.yaml", "deployment.yaml", "networkpolicy.yaml"] {
        let apply = ["apply", "--dry-run=server", "-n", "scan-admission", "-f"];
        cluster.cluster.kubectl(User::Admin).args(apply).args([cluster.folder.join("reports").join(file)]).run().ok();
    }
}

fn assert_missing_kind_is_an_error(cluster: &ReportCluster, api: ReportApi) {
    let mut command = watch_command(cluster.cluster.kubeconfig(User::Reports));
    let output = command.args(["--reports", name(api)]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let missing = format!("this cluster has no {} of {}", api.kind(), api.version());
    assert!(stderr.contains(&missing) && stderr.contains("install the CustomResourceDefinition"), "{stderr}");
}

/// A scan is broken, repaired, deleted and renamed.
fn assert_reports_follow_changes(cluster: &ReportCluster, api: ReportApi) -> Watcher {
    cluster.put("bad", "Done");
    cluster.put("clean", "Completed");
    let watcher = cluster.watch(api, &format!("{}-1", name(api)));
    let report = cluster.wait_for(api, &["bad"]).remove("bad").unwrap();
    assert_report(cluster, api, &report);
    cluster.put("bad", "Completed");
    cluster.wait_for(api, &[]);
    cluster.put("bad", "Done");
    cluster.wait_for(api, &["bad"]);
    // Kubernetes renames nothing: the scan is created again, and deleted.
    cluster.put("renamed", "Done");
    cluster.delete("bad");
    let renamed = cluster.wait_for(api, &["renamed"]).remove("renamed").unwrap();
    assert_ne!(renamed["metadata"]["name"], report["metadata"]["name"]);
    // The same name, but another scan.
    cluster.delete("renamed");
    cluster.put("renamed", "Done");
    eventually("the report is that of the new scan", || {
        let report = cluster.reports(api).remove("renamed")?;
        (report["metadata"]["name"] != renamed["metadata"]["name"] && cluster.reports(api).len() == 1).then_some(())
    });
    cluster.put("image", "Done");
    cluster.wait_for(api, &["image", "renamed"]);
    cluster.delete("image");
    cluster.wait_for(api, &["renamed"]);
    watcher
}

/// The report has the findings of `audit`.
fn assert_report(cluster: &ReportCluster, api: ReportApi, report: &Value) {
    let scan: Value =
        serde_json::from_str(cluster.admin().args(["get", "sourcescan", "bad", "-o", "json"]).run().ok()).unwrap();
    let uid = scan["metadata"]["uid"].as_str().unwrap();
    let mut owner = json!({"apiVersion": scan["apiVersion"], "kind": "SourceScan", "name": "bad", "uid": uid});
    assert_eq!(report["metadata"]["name"], format!("scan-admission-{uid}"));
    assert_eq!(report["metadata"]["namespace"], TEAM);
    assert_eq!(report["metadata"]["labels"], json!({"app.kubernetes.io/managed-by": "scan-admission"}));
    assert_eq!(report["metadata"]["ownerReferences"], json!([owner]));
    owner["namespace"] = json!(TEAM);
    assert_eq!(report["scope"], owner);
    assert_eq!((&report["apiVersion"], &report["kind"]), (&json!(api.version()), &json!(api.kind())));

    let mut audit = program(&["audit", "-o", "json", "--kubeconfig"]);
    let audit = audit.arg(cluster.cluster.kubeconfig(User::Admin)).output().unwrap();
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
    let findings = audit["findings"].as_array().unwrap().iter().filter(|finding| finding["name"] == "bad");
    let due: Vec<Value> = findings
        .map(|finding| {
            let is_denied = finding["action"] == "deny";
            json!({
                "source": "scan-admission", "policy": finding["rule"], "category": "Scan status",
                "severity": if finding["severity"] == "error" { "high" } else { "low" },
                "result": if is_denied { "fail" } else { "warn" },
                "message": finding["message"],
                "properties": {
                    "path": finding["path"], "manager": "kubectl", "template": scan["spec"]["scanTemplate"],
                },
            })
        })
        .collect();
    assert!(!due.is_empty(), "{audit}");
    assert_eq!(report["results"], json!(due));
    let count = |result: &str| due.iter().filter(|found| found["result"] == result).count();
    let summary = json!({"pass": 0, "fail": count("fail"), "warn": count("warn"), "error": 0, "skip": 0});
    assert_eq!(report["summary"], summary);
}

/// After a restart, only what has changed in between is written. Returns the new process.
fn assert_restarts_write_nothing(cluster: &ReportCluster, api: ReportApi, watcher: Watcher) -> Watcher {
    cluster.put("gone", "Done");
    let before = cluster.wait_for(api, &["gone", "renamed"]);
    watcher.stop();
    let writes = cluster.writes(&before["renamed"]);
    assert_eq!(writes, 1);
    // No garbage collector runs in this cluster.
    cluster.delete("gone");
    cluster.put("clean", "Done");
    let watcher = cluster.watch(api, &format!("{}-2", name(api)));
    let after = cluster.wait_for(api, &["clean", "renamed"]);
    assert_eq!(after["renamed"]["metadata"]["resourceVersion"], before["renamed"]["metadata"]["resourceVersion"]);
    assert_eq!(cluster.writes(&before["renamed"]), writes);
    watcher
}

/// A report that another client has edited or deleted is written again.
fn assert_edits_are_undone(cluster: &ReportCluster, api: ReportApi) {
    let before = cluster.reports(api).remove("renamed").unwrap();
    let report = before["metadata"]["name"].as_str().unwrap();
    let edit = r#"{"results": [{"policy": "another"}]}"#;
    cluster.admin().args(["patch", api.plural(), report, "--type=merge", "--patch", edit]).run().ok();
    eventually("the edit is undone", || {
        (cluster.reports(api).get("renamed")?["results"] == before["results"]).then_some(())
    });
    cluster.admin().args(["delete", api.plural(), report]).run().ok();
    cluster.wait_for(api, &["clean", "renamed"]);
}

/// With a second replica, each report is stored once, and none is written while nothing changes.
fn assert_replicas_write_the_same(cluster: &ReportCluster, api: ReportApi) {
    let second = cluster.watch(api, &format!("{}-3", name(api)));
    eventually("the second replica is ready", || second.is_ready(&cluster.runtime).then_some(()));
    let quiet = cluster.reports(api);
    let writes: Vec<usize> = quiet.values().map(|report| cluster.writes(report)).collect();
    let mut all = vec!["clean", "renamed"];
    // Each replica applies the report of a new scan after everything that came before.
    for scan in ["two-1", "two-2", "two-3"] {
        all.push(scan);
        cluster.put(scan, "Done");
        let report = cluster.wait_for(api, &all).remove(scan).unwrap();
        assert_eq!(report["metadata"]["generation"], 1, "{report}");
        eventually("both replicas have applied the report or seen that it is stored", || {
            let queued = second.metric(&cluster.runtime, "reports_queued")?;
            let reports = second.metric(&cluster.runtime, "reports")?;
            (queued == 0.0 && reports == all.len() as f64).then_some(())
        });
    }
    let after = cluster.reports(api);
    assert_eq!(quiet.values().map(|report| cluster.writes(report)).collect::<Vec<_>>(), writes);
    for report in after.values() {
        let name = &report["metadata"]["name"];
        let managers = cluster.admin().args(["get", api.plural(), name.as_str().unwrap(), "--show-managed-fields"]);
        let stored: Value = serde_json::from_str(managers.args(["-o", "json"]).run().ok()).unwrap();
        let ours = stored["metadata"]["managedFields"].as_array().unwrap().iter();
        assert_eq!(ours.filter(|entry| entry["manager"] == "scan-admission").count(), 1, "{stored}");
    }
    second.stop();
}

fn expired() -> (u16, String) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
        "reason": "Expired", "message": "too old resource version: 1 (2)"});
    (200, format!("{}\n", json!({"type": "ERROR", "object": status})))
}

fn denied(code: u16, reason: &str) -> (u16, String) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": format!("the proxy says {reason}")});
    (code, status.to_string())
}

/// Returns a fault that applies to the first request that contains each of these texts.
fn once(texts: &'static [&'static str], answer: (u16, String)) -> impl Fn(&str, &str) -> Option<(u16, String)> {
    let used: Mutex<Vec<bool>> = Mutex::new(vec![false; texts.len()]);
    move |method, uri| {
        let request = format!("{method} {uri}");
        let index = texts.iter().position(|text| text.split('*').all(|part| request.contains(part)))?;
        let is_used = std::mem::replace(&mut used.lock().unwrap()[index], true);
        (!is_used).then(|| answer.clone())
    }
}

fn reports_survive_a_faulty_api_server(_: &Namespace<'_>) {
    let Some((api, definition)) = APIS.iter().find_map(|api| Some((*api, report_definition(*api)?))) else { return };
    let cluster = ReportCluster::start();
    cluster.install(&definition);
    let runtime = cluster.runtime.handle();
    let proxy = FaultyProxy::start(runtime, client(&cluster.runtime, &cluster.cluster, User::Admin));
    let kubeconfig = cluster.folder.join("proxy");
    proxy.write_kubeconfig(&kubeconfig);

    // Without streaming lists, the scans are listed in pages of 250.
    runtime.block_on(write(client(&cluster.runtime, &cluster.cluster, User::Admin), 700));
    let bad = (0..700).filter(|number| !planted(*number).1.is_empty()).count();
    proxy.set_fault(|_, uri| uri.contains("sendInitialEvents").then(|| denied(422, "Invalid")));
    let mut command = watch_command(&kubeconfig);
    command.args(["--reports", name(api)]);
    let watcher = Watcher::start(command, cluster.folder.join("faulty"));
    let has_reports = |count: usize| {
        eventually("the reports are written", || (cluster.reports(api).len() == count).then_some(()));
    };
    has_reports(bad);
    let pages = proxy.requests().iter().filter(|(_, request)| request.contains("limit=250&continue=")).count();
    assert_eq!(pages, 2, "350 scans of each kind");
    assert_eq!(watcher.metric(&cluster.runtime, "watch_failures_total"), Some(0.0), "{}", watcher.log());

    // The versions that the watches continue with are gone. Meanwhile a scan is repaired, and another one is broken.
    proxy.set_fault(|_, uri| {
        let is_watch = uri.contains("watch=true") && !uri.contains("sendInitialEvents");
        // Scans and reports.
        let is_list = uri.contains("scans?") || uri.contains("reports?");
        is_watch.then(expired).or_else(|| is_list.then(|| denied(503, "ServiceUnavailable")))
    });
    proxy.cut();
    // The first failure is the connection that was cut.
    let gone = ["sourcescans", "imagescans", api.plural()]
        .map(|plural| format!("the {plural} cannot be watched: the API server no longer has the changes"));
    eventually("the watches have failed", || {
        let log = watcher.log();
        gone.iter().all(|line| log.contains(line)).then_some(())
    });
    cluster.put("scan-0", "Completed");
    cluster.put("new", "Done");
    proxy.set_fault(|_, _| None);
    eventually("the reports are those of the scans", || {
        let reports = cluster.reports(api);
        (!reports.contains_key("scan-0") && reports.contains_key("new") && reports.len() == bad).then_some(())
    });
    let log = watcher.log();
    gone.iter().for_each(|line| assert_eq!(log.matches(line).count(), 1, "{line}: {log}"));

    // The API server asks for less, both to read and to write.
    let texts = &["GET */sourcescans/slow", "PATCH *scan-admission-"];
    let before = proxy.requests().len();
    proxy.set_fault(once(texts, denied(429, "TooManyRequests")));
    cluster.put("slow", "Done");
    has_reports(bad + 1);
    for text in *texts {
        let requests = proxy.requests().split_off(before);
        let slow = requests.iter().filter(|(_, request)| text.split('*').all(|part| request.contains(part)));
        let times: Vec<Instant> = slow.map(|(at, _)| *at).collect();
        assert!(times[1] - times[0] >= Duration::from_secs(1), "{text}: {times:?}");
    }
    assert_eq!(watcher.metric(&cluster.runtime, "report_writes_total{result=\"failed\"}"), Some(0.0));

    // The API server is away, and returns.
    proxy.stop(runtime);
    eventually("the watches have noticed", || {
        watcher.log().to_lowercase().contains("connection refused").then_some(())
    });
    assert!(watcher.is_ready(&cluster.runtime));
    cluster.delete("slow");
    cluster.put("late", "Done");
    proxy.resume(runtime);
    eventually("the reports are those of the scans", || {
        let reports = cluster.reports(api);
        (!reports.contains_key("slow") && reports.contains_key("late")).then_some(())
    });
    eventually("the log says so", || watcher.log().contains("the sourcescans are watched again").then_some(()));
    let log = watcher.log();
    let is_away =
        |line: &&str| line.contains("sourcescans cannot") && line.to_lowercase().contains("connection refused");
    assert_eq!(log.lines().filter(is_away).count(), 1, "{log}");
    assert!(!log.contains("kube_client"), "{log}");
    watcher.stop();
}

fn reports_of_many_scans(_: &Namespace<'_>) {
    let Some((api, definition)) = APIS.iter().find_map(|api| Some((*api, report_definition(*api)?))) else { return };
    let cluster = ReportCluster::start();
    cluster.install(&definition);
    let count = env::var("WATCH_SCANS").map_or(SCANS, |count| count.parse().unwrap());
    let admin = client(&cluster.runtime, &cluster.cluster, User::Admin);
    cluster.runtime.block_on(write(admin, count));
    let bad = (0..count).filter(|number| !planted(*number).1.is_empty()).count();

    let started = Instant::now();
    let watcher = cluster.watch(api, "many-1");
    let wait = |what: &str, done: &dyn Fn(&Watcher) -> bool, watcher: &Watcher| {
        let start = Instant::now();
        while !done(watcher) {
            assert!(start.elapsed() < Duration::from_secs(600), "{what}: {}", watcher.log());
            // Each look at the metrics adds up all scans.
            thread::sleep(Duration::from_millis(200));
        }
    };
    wait("ready", &|watcher| watcher.is_ready(&cluster.runtime), &watcher);
    let first_pass = started.elapsed();
    let metric = |watcher: &Watcher, name: &str| watcher.metric(&cluster.runtime, name).unwrap();
    let has_reports = |watcher: &Watcher| metric(watcher, "reports") == bad as f64;
    wait(
        "the reports are written",
        &|watcher| has_reports(watcher) && metric(watcher, "reports_queued") == 0.0,
        &watcher,
    );
    let applied = "report_writes_total{result=\"applied\"}";
    assert_eq!(metric(&watcher, applied), bad as f64);
    let peak = watcher.memory_kb("VmHWM");
    eprintln!(
        "{count} scans: first pass {first_pass:.1?}, {bad} reports after {:.1?}, at most {peak} kB, then {} kB; log: {:?}",
        started.elapsed(),
        watcher.memory_kb("VmRSS"),
        watcher.log()
    );
    assert!(first_pass < FIRST_PASS_MAX && peak < MEMORY_MAX_KB);
    let scans: f64 = ["SourceScan", "ImageScan"]
        .iter()
        .flat_map(|kind| ["Completed", "other"].map(|phase| format!("scans{{kind=\"{kind}\",phase=\"{phase}\"}}")))
        .map(|name| metric(&watcher, &name))
        .sum();
    assert_eq!(scans, count as f64);
    watcher.stop();

    // A restart writes nothing. The report of a new scan comes after all others.
    let watcher = cluster.watch(api, "many-2");
    wait("ready", &|watcher| watcher.is_ready(&cluster.runtime), &watcher);
    cluster.put("last", "Done");
    wait("the last report is written", &|watcher| metric(watcher, "reports") == (bad + 1) as f64, &watcher);
    assert_eq!(metric(&watcher, applied), 1.0);
    watcher.stop();
}
