//! Tests the installed objects on the API server: kinds, pods and webhooks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use scan_admission::config::Config;
use scan_admission::scan::field::{Artifact, cve_count_name, metadata_url_name};
use scan_admission::scan::{Count, Kind, ScannerMember, Source, Spelling};
use serde_json::{Value, json};

use crate::controlplane::{Namespace, User, eventually};
use crate::installed::generate;
use crate::support::folder::Folder;
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] = &[
    ("the-crds-describe-every-judged-field", the_crds_describe_every_judged_field),
    ("the-schema-leaves-the-status-to-the-webhook", the_schema_leaves_the_status_to_the_webhook),
    ("pods-are-admitted-under-the-restricted-standard", pods_are_admitted_under_the_restricted_standard),
    ("the-port-is-changed-by-the-documented-patch", the_port_is_changed_by_the_documented_patch),
    ("the-configuration-is-changed-by-the-documented-patch", the_configuration_is_changed_by_the_documented_patch),
    ("overlays-for-other-certificates", overlays_for_other_certificates),
    ("events-are-turned-off-and-on-by-a-component", events_are_turned_off_and_on_by_a_component),
    ("break-glass-bypasses-the-webhooks", break_glass_bypasses_the_webhooks),
];

fn get(namespace: &Namespace<'_>, arguments: &[&str]) -> Value {
    let output = namespace.kubectl(User::Admin).args(["get"]).args(arguments).args(["-o", "json"]).run();
    serde_json::from_str(output.ok()).unwrap()
}

/// Collects the paths of a schema's properties, none of which may have a type.
fn untyped(schema: &Value, path: &str, paths: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        assert_eq!(property["type"], Value::Null, "{path}");
        assert_eq!(property["x-kubernetes-preserve-unknown-fields"], true, "{path}");
        assert!(property["description"].is_string(), "{path}");
        untyped(property, &format!("{path}."), paths);
        paths.insert(path);
    }
}

/// Returns every field that a rule judges, and the three that none does.
fn judged() -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = ["phase", "conditions", "scannedBy", "scannedBy.scanner", "scannedAt"]
        .into_iter()
        .chain(["observedGeneration", "observedTemplateGeneration", "observedTemplateUID", "observedPolicyGeneration"])
        .map(ToOwned::to_owned)
        .collect();
    for spelling in Spelling::BOTH {
        let counts = cve_count_name(spelling);
        paths.extend(Count::ALL.map(|count| format!("{counts}.{}", count.name(spelling))));
        paths.extend([counts.to_owned(), metadata_url_name(spelling).to_owned()]);
    }
    paths.extend(ScannerMember::ALL.map(|member| format!("scannedBy.scanner.{}", member.name())));
    for artifact in Artifact::BOTH.map(Artifact::name) {
        for source in Source::ALL {
            let path = format!("{artifact}.{}", source.name());
            paths.extend(source.members().iter().map(|member| format!("{path}.{}", member.name())));
            paths.insert(path);
        }
        paths.insert(artifact.to_owned());
    }
    paths
}

fn the_crds_describe_every_judged_field(namespace: &Namespace<'_>) {
    let headings = [
        (Kind::SourceScan, "srcscan", "PHASE SCANNEDREVISION SCANNEDREPOSITORY AGE"),
        (Kind::ImageScan, "imgscan", "PHASE SCANNEDIMAGE AGE"),
    ];
    for (kind, short, before) in headings {
        let name = format!("{}.scanning.apps.tanzu.vmware.com", kind.plural());
        let definition = get(namespace, &["crd", &name]);
        let version = &definition["spec"]["versions"][0];
        assert_eq!((&version["name"], &version["subresources"]), (&json!("v1beta1"), &json!({"status": {}})));
        let mut paths = BTreeSet::new();
        untyped(&version["schema"]["openAPIV3Schema"]["properties"]["status"], "", &mut paths);
        assert_eq!(paths, judged(), "{name}");
        for what in ["spec", "status.cveCount", "status.CVECount.CVETOTAL"] {
            let path = format!("{}.{what}", kind.plural());
            let explained = namespace.kubectl(User::Developer).args(["explain", &path]).run();
            assert!(explained.ok().contains("DESCRIPTION"), "{explained:?}");
        }
        // The short name works, too. A table without rows has no header, so a scan is created.
        let scan = json!({"apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": kind.name(),
            "metadata": {"name": "one"}, "spec": {"registry": {"image": "example.com/a:1"},
            "blob": {"url": "https://example.com/a.tgz"}, "scanTemplate": "template"}});
        let create = ["create", "--validate=ignore", "-f", "-"];
        namespace.kubectl(User::Developer).args(create).input(scan.to_string()).run().ok();
        let table = namespace.kubectl(User::Developer).args(["get", short]).run();
        let head = table.ok().lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(head, format!("NAME {before} CRITICAL HIGH MEDIUM LOW UNKNOWN CVETOTAL"));
    }
}

