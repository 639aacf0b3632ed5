//! Measures what policies cost the API server: its processor time for a write of a status, without admission, with the
//! policies, with the webhooks, and with both.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};

use super::limits::cpu;
use super::{TIMEOUT, committed, seed_probe, until_in_force};
use crate::controlplane::{ControlPlane, User, eventually};
use crate::installed::{OWN, install, replica};
use crate::replicas::client;
use crate::scan;
use crate::support::folder::Folder;
use crate::support::process::Process;

/// The namespaces, with the label that selects the policies, and whether the webhooks judge their scans.
const NAMESPACES: [(&str, &str, bool); 5] = [
    ("none", "none", false),
    ("empty-policies", "empty", false),
    ("policies", "ours", false),
    ("webhooks", "none", true),
    ("both", "ours", true),
];

/// The label that selects policies.
const LABEL: &str = "tests.scan-admission.dev/policies";

/// A mutation that changes nothing.
const NO_PATCH: &str = "[JSONPatch{op: 'add', path: '/a', value: 'b'}].filter(operation, false)";

const ROUNDS: usize = 12;
const WRITES: usize = 25;

pub fn measure(_: &Path) {
    let folder = Folder::new();
    let cluster = ControlPlane::start().unwrap_or_else(|error| panic!("{error:?}"));
    let server = Process::start(replica(&cluster, &folder, "60s"), folder.join("errors"));
    install(&cluster, &folder, server.address.port()).unwrap_or_else(|error| panic!("{error:?}"));
    let namespaces = NAMESPACES.map(|(name, policies, has_webhooks)| {
        let mut labels = json!({LABEL: policies});
        if !has_webhooks {
            labels[OWN] = json!("");
        }
        cluster.namespace(name, &labels)
    });
    install_policies(&cluster, &folder);
    let probes = cluster.namespace("probes", &json!({LABEL: "ours", OWN: ""}));
    seed_probe(&probes);
    until_in_force(&probes);
    eventually("the webhooks answer", || {
        let mut bad = scan("bad");
        bad["status"] = json!({"phase": "Completed"});
        let create = ["create", "--dry-run=server", "-f", "-"];
        let created = namespaces[3].kubectl(User::Admin).args(create).input(bad.to_string()).run();
        created.stderr.contains("[status-on-create]").then_some(())
    });
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, _, _) in NAMESPACES {
        namespaces.iter().filter(|namespace| namespace.name == name).for_each(|namespace| {
            namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
        });
    }
    for (title, message) in [("a status without findings", "The results are sent"), ("a status with a warning", "")] {
        println!("{title}:\n{}", compare(&runtime, &cluster, message));
    }
}

/// Creates our policies and as many empty ones, and prints how long each takes.
fn install_policies(cluster: &ControlPlane, folder: &Folder) {
    let overlay = folder.join("policies");
    fs::create_dir_all(&overlay).unwrap();
    for file in fs::read_dir(committed()).unwrap() {
        let file = file.unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        let select = |text: &str, policies: &str| {
            text.replace(
                "  policyName:",
                &format!(
                    "  matchResources: {{namespaceSelector: {{matchLabels: {{{LABEL}: {policies}}}}}}}\n  policyName:"
                ),
            )
        };
        fs::write(overlay.join(file.file_name()), select(&text, "ours")).unwrap();
        let (start, process) = (Instant::now(), cpu(cluster.pid()));
        if file.file_name() != "kustomization.yaml" {
            cluster
                .kubectl(User::Admin)
                .args(["apply", TIMEOUT, "-f"])
                .args([overlay.join(file.file_name())])
                .run()
                .ok();
            let used = cpu(cluster.pid()).checked_sub(process).unwrap_or_default();
            println!("{}: created in {:.1?}, {used:?} of processor time", file.file_name().display(), start.elapsed());
            cluster.kubectl(User::Admin).args(["create", "-f", "-"]).input(empty(&text).to_string()).run().ok();
        }
    }
}

/// Returns a policy without rules, and its binding, of the kinds in the text.
fn empty(text: &str) -> Value {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let name = format!("empty-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let is_mutating = text.contains("kind: MutatingAdmissionPolicy\n");
    let kind = if is_mutating { "MutatingAdmissionPolicy" } else { "ValidatingAdmissionPolicy" };
    let constraints = json!({"resourceRules": [{"apiGroups": ["scanning.apps.tanzu.vmware.com"], "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"], "resources": ["sourcescans", "sourcescans/status"]}]});
    let mut spec = json!({"matchConstraints": constraints});
    let mut binding = json!({"policyName": name,
        "matchResources": {"namespaceSelector": {"matchLabels": {LABEL: "empty"}}}});
    if is_mutating {
        spec["reinvocationPolicy"] = json!("Never");
        spec["mutations"] = json!([{"patchType": "JSONPatch", "jsonPatch": {"expression": NO_PATCH}}]);
    } else {
        spec["validations"] = json!([{"expression": "true"}]);
        binding["validationActions"] = json!(["Deny"]);
    }
    let object = |kind: &str, spec: Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    json!({"apiVersion": "v1", "kind": "List", "items": [object(kind, spec), object(&format!("{kind}Binding"), binding)]})
}

/// Writes to the namespaces in turn, and returns a table of the processor time for a write in each.
fn compare(runtime: &Runtime, cluster: &ControlPlane, message: &str) -> String {
    let kind = GroupVersionKind::gvk("scanning.apps.tanzu.vmware.com", "v1beta1", "SourceScan");
    let client = client(runtime, cluster, User::ScanController);
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); NAMESPACES.len()];
    for round in 0..ROUNDS {
        for (index, (name, _, _)) in NAMESPACES.iter().enumerate() {
            let scans: Api<DynamicObject> = Api::namespaced_with(client.clone(), name, &ApiResource::from_gvk(&kind));
            let start = cpu(cluster.pid());
            for write in 0..WRITES {
                let patch = Patch::Merge(status(round * WRITES + write, message));
                runtime.block_on(scans.patch_status("one", &PatchParams::default(), &patch)).unwrap();
            }
            times[index]
                .push((cpu(cluster.pid()) - start).as_secs_f64() * 1000.0 / f64::from(u32::try_from(WRITES).unwrap()));
        }
    }
    let mut table = String::new();
    for (times, (name, _, _)) in times.iter_mut().zip(NAMESPACES) {
        times.sort_by(f64::total_cmp);
        let [least, quarter, median, three, most] = [0, 3, 6, 9, ROUNDS - 1].map(|at| times[at]);
        writeln!(
            table,
            "{name:>15}: {median:5.2} ms a write (quartiles {quarter:.2} to {three:.2}, all {least:.2} to {most:.2})"
        )
        .unwrap();
    }
    table
}

/// A status that changes with each write.
fn status(number: usize, message: &str) -> Value {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2020-11-20T08:00:00Z"});
    let sending = if message.is_empty() { "False" } else { "True" };
    json!({"status": {
        "phase": "Completed",
        "scannedAt": "2020-11-20T08:00:00Z",
        "scannedBy": {"scanner": {"name": "Grype", "vendor": "Anchore", "version": "v0.37.0"}},
        "cveCount": {"critical": 0, "high": number, "medium": 0, "low": 1, "unknown": 0, "total": number + 1},
        "metadataUrl": if message.is_empty() { Value::Null } else { json!("https://example.com/results") },
        "conditions": [
            condition("Scanning", "False", "JobFinished", "The scan job terminated"),
            condition("Succeeded", "True", "JobFinished", "The scan job finished"),
            condition("SendingResults", sending, "Sent", message),
        ],
    }})
}
