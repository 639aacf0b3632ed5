//! Tests webhooks and kinds that are registered differently from the manifests.

use serde_json::{Value, json};

use crate::controlplane::{Namespace, User, eventually};
use crate::installed::Installed;
use crate::requests_and_answers::{GROUP, STATUS, annotations, patch, replace, seed, stored, with};
use crate::{Hooks, Test, break_glass, only, scan};

pub const TESTS: &[(&str, Test)] = &[
    ("only-status-writes-fail-while-the-webhooks-are-down", only_status_writes_fail_while_the_webhooks_are_down),
    ("without-the-mutating-webhook", without_the_mutating_webhook),
    ("a-registration-that-is-too-wide", a_registration_that_is_too_wide),
    ("a-kind-without-a-status-subresource", a_kind_without_a_status_subresource),
];

/// Registers the installed webhooks again, for this namespace and with these changes to each.
fn register(namespace: &Namespace<'_>, kind: &str, changes: &Value) {
    let get = namespace.kubectl(User::Admin).args(["get", kind, "scan-admission", "-o", "json"]).run();
    let mut configuration: Value = serde_json::from_str(get.ok()).unwrap();
    configuration["metadata"] = json!({"name": namespace.name});
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        webhook["namespaceSelector"] = only(namespace);
        json_patch::merge(webhook, changes);
    }
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(configuration.to_string()).run().ok();
}

fn only_status_writes_fail_while_the_webhooks_are_down(namespace: &Namespace<'_>) {
    // A port that was free a moment ago, so no process listens on it.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed_port = json!({"clientConfig": {"service": null, "url": format!("https://127.0.0.1:{port}/")}});
    seed(namespace, &with("one", json!({"spec": null, "status": {"phase": "Done"}})));
    register(namespace, "validatingwebhookconfiguration", &closed_port);
    register(namespace, "mutatingwebhookconfiguration", &closed_port);

    // No status is written without review, except with the break-glass group.
    let pending = json!({"status": {"phase": "Pending"}});
    let denied = eventually("no webhook answers", || {
        Some(patch(namespace, "one", &[STATUS], pending.clone())).filter(|output| output.code == Some(1))
    });
    let words = r#"failed calling webhook "status.validate.scan-admission.dev": failed to call webhook: Post "https://127.0.0.1:"#;
    assert!(denied.stderr.contains(words), "{denied:?}");
    let patch_status =
        ["patch", "sourcescan", "one", STATUS, "--type=merge", "--patch", r#"{"status": {"phase": "Gone"}}"#];
    break_glass(namespace).args(patch_status).run().ok();

    // Everything else still works.
    let create = with("two", json!({"status": {"phase": "Done"}})).to_string();
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(create).run().ok();
    for metadata in [json!({"finalizers": ["example.com/wait"]}), json!({"labels": {"a": "b"}})] {
        patch(namespace, "one", &[], json!({"metadata": metadata})).ok();
    }
    patch(namespace, "one", &[], json!({"spec": {"scanTemplate": "another"}})).ok();
    namespace.kubectl(User::Developer).args(["delete", "sourcescans", "--all", "--wait=false"]).run().ok();
    patch(namespace, "one", &[], json!({"metadata": {"finalizers": null}})).ok();
    let none = namespace.kubectl(User::Developer).args(["get", "sourcescans", "-o", "name"]).run();
    assert_eq!(none.ok(), "");
}

/// A status that is not mutated is denied or warned about: nothing wrong is stored while the mutating webhook is
/// missing.
fn without_the_mutating_webhook(namespace: &Namespace<'_>) {
    seed(namespace, &scan("one"));
    register(namespace, "validatingwebhookconfiguration", &json!({}));
    let off = json!({"status": {"phase": "Pending", "cveCount": {"low": 1, "total": 2}}});
    let denied = eventually("the validating webhook denies", || {
        Some(patch(namespace, "one", &[STATUS], off.clone())).filter(|output| output.code == Some(1))
    });
    assert!(
        denied
            .stderr
            .contains("status.cveCount.total: Invalid value: 2: must be 1, the sum of the severities [cve-total]"),
        "{denied:?}"
    );
    let timeless = json!({"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted"}]}});
    let denied = patch(namespace, "one", &[STATUS], timeless);
    assert!(denied.failed().contains("status.conditions[Scanning].lastTransitionTime: Required value: "), "{denied:?}");
}

