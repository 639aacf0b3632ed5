//! Tests that a destroyed Secret and overwritten caBundles are restored, and that problems are logged.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scan_admission::cluster::ca_bundle::{ApplyOutcome, WebhookConfiguration, kinds};
use scan_admission::cluster::shared_ca::Bundle;
use serde_json::{Value, json};

use crate::Test;
use crate::controlplane::{Kubectl, KubectlOutput, Namespace, User, eventually};
use crate::replicas::{Fleet, NAME, SECRET};
use crate::support::process::Process;

pub const TESTS: &[(&str, Test)] =
    &[("destroyed-secrets-and-ca-bundles-are-restored", destroyed_secrets_and_ca_bundles_are_restored)];

const LIFETIMES: [&str; 2] = ["--ca-life=1h", "--cert-life=10m"];
const CONFIGURATIONS: [&str; 2] = ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"];

impl Fleet {
    fn admin<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> KubectlOutput {
        self.kubectl().args(arguments).run()
    }

    fn kubectl(&self) -> Kubectl {
        self.cluster.kubectl(User::Admin).args(["--namespace", NAME])
    }

    /// Applies the kustomization of the tests again.
    fn apply(&self, how: &[&str]) {
        self.kubectl().args(["apply", "-k"]).args([self.folder.join("manifests/mine")]).args(how).run().ok();
    }

    fn delete_secret(&self) {
        self.admin(["delete", "secret", SECRET]).ok();
    }

    /// Overwrites the caBundle of one webhook.
    fn overwrite(&self, kind: &str, bundle: &str) {
        let patch = json!([{"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": bundle}]).to_string();
        self.admin(["patch", kind, NAME, "--type=json", "--patch", &patch]).ok();
    }
}

fn until_logged(replica: &Process, words: &str) {
    eventually(words, || replica.errors().contains(words).then_some(()));
}

fn destroyed_secrets_and_ca_bundles_are_restored(_: &Namespace<'_>) {
    let fleet = Fleet::new();
    concurrent_starts_create_one_ca(&fleet);
    let replicas = [fleet.start("1s", &LIFETIMES), fleet.start("1s", &LIFETIMES)];
    eventually("both replicas are ready", || replicas.iter().all(|replica| fleet.is_ready(replica)).then_some(()));
    ca_bundles_are_restored(&fleet, &replicas);
    applying_the_manifests_again_changes_nothing(&fleet);
    a_destroyed_secret_is_replaced(&fleet, &replicas);
    a_deleted_configuration_is_not_recreated(&fleet, &replicas[0]);
    drop(replicas);
    a_foreign_secret_is_not_overwritten(&fleet);
    missing_rights_are_logged(&fleet);
    readiness_requires_a_verified_certificate(&fleet);
}

/// Several replicas start on a cluster that has no CA yet.
fn concurrent_starts_create_one_ca(fleet: &Fleet) {
    for count in [2, 5] {
        let replicas: Vec<Process> = (0..count).map(|_| fleet.start("1s", &LIFETIMES)).collect();
        eventually("all replicas are ready", || replicas.iter().all(|replica| fleet.is_ready(replica)).then_some(()));
        eventually("all caBundles contain the CA", || fleet.is_in_step(1).then_some(()));
        let logs: String = replicas.iter().map(Process::errors).collect();
        assert_eq!(logs.matches("created a CA, which signs at once").count(), 1, "{logs}");
        assert_eq!(logs.matches("serving a certificate").count(), count, "{logs}");
        drop(replicas);
        fleet.delete_secret();
        for kind in CONFIGURATIONS {
            fleet.overwrite(kind, "");
            let patch = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
            fleet.admin(["patch", kind, NAME, "--type=json", "--patch", patch]).ok();
        }
    }
}

/// The caBundle is emptied, or overwritten with another CA.
fn ca_bundles_are_restored(fleet: &Fleet, replicas: &[Process]) {
    let strange = rcgen::generate_simple_self_signed(["strange".to_owned()]).unwrap().cert.pem();
    let strange = STANDARD.encode(strange);
    let cas = fleet.cas();
    for kind in CONFIGURATIONS {
        for bundle in ["", strange.as_str()] {
            fleet.overwrite(kind, bundle);
            eventually("the caBundle is restored", || fleet.is_in_step(1).then_some(()));
        }
    }
    assert_eq!(fleet.cas(), cas);
    assert!(replicas.iter().all(|replica| fleet.is_ready(replica)));
}

