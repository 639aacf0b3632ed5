//! The chart on a cluster: installation in mode audit, the steps to deny, an upgrade, a rollback and an uninstallation, while
//! controllers write without a pause.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::chart;
use crate::ca_rotation::scans;
use crate::controlplane::{ClusterError, ControlPlane, Kubectl, User, eventually};
use crate::helm::Helm;
use crate::installed::{generate, install_kinds};
use crate::nodes::Nodes;
use crate::replicas::client;
use crate::scan;
use crate::support::folder::Folder;

const WRITERS: usize = 2;
/// The writes that must follow each step, so that its effects reach some.
const WRITES_AFTER_STEP: usize = 50;

const NAMES_OF_WEBHOOKS: [&str; 4] = [
    "status.validate.scans.example.com",
    "spec.validate.scans.example.com",
    "status.mutate.scans.example.com",
    "create.mutate.scans.example.com",
];

/// A release on a cluster, and what writes to it.
struct Installation {
    nodes: Nodes,
    helm: Helm,
    writers: Vec<JoinHandle<Result<(), String>>>,
    is_over: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
}

pub fn no_write_is_lost() -> Result<(), ClusterError> {
    let one = Installation::new(Helm::new()?, ControlPlane::start()?);
    let folder = Folder::new();
    let port = format!("--set=service.port={}", one.nodes.port);
    let chart = chart();
    let chart = chart.to_str().unwrap();

    one.helm(&["install", "scan-admission", chart, "--create-namespace", "--set=mode=audit", &port]);
    assert_eq!(one.write_bad(), (true, String::new()), "in mode audit, findings are invisible");
    one.helm(&["test", "scan-admission", "--logs=false"]);
    let trust = one.trust();
    assert_eq!(trust.len(), 4);
    one.replicas_own_only_the_ca_bundles();

    one.helm(&["upgrade", "scan-admission", chart, "--reuse-values", "--set=mode=warn"]);
    eventually("the write is warned of", || {
        one.write_bad().1.contains("(not denied: the rule is set to").then_some(())
    });
    one.helm(&["upgrade", "scan-admission", chart, "--reuse-values", "--set=mode=deny", "--set=replicas=3"]);
    eventually("the write is denied", || (!one.write_bad().0).then_some(()));
    one.helm(&["test", "scan-admission", "--logs=false"]);

    let next = next_version(Path::new(chart), &folder);
    one.helm(&["upgrade", "scan-admission", &next, "--reuse-values", "--set=webhooks.status.timeoutSeconds=10"]);
    assert_eq!(one.image(), "scan-admission:0.2.0");
    one.helm(&["rollback", "scan-admission"]);
    assert_eq!(one.image(), concat!("scan-admission:", env!("CARGO_PKG_VERSION")));
    assert!(!one.write_bad().0);
    assert_eq!(one.trust(), trust, "an upgrade or a rollback has changed a caBundle");

    one.helm(&["uninstall", "scan-admission"]);
    assert_eq!(one.write_bad(), (true, String::new()));
    assert_eq!(one.left(), Vec::<String>::new());
    one.keeps_kinds(chart, &port);
    let written = one.stop();
    eprintln!("{written} writes, none lost");
    Ok(())
}

impl Installation {
    /// Starts the cluster with the kinds, and the writers.
    fn new(helm: Helm, cluster: ControlPlane) -> Self {
        let nodes = Nodes::start(cluster);
        let folder = Folder::new();
        generate(folder.path());
        install_kinds(&nodes.cluster, folder.path());
        nodes.cluster.namespace("scans", &json!({}));
        let users = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cluster/users.yaml");
        nodes.cluster.kubectl(User::Admin).args(["apply", "-f"]).args([&users]).run().ok();
        let helm = helm.on(&nodes.cluster);
        let (is_over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut one = Self { nodes, helm, writers: Vec::new(), is_over, written };
        for name in (0..WRITERS).map(|writer| format!("scan-{writer}")).chain(["bad".to_owned()]) {
            let scan = scan(&name).to_string();
            eventually("the kinds are served", || {
                let create = one.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan.as_str());
                (create.run().code == Some(0)).then_some(())
            });
        }
        one.writers = (0..WRITERS).map(|writer| one.writer(format!("scan-{writer}"))).collect();
        one
    }

