//! The cluster with our webhooks, installed from the real manifests. They apply to all namespaces except those of tests
//! that register webhooks of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::controlplane::{ClusterError, ControlPlane, Namespace, User, eventually};
use crate::support::folder::Folder;
use crate::support::process::Process;
use crate::support::program;
use crate::{Hooks, Test, scan};

pub const TESTS: &[(&str, Test)] =
    &[("the-readme-shows-the-messages-of-kubectl", the_readme_shows_the_messages_of_kubectl)];

/// The label of the namespaces that our webhooks do not apply to.
pub const OWN: &str = "tests.scan-admission.dev/own-webhooks";

pub struct Installed {
    cluster: ControlPlane,
    /// Stops when this value is dropped.
    _server: Process,
    _folder: Folder,
}

impl Installed {
    /// Starts the cluster and installs the kinds, the users of the tests, and our webhooks.
    pub fn new() -> Result<Installed, ClusterError> {
        let cluster = ControlPlane::start()?;
        let folder = Folder::new();
        // Starts the program as the Deployment does, with the webhook's identity. It finds no objects yet, and waits
        // for them.
        let server = Process::start(replica(&cluster, &folder, "60s"), folder.join("errors"));
        install(&cluster, &folder, server.address.port())?;
        // "There can be a delay between when CustomResourceDefinitions are created and when they are available", a new
        // configuration takes effect some milliseconds after it is written, and the webhook has to make its
        // certificate.
        let bad = json!({"apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": "SourceScan",
            "metadata": {"name": "bad"}, "status": {"phase": "Completed"}});
        eventually("both webhooks answer", || {
            let create = cluster
                .kubectl(User::Admin)
                .args(["create", "--dry-run=server", "-f", "-"])
                .input(bad.to_string())
                .run();
            (create.stderr.contains("[scan-target]") && create.stderr.contains("[status-on-create]")).then_some(())
        });
        Ok(Installed { cluster, _server: server, _folder: folder })
    }

    /// Creates a namespace for one test.
    pub fn namespace(&self, name: &str, hooks: Hooks) -> Namespace<'_> {
        let labels = if hooks == Hooks::Own { json!({OWN: ""}) } else { json!({}) };
        self.cluster.namespace(name, &labels)
    }
}

/// Applies what a user of the manifests applies: the users of the tests, the kinds, and the webhooks, which are called
/// at this port.
pub fn install(cluster: &ControlPlane, folder: &Folder, port: u16) -> Result<(), ClusterError> {
    let users = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cluster/users.yaml");
    let overlay = overlay(folder.path(), port);
    let admin = || cluster.kubectl(User::Admin);
    for call in [
        admin().args(["apply", "-f"]).args([&users]),
        admin().args(["apply", "-k"]).args([folder.join("manifests/base/crds")]),
        admin().args(["wait", "--for=condition=Established", "--timeout=30s", "--all", "crd"]),
        admin().args(["apply", "-k"]).args([overlay]),
    ] {
        let printed = call.run();
        if printed.code != Some(0) {
            return Err(ClusterError::Broken(format!("the cluster could not be set up: {printed:?}")));
        }
    }
    Ok(())
}

/// Returns the command of a pod of the Deployment.
pub fn replica(cluster: &ControlPlane, folder: &Folder, settle: &str) -> Command {
    let mut command =
        program::command(folder.path(), &["--certs=cluster", "--events", "--ca-settle", settle, "--kubeconfig"]);
    command.arg(cluster.kubeconfig(User::Webhook));
    command
}

/// Returns the program with these arguments, in an environment without our variables.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    program::clean(&mut command);
    command.args(arguments);
    command
}

/// Applies the kinds of these manifests, and waits until they are served.
pub fn install_kinds(cluster: &ControlPlane, manifests: &Path) {
    let admin = || cluster.kubectl(User::Admin);
    admin().args(["apply", "-k"]).args([manifests.join("base/crds")]).run().ok();
    admin().args(["wait", "--for=condition=Established", "--timeout=30s", "--all", "crd"]).run().ok();
}

