//! Tests `replay` with the audit log of a real API server, which records by the generated policy.

use std::fs;

use serde_json::{Value, json};

use crate::controlplane::{ControlPlane, Namespace, User, eventually};
use crate::installed::{generate, program};
use crate::requests_and_answers::{GROUP, STATUS, patch, replace, with};
use crate::support::folder::Folder;
use crate::ways_of_writing::{Way, Writer};
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] =
    &[("replay-finds-the-planted-errors-in-the-log-of-an-api-server", replay_finds_the_planted_errors)];

const WAYS: [Way; 7] = [
    Way::PatchMerge,
    Way::PatchJson,
    Way::Apply,
    Way::Edit,
    Way::ControllerReplace,
    Way::ControllerPatch,
    Way::ControllerApply,
];

/// Starts an API server with the generated policy and the kinds: SourceScan with a status subresource, and ImageScan
/// without.
fn start(folder: &Folder) -> ControlPlane {
    generate(folder.path());
    let policy = format!("--audit-policy-file={}", folder.join("audit/policy.yaml").display());
    let cluster = ControlPlane::start_with(&[&policy]).unwrap_or_else(|error| panic!("{error:?}"));
    let users = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cluster/users.yaml");
    let image_scans = folder.join("base/crds/imagescans.yaml");
    let text = fs::read_to_string(&image_scans).unwrap().replace("    subresources:\n      status: {}\n", "");
    fs::write(&image_scans, text).unwrap();
    let admin = || cluster.kubectl(User::Admin);
    admin().args(["apply", "-f", users]).run().ok();
    admin().args(["apply", "-k"]).args([folder.join("base/crds")]).run().ok();
    admin().args(["wait", "--for=condition=Established", "--timeout=30s", "--all", "crd"]).run().ok();
    eventually("the kinds are served", || {
        let list = admin().args(["get", "sourcescans,imagescans", "--all-namespaces"]).run();
        (list.code == Some(0)).then_some(())
    });
    cluster
}

/// Writes a scan in each way: a status without errors, an error, and another change beside the error. Between them the
/// other fields are changed.
fn write_in_every_way(namespace: &Namespace<'_>) {
    for way in WAYS {
        let writer = Writer::new(namespace, way);
        let name = format!("{way:?}").to_lowercase();
        writer.create(&[scan(&name)]);
        let scanner = json!({"scanner": {"name": "Grype", "version": "v0.37.0"}});
        for changes in [
            json!({"status": {"phase": "Pending"}}),
            json!({"metadata": {"labels": {"a": "b"}}}),
            json!({"status": {"phase": "Done"}}),
            json!({"spec": {"scanTemplate": "another"}}),
            json!({"status": {"phase": "Done", "scannedBy": scanner}}),
        ] {
            let old = writer.read("SourceScan", &name).unwrap();
            let mut new = old.clone();
            json_patch::merge(&mut new, &changes);
            writer.write(&old, &new).unwrap_or_else(|error| panic!("{way:?} {changes}: {error}"));
        }
        writer.delete("SourceScan", &name);
    }
}

/// Writes that fail or are not stored, and writes as another user.
fn write_apart(namespace: &Namespace<'_>) {
    let create = |scan: &Value, more: &[&str]| {
        let kubectl = namespace.kubectl(User::Developer).args(["create", "-f", "-"]).args(more);
        kubectl.input(scan.to_string()).run().ok();
    };
    create(&scan("one"), &["--dry-run=server"]);
    create(&scan("one"), &[]);
    let done = json!({"status": {"phase": "Done"}});
    patch(namespace, "one", &[STATUS, "--dry-run=server"], done.clone()).ok();
    // The developer may not write a status, and an update must be one of the stored object.
    let arguments = ["patch", "sourcescan", "one", STATUS, "--type=merge", "--patch", &done.to_string()];
    assert!(namespace.kubectl(User::Developer).args(arguments).run().failed().contains("Forbidden"));
    let conflict = replace(
        namespace,
        "one",
        &[STATUS],
        with("one", json!({"metadata": {"resourceVersion": "1"}, "status": {"phase": "Done"}})),
    );
    assert!(conflict.failed().contains("Conflict"), "{conflict:?}");
    // Another part of the API server denies a write.
    let group = "admissionregistration.k8s.io/v1";
    let policy = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "replayed"}, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [GROUP], "apiVersions": ["*"],
                "operations": ["UPDATE"], "resources": ["sourcescans/status"]}]},
            "validations": [{"expression": "object.status.phase != 'Blocked'"}]}},
        {"apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "replayed"},
            "spec": {"policyName": "replayed", "validationActions": ["Deny"]}},
    ]});
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(policy.to_string()).run().ok();
    let blocked = json!({"status": {"phase": "Blocked"}});
    eventually("the policy takes effect", || {
        let dry_run = patch(namespace, "one", &[STATUS, "--dry-run=server"], blocked.clone());
        (dry_run.code != Some(0)).then_some(())
    });
    assert!(patch(namespace, "one", &[STATUS], blocked).failed().contains("ValidatingAdmissionPolicy"));
    // The total would be corrected, also by the next write, which leaves it as it was stored.
    let counted = json!({"status": {"phase": "Error", "cveCount": {"low": 1, "total": 3}}});
    patch(namespace, "one", &[STATUS], counted).ok();
    // A new scan of the same name has no error that existed before.
    patch(namespace, "one", &[STATUS], done.clone()).ok();
    namespace.kubectl(User::Developer).args(["delete", "sourcescan", "one"]).run().ok();
    create(&scan("one"), &[]);
    let jane = ["--as=jane", "--as-group=system:masters"];
    namespace.kubectl(User::Admin).args(arguments).args(jane).run().ok();
}

