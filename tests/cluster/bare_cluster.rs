//! Tests the cluster itself before anything of ours is installed: users and rights, policies, and a webhook that is
//! down.

use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};

use crate::Test;
use crate::controlplane::{ControlPlane, Namespace, User, eventually};
use crate::{only, scan};

pub const TESTS: &[(&str, Test)] = &[
    ("the-cluster-is-the-pinned-release", the_cluster_is_the_pinned_release),
    ("kubectl-writes-and-reads-scans", kubectl_writes_and_reads_scans),
    ("the-rights-of-the-users-are-enforced", the_rights_of_the_users_are_enforced),
    ("admission-policies-deny-and-mutate", admission_policies_deny_and_mutate),
    ("the-failure-policy-decides-while-a-webhook-is-down", the_failure_policy_decides_while_a_webhook_is_down),
    ("unused-and-denied-rights-are-reported", unused_and_denied_rights_are_reported),
    ("a-deleted-namespace-is-removed", a_deleted_namespace_is_removed),
    ("a-stopped-control-plane-leaves-nothing-behind", a_stopped_control_plane_leaves_nothing_behind),
];

fn the_cluster_is_the_pinned_release(namespace: &Namespace<'_>) {
    let output = namespace.kubectl(User::Developer).args(["version", "-o", "json"]).run();
    let versions: Value = serde_json::from_str(output.ok()).unwrap();
    // With KUBEBUILDER_ASSETS, the release is that of the given binaries.
    if env::var_os("KUBEBUILDER_ASSETS").is_none() {
        assert_eq!(versions["serverVersion"]["minor"], "36", "{versions}");
        assert_eq!(versions["serverVersion"]["gitVersion"], namespace.cluster.ready().version, "{versions}");
    }
    assert_eq!(namespace.kubectl(User::Admin).args(["get", "--raw", "/readyz"]).run().ok(), "ok");
}

fn kubectl_writes_and_reads_scans(namespace: &Namespace<'_>) {
    let developer = || namespace.kubectl(User::Developer);
    let controller = || namespace.kubectl(User::ScanController);

    developer().args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
    developer().args(["apply", "-f", "-"]).input(scan("two").to_string()).run().ok();
    developer().args(["apply", "--server-side", "-f", "-"]).input(scan("three").to_string()).run().ok();
    developer().args(["apply", "--dry-run=server", "-f", "-"]).input(scan("four").to_string()).run().ok();
    assert!(developer().args(["get", "sourcescan", "four"]).run().failed().contains("not found"));

    let status = r#"{"status": {"phase": "Completed", "CVECount": {"CVETOTAL": 3}}}"#;
    let patch = ["patch", "sourcescan", "one", "--type=merge", "--patch", status];
    developer().args(patch).run().ok(); // accepted, but the status is dropped
    controller().args(patch).args(["--subresource=status"]).run().ok();
    let table = developer().args(["get", "sourcescans"]).run();
    let rows: Vec<Vec<&str>> = table.ok().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[1][0], rows[1][1], rows[1][3]), ("one", "Completed", "3"));
    assert_eq!(rows.len(), 4, "{rows:?}");

    let editor = namespace.cluster.folder().join("editor.sh");
    fs::write(&editor, "sed -i s/code.tar.gz/edited.tar.gz/ \"$1\"\n").unwrap();
    let edit = developer().env("KUBE_EDITOR", format!("sh {}", editor.display()));
    edit.args(["edit", "sourcescan", "two"]).run().ok();
    let url = ["get", "sourcescan", "two", "-o", "jsonpath={.spec.blob.url}"];
    assert_eq!(developer().args(url).run().ok(), "https://example.com/edited.tar.gz");
    developer().args(["delete", "sourcescans", "--all"]).run().ok();
}

