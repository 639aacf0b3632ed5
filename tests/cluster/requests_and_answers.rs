//! Tests what the API server sends to our webhooks for each request, and how it treats their answers (RULES §6).

use serde_json::{Value, json};

use crate::controlplane::{KubectlOutput, Namespace, User, eventually};
use crate::{Test, break_glass, scan};

pub const TESTS: &[(&str, Test)] = &[
    ("a-create-with-a-status-warns", a_create_with_a_status_warns),
    ("a-main-update-is-not-judged-by-its-old-status", a_main_update_is_not_judged_by_its_old_status),
    ("a-forged-spec-on-the-status-changes-nothing", a_forged_spec_on_the_status_changes_nothing),
    ("finalizers-and-deletion-always-work", finalizers_and_deletion_always_work),
    ("a-dry-run-gets-the-same-answer-and-stores-nothing", a_dry_run_gets_the_same_answer_and_stores_nothing),
    ("unchanged-errors-of-a-scan-do-not-block-changes", unchanged_errors_of_a_scan_do_not_block_changes),
    ("a-denial-is-the-same-in-every-way-of-writing", a_denial_is_the_same_in_every_way_of_writing),
    ("a-policy-that-changes-the-status-causes-a-reinvocation", a_policy_that_changes_the_status_causes_a_reinvocation),
];

pub const GROUP: &str = "scanning.apps.tanzu.vmware.com";

/// Returns a scan of this name with these additional members.
pub fn with(name: &str, members: Value) -> Value {
    let mut scan = scan(name);
    json_patch::merge(&mut scan, &members);
    scan
}

pub fn stored(namespace: &Namespace<'_>, name: &str) -> Value {
    let output = namespace.kubectl(User::Developer).args(["get", "sourcescan", name, "-o", "json"]).run();
    serde_json::from_str(output.ok()).unwrap()
}

/// Writes a scan and its status without review by our webhooks.
pub fn seed(namespace: &Namespace<'_>, scan: &Value) {
    break_glass(namespace).args(["create", "-f", "-"]).input(scan.to_string()).run().ok();
    break_glass(namespace).args(["replace", "--subresource=status", "-f", "-"]).input(scan.to_string()).run().ok();
}

/// Updates the stored scan with these changes, as the controller.
pub fn replace(namespace: &Namespace<'_>, name: &str, arguments: &[&str], changes: Value) -> KubectlOutput {
    let mut object = stored(namespace, name);
    json_patch::merge(&mut object, &changes);
    let controller = namespace.kubectl(User::ScanController).args(["replace", "-f", "-"]).args(arguments);
    controller.input(object.to_string()).run()
}

pub fn patch(namespace: &Namespace<'_>, name: &str, arguments: &[&str], changes: Value) -> KubectlOutput {
    let patch = ["patch", "sourcescan", name, "--type=merge", "--patch", &changes.to_string()];
    namespace.kubectl(User::ScanController).args(patch).args(arguments).run()
}

pub const STATUS: &str = "--subresource=status";

/// Returns the annotations of our webhooks and of the API server on the last write of this scan.
pub fn annotations(namespace: &Namespace<'_>, name: &str) -> Value {
    eventually("the write is in the audit log", || {
        let events = namespace.cluster.audit();
        let event = events.iter().rev().find(|event| {
            let object = &event["objectRef"];
            object["namespace"] == namespace.name && object["name"] == name && event["verb"] != "get"
        });
        event.map(|event| event["annotations"].clone())
    })
}

fn a_create_with_a_status_warns(namespace: &Namespace<'_>) {
    let warning = "Warning: status: Forbidden: no status on CREATE, since a status subresource drops it; must be written \
                   by a later status update [status-on-create]\n";
    let ways: [&[&str]; 4] = [&["create"], &["apply"], &["apply", "--server-side"], &["create", "--dry-run=server"]];
    for (number, way) in ways.into_iter().enumerate() {
        let create = |name: &str, status: Value| {
            let scan = with(name, json!({"status": status})).to_string();
            let output = namespace.kubectl(User::Developer).args(way).args(["-f", "-"]).input(scan).run();
            output.ok();
            (output.stderr, annotations(namespace, name))
        };
        // The API server drops the status before it calls the validating webhook, which would deny it.
        let name = format!("with-{number}");
        let (output, noted) = create(&name, json!({"phase": "Done"}));
        assert_eq!(output, warning, "{way:?}");
        assert_eq!(noted["create.mutate.scan-admission.dev/rules"], "status-on-create", "{way:?}: {noted}");
        assert_eq!(noted["spec.validate.scan-admission.dev/decision"], "allow", "{way:?}: {noted}");
        if !way.contains(&"--dry-run=server") {
            assert_eq!(stored(namespace, &name)["status"], json!(null), "{way:?}");
        }
        for (name, status) in [(format!("empty-{number}"), json!({})), (format!("without-{number}"), json!(null))] {
            let (output, noted) = create(&name, status.clone());
            assert_eq!(output, "", "{way:?}");
            // This webhook is called only if the object has a status.
            assert_eq!(
                noted["create.mutate.scan-admission.dev/decision"].is_null(),
                status.is_null(),
                "{way:?}: {noted}"
            );
        }
    }
}