/// The webhook reports wrong types, not the schema. A list is one value, so the conditions of two writers are not
/// merged.
fn the_schema_leaves_the_status_to_the_webhook(namespace: &Namespace<'_>) {
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
    let wrong = [
        ("", json!("done"), r#"status: Invalid value: "done": must be an object [status-shape]"#),
        ("phase", json!(1), "status.phase: Unsupported value: 1: supported values: "),
        ("conditions", json!({}), "status.conditions: Invalid value: {}: must be a list [status-shape]"),
        (
            "cveCount",
            json!("many"),
            r#"status.cveCount: Invalid value: "many": must be an object of counts [cve-count-values]"#,
        ),
        ("artifact", json!([]), "status.artifact: Invalid value: []: must be an object [status-shape]"),
    ];
    for (field, value, words) in wrong {
        let status = if field.is_empty() { value } else { json!({field: value}) };
        let patch = json!({"status": status}).to_string();
        let patch = ["patch", "sourcescan", "one", "--subresource=status", "--type=merge", "--patch", &patch];
        let denied = namespace.kubectl(User::ScanController).args(patch).run();
        assert!(denied.failed().contains(words), "{denied:?}");
    }
    let status = json!({"apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": "SourceScan",
        "metadata": {"name": "one"}, "status": {"phase": "Scanning", "conditions": [{"type": "Scanning", "status": "True",
        "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}});
    let apply = ["apply", "--server-side", "--subresource=status", "-f", "-"];
    namespace.kubectl(User::ScanController).args(apply).input(status.to_string()).run().ok();
    let stored = get(namespace, &["sourcescan", "one", "--show-managed-fields"]);
    let managers = stored["metadata"]["managedFields"].as_array().unwrap();
    let conditions = managers.iter().find_map(|manager| manager["fieldsV1"]["f:status"].get("f:conditions"));
    assert_eq!(conditions, Some(&json!({})));
}

/// The namespace enforces the standard, so the test asks the API server.
fn pods_are_admitted_under_the_restricted_standard(namespace: &Namespace<'_>) {
    let own = ["--namespace", "scan-admission"];
    let labels = &get(namespace, &["namespace", "scan-admission"])["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    let pod = |change: fn(&mut Value)| {
        let template = &get(namespace, &["deployment", "scan-admission", own[0], own[1]])["spec"]["template"];
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": template["spec"]});
        change(&mut pod["spec"]);
        let create = ["create", "--dry-run=server", "-f", "-"];
        namespace.cluster.kubectl(User::Admin).args(own).args(create).input(pod.to_string()).run()
    };
    pod(|_| {}).ok();
    let denied = pod(|spec| spec["containers"][0]["securityContext"]["capabilities"] = json!({}));
    assert!(denied.failed().contains("violates PodSecurity \"restricted:latest\""), "{denied:?}");
}

/// Returns the base, and the base with the patch of this section of manifests/README.md.
fn before_and_after(namespace: &Namespace<'_>, section: &str) -> (String, String) {
    let readme = include_str!("../../manifests/README.md");
    let section = readme.split(section).nth(1).unwrap();
    let patch = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = Folder::new();
    generate(folder.path());
    let overlay = folder.join("mine");
    fs::create_dir(&overlay).unwrap();
    fs::write(overlay.join("kustomization.yaml"), format!("resources: [../base]\n{patch}")).unwrap();
    let build = |folder: &Path| {
        let build = namespace.cluster.kubectl(User::Admin).args(["create", "--dry-run=client", "-o", "json", "-k"]);
        build.args([folder]).run().ok().to_owned()
    };
    (build(&folder.join("base")), build(&overlay))
}

fn the_configuration_is_changed_by_the_documented_patch(namespace: &Namespace<'_>) {
    let (before, after) = before_and_after(namespace, "## Configure it");
    let config = |objects: &str| {
        let objects = serde_json::Deserializer::from_str(objects).into_iter::<Value>();
        let data = objects.map(Result::unwrap).find(|object| object["kind"] == "ConfigMap").unwrap()["data"].take();
        let text = data["config.yaml"].as_str().unwrap().to_owned();
        let config = Config::read(text.as_bytes()).unwrap();
        (text, config.settings.modes.len(), config.settings.overrides.len())
    };
    let ((before_text, ..), (text, modes, overrides)) = (config(&before), config(&after));
    assert_eq!((modes, overrides), (1, 1));
    let json = |text: &str| serde_json::to_string(text).unwrap();
    assert_eq!(after, before.replace(&json(&before_text), &json(&text)));
}

fn the_port_is_changed_by_the_documented_patch(namespace: &Namespace<'_>) {
    let (before, after) = before_and_after(namespace, "## Another port");
    assert_eq!(before.matches("8443").count(), 2, "an argument and the port of the container");
    assert_eq!(after, before.replace("8443", "10250"));
}

fn overlays_for_other_certificates(namespace: &Namespace<'_>) {
    let folder = Folder::new();
    generate(folder.path());
    let build = |overlay: &str| {
        let build = namespace.cluster.kubectl(User::Admin).args(["kustomize"]).args([folder.join(overlay)]).run();
        build.ok().to_owned()
    };
    let files = build("files");
    let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"];
    // The Service differs here, as there is no kube-proxy.
    let objects: Vec<&str> = files.split("---\n").filter(|object| !object.contains("\nkind: Service\n")).collect();
    namespace.cluster.kubectl(User::Admin).args(apply).input(objects.join("---\n")).run().ok();
    for absent in ["kind: Role", "kind: ClusterRole", "--certs", "--events", "fieldRef"] {
        assert!(!files.contains(absent), "{absent} in {files}");
    }
    assert_eq!(files.matches("automountServiceAccountToken: false").count(), 2);
    let readme = include_str!("../../manifests/README.md");
    let section = readme.split("## Certificates of your own").nth(1).unwrap();
    let patch = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    fs::create_dir(folder.join("mine")).unwrap();
    let overlay = format!("resources: [../files]\n{patch}").replace("CA_IN_BASE64", "Q0E=");
    fs::write(folder.join("mine/kustomization.yaml"), overlay).unwrap();
    let mine = build("mine");
    assert_eq!((mine.matches("caBundle: Q0E=").count(), mine.matches("clientConfig:").count()), (4, 4), "{mine}");
    assert!(files.contains("egress: []"));
    for mounted in ["mountPath: /etc/scan-admission/config\n", "mountPath: /etc/scan-admission/tls\n"] {
        assert!(files.contains(mounted), "{mounted} in {files}");
    }

    // The kinds of cert-manager are not served here, so only the names that must agree are compared.
    let cert_manager = build("cert-manager");
    assert_eq!(cert_manager.matches("cert-manager.io/inject-ca-from: scan-admission/scan-admission\n").count(), 2);
    assert!(cert_manager.contains("  secretName: scan-admission-tls\n"), "the Certificate");
    assert!(cert_manager.contains("          secretName: scan-admission-tls\n"), "the volume");
    assert!(cert_manager.contains("  - scan-admission.scan-admission.svc\n"));
}

/// One component takes the flag and the rights away from the base, and the other gives them to an overlay without
/// rights. Neither changes anything else.
fn events_are_turned_off_and_on_by_a_component(namespace: &Namespace<'_>) {
    let folder = Folder::new();
    generate(folder.path());
    fs::create_dir(folder.join("mine")).unwrap();
    let build = |text: &str| {
        fs::write(folder.join("mine/kustomization.yaml"), text).unwrap();
        let build = namespace.cluster.kubectl(User::Admin).args(["kustomize"]).args([folder.join("mine")]).run();
        let built: Vec<String> = build.ok().split("---\n").map(str::to_owned).collect();
        built
    };
    // Without the objects and the line that are only for Events.
    let without_events = |objects: &[String]| -> Vec<String> {
        let others = objects.iter().filter(|object| !object.contains("name: scan-admission-events"));
        others.map(|object| object.replace("        - --events\n", "")).collect()
    };
    let base = build("resources: [../base]\n");
    let off = build("resources: [../base]\ncomponents: [../no-events]\n");
    assert_eq!(off, without_events(&base));
    assert_eq!(base.len(), off.len() + 2);
    let files = build("resources: [../files]\n");
    let on = build("resources: [../files]\ncomponents: [../events]\n");
    assert_eq!(files, without_events(&files));
    let only_events = |object: &&String| object.contains("name: scan-admission-events");
    assert_eq!(on.iter().filter(only_events).collect::<Vec<_>>(), base.iter().filter(only_events).collect::<Vec<_>>());
    let changes: Vec<(String, String)> = files
        .iter()
        .zip(without_events(&on))
        .flat_map(|(before, after)| {
            let before: Vec<String> = before.lines().map(str::to_owned).collect();
            let added: Vec<String> =
                after.lines().filter(|line| !before.iter().any(|one| one == line)).map(str::to_owned).collect();
            let removed: Vec<String> =
                before.into_iter().filter(|line| !after.lines().any(|one| one == line)).collect();
            removed.into_iter().zip(added)
        })
        .collect();
    let pair = |before: &str, after: &str| (before.to_owned(), after.to_owned());
    assert_eq!(
        changes,
        [
            pair("      automountServiceAccountToken: false", "      automountServiceAccountToken: true"),
            pair("  egress: []", "  egress:"),
        ]
    );
}

/// The component lets the users that it is bound to write scans without review, and grants nothing else.
fn break_glass_bypasses_the_webhooks(namespace: &Namespace<'_>) {
    let folder = Folder::new();
    generate(folder.path());
    let admin = || namespace.cluster.kubectl(User::Admin);
    admin().args(["apply", "-k"]).args([folder.join("break-glass")]).run().ok();
    let bind = ["create", "clusterrolebinding", "tests-break-glass", "--clusterrole=scan-admission-break-glass"];
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
    let written = r#"{"status": {"phase": "Complete", "cveCount": {"critical": 1}}}"#;
    let patch = |user: User, groups: &[&str]| {
        let patch = ["patch", "sourcescan", "one", "--subresource=status", "--type=merge", "--patch", written];
        namespace.kubectl(user).args(groups).args(patch).run()
    };
    let broken = ["--as=scan-repair", "--as-group=scan-admission:break-glass"];
    let denied = patch(User::Developer, &broken);
    assert!(denied.failed().contains("Forbidden") && denied.stderr.contains("impersonate"), "{denied:?}");
    admin().args(bind).args(["--user=developer"]).run().ok();
    let done = eventually("the binding takes effect", || {
        Some(patch(User::Developer, &broken)).filter(|output| output.code == Some(0))
    });
    assert_eq!(done.stderr, "");
    // Stored as written, without a total.
    let stored = get(namespace, &["sourcescan", "one"]);
    assert_eq!(stored["status"], json!({"phase": "Complete", "cveCount": {"critical": 1}}));
    let secrets = namespace.kubectl(User::Developer).args(broken).args(["get", "secrets"]).run();
    assert!(secrets.failed().contains("Forbidden"), "{secrets:?}");
    let more = ["--as=scan-repair", "--as-group=system:masters"];
    let denied = patch(User::Developer, &more);
    assert!(denied.failed().contains("Forbidden") && denied.stderr.contains("impersonate"), "{denied:?}");
    // Without the group everything is reviewed. The test uses another scan, since the existing error of this one is
    // downgraded.
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("two").to_string()).run().ok();
    let patch = ["patch", "sourcescan", "two", "--subresource=status", "--type=merge", "--patch", written];
    let denied = namespace.kubectl(User::ScanController).args(patch).run();
    assert!(denied.failed().contains("[phase-unknown]"), "{denied:?}");
}