fn the_rights_of_the_users_are_enforced(namespace: &Namespace<'_>) {
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
    let patch = ["patch", "sourcescan", "one", "--subresource=status", "--type=merge", "--patch", "{}"];
    let denied = namespace.kubectl(User::Developer).args(patch).run();
    assert!(denied.failed().contains(r#"User "developer" cannot patch resource "sourcescans/status""#), "{denied:?}");
    let denied = namespace.kubectl(User::Webhook).args(["get", "sourcescan", "one"]).run();
    assert!(denied.failed().contains(r#"cannot get resource "sourcescans""#), "{denied:?}");
}

fn admission_policies_deny_and_mutate(namespace: &Namespace<'_>) {
    let group = "admissionregistration.k8s.io/v1";
    let scans = json!([{"apiGroups": ["scanning.apps.tanzu.vmware.com"], "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"], "resources": ["sourcescans"]}]);
    let constraints = json!({"namespaceSelector": only(namespace), "resourceRules": scans});
    let policies = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "smoke"}, "spec": {
            "matchConstraints": constraints,
            "validations": [{"expression": "object.metadata.name != 'bad'", "message": "no bad scans"}]}},
        {"apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "smoke"},
            "spec": {"policyName": "smoke", "validationActions": ["Deny"]}},
        {"apiVersion": group, "kind": "MutatingAdmissionPolicy", "metadata": {"name": "smoke"}, "spec": {
            "matchConstraints": constraints, "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {
                "expression": "Object{metadata: Object.metadata{labels: {'mutated': 'yes'}}}"}}]}},
        {"apiVersion": group, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": "smoke"},
            "spec": {"policyName": "smoke"}},
    ]});
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(policies.to_string()).run().ok();
    let create = |name: &str| {
        let developer = namespace.kubectl(User::Developer);
        developer.args(["create", "--dry-run=server", "-o", "json", "-f", "-"]).input(scan(name).to_string()).run()
    };
    let denied = eventually("the policy denies", || Some(create("bad")).filter(|output| output.code == Some(1)));
    let words = "ValidatingAdmissionPolicy 'smoke' with binding 'smoke' denied request: no bad scans";
    assert!(denied.stderr.contains(words), "{denied:?}");
    eventually("the policy mutates", || create("good").ok().contains(r#""mutated": "yes""#).then_some(()));
}

fn the_failure_policy_decides_while_a_webhook_is_down(namespace: &Namespace<'_>) {
    // A port that was free a moment ago, so no process listens on it.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}});
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(service.to_string()).run().ok();
    let register = |policy: &str| {
        let hook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "smoke"},
            "webhooks": [{
                "name": "smoke.scan-admission.dev",
                "clientConfig": {"service": {"namespace": namespace.name, "name": "hook", "path": "/validate", "port": port}},
                "rules": [{"apiGroups": ["scanning.apps.tanzu.vmware.com"], "apiVersions": ["*"],
                    "operations": ["CREATE"], "resources": ["sourcescans"]}],
                "namespaceSelector": only(namespace),
                "failurePolicy": policy, "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
            }],
        });
        namespace.kubectl(User::Admin).args(["apply", "-f", "-"]).input(hook.to_string()).run().ok();
    };
    let create = || {
        let developer = namespace.kubectl(User::Developer);
        developer.args(["create", "--dry-run=server", "-f", "-"]).input(scan("one").to_string()).run()
    };
    register("Fail");
    let denied = eventually("Fail denies", || Some(create()).filter(|output| output.code == Some(1)));
    let words = r#"failed calling webhook "smoke.scan-admission.dev": failed to call webhook: Post "https://hook."#;
    assert!(denied.stderr.contains(words), "{denied:?}");
    assert!(denied.stderr.contains("connection refused"), "{denied:?}");
    register("Ignore");
    eventually("Ignore allows", || Some(create()).filter(|output| output.code == Some(0)));
    eventually("the audit log records the ignored failure", || {
        let failed_open = "failed-open.validating.webhook.admission.k8s.io/round_0_index_0";
        namespace.cluster.audit().iter().find_map(|event| event["annotations"][failed_open].as_str().map(drop))
    });
}

fn unused_and_denied_rights_are_reported(namespace: &Namespace<'_>) {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "smoke"}, "rules": [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["needed"], "verbs": ["get", "delete"]}]});
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(role.to_string()).run().ok();
    let bind = ["create", "rolebinding", "smoke", "--role=smoke", "--serviceaccount=scan-admission:scan-admission"];
    namespace.kubectl(User::Admin).args(bind).run().ok();
    let get = |name: &str| namespace.kubectl(User::Webhook).args(["get", "secret", name]).run();
    eventually("the role takes effect", || get("needed").stderr.contains("not found").then_some(()));
    assert!(get("other").failed().contains("Forbidden"));

    let own = |texts: Vec<String>| -> Vec<String> {
        texts.into_iter().filter(|text| text.ends_with(&format!(" in {}", namespace.name))).collect()
    };
    let name = &namespace.name;
    eventually("the rights are reported", || {
        let rights = namespace.cluster.rights(User::Webhook);
        let (used, unused, denied) = (own(rights.used), own(rights.unused), own(rights.denied));
        (used == [format!("Role smoke: get secrets needed in {name}")]
            && unused == [format!("Role smoke: delete secrets needed in {name}")]
            && denied.contains(&format!("get secrets other in {name}")))
        .then_some(())
    });
}

fn a_deleted_namespace_is_removed(namespace: &Namespace<'_>) {
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
    namespace.cluster.kubectl(User::Admin).args(["delete", "namespace", &namespace.name, "--timeout=30s"]).run().ok();
}

fn a_stopped_control_plane_leaves_nothing_behind(_: &Namespace<'_>) {
    for signal in [false, true] {
        let mut cluster = ControlPlane::start().unwrap_or_else(|error| panic!("{error:?}"));
        assert!(cluster.folder().exists());
        if signal {
            assert!(Command::new("kill").arg(cluster.pid().to_string()).status().unwrap().success());
            cluster.wait().unwrap();
        } else {
            cluster.stop().unwrap();
        }
        assert!(!cluster.folder().exists(), "signal: {signal}");
    }
}