fn a_main_update_is_not_judged_by_its_old_status(namespace: &Namespace<'_>) {
    let bad = json!({"phase": "Done", "cveCount": {"low": "1"}});
    seed(namespace, &with("bad", json!({"status": bad})));
    seed(namespace, &with("good", json!({"status": {"phase": "Pending"}})));
    // In a main update the status does not count: the API server restores the old one, which is invalid in one case and
    // valid in the other.
    for changes in [
        json!({"metadata": {"labels": {"a": "b"}}}),
        json!({"spec": {"scanTemplate": "another"}}),
        json!({"status": {"phase": "Pending", "cveCount": null}}),
        json!({"status": {"phase": "Gone"}}),
        json!({"status": null}),
    ] {
        for name in ["bad", "good"] {
            let before = stored(namespace, name)["status"].clone();
            for output in [replace(namespace, name, &[], changes.clone()), patch(namespace, name, &[], changes.clone())]
            {
                output.ok();
                assert_eq!(output.stderr, "", "{changes}");
            }
            assert_eq!(stored(namespace, name)["status"], before, "{changes}");
        }
    }
    replace(namespace, "bad", &[], json!({"metadata": {"labels": {"c": "d"}}, "status": {"phase": "Gone"}})).ok();
    let noted = annotations(namespace, "bad");
    assert_eq!(noted["spec.validate.scan-admission.dev/decision"], "allow", "{noted}");
    assert!(noted["spec.validate.scan-admission.dev/rules"].is_null(), "{noted}");
}

fn a_forged_spec_on_the_status_changes_nothing(namespace: &Namespace<'_>) {
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": "2020-11-20T08:03:00Z"});
    let succeeded = condition("Succeeded", "JobFinished", "The scan job finished");
    let passed = condition("PolicySucceeded", "EvaluationPassed", "No CVEs were found that violated the policy");
    seed(namespace, &with("one", json!({"spec": {"scanPolicy": "scan-policy"}})));
    seed(namespace, &scan("two"));
    // The mutating webhook sees the forged spec, by which the phase would be Completed.
    let status = json!({"observedGeneration": 1, "conditions": [succeeded]});
    let forged = json!({"spec": {"scanPolicy": null}, "metadata": {"labels": {"forged": "yes"}}, "status": status});
    let output = replace(namespace, "one", &[STATUS], forged);
    output.ok();
    assert!(output.stderr.contains("Warning: status.phase: Required value: "), "{}", output.stderr);
    let one = stored(namespace, "one");
    assert_eq!(one["status"], status);
    assert_eq!((&one["spec"]["scanPolicy"], &one["metadata"]["labels"]), (&json!("scan-policy"), &json!(null)));
    assert_eq!(one["metadata"]["generation"], 1);

    // A policy's result without a policy, a deletion that was not requested, and a generation that does not exist.
    let status = json!({"observedGeneration": 1, "phase": "Completed", "conditions": [succeeded, passed]});
    let output = replace(namespace, "two", &[STATUS], json!({"spec": {"scanPolicy": "forged"}, "status": status}));
    assert!(output.failed().contains("[policy-without-scanpolicy]"), "{output:?}");
    let metadata =
        json!({"generation": 7, "deletionTimestamp": "2020-11-20T08:03:00Z", "finalizers": ["example.com/forged"]});
    let output = replace(namespace, "two", &[STATUS], json!({"metadata": metadata, "status": {"phase": "Done"}}));
    assert!(output.failed().contains("[phase-unknown]"), "{output:?}");
    let output =
        replace(namespace, "two", &[STATUS], json!({"metadata": metadata, "status": {"observedGeneration": 7}}));
    output.ok();
    assert!(output.stderr.contains("must be at most 1, the metadata.generation"), "{output:?}");
    assert_eq!(stored(namespace, "two")["status"], json!({"observedGeneration": 7}));
}