    /// Writes consistent statuses until a write fails.
    fn writer(&self, name: String) -> JoinHandle<Result<(), String>> {
        let scans = scans(client(&self.nodes.runtime, &self.nodes.cluster, User::ScanController));
        let (is_over, written) = (self.is_over.clone(), self.written.clone());
        self.nodes.runtime.spawn(async move {
            while !is_over.load(Relaxed) {
                let number = written.fetch_add(1, Relaxed);
                let status = json!({"status": {"phase": "Pending", "message": number.to_string()}});
                let patch = scans.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await;
                patch.map_err(|error| format!("write {number}: {error}"))?;
            }
            Ok(())
        })
    }

    fn kubectl(&self, user: User) -> Kubectl {
        self.nodes.cluster.kubectl(user).args(["--namespace=scans"])
    }

    /// Runs Helm as its README says, and asserts that no write was lost while it ran and shortly after.
    #[track_caller]
    fn helm(&self, arguments: &[&str]) {
        let mut more = vec!["--namespace=scan-admission", "--timeout=5m"];
        if ["install", "upgrade", "rollback", "uninstall"].contains(&arguments[0]) {
            more.push("--wait");
        }
        if ["install", "upgrade"].contains(&arguments[0]) {
            more.push("--rollback-on-failure");
        }
        let printed = self.helm.run(arguments.iter().copied().chain(more));
        assert!(printed.is_success, "{}{}\n{}", printed.stdout, printed.stderr, self.nodes.log());
        // The notes name the next command.
        let notes = printed.stdout.split_once("\nNOTES:\n").map_or("", |(_, notes)| notes);
        let is_whole =
            notes.contains("helm upgrade scan-admission CHART --namespace scan-admission") && !notes.contains("{{");
        assert!(is_whole || !["install", "upgrade"].contains(&arguments[0]), "{}", printed.stdout);
        for _ in 0..WRITES_AFTER_STEP {
            let before = self.written.load(Relaxed);
            let is_over = || self.writers.iter().any(JoinHandle::is_finished);
            eventually("more is written", || (self.written.load(Relaxed) > before || is_over()).then_some(()));
        }
        assert!(!self.writers.iter().any(JoinHandle::is_finished), "{arguments:?} has lost a write");
    }

    /// Writes an inconsistent status. Returns whether it is allowed, and the warnings.
    fn write_bad(&self) -> (bool, String) {
        let patch = ["patch", "sourcescan", "bad", "--subresource=status", "--type=merge", "--dry-run=server"];
        let bad = r#"--patch={"status": {"phase": "Complete"}}"#;
        let printed = self.kubectl(User::ScanController).args(patch).args([bad]).run();
        (printed.code == Some(0), printed.stderr)
    }

    /// Returns the caBundle of each webhook.
    fn trust(&self) -> Vec<String> {
        self.webhooks("{.clientConfig.caBundle}")
    }

    /// Returns a field of each webhook.
    fn webhooks(&self, field: &str) -> Vec<String> {
        let get = ["get", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "scan-admission"];
        let fields = format!("-o=jsonpath={{range .items[*].webhooks[*]}}{field}{{'\\n'}}{{end}}");
        let printed = self.kubectl(User::Admin).args(get).args(["--ignore-not-found", &fields]).run();
        printed.ok().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// The page about GitOps says which fields differ from the manifests: those that the replicas own.
    fn replicas_own_only_the_ca_bundles(&self) {
        for kind in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
            let get = ["get", kind, "scan-admission", "--show-managed-fields", "-o=json"];
            let found: Value = serde_json::from_str(self.kubectl(User::Admin).args(get).run().ok()).unwrap();
            let managers = found["metadata"]["managedFields"].as_array().unwrap();
            let ours = managers.iter().find(|manager| manager["manager"] == "scan-admission").unwrap();
            let webhooks = ours["fieldsV1"]["f:webhooks"].as_object().unwrap();
            assert_eq!(ours["fieldsV1"].as_object().unwrap().len(), 1);
            for webhook in webhooks.values() {
                assert_eq!(*webhook, json!({".": {}, "f:name": {}, "f:clientConfig": {"f:caBundle": {}}}));
            }
            assert_eq!(
                managers.iter().map(|manager| &manager["manager"]).collect::<Vec<_>>(),
                ["helm", "scan-admission"]
            );
        }
    }