/// The registration covers operations that are not judged, kinds that are not ours, and main updates, which are not
/// mutated.
fn a_registration_that_is_too_wide(namespace: &Namespace<'_>) {
    let wide = json!({"matchConditions": null, "rules": [
        {"apiGroups": [GROUP, ""], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}]});
    seed(namespace, &with("one", json!({"status": {"phase": "Done", "cveCount": {"low": 1, "total": 2}}})));
    register(namespace, "validatingwebhookconfiguration", &wide);
    register(namespace, "mutatingwebhookconfiguration", &wide);
    // The mutating webhook sees the forged status, and does not change it.
    let forged = json!({"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Gone", "cveCount": {"low": 3}}});
    let noted = eventually("all four webhooks are called", || {
        let output = replace(namespace, "one", &[], forged.clone());
        output.ok();
        assert_eq!(output.stderr, "");
        let noted = annotations(namespace, "one");
        let is_asked = |webhook| !noted[format!("{webhook}.scan-admission.dev/decision")].is_null();
        ["status.mutate", "create.mutate", "status.validate", "spec.validate"]
            .into_iter()
            .all(is_asked)
            .then_some(noted)
    });
    for webhook in ["status.mutate", "create.mutate", "status.validate", "spec.validate"] {
        assert_eq!(noted[format!("{webhook}.scan-admission.dev/decision")], "allow", "{noted}");
    }
    assert_eq!(stored(namespace, "one")["status"]["cveCount"], json!({"low": 1, "total": 2}));

    let other = namespace.kubectl(User::Admin).args(["create", "configmap", "other"]).run();
    other.ok();
    let warning = "Warning: ConfigMap was not judged: this webhook judges only SourceScan and ImageScan of \
                   scanning.apps.tanzu.vmware.com; restrict its registration to them\n";
    assert_eq!(other.stderr, warning);

    let output = namespace.kubectl(User::Developer).args(["delete", "sourcescan", "one"]).run();
    output.ok();
    assert_eq!(output.stderr, "");
    let noted = annotations(namespace, "one");
    assert_eq!(noted["status.validate.scan-admission.dev/decision"], "allow", "{noted}");
}

/// Such a kind has its status on the main resource, so it is judged there.
fn a_kind_without_a_status_subresource(_: &Namespace<'_>) {
    let installed = Installed::new().unwrap_or_else(|error| panic!("{error:?}"));
    let namespace = &installed.namespace("scans", Hooks::Installed);
    let remove = r#"[{"op": "remove", "path": "/spec/versions/0/subresources"}]"#;
    let crd = format!("sourcescans.{GROUP}");
    namespace.kubectl(User::Admin).args(["patch", "crd", &crd, "--type=json", "--patch", remove]).run().ok();
    let create = |name: &str, members: Value| {
        let scan = with(name, members).to_string();
        namespace.kubectl(User::ScanController).args(["create", "-f", "-"]).input(scan).run()
    };
    // The status is now stored with the scan.
    eventually("there is no status subresource", || {
        let output = create("good", json!({"status": {"phase": "Pending"}}));
        let is_kept = stored(namespace, "good")["status"]["phase"] == "Pending";
        namespace.kubectl(User::Admin).args(["delete", "sourcescan", "good"]).run().ok();
        is_kept.then_some(output)
    });
    let output = create("bad", json!({"status": {"phase": "Done"}}));
    assert!(output.failed().contains("status.phase: Unsupported value: \"Done\""), "{output:?}");

    create("good", json!({"status": {"phase": "Pending"}})).ok();
    let output = patch(namespace, "good", &[STATUS], json!({"status": {"phase": "Done"}}));
    assert!(output.failed().contains("NotFound"), "{output:?}");
    // The status is judged together with the spec, but not mutated.
    let status = json!({"phase": "Pending", "cveCount": {"low": 1, "total": 2}});
    let output = patch(namespace, "good", &[], json!({"spec": {"blob": null}, "status": status}));
    for rule in ["scan-target", "cve-total"] {
        assert!(output.failed().contains(&format!("[{rule}]")), "{output:?}");
    }
    assert_eq!(annotations(namespace, "good")["spec.validate.scan-admission.dev/decision"], "deny");
    patch(namespace, "good", &[], json!({"status": {"phase": "Pending"}})).ok();

    // An existing invalid scan blocks only changes of its invalid fields.
    let old = with("old", json!({"status": {"phase": "Done", "observedGeneration": 1}}));
    break_glass(namespace).args(["create", "-f", "-"]).input(old.to_string()).run().ok();
    for changes in
        [json!({"metadata": {"finalizers": ["example.com/wait"]}}), json!({"spec": {"scanTemplate": "another"}})]
    {
        let output = replace(namespace, "old", &[], changes);
        output.ok();
        assert_eq!(output.stderr, "");
    }
    let output = patch(namespace, "old", &[], json!({"status": {"observedGeneration": 2}}));
    output.ok();
    assert!(output.stderr.contains("(not denied: the old object has the same error) [phase-unknown]"), "{output:?}");
    let output = patch(namespace, "old", &[], json!({"status": {"phase": "Gone"}}));
    assert!(output.failed().contains("[phase-unknown]"), "{output:?}");
    namespace.kubectl(User::Developer).args(["delete", "sourcescan", "old", "--wait=false"]).run().ok();
    patch(namespace, "old", &[], json!({"metadata": {"finalizers": null}, "status": {"phase": "Gone"}})).ok();
}