fn finalizers_and_deletion_always_work(namespace: &Namespace<'_>) {
    // The scan is invalid throughout: it has no target, and its status would be denied.
    let bad = |name: &str| {
        let members =
            json!({"spec": null, "metadata": {"finalizers": ["example.com/wait"]}, "status": {"phase": "Done"}});
        with(name, members)
    };
    seed(namespace, &bad("one"));
    seed(namespace, &bad("two"));
    let finalizers =
        |name: &str, finalizers: Value| patch(namespace, name, &[], json!({"metadata": {"finalizers": finalizers}}));
    let standing = "Warning: spec.blob.url: Required value: spec.blob.url or spec.git.url must be set (not denied: the old \
                    object has the same error) [scan-target]\n";
    for list in [json!(["example.com/wait", "example.com/more"]), json!(["example.com/wait"])] {
        let output = finalizers("one", list);
        output.ok();
        assert!(output.stderr.starts_with(standing), "{}", output.stderr);
    }

    let delete =
        |name: &str| namespace.kubectl(User::Developer).args(["delete", "sourcescan", name, "--wait=false"]).run();
    assert_eq!(delete("one").stderr, "");
    // No webhook is called: it could only warn.
    let output = patch(namespace, "one", &[STATUS], json!({"status": {"phase": "Gone"}}));
    output.ok();
    assert_eq!(output.stderr, "");
    let output = finalizers("one", json!(null));
    output.ok();
    assert_eq!(output.stderr, "");
    assert!(annotations(namespace, "one").as_object().unwrap().keys().all(|key| !key.contains("scan-admission.dev")));
    let gone = namespace.kubectl(User::Developer).args(["get", "sourcescan", "one"]).run();
    assert!(gone.failed().contains("not found"), "{gone:?}");
    // Without finalizers, the scan is deleted at once.
    finalizers("two", json!(null)).ok();
    assert_eq!(delete("two").stderr, "");
    let none = namespace.kubectl(User::Developer).args(["get", "sourcescans", "-o", "name"]).run();
    assert_eq!(none.ok(), "");
}

fn a_dry_run_gets_the_same_answer_and_stores_nothing(namespace: &Namespace<'_>) {
    seed(namespace, &scan("one"));
    for (status, code) in [
        (json!({"phase": "Pending", "cveCount": {"low": 2, "total": 1}}), 0),
        (json!({"phase": "Done", "scannedAt": "yesterday", "cveCount": {"low": 2, "total": 1}}), 1),
    ] {
        let dry = patch(namespace, "one", &[STATUS, "--dry-run=server", "-o", "json"], json!({"status": status}));
        assert_eq!(dry.code, Some(code), "{dry:?}");
        if code == 0 {
            let answer: Value = serde_json::from_str(&dry.stdout).unwrap();
            assert_eq!(answer["status"]["cveCount"]["total"], 2, "{answer}");
        }
        assert_eq!(stored(namespace, "one")["status"], json!(null));
        let wet = patch(namespace, "one", &[STATUS], json!({"status": status}));
        assert_eq!((wet.code, wet.stderr), (dry.code, dry.stderr));
        seed_status(namespace, "one");
    }
    let create = |more: &[&str]| {
        let scan = with("two", json!({"spec": {"blob": null, "scanTemplate": null}})).to_string();
        namespace.kubectl(User::Developer).args(["create", "-f", "-"]).args(more).input(scan).run()
    };
    assert_eq!(create(&["--dry-run=server"]).failed(), create(&[]).failed());
}