/// Writes the manifests as a user generates them.
pub fn generate(folder: &Path) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    let generate = program.args(["generate", "manifests", "--to"]).arg(folder).output().unwrap();
    assert!(generate.status.success(), "{generate:?}");
}

/// Writes the manifests and an overlay with the differences of the test cluster: a Service that is a name for this
/// machine, since there is no kube-proxy, a port that the system chooses, and namespaces that the webhooks do not apply
/// to.
fn overlay(folder: &Path, port: u16) -> std::path::PathBuf {
    generate(&folder.join("manifests"));
    let selector = json!({"matchExpressions": [{"key": OWN, "operator": "DoesNotExist"}]});
    let patches: Value = (0..2)
        .flat_map(|index| {
            let webhook = format!("/webhooks/{index}");
            [
                json!({"op": "replace", "path": format!("{webhook}/clientConfig/service/port"), "value": port}),
                json!({"op": "add", "path": format!("{webhook}/namespaceSelector"), "value": selector}),
            ]
        })
        .collect();
    let mut text = "resources: [../base]\npatches:\n".to_owned();
    let service = json!([{"op": "replace", "path": "/spec", "value": {
        "type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": port}]}}]);
    for (kind, patch) in [("Service", service), (".*WebhookConfiguration", patches)] {
        text += &format!("- {}\n", json!({"target": {"kind": kind}, "patch": patch.to_string()}));
    }
    let overlay = folder.join("manifests/mine");
    fs::create_dir(&overlay).unwrap();
    fs::write(overlay.join("kustomization.yaml"), text).unwrap();
    overlay
}

/// README.md must show the messages that kubectl prints.
fn the_readme_shows_the_messages_of_kubectl(namespace: &Namespace<'_>) {
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("failed").to_string()).run().ok();

    let patch = |status: Value| {
        let patch = json!({"status": status}).to_string();
        let arguments = ["patch", "sourcescan", "failed", "--subresource=status", "--type=merge", "--patch", &patch];
        namespace.kubectl(User::ScanController).args(arguments).run()
    };
    // A new configuration takes effect some milliseconds after it is written.
    let denied = eventually("the webhook denies", || {
        Some(patch(json!({"phase": "Complete", "cveCount": {"critical": "1"}})))
            .filter(|printed| printed.code == Some(1))
    });
    assert_eq!(
        denied.stderr,
        "The SourceScan \"failed\" is invalid: \n\
         * status.phase: Unsupported value: \"Complete\": supported values: \"Pending\", \"Scanning\", \"Completed\", \"Failed\", \"Error\"; did you mean \"Completed\"? [phase-unknown]\n\
         * status.cveCount.critical: Invalid value: \"1\": must be an integer [cve-count-values]\n"
    );

    let readme = include_str!("../../README.md");
    assert!(readme.contains(&denied.stderr.replace(" \n", "\n")), "README.md shows another message");

    let mutated = patch(json!({"phase": "Pending", "cveCount": {"critical": 1, "high": 22, "total": 22}}));
    mutated.ok();
    assert_eq!(
        mutated.stderr,
        "Warning: status.cveCount.total: was 22, set to 23 [cve-total]\n\
         Warning: status.cveCount: Forbidden: no counts while phase is \"Pending\" [cve-count-timing]\n"
    );
    assert!(readme.contains(mutated.stderr.lines().next().unwrap()), "README.md shows another warning");
    let stored = namespace.kubectl(User::Developer).args(["get", "sourcescan", "failed", "-o", "json"]).run();
    let stored: Value = serde_json::from_str(stored.ok()).unwrap();
    let whole = json!({"critical": 1, "high": 22, "medium": 0, "low": 0, "unknown": 0, "total": 23});
    assert_eq!(stored["status"]["cveCount"], whole);
    eventually("the audit log has the annotations", || {
        namespace.cluster.audit().iter().find_map(|event| {
            let annotations = &event["annotations"];
            let is_ours = annotations["status.mutate.scan-admission.dev/mutations"] == "cve-total,cve-count-values";
            (is_ours && annotations["status.validate.scan-admission.dev/decision"] == "allow").then_some(())
        })
    });
}