/// Without a status subresource, a scan is created together with its status, and updated with it.
fn write_whole_scans(namespace: &Namespace<'_>) {
    let image_scan = json!({"kind": "ImageScan", "spec": {"blob": null, "registry": {"image": "example.com/a:1"}},
        "status": {"phase": "Done"}});
    let created = with("whole", image_scan).to_string();
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(created).run().ok();
    for changes in [
        json!({"metadata": {"labels": {"a": "b"}}}),
        json!({"status": {"phase": "Gone"}}),
        json!({"spec": {"scanTemplate": "another"}}),
    ] {
        let patch = ["patch", "imagescan", "whole", "--type=merge", "--patch", &changes.to_string()];
        namespace.kubectl(User::Developer).args(patch).run().ok();
    }
}

fn replay_finds_the_planted_errors(_: &Namespace<'_>) {
    let folder = Folder::new();
    let cluster = start(&folder);
    let namespace = cluster.namespace("replayed", &json!({}));
    write_in_every_way(&namespace);
    write_apart(&namespace);
    write_whole_scans(&namespace);

    let events = cluster.audit();
    assert!(events.iter().all(|event| event["objectRef"]["apiGroup"] == GROUP && event["stage"] == "ResponseComplete"));
    assert!(!fs::read_to_string(&cluster.ready().audit_log).unwrap().contains("managedFields"));
    let output = program(&["replay", "-o", "json"]).arg(&cluster.ready().audit_log).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        format!("{} {} {} {}", text("outcome"), text("rule"), text("user"), row["writes"])
    };
    let rows: Vec<String> = report["rows"].as_array().unwrap().iter().map(row).collect();
    let [controller, developer] = [User::ScanController, User::Developer].map(User::username);
    let expected = [
        format!("deny phase-unknown {controller} 8"),
        format!("deny phase-unknown {developer} 2"),
        "deny phase-unknown jane 1".to_owned(),
        format!("warn phase-unknown {controller} 7"),
        format!("warn status-on-create {developer} 1"),
        format!("mutate cve-count-values {controller} 2"),
        format!("mutate cve-total {controller} 2"),
    ];
    let rows: Vec<&String> = rows.iter().filter(|row| !row.contains("phase-disagrees")).collect();
    assert_eq!(rows, expected.iter().collect::<Vec<_>>(), "{report:#}");
    // The API server has named the managers of the last scan in the same way, although the log has no managedFields.
    let whole =
        namespace.kubectl(User::Admin).args(["get", "imagescan", "whole", "--show-managed-fields", "-o", "json"]);
    let whole: Value = serde_json::from_str(whole.run().ok()).unwrap();
    let managers = whole["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.len() > 1, "{managers:?}");
    let origins = report["origins"].as_array().unwrap();
    for entry in managers {
        assert!(origins.iter().any(|origin| origin["manager"] == entry["manager"]), "{entry}: {origins:?}");
    }
    let counts = &report["counts"];
    let is_dry_run = |event: &&Value| event["requestURI"].as_str().unwrap().contains("dryRun=All");
    let dry_runs = events.iter().filter(is_dry_run).count();
    assert!(dry_runs >= 3);
    assert_eq!(counts["events"], events.len(), "{counts}");
    for (name, count) in [
        ("statusWrites", 3 * WAYS.len() + 5),
        ("denied", WAYS.len() + 4),
        ("upperBounds", 0),
        ("dryRuns", dry_runs),
        ("failed", 3),
        ("notReplayed", 0),
        ("unread", 0),
    ] {
        assert_eq!(counts[name], count, "{name}: {counts}");
    }
}