/// Removes the status.
fn seed_status(namespace: &Namespace<'_>, name: &str) {
    let patch = ["patch", "sourcescan", name, STATUS, "--type=merge", "--patch", r#"{"status": null}"#];
    break_glass(namespace).args(patch).run().ok();
}

fn unchanged_errors_of_a_scan_do_not_block_changes(namespace: &Namespace<'_>) {
    let status = json!({"phase": "Done", "cveCount": {"low": "1", "high": 1}, "conditions": [
        {"type": "Scanning", "status": "Maybe", "reason": "JobStarted", "lastTransitionTime": "2020-11-20T08:03:00Z"}]});
    seed(namespace, &with("one", json!({"status": status})));
    let standing = "(not denied: the old object has the same error)";
    // Changes another count and another condition, in every way of writing.
    let succeeded = json!({"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished",
        "lastTransitionTime": "2020-11-20T08:03:00Z"});
    let conditions = json!([status["conditions"][0], succeeded]);
    for output in [
        patch(namespace, "one", &[STATUS], json!({"status": {"cveCount": {"high": 2}}})),
        replace(namespace, "one", &[STATUS], json!({"status": {"conditions": conditions}})),
    ] {
        output.ok();
        for path in ["status.phase", "status.cveCount.low", "status.conditions[Scanning].status"] {
            let is_reported = |line: &str| line.starts_with(&format!("Warning: {path}: ")) && line.contains(standing);
            assert!(output.stderr.lines().any(is_reported), "{path}: {}", output.stderr);
        }
    }
    assert_eq!(stored(namespace, "one")["status"]["cveCount"], json!({"low": "1", "high": 2}));
    // A changed field must be valid.
    for (changes, rule) in
        [(json!({"phase": "Gone"}), "phase-unknown"), (json!({"cveCount": {"low": "2"}}), "cve-count-values")]
    {
        let output = patch(namespace, "one", &[STATUS], json!({"status": changes}));
        let is_cause = |line: &str| !line.starts_with("Warning: ") && line.contains(&format!("[{rule}]"));
        assert!(output.failed().lines().any(is_cause), "{output:?}");
    }
    // Once the field is valid, it must stay valid.
    let right = json!({"phase": "Pending", "cveCount": null, "conditions": null});
    let output = patch(namespace, "one", &[STATUS], json!({"status": right}));
    output.ok();
    assert_eq!(output.stderr, "");
    let output = patch(namespace, "one", &[STATUS], json!({"status": {"phase": "Done"}}));
    assert!(output.failed().contains("[phase-unknown]"), "{output:?}");
}

fn a_denial_is_the_same_in_every_way_of_writing(namespace: &Namespace<'_>) {
    seed(namespace, &with("one", json!({"status": {"observedGeneration": 1}})));
    let status = json!({"phase": "Done", "scannedAt": "yesterday", "cveCount": {"low": 2, "total": 1}});
    let object = with("one", json!({"status": status})).to_string();
    let merge = json!({"status": status}).to_string();
    let json = json!([{"op": "add", "path": "/status", "value": status}]).to_string();
    let ways: [(&[&str], &str); 4] = [
        (&["patch", "sourcescan", "one", "--type=merge", "--patch", &merge], ""),
        (&["patch", "sourcescan", "one", "--type=json", "--patch", &json], ""),
        (&["replace", "-f", "-"], &object),
        (&["apply", "--server-side", "-f", "-"], &object),
    ];
    for (way, input) in ways {
        let output = namespace.kubectl(User::ScanController).args(way).args([STATUS]).input(input).run();
        let words = "Warning: status.cveCount.total: was 1, set to 2 [cve-total]\n\
             The SourceScan \"one\" is invalid: \n\
             * status.phase: Unsupported value: \"Done\": supported values: \"Pending\", \"Scanning\", \"Completed\", \"Failed\", \"Error\" [phase-unknown]\n\
             * status.scannedAt: Invalid value: \"yesterday\": must be an RFC 3339 time such as \"2026-11-20T08:01:00Z\" [scanned-at]\n";
        assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(1), "", words), "{way:?}");
        assert_eq!(
            annotations(namespace, "one")["status.validate.scan-admission.dev/rules"],
            "phase-unknown,scanned-at"
        );
    }
    assert_eq!(stored(namespace, "one")["status"], json!({"observedGeneration": 1}));
}

/// A policy adds a count after it sees our total. The API server calls us again, and the final total is right.
fn a_policy_that_changes_the_status_causes_a_reinvocation(namespace: &Namespace<'_>) {
    let name = format!("{}-late", namespace.name);
    let group = "admissionregistration.k8s.io/v1";
    let policies = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": group, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
            "matchConstraints": {"namespaceSelector": crate::only(namespace), "resourceRules": [{"apiGroups": [GROUP],
                "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["sourcescans/status"]}]},
            "reinvocationPolicy": "IfNeeded",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {
                "expression": "has(object.status) && has(object.status.cveCount) && has(object.status.cveCount.total) ? [JSONPatch{op: 'add', path: '/status/cveCount/high', value: 7}] : []"}}]}},
        {"apiVersion": group, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name}},
    ]});
    seed(namespace, &scan("one"));
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(policies.to_string()).run().ok();
    let counts = json!({"low": 1, "high": null, "total": null});
    let output = eventually("the policy takes effect", || {
        let output = patch(namespace, "one", &[STATUS], json!({"status": {"phase": "Scanning", "cveCount": counts}}));
        output.ok();
        (stored(namespace, "one")["status"]["cveCount"]["high"] == 7).then_some(output)
    });
    assert_eq!(output.stderr.lines().next(), Some("Warning: status.cveCount.total: was 1, set to 8 [cve-total]"));
    let whole = json!({"critical": 0, "high": 7, "medium": 0, "low": 1, "unknown": 0, "total": 8});
    assert_eq!(stored(namespace, "one")["status"]["cveCount"], whole);
    let noted = annotations(namespace, "one");
    for round in 0..2 {
        // The index of the webhook depends on the webhooks that other tests register at the same time.
        let round = format!("mutation.webhook.admission.k8s.io/round_{round}_index_");
        let is_ours = |(key, value): (&String, &Value)| {
            let output = value.as_str().filter(|_| key.starts_with(&round));
            output
                .is_some_and(|output| output.contains(r#""webhook":"status.mutate.scan-admission.dev","mutated":true"#))
        };
        assert!(noted.as_object().unwrap().iter().any(is_ours), "{round}: {noted:#}");
    }
}
