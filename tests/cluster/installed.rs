//! The cluster with our webhooks in it, installed for all namespaces but those of tests that register their own.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::controlplane::{Absent, ControlPlane, Namespace, User, eventually};
use crate::folder::Folder;
use crate::process::{self, Process};
use crate::{Hooks, Test, scan};

pub const TESTS: &[(&str, Test)] = &[("the-words-of-the-readme", the_words_of_the_readme)];

/// Label of the namespaces that our webhooks pass over.
const OWN: &str = "tests.scan-admission.dev/own-webhooks";

pub struct Installed {
    cluster: ControlPlane,
    /// Ends with this value.
    _server: Process,
    _folder: Folder,
}

impl Installed {
    /// Starts the cluster and installs the kinds, the users of the tests, and our webhooks.
    pub fn new() -> Result<Installed, Absent> {
        let cluster = ControlPlane::start()?;
        let folder = Folder::new();
        let server = Process::start(process::command(folder.path(), &[]), folder.join("errors"));
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cluster");
        let ca = fs::read(folder.join("certs/ca.crt")).expect("serve makes its certificates");
        let admin = || cluster.kubectl(User::Admin);
        for call in [
            admin().args(["apply", "-f"]).args([&fixtures]),
            admin().args(["wait", "--for=condition=Established", "--timeout=30s", "--all", "crd"]),
            admin().args(["create", "-f", "-"]).input(webhooks(&server, &ca).to_string()),
        ] {
            let said = call.run();
            if said.code != Some(0) {
                return Err(Absent::Broken(format!("the cluster could not be set up: {said:?}")));
            }
        }
        // "There can be a delay between when CustomResourceDefinitions are created and when they are available."
        eventually("the kinds are served", || {
            let create =
                admin().args(["create", "--dry-run=server", "-f", "-"]).input(scan("served").to_string()).run();
            (create.code == Some(0)).then_some(())
        });
        Ok(Installed { cluster, _server: server, _folder: folder })
    }

    /// A namespace for one test.
    pub fn namespace(&self, name: &str, hooks: Hooks) -> Namespace<'_> {
        let labels = if hooks == Hooks::Own { json!({OWN: ""}) } else { json!({}) };
        self.cluster.namespace(name, &labels)
    }
}

/// Both webhooks of a server that runs here, by its URL.
fn webhooks(server: &Process, ca: &[u8]) -> Value {
    let ca_bundle = base64::engine::general_purpose::STANDARD.encode(ca);
    let webhook = |path: &str, policy: &str| {
        json!([{
            "name": format!("{path}.scan-admission.dev"),
            "clientConfig": {"url": format!("https://{}/{path}", server.address), "caBundle": ca_bundle},
            "rules": [{"apiGroups": ["scanning.apps.tanzu.vmware.com"], "apiVersions": ["*"],
                "operations": ["UPDATE"], "resources": ["sourcescans/status", "imagescans/status"]}],
            "namespaceSelector": {"matchExpressions": [{"key": OWN, "operator": "DoesNotExist"}]},
            "failurePolicy": policy, "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
        }])
    };
    let configuration = |kind: &str, webhooks: Value| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": "scan-admission"}, "webhooks": webhooks})
    };
    json!({"apiVersion": "v1", "kind": "List", "items": [
        configuration("ValidatingWebhookConfiguration", webhook("validate", "Fail")),
        configuration("MutatingWebhookConfiguration", webhook("mutate", "Ignore")),
    ]})
}

/// The words that README.md shows are those that kubectl prints.
fn the_words_of_the_readme(namespace: &Namespace<'_>) {
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("failed").to_string()).run().ok();

    let patch = |status: Value| {
        let patch = json!({"status": status}).to_string();
        let arguments = ["patch", "sourcescan", "failed", "--subresource=status", "--type=merge", "--patch", &patch];
        namespace.kubectl(User::ScanController).args(arguments).run()
    };
    // A new configuration counts some milliseconds after it is written.
    let refused = eventually("the webhook refuses", || {
        Some(patch(json!({"phase": "Complete", "cveCount": {"critical": "1"}}))).filter(|said| said.code == Some(1))
    });
    assert_eq!(
        refused.stderr,
        "The SourceScan \"failed\" is invalid: \n\
         * status.phase: is \"Complete\": one of Pending, Scanning, Completed, Failed, Error would be right [phase-unknown]\n\
         * status.cveCount.critical: is \"1\": an integer ≥ 0 would be right [cve-count-values]\n"
    );

    let readme = include_str!("../../README.md");
    assert!(readme.contains(&refused.stderr.replace(" \n", "\n")), "README.md shows other words");

    let mended = patch(json!({"phase": "Pending", "cveCount": {"critical": 1, "high": 22, "total": 22}}));
    mended.ok();
    assert_eq!(
        mended.stderr,
        "Warning: status.cveCount.total: was 22, set to 23 [cve-total]\n\
         Warning: status.cveCount: is there on phase Pending: no counts before a scan would be right [cve-count-timing]\n"
    );
    assert!(readme.contains(mended.stderr.lines().next().unwrap()), "README.md shows another warning");
    let stored = namespace.kubectl(User::Developer).args(["get", "sourcescan", "failed", "-o", "json"]).run();
    let stored: Value = serde_json::from_str(stored.ok()).unwrap();
    let whole = json!({"critical": 1, "high": 22, "medium": 0, "low": 0, "unknown": 0, "total": 23});
    assert_eq!(stored["status"]["cveCount"], whole);
    eventually("the audit log says so", || {
        namespace.cluster.audit().iter().find_map(|event| {
            let annotations = &event["annotations"];
            let is_ours = annotations["mutate.scan-admission.dev/mended"] == "cve-total,cve-count-values";
            (is_ours && annotations["validate.scan-admission.dev/decision"] == "allow").then_some(())
        })
    });
}
