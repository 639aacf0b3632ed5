//! Installing the policies, and what the API server makes of several findings.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use scan_admission::admission::ReviewSettings;
use scan_admission::policies;
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use super::in_process::{Answers, Write};
use super::printed::Printed;
use super::{TIMEOUT, committed, patch_status};
use crate::break_glass;
use crate::controlplane::{Namespace, User, eventually};
use crate::requests_and_answers::stored;
use crate::scan;

/// The API server's limit for all annotations of an object. `kubectl apply` keeps the whole object in one.
const ANNOTATIONS_MAX_BYTES: usize = 256 << 10;

/// What a rule may add before `kubectl apply` is close to failing.
const MARGIN_MIN_BYTES: usize = 8 << 10;

pub fn annotations_are_below_the_limit(namespace: &Namespace<'_>) {
    let kinds = "validatingadmissionpolicies,mutatingadmissionpolicies";
    let list = namespace.kubectl(User::Admin).args(["get", kinds, "-o", "json"]).run();
    let list: Value = serde_json::from_str(list.ok()).unwrap();
    let policies = list["items"].as_array().unwrap();
    assert_eq!(policies.len(), 6, "policies");
    for policy in policies {
        let annotations = policy["metadata"]["annotations"].as_object().unwrap();
        assert!(annotations.contains_key("kubectl.kubernetes.io/last-applied-configuration"), "applied by kubectl");
        let size: usize = annotations.iter().map(|(key, value)| key.len() + value.as_str().unwrap().len()).sum();
        let margin = ANNOTATIONS_MAX_BYTES.checked_sub(size).expect("the API server has stored it");
        eprintln!("{}: {size} bytes of annotations, {margin} below the limit", policy["metadata"]["name"]);
        assert!(margin >= MARGIN_MIN_BYTES, "{}: {margin}", policy["metadata"]["name"]);
    }
}

pub fn can_be_applied_by_the_server(namespace: &Namespace<'_>) {
    let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", TIMEOUT, "-k"];
    let applied = namespace.kubectl(User::Admin).args(apply).args([committed()]).run();
    assert_eq!(applied.ok().lines().filter(|line| line.ends_with(" serverside-applied (server dry run)")).count(), 12);
}

/// Creates a scan, patches its status, and returns what kubectl prints and what the webhooks answer.
fn written(namespace: &Namespace<'_>, name: &str, status: Value) -> (Printed, Answers) {
    break_glass(namespace).args(["create", "-f", "-"]).input(scan(name).to_string()).run().ok();
    let old = stored(namespace, name);
    let mut new = old.clone();
    new["status"] = status.clone();
    let output = patch_status(namespace, name, &json!({"status": status}).to_string(), &[]);
    let answers = Write {
        new,
        old: Some(&old),
        is_status: true,
        namespace: &namespace.name,
        user: User::ScanController.username(),
        groups: &[],
        settings: &ReviewSettings::default(),
    };
    (Printed::of(&output.stderr), answers.answers())
}

/// Returns an annotation of the last write of the status of a scan.
pub fn annotation(namespace: &Namespace<'_>, name: &str, annotation: &str) -> Option<String> {
    let events = namespace.cluster.audit();
    let event = events.iter().rev().find(|event| {
        let object = &event["objectRef"];
        object["namespace"] == namespace.name && object["name"] == name && object["subresource"] == "status"
    });
    Some(event?["annotations"][annotation].as_str()?.to_owned())
}

/// Returns the ids of rules in the order of the table.
pub fn listed(rules: impl Fn(&str) -> bool) -> String {
    RULES.iter().map(|rule| rule.id).filter(|rule| rules(rule)).collect::<Vec<_>>().join(", ")
}

fn annotation_is(namespace: &Namespace<'_>, name: &str, key: &str, expected: &str) {
    eventually(&format!("{key} is {expected}"), || {
        (annotation(namespace, name, key).as_deref() == Some(expected)).then_some(())
    });
}

pub fn rules_are_in_the_audit_log(namespace: &Namespace<'_>) {
    let status =
        json!({"phase": "Complete", "metadataUrl": "ftp://x", "scannedAt": "yesterday", "cveCount": {"low": "1"}});
    let (printed, answers) = written(namespace, "denied", status);
    assert!(answers.denied.len() >= 4, "{answers:?}");
    assert_eq!(printed.denied.len(), 1, "only the first rule is shown: {printed:?}");
    let rules = listed(|rule| answers.denied.contains_key(rule));
    annotation_is(namespace, "denied", "scan-errors/rules", &rules);
    assert!(rules.starts_with(printed.denied.first_key_value().unwrap().0), "{rules}: {printed:?}");
}

pub fn each_rule_warns_once(namespace: &Namespace<'_>) {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "A", "lastTransitionTime": "2020-01-01T00:00:00Z"});
    let status = json!({"phase": "Pending", "cveCount": {"low": 1, "total": 1}, "scannedAt": "2020-01-01T00:00:00Z",
        "conditions": [condition("One"), condition("Two")]});
    let (printed, answers) = written(namespace, "warned", status);
    assert!(answers.denied.is_empty() && answers.warned.len() >= 3, "{answers:?}");
    assert!(answers.warned.values().any(|messages| messages.len() == 2), "{answers:?}");
    assert_eq!(printed.warned, answers.warned);
    assert_eq!(printed.warnings, answers.warned.len(), "one line for each rule: {printed:?}");
    annotation_is(namespace, "warned", "scan-warnings/rules", &listed(|rule| answers.warned.contains_key(rule)));
}

/// kube-controller-manager writes the warnings of the type checker into the status of a policy, where users look.
pub fn the_type_checker_has_no_warnings(program: &Path) {
    let objects = policies::objects(RULES, &ReviewSettings::default(), false);
    assert_eq!(typecheck(program, &objects), "");
    // The type checker skips rules for all versions, such as ours. With a version, it takes minutes for a policy of a
    // status, so only those of the spec are checked.
    let is_about_spec = |object: &&Value| object["metadata"]["name"].as_str().unwrap().starts_with("scan-spec-");
    let mut objects: Vec<Value> = objects.iter().filter(is_about_spec).cloned().collect();
    for object in &mut objects {
        if let Some(rule) = object.pointer_mut("/spec/matchConstraints/resourceRules/0") {
            rule["apiVersions"] = json!(["v1beta1"]);
        }
    }
    assert_eq!(typecheck(program, &objects), "");
    let mut wrong = objects.remove(0);
    wrong["spec"]["validations"] = json!([{"expression": "object.spec.nothing == 1"}]);
    wrong["spec"]["auditAnnotations"] = json!([]);
    let warnings = typecheck(program, &[wrong]);
    assert!(warnings.contains("undefined field 'nothing'"), "{warnings:?}");
}

fn typecheck(program: &Path, objects: &[Value]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/base/crds");
    let files = ["sourcescans.yaml", "imagescans.yaml"].map(|file| folder.join(file).to_str().unwrap().to_owned());
    assert!(files.iter().all(|file| fs::exists(file).unwrap()));
    let mut child = Command::new(program)
        .args(["-typecheck", &files.join(",")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{}\n", json!({"policies": objects})).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
