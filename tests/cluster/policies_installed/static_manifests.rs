//! Policies that the API server reads from a folder instead of from the API.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::install::annotation;
use super::{committed, generate, patch_status, start};
use crate::controlplane::{ClusterError, ControlPlane, User, eventually};
use crate::scan;
use crate::support::folder::Folder;

/// The feature gate, which is alpha in 1.36.
const GATE: &str = "--feature-gates=ManifestBasedAdmissionControlConfig=true";

const PLUGINS: [(&str, &str); 2] = [("Validating", "validating"), ("Mutating", "mutating")];

/// Generates the policies, and returns the flags of an API server that reads them.
fn generated(folder: &Folder) -> [String; 2] {
    generate(&folder.join("policies"), &["--static"]);
    let plugins = PLUGINS.map(|(kind, name)| {
        json!({"name": format!("{kind}AdmissionPolicy"), "configuration": {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": format!("{kind}AdmissionPolicyConfiguration"),
            "staticManifestsDir": folder.join("policies").join(name),
        }})
    });
    let admission =
        json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins});
    let file = folder.join("admission.json");
    fs::write(&file, admission.to_string()).unwrap();
    [GATE.to_owned(), format!("--admission-control-config-file={}", file.display())]
}

pub fn are_enforced_and_not_listed(_: &Path) {
    let folder = Folder::new();
    let flags = generated(&folder);
    // The API server reads files that end with .yaml, .yml or .json, and none of a folder below.
    fs::write(folder.join("policies/validating/README.md"), "not YAML: {").unwrap();
    fs::create_dir(folder.join("policies/validating/more")).unwrap();
    fs::write(folder.join("policies/validating/more/a.yaml"), "not YAML: {").unwrap();
    let cluster = start(&[&flags[0], &flags[1]]).unwrap_or_else(|error| panic!("{error:?}"));
    let namespace = cluster.namespace("scans", &json!({}));
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
    // The mutating policy needs the schema of the kind. Until the API server has it, no status that lacks a field can be
    // written.
    let status = json!({"status": {"phase": "Pending", "cveCount": {"low": 2, "total": 3}}}).to_string();
    let warned = eventually("the API server knows the kind", || {
        let warned = patch_status(&namespace, "one", &status, &[]);
        (!warned.stderr.contains("(ServiceUnavailable)")).then_some(warned)
    });
    warned.ok();
    assert!(warned.stderr.contains("'scan-warnings.static.k8s.io'"), "{warned:?}");
    let denied = patch_status(&namespace, "one", r#"{"status": {"phase": "Complete"}}"#, &[]);
    let policy = "ValidatingAdmissionPolicy 'scan-errors.static.k8s.io' with binding 'scan-errors.static.k8s.io'";
    assert!(denied.failed().contains(policy) && denied.stderr.contains("[phase-unknown]"), "{denied:?}");
    eventually("the annotation is in the audit log", || {
        (annotation(&namespace, "one", "scan-errors.static.k8s.io/rules")? == "phase-unknown").then_some(())
    });
    let stored: Value = serde_json::from_str(
        namespace.kubectl(User::Developer).args(["get", "sourcescan", "one", "-o", "json"]).run().ok(),
    )
    .unwrap();
    let counts = json!({"critical": 0, "high": 0, "medium": 0, "low": 2, "unknown": 0, "total": 2});
    assert_eq!(stored["status"]["cveCount"], counts);
    for kinds in ["policies", "policybindings"] {
        for plugin in PLUGINS {
            let kind = format!("{}admission{kinds}", plugin.1);
            let listed = namespace.kubectl(User::Admin).args(["get", &kind]).run();
            assert!(listed.ok().is_empty() && listed.stderr.starts_with("No resources found"), "{listed:?}");
        }
    }
}

pub fn another_file_prevents_the_start(_: &Path) {
    let cases: [(&str, &str, &str); 3] = [
        ("validating/kustomization.yaml", "kustomization.yaml", "kustomization.yaml"),
        ("validating/scan-mutations.yaml", "", "MutatingAdmissionPolicy"),
        ("mutating/scan-spec-errors.yaml", "", "ValidatingAdmissionPolicy"),
    ];
    for (file, from_committed, reason) in cases {
        let folder = Folder::new();
        let flags = generated(&folder);
        let name = Path::new(file).file_name().unwrap();
        let other = if file.starts_with("validating") { "mutating" } else { "validating" };
        let from = match from_committed {
            "" => folder.join("policies").join(other).join(name),
            committed_file => committed().join(committed_file),
        };
        fs::copy(from, folder.join("policies").join(file)).unwrap();
        match ControlPlane::start_with(&[&flags[0], &flags[1]]) {
            Err(ClusterError::Broken(why)) => assert!(why.contains(reason), "{file}: {why}"),
            Err(error) => panic!("{file}: {error:?}"),
            Ok(_) => panic!("the API server starts with {file}"),
        }
    }
}