    fn image(&self) -> String {
        let get = ["get", "deployment", "scan-admission", "--namespace=scan-admission"];
        let image = "-o=jsonpath={.spec.template.spec.containers[0].image}";
        self.nodes.cluster.kubectl(User::Admin).args(get).args([image]).run().ok().to_owned()
    }

    /// Returns every object of the cluster with our name, except Events and the pods, which the nodes end.
    fn left(&self) -> Vec<String> {
        let admin = || self.nodes.cluster.kubectl(User::Admin);
        let kinds = admin().args(["api-resources", "--verbs=list", "--output=name"]).run();
        let is_listed = |kind: &&str| !kind.starts_with("events") && !kind.starts_with("pods");
        let kinds: Vec<&str> = kinds.ok().lines().filter(is_listed).collect();
        let list = ["get", "--all-namespaces", "--output=name", "--ignore-not-found", &kinds.join(",")];
        let printed = admin().args(list).run();
        let is_ours = |name: &&str| name.contains("scan-admission") && !name.starts_with("namespace/");
        printed.ok().lines().filter(is_ours).map(str::to_owned).collect()
    }

    /// Installs the kinds with the chart, and asserts that they and the scans outlive it. Before, the names of the webhooks and the
    /// source of the certificates are changed, and nothing else outlives that.
    fn keeps_kinds(&self, chart: &str, port: &str) {
        self.is_over.store(true, Relaxed);
        eventually("the writers end", || self.writers.iter().all(JoinHandle::is_finished).then_some(()));
        self.kubectl(User::Admin).args(["delete", "crd", "--all"]).run().ok();
        let set = ["--set=crds.install=true,mode=audit", port];
        let install = ["install", "scan-admission", chart, "--namespace=scan-admission", "--wait", "--timeout=5m"];
        self.helm.run(install.into_iter().chain(set)).ok();
        eventually("the kinds are served", || {
            let create = self.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("kept").to_string());
            (create.run().code == Some(0)).then_some(())
        });
        for (set, names) in [
            ("webhooks.enabled=false", vec![]),
            ("webhooks.enabled=true,webhooks.domain=scans.example.com", NAMES_OF_WEBHOOKS.to_vec()),
            ("certificates.source=secret", NAMES_OF_WEBHOOKS.to_vec()),
        ] {
            let upgrade = ["upgrade", "scan-admission", chart, "--namespace=scan-admission", "--wait", "--timeout=5m"];
            self.helm.run(upgrade.into_iter().chain(["--reuse-values", "--set", set])).ok();
            assert_eq!(self.webhooks("{.name}"), names, "{set}");
        }
        self.helm.run(["uninstall", "scan-admission", "--namespace=scan-admission", "--wait"]).ok();
        assert_eq!(self.left(), Vec::<String>::new());
        self.kubectl(User::Admin).args(["get", "sourcescan", "kept"]).run().ok();
    }

    /// Stops the writers, and returns the number of writes.
    fn stop(self) -> usize {
        for writer in self.writers {
            assert_eq!(self.nodes.runtime.block_on(writer).unwrap(), Ok(()));
        }
        self.written.load(Relaxed)
    }
}

/// Writes the chart as version 0.2.0.
fn next_version(chart: &Path, folder: &Folder) -> String {
    let next = folder.join("next");
    for entry in walkdir::WalkDir::new(chart) {
        let entry = entry.unwrap();
        let path = next.join(entry.path().strip_prefix(chart).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::copy(entry.path(), path).unwrap();
        }
    }
    let file = next.join("Chart.yaml");
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace(&format!("ersion: {}\n", env!("CARGO_PKG_VERSION")), "ersion: 0.2.0\n");
    fs::write(file, text).unwrap();
    next.to_str().unwrap().to_owned()
}