/// The manifests do not contain the field, so applying them in any way leaves it unchanged.
fn applying_the_manifests_again_changes_nothing(fleet: &Fleet) {
    let versions = || {
        CONFIGURATIONS.map(|kind| {
            let output = fleet.admin(["get", kind, NAME, "-o", "json"]);
            let configuration: Value = serde_json::from_str(output.ok()).unwrap();
            configuration["webhooks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["clientConfig"].clone())
                .collect::<Vec<_>>()
        })
    };
    let before = versions();
    for how in [&[] as &[&str], &["--server-side", "--force-conflicts"]] {
        let path = fleet.folder.join("manifests/mine/kustomization.yaml");
        let text = fs::read_to_string(&path).unwrap();
        // The text must change, since applying an unchanged object writes nothing.
        fs::write(&path, format!("commonAnnotations: {{applied: \"{}\"}}\n{text}", how.len())).unwrap();
        fleet.apply(how);
        assert_eq!(versions(), before, "{how:?}");
        fs::write(&path, text).unwrap();
    }
}

fn a_destroyed_secret_is_replaced(fleet: &Fleet, replicas: &[Process]) {
    let empty = r#"[{"op": "remove", "path": "/data"}]"#;
    let no_key = r#"[{"op": "remove", "path": "/data/ca.key"}]"#;
    let nonsense = r#"[{"op": "replace", "path": "/data/ca.crt", "value": "bm9uc2Vuc2U="}]"#;
    for patch in [None, Some(empty), Some(no_key), Some(nonsense)] {
        let before = fleet.cas();
        match patch {
            None => fleet.delete_secret(),
            Some(patch) => {
                fleet.admin(["patch", "secret", SECRET, "--type=json", "--patch", patch]).ok();
            }
        }
        // Served certificates stay verified until another CA has been announced, and afterwards.
        eventually("another CA is announced beside the old one", || {
            let bundles = fleet.bundles();
            bundles.iter().all(|bundle| bundle.len() == 2 && bundle.contains(&before[0])).then_some(())
        });
        eventually("another CA signs", || {
            (fleet.secret().contains_key("ca.crt") && fleet.cas()[0] != before[0] && fleet.is_in_step(2)).then_some(())
        });
        // The old CA is kept for ten minutes; the test does not wait that long.
        fleet
            .admin([
                "patch",
                "secret",
                SECRET,
                "--type=json",
                "--patch",
                r#"[{"op": "remove", "path": "/data/old.crt"}]"#,
            ])
            .ok();
        eventually("one CA is left", || fleet.is_in_step(1).then_some(()));
    }
    let logs: String = replicas.iter().map(Process::errors).collect();
    for words in ["ca.crt: ca.key is missing; discarding it", "ca.crt: the entry contains no certificate"] {
        assert!(logs.contains(words), "{logs}");
    }
}

/// A deleted configuration is not recreated: the user who deletes it wants to remove the webhook.
fn a_deleted_configuration_is_not_recreated(fleet: &Fleet, replica: &Process) {
    let missing = "ValidatingWebhookConfiguration scan-admission not found; apply the manifests";
    let [kind, _] = kinds();
    let read = fleet.runtime.block_on(WebhookConfiguration::read(&fleet.client, kind, NAME)).unwrap().unwrap();
    fleet.admin(["delete", CONFIGURATIONS[0], NAME]).ok();
    // A round that read the configuration before the deletion does not recreate it either.
    let written = fleet.runtime.block_on(read.apply(&fleet.client, &Bundle::new()));
    assert!(matches!(written, Ok(ApplyOutcome::Conflict)), "{:?}", written.err());
    until_logged(replica, missing);
    eventually("the gauge shows it", || (fleet.metric(replica, "ca_bundle_synced") == Some(0.0)).then_some(()));
    assert!(fleet.metric(replica, "ca_failures_total") > Some(0.0));
    assert!(fleet.is_ready(replica), "the other configuration still works");
    fleet.admin(["get", CONFIGURATIONS[0], NAME]).failed();

    fleet.apply(&[]);
    eventually("the caBundle is restored", || fleet.is_in_step(1).then_some(()));
    eventually("the gauge shows it", || (fleet.metric(replica, "ca_bundle_synced") == Some(1.0)).then_some(()));
    assert_eq!(replica.errors().matches(missing).count(), 1, "reported once: {}", replica.errors());
}

fn a_foreign_secret_is_not_overwritten(fleet: &Fleet) {
    fleet.delete_secret();
    fleet.admin(["create", "secret", "generic", SECRET, "--from-literal=ca.crt=mine"]).ok();
    let replica = fleet.start("1s", &LIFETIMES);
    until_logged(
        &replica,
        "the Secret scan-admission/scan-admission-ca does not belong to scan-admission and is left unchanged: it has no label \
         app.kubernetes.io/managed-by=scan-admission; delete it, or name another Secret with --ca-secret",
    );
    assert_eq!(fleet.secret()["ca.crt"], b"mine");
    assert!(!fleet.is_ready(&replica));
    let output = fleet.runtime.block_on(crate::support::http::get(replica.admin, "/readyz")).body;
    assert_eq!(String::from_utf8(output).unwrap(), "there is no certificate yet\n");
    fleet.delete_secret();
    eventually("the replica becomes ready", || fleet.is_ready(&replica).then_some(()));
}

/// The log says which right is missing and how to grant it.
fn missing_rights_are_logged(fleet: &Fleet) {
    crate::events::write_series(&fleet.runtime, &fleet.cluster);
    let rights = fleet.cluster.rights(User::Webhook);
    assert!(rights.denied.is_empty() && rights.unused.is_empty(), "{rights:?}");
    fleet.admin(["delete", "clusterrolebinding", NAME]).ok();
    let replica = fleet.start("1s", &LIFETIMES);
    let rejected = "ValidatingWebhookConfiguration scan-admission cannot be read: \
        validatingwebhookconfigurations.admissionregistration.k8s.io \"scan-admission\" is forbidden: \
        User \"system:serviceaccount:scan-admission:scan-admission\" cannot get resource";
    until_logged(&replica, rejected);
    until_logged(&replica, "apply manifests/base/rbac.yaml, which grants this right");
    until_logged(&replica, "; noticing changes only by polling: ");
    eventually("the replica retries", || (fleet.metric(&replica, "ca_failures_total") >= Some(3.0)).then_some(()));
    let log = replica.errors();
    assert_eq!(log.matches(rejected).count(), 1, "reported once: {log}");
    assert!(!log.contains("kube_runtime"), "also logged by a library: {log}");
    fleet.apply(&[]);
    eventually("the replica recovers", || (fleet.is_ready(&replica) && fleet.is_in_step(2)).then_some(()));
}

/// A replica becomes ready only once its certificate is verified. A replica that was ready before stays ready.
fn readiness_requires_a_verified_certificate(fleet: &Fleet) {
    let before = fleet.start("1s", &LIFETIMES);
    eventually("the first replica is ready", || fleet.is_ready(&before).then_some(()));
    let read = r#"[{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "list", "watch"]}]"#;
    fleet.admin(["patch", "clusterrole", NAME, "--type=json", "--patch", read]).ok();
    fleet.overwrite(CONFIGURATIONS[1], "");
    let after = fleet.start("1s", &LIFETIMES);
    let rejected = "the caBundle of MutatingWebhookConfiguration scan-admission cannot be written: ";
    for replica in [&before, &after] {
        until_logged(replica, rejected);
        until_logged(replica, "cannot patch resource \"mutatingwebhookconfigurations\"");
        eventually("the gauge shows it", || (fleet.metric(replica, "ca_bundle_synced") == Some(0.0)).then_some(()));
    }
    assert!(fleet.is_ready(&before));
    let output = fleet.runtime.block_on(crate::support::http::get(after.admin, "/readyz"));
    let words = String::from_utf8(output.body).unwrap();
    assert_eq!((output.code, words.as_str()), (503, "the webhooks' caBundle does not verify the certificate yet\n"));
    fleet.apply(&[]);
    eventually("the second replica becomes ready", || fleet.is_ready(&after).then_some(()));
    assert_eq!(after.errors().matches(rejected).count(), 1, "reported once: {}", after.errors());
}
