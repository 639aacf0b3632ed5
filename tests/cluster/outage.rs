//! Tests the failure policies while the webhook is down.

use std::fs;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::controlplane::{KubectlOutput, Namespace, User, eventually};
use crate::installed::generate;
use crate::requests_and_answers::{STATUS, patch, seed, stored, with};
use crate::support::folder::Folder;
use crate::support::process::Process;
use crate::support::program;
use crate::{Test, break_glass, only, scan};

pub const TESTS: &[(&str, Test)] = &[
    ("the-failure-policies-hold-during-an-outage", the_failure_policies_hold_during_an_outage),
    ("a-deletion-completes-while-the-webhook-is-down", a_deletion_completes_while_the_webhook_is_down),
    (
        "with-status-writers-the-status-is-judged-during-deletion",
        with_status_writers_the_status_is_judged_during_deletion,
    ),
];

/// Registers the installed configurations under another name, by the URL of `server`, for one namespace.
pub fn register(namespace: &Namespace<'_>, server: &Process, ca: &[u8]) {
    let ca_bundle = base64::engine::general_purpose::STANDARD.encode(ca);
    for kind in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
        let admin = || namespace.cluster.kubectl(User::Admin);
        let installed = admin().args(["get", kind, "scan-admission", "-o", "json"]).run();
        let mut configuration: Value = serde_json::from_str(installed.ok()).unwrap();
        configuration["metadata"] = json!({"name": namespace.name});
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap();
            let url = format!("https://{}{path}", server.address);
            webhook["clientConfig"] = json!({"url": url, "caBundle": ca_bundle});
            webhook["namespaceSelector"] = only(namespace);
        }
        admin().args(["create", "-f", "-"]).input(configuration.to_string()).run().ok();
    }
}

