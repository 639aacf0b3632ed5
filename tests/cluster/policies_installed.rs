//! Tests the generated policies on a real API server without webhooks, as a user installs them and as kubectl shows their
//! findings.

mod configured;
mod cost;
mod examples;
mod in_process;
mod install;
mod limits;
mod printed;
mod static_manifests;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::controlplane::{ClusterError, ControlPlane, Kubectl, KubectlOutput, Namespace, User, eventually};
use crate::installed::{install_kinds, program};
use crate::policies::ProgramTest;
use crate::{Test, break_glass, scan};

/// Tests that share a cluster with the policies of manifests/policies. Each has its own namespace.
pub const TESTS: &[(&str, Test)] = &[
    ("installed-policies-judge-examples-as-the-webhook-does", examples::are_judged_as_expected),
    ("installed-policies-stay-below-the-limit-of-annotations", install::annotations_are_below_the_limit),
    ("installed-policies-can-be-applied-by-the-server", install::can_be_applied_by_the_server),
    ("installed-policies-list-the-rules-of-a-denial-in-the-audit-log", install::rules_are_in_the_audit_log),
    ("installed-policies-show-a-warning-for-each-rule", install::each_rule_warns_once),
    ("installed-policies-let-large-objects-through", limits::large_objects_are_stored),
];

/// Tests with clusters of their own.
pub const OTHERS: &[(&str, ProgramTest)] = &[
    ("policies-of-a-configuration-apply-its-modes", configured::modes_are_applied),
    ("static-policies-are-enforced-and-not-listed", static_manifests::are_enforced_and_not_listed),
    ("static-policies-with-another-file-prevent-the-start", static_manifests::another_file_prevents_the_start),
    ("the-type-checker-has-no-warnings-about-policies", install::the_type_checker_has_no_warnings),
    ("policies-evaluate-large-objects-without-errors", limits::large_objects_are_evaluated),
];

/// A measurement that takes minutes: `cargo test --test cluster -- --ignored what-policies-cost`.
pub const MEASUREMENTS: &[(&str, ProgramTest)] = &[("what-policies-cost", cost::measure)];

/// The requests of `kubectl apply` that store policies, since each waits until its policy is compiled.
const TIMEOUT: &str = "--request-timeout=120s";

/// The scan whose writes show whether the policies are in force.
const PROBE: &str = "probe";

/// The policies of the repository. Another test compares them with what the program generates.
pub fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/policies")
}

/// Starts an API server with these flags, and installs the kinds and the users of the tests.
pub fn start(flags: &[&str]) -> Result<ControlPlane, ClusterError> {
    let cluster = ControlPlane::start_with(flags)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let users = root.join("tests/fixtures/cluster/users.yaml");
    cluster.kubectl(User::Admin).args(["apply", "-f"]).args([users]).run().ok();
    install_kinds(&cluster, &root.join("manifests"));
    Ok(cluster)
}

/// Returns a cluster with the policies of the repository.
pub fn installed() -> Result<ControlPlane, ClusterError> {
    let cluster = start(&[])?;
    install(&cluster, &committed());
    Ok(cluster)
}

/// Installs the policies of a folder as a user does, and waits until they are in force.
pub fn install(cluster: &ControlPlane, folder: &Path) {
    let namespace = cluster.namespace("probes", &json!({}));
    seed_probe(&namespace);
    cluster.kubectl(User::Admin).args(["apply", TIMEOUT, "-k"]).args([folder]).run().ok();
    until_in_force(&namespace);
}

/// Writes the policies of a configuration.
pub fn generate(folder: &Path, arguments: &[&str]) {
    let mut command: Command = program(&["generate", "policies", "--to"]);
    let generated = command.arg(folder).args(arguments).output().unwrap();
    assert!(generated.status.success(), "{generated:?}");
}

/// Writes a scan with an error that does not deny later writes.
pub fn seed_probe(namespace: &Namespace<'_>) {
    let error = json!({"status": {"phase": "Complete"}}).to_string();
    break_glass(namespace).args(["create", "-f", "-"]).input(scan(PROBE).to_string()).run().ok();
    let patch = ["patch", "sourcescan", PROBE, "--subresource=status", "--type=merge", "--patch", &error];
    break_glass(namespace).args(patch).run().ok();
}

/// Waits until each policy answers.
pub fn until_in_force(namespace: &Namespace<'_>) {
    // The time of the condition is filled in by the mutation; without it, condition-fields denies the write first.
    let status = json!({"status": {"metadataUrl": "ftp://x", "conditions": [{"type": "Other", "status": "True", "reason": "A"}]}});
    let spec = json!({"apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": "SourceScan",
        "metadata": {"name": "other"}, "spec": {}});
    eventually("all policies are in force", || {
        let written = patch_status(namespace, PROBE, &status.to_string(), &["--dry-run=server"]);
        let created = dry_run(namespace.kubectl(User::Admin), &spec.to_string());
        let shown = format!("{}{}", written.stderr, created.stderr);
        let rules = ["metadata-url", "phase-unknown", "condition-unknown-type", "scan-target", "scan-template"];
        let all = rules.iter().all(|rule| shown.contains(&format!("[{rule}]")));
        (all && !shown.contains("[condition-fields]")).then_some(())
    });
}

fn dry_run(kubectl: Kubectl, object: &str) -> KubectlOutput {
    kubectl.args(["create", "--dry-run=server", "-f", "-"]).input(object).run()
}

/// Patches the status of a SourceScan as the controller.
pub fn patch_status(namespace: &Namespace<'_>, name: &str, patch: &str, arguments: &[&str]) -> KubectlOutput {
    let command = ["patch", "sourcescan", name, "--subresource=status", "--type=merge", "--patch", patch];
    namespace.kubectl(User::ScanController).args(command).args(arguments).run()
}
