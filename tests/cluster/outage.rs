//! The webhook goes away and comes back.

use std::fs;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::controlplane::{KubectlOutput, Namespace, User, eventually};
use crate::folder::Folder;
use crate::process::{self, Process};
use crate::{Test, only, scan};

pub const TESTS: &[(&str, Test)] = &[("stopped-and-started-again", stopped_and_started_again)];

/// The installed configurations under a name of their own: by the URL of `server`, for one namespace.
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

fn stopped_and_started_again(namespace: &Namespace<'_>) {
    let folder = Folder::new();
    let start = |listen: &str| {
        let mut command = process::command(folder.path(), &[]);
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
        eventually(words, || Some(call()).filter(|said| said.code == Some(1) && said.stderr.contains(words)))
    };
    denied("[phase-unknown]", &wrong);
    denied("[scan-target]", &|| spec("no-target"));
    right().ok();

    drop(server);
    // With Fail: which webhook, at which address, and why.
    let down = denied("failed calling webhook", &right);
    assert_eq!(
        down.stderr,
        format!(
            "Error from server (InternalError): Internal error occurred: failed calling webhook \
             \"status.validate.scan-admission.dev\": failed to call webhook: Post \"https://{address}/validate?timeout=5s\": \
             dial tcp {address}: connect: connection refused\n"
        )
    );
    // With Ignore: the spec, and what only fills in. The audit log tells.
    assert_eq!(spec("no-target").code, Some(0));
    namespace.kubectl(User::Developer).args(["delete", "sourcescan", "one", "--timeout=30s"]).run().ok();
    eventually("the audit log names what failed open", || {
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