fn the_failure_policies_hold_during_an_outage(namespace: &Namespace<'_>) {
    let folder = Folder::new();
    let start = |listen: &str| {
        let mut command = program::command(folder.path(), &[]);
        command.env("SCAN_ADMISSION_LISTEN", listen);
        Process::start(command, folder.join("errors"))
    };
    let server = start("127.0.0.1:0");
    let address = server.address;
    register(namespace, &server, &fs::read(folder.join("certs/ca.crt")).unwrap());
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();

    let status = |status: &str| {
        let patch = ["patch", "sourcescan", "one", "--subresource=status", "--type=merge", "--patch", status];
        namespace.kubectl(User::ScanController).args(patch).run()
    };
    let wrong = || status(r#"{"status": {"phase": "Complete"}}"#);
    let right = || status(r#"{"status": {"phase": "Pending", "conditions": null}}"#);
    let spec = |name: &str| {
        let create = ["create", "--dry-run=server", "-f", "-"];
        let mut scan = scan(name);
        scan["spec"] = json!({"scanTemplate": "template"});
        namespace.kubectl(User::Developer).args(create).input(scan.to_string()).run()
    };
    let denied = |words: &'static str, call: &dyn Fn() -> KubectlOutput| {
        eventually(words, || Some(call()).filter(|output| output.code == Some(1) && output.stderr.contains(words)))
    };
    denied("[phase-unknown]", &wrong);
    denied("[scan-target]", &|| spec("no-target"));
    right().ok();

    drop(server);
    // With Fail, the message names the webhook, its address, and the cause.
    let down = denied("failed calling webhook", &right);
    assert_eq!(
        down.stderr,
        format!(
            "Error from server (InternalError): Internal error occurred: failed calling webhook \
             \"status.validate.scan-admission.dev\": failed to call webhook: Post \"https://{address}/validate?timeout=5s\": \
             dial tcp {address}: connect: connection refused\n"
        )
    );
    // With Ignore, the other webhooks let writes through, which the audit log records.
    assert_eq!(spec("no-target").code, Some(0));
    namespace.kubectl(User::Developer).args(["delete", "sourcescan", "one", "--timeout=30s"]).run().ok();
    eventually("the audit log names the webhook that failed open", || {
        let annotation = "failed-open.validating.webhook.admission.k8s.io/round_0_index_0";
        let audit = namespace.cluster.audit();
        audit.iter().find(|event| {
            event["objectRef"]["namespace"] == namespace.name.as_str()
                && event["annotations"][annotation] == "spec.validate.scan-admission.dev"
        })?;
        Some(())
    });

    let _server = start(&address.to_string());
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
    denied("[phase-unknown]", &wrong);
    right().ok();
}

/// A controller with a finalizer writes a last status and then removes the finalizer.
fn a_deletion_completes_while_the_webhook_is_down(namespace: &Namespace<'_>) {
    let folder = Folder::new();
    let server = Process::start(program::command(folder.path(), &[]), folder.join("errors"));
    register(namespace, &server, &fs::read(folder.join("certs/ca.crt")).unwrap());
    for name in ["one", "two"] {
        seed(namespace, &with(name, json!({"metadata": {"finalizers": ["example.com/wait"]}})));
    }
    let last = json!({"status": {"phase": "Pending", "observedGeneration": 2}});
    let wrong = json!({"status": {"phase": "Gone"}});
    let denied = |name| patch(namespace, name, &[STATUS, "--dry-run=server"], wrong.clone()).code == Some(1);
    eventually("a wrong status is denied", || denied("one").then_some(()));
    let delete = ["delete", "sourcescan", "one", "--wait=false"];
    namespace.kubectl(User::Developer).args(delete).run().ok();
    drop(server);
    let down = patch(namespace, "two", &[STATUS], last.clone());
    assert!(down.failed().contains("failed calling webhook"), "{down:?}");
    // The object is being deleted, so no webhook is called and the outage does not matter.
    patch(namespace, "one", &[STATUS], last.clone()).ok();
    assert_eq!(stored(namespace, "one")["status"], last["status"]);
    patch(namespace, "one", &[], json!({"metadata": {"finalizers": null}})).ok();
    let gone = namespace.kubectl(User::Developer).args(["get", "sourcescan", "one"]).run();
    assert!(gone.failed().contains("not found"), "{gone:?}");
}

/// The component removes that condition and changes nothing else.
fn with_status_writers_the_status_is_judged_during_deletion(namespace: &Namespace<'_>) {
    let folder = Folder::new();
    generate(&folder.join("manifests"));
    let overlay = folder.join("manifests/mine");
    fs::create_dir(&overlay).unwrap();
    let readme = include_str!("../../manifests/README.md");
    let component = "components: [../status-writers]\n";
    assert!(readme.contains(component));
    fs::write(overlay.join("kustomization.yaml"), format!("resources: [../base]\n{component}")).unwrap();
    let build = |folder: &str| {
        let build = namespace.cluster.kubectl(User::Admin).args(["kustomize"]).args([folder]).run();
        build.ok().to_owned()
    };
    let (base, mine) =
        (build(&folder.join("manifests/base").display().to_string()), build(&overlay.display().to_string()));
    let condition = "  - expression: '!has(object.metadata.deletionTimestamp)'\n    name: not-being-deleted\n";
    assert_eq!((base.matches(condition).count(), mine.matches(condition).count()), (2, 1), "{mine}");
    assert_eq!(base.replacen(condition, "", 1).len(), mine.len(), "nothing else differs");
    // The API server shows which of the two still reviews the status of an object that is being deleted.
    fs::write(folder.join("config.yaml"), "statusWriters: [nobody]\n").unwrap();
    let command = program::command(folder.path(), &["--config=config.yaml"]);
    let server = Process::start(command, folder.join("errors"));
    register(namespace, &server, &fs::read(folder.join("certs/ca.crt")).unwrap());
    let drop_condition = json!([{"op": "test", "path": "/webhooks/0/matchConditions/1/name", "value": "not-being-deleted"},
        {"op": "remove", "path": "/webhooks/0/matchConditions/1"}]);
    let admin = ["patch", "validatingwebhookconfiguration", &namespace.name, "--type=json", "--patch"];
    namespace.cluster.kubectl(User::Admin).args(admin).args([drop_condition.to_string()]).run().ok();
    seed(namespace, &with("one", json!({"metadata": {"finalizers": ["example.com/wait"]}})));
    namespace.kubectl(User::Developer).args(["delete", "sourcescan", "one", "--wait=false"]).run().ok();
    eventually("status writers are checked while the scan is being deleted", || {
        let output = patch(namespace, "one", &[STATUS, "--dry-run=server"], json!({"status": {"phase": "Scanning"}}));
        output.stderr.contains("[status-writer]").then_some(())
    });
    namespace
        .cluster
        .kubectl(User::Admin)
        .args(["delete", "validatingwebhookconfiguration", &namespace.name])
        .run()
        .ok();
    break_glass(namespace)
        .args(["patch", "sourcescan", "one", "--type=merge", "--patch", r#"{"metadata": {"finalizers": null}}"#])
        .run()
        .ok();
}
