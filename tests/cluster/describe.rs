//! Tests `describe`, the plugin of kubectl with its completion, and `audit --stuck` on stored scans of every phase.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

use scan_admission::rules::RULES;
use scan_admission::scan::time::parse;
use serde_json::{Value, json};

use crate::controlplane::{Namespace, User, eventually};
use crate::installed::program;
use crate::support::folder::Folder;
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] = &[
    ("describe-explains-every-phase", describe_explains_every_phase),
    ("describe-says-who-wrote-a-field-and-what-was-denied", describe_says_who_wrote_a_field_and_what_was_denied),
    ("describe-names-what-is-missing", describe_names_what_is_missing),
    ("describe-is-a-plugin-of-kubectl", describe_is_a_plugin_of_kubectl),
    ("shells-complete-from-the-cluster", shells_complete_from_the_cluster),
    ("audit-lists-stuck-scans", audit_lists_stuck_scans),
];

const NOW: &str = "2026-11-20T09:03:00Z";
const CONTROLLER: &str = "scan-controller";

fn condition(name: &str, status: &str, reason: &str, message: &str, minute: &str) -> Value {
    let time = format!("2026-11-20T08:{minute}:00Z");
    json!({"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": time})
}

fn running() -> Value {
    condition("Scanning", "True", "JobStarted", "The scan job is running", "10")
}

/// The conditions of a finished run, with this verdict.
fn finished(verdict: Option<Value>) -> Vec<Value> {
    let scanning = condition("Scanning", "False", "JobFinished", "The scan job terminated", "03");
    let succeeded = condition("Succeeded", "True", "JobFinished", "The scan job finished", "03");
    [scanning, succeeded].into_iter().chain(verdict).collect()
}

fn passed() -> Value {
    condition("PolicySucceeded", "True", "EvaluationPassed", "No CVEs were found that violated the policy", "04")
}

/// Creates a scan, and writes its status as the controller.
fn store(namespace: &Namespace<'_>, scan: &Value, status: Option<&Value>) {
    let create = || namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(scan.to_string()).run();
    eventually("the kinds are served", || Some(create()).filter(|printed| printed.code == Some(0)));
    if let Some(status) = status {
        patch(namespace, scan, status, CONTROLLER);
    }
}

fn patch(namespace: &Namespace<'_>, scan: &Value, status: &Value, manager: &str) {
    let patch = json!({"status": status}).to_string();
    let [kind, name] = [&scan["kind"], &scan["metadata"]["name"]].map(|text| text.as_str().unwrap());
    let arguments = ["patch", kind, name, "--subresource=status", "--type=merge", "--patch", &patch];
    namespace.kubectl(User::Admin).args(arguments).args(["--field-manager", manager]).run().ok();
}

fn with_policy(name: &str) -> Value {
    let mut scan = scan(name);
    scan["spec"]["scanPolicy"] = json!("scan-policy");
    scan
}

fn results() -> Value {
    json!({
        "cveCount": {"critical": 0, "high": 2, "medium": 0, "low": 1, "unknown": 0, "total": 3},
        "scannedAt": "2026-11-20T08:03:00Z",
        "scannedBy": {"scanner": {"name": "Grype", "vendor": "Anchore", "version": "v0.37.0"}},
        "artifact": {"blob": {"url": "https://example.com/code.tar.gz", "revision": "main"}},
    })
}

fn merged(mut one: Value, other: &Value) -> Value {
    let members = other.as_object().unwrap().clone();
    one.as_object_mut().unwrap().extend(members);
    one
}

fn run(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn describe(namespace: &Namespace<'_>, user: User, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = program(&["describe", "--now", NOW, "--namespace", &namespace.name, "--kubeconfig"]);
    command.arg(namespace.cluster.kubeconfig(user)).args(arguments);
    run(command)
}

/// Returns the page of a scan.
fn page(namespace: &Namespace<'_>, scan: &str) -> String {
    let (code, page, stderr) = describe(namespace, User::Admin, &[scan]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{page}");
    page
}

/// Replaces the times at which the test wrote, which are not of 2026-11-20, and their ages.
fn without_times(page: &str) -> String {
    let mut lines = Vec::new();
    for line in page.lines() {
        let mut words: Vec<&str> = Vec::new();
        let mut skipped = 0;
        for word in line.split(' ') {
            if skipped > 0 {
                skipped -= 1;
            } else if parse(word).is_some() && !word.starts_with("2026-11-20T") {
                words.push("TIME");
                skipped = 2;
            } else {
                words.push(word);
            }
        }
        lines.push(words.join(" "));
    }
    lines.join("\n")
}

/// Asserts the lines between this heading and the next one.
fn assert_section(page: &str, heading: &str, lines: &[&str]) {
    let after = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}: {page}")).1;
    let found: Vec<&str> = after.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(found, lines, "{heading}: {page}");
}

fn describe_explains_every_phase(namespace: &Namespace<'_>) {
    let violated = condition("PolicySucceeded", "False", "EvaluationFailed", "Policy violated because of 2 CVEs", "04");
    let failed = condition("Succeeded", "False", "Error", "The scan job failed", "05");
    let completed = json!({"phase": "Completed", "conditions": finished(Some(passed())), "observedGeneration": 1,
        "compliantArtifact": results()["artifact"], "metadataUrl": "https://example.com/results"});
    let statuses = [
        ("none", None, "Phase:       no status: the controller has not written one yet", "starts the scan job"),
        (
            "waits",
            Some(json!({"phase": "Pending"})),
            "Phase:       Pending: the scan waits to start",
            "starts the scan job",
        ),
        (
            "runs",
            Some(json!({"phase": "Scanning", "conditions": [running()]})),
            "Phase:       Scanning: the scan job is running, or the policy is not evaluated yet",
            "If the scan job fails, the phase becomes Error.",
        ),
        (
            "passed",
            Some(merged(completed, &results())),
            "Phase:       Completed: the scan succeeded, and the artifact complies with its scan policy, if the scan has a policy",
            "The supply chain ships the compliant artifact.",
        ),
        (
            "violates",
            Some(merged(json!({"phase": "Failed", "conditions": finished(Some(violated))}), &results())),
            "Phase:       Failed: the scan succeeded, but the artifact violates its scan policy",
            "The supply chain ships nothing.",
        ),
        (
            "broken",
            Some(json!({"phase": "Error", "conditions": [failed]})),
            "Phase:       Error: the scan failed, or the policy could not be evaluated",
            "The controller runs the scan again, about once a minute.",
        ),
    ];
    for (name, status, phase, next) in statuses {
        store(namespace, &with_policy(name), status.as_ref());
        let page = page(namespace, &format!("sourcescan/{name}"));
        assert!(page.starts_with(&format!("SourceScan {}/{name}\n", namespace.name)), "{page}");
        assert!(page.lines().any(|line| line == phase), "{page}");
        assert_section(&page, "Findings", &["  none: the status agrees with itself"]);
        assert!(page.split_once("\nNext\n").unwrap().1.contains(next), "{page}");
    }
    let passed = page(namespace, "SourceScans.scanning.apps.tanzu.vmware.com/passed");
    for line in [
        "Generation:  1, as the status says",
        "Policy:      scan-policy: the artifact complies",
        "CVEs:        0 critical, 2 high, 0 medium, 1 low, 0 unknown, 3 in total",
        "Scanned:     2026-11-20T08:03:00Z (60m ago) by Grype v0.37.0 (Anchore)",
        "Source:      https://example.com/code.tar.gz, revision main",
        "Ships:       https://example.com/code.tar.gz, revision main",
        "Results:     https://example.com/results",
    ] {
        assert!(passed.lines().any(|found| found == line), "{line}: {passed}");
    }
    stale_conditions_say_why(namespace);
    the_other_kind_and_spelling_are_described(namespace);
    a_changed_spec_is_said_to_be_ahead(namespace);
    contents_have_no_control_characters(namespace);
}

fn stale_conditions_say_why(namespace: &Namespace<'_>) {
    let mut conditions = finished(Some(passed()));
    conditions[0] = running();
    conditions.push(json!({"type": "Other", "status": "Maybe"}));
    let status = json!({"phase": "Scanning", "conditions": conditions});
    store(namespace, &with_policy("rescan"), Some(&status));
    let page = page(namespace, "srcscan/rescan");
    assert_section(
        &page,
        "Conditions",
        &[
            "  TYPE             STATUS  REASON            SINCE                 STATE",
            "  Scanning         True    JobStarted        2026-11-20T08:10:00Z  current",
            "    The scan job is running",
            "  Succeeded        True    JobFinished       2026-11-20T08:03:00Z  stale: its time is not later than that of Scanning",
            "    The scan job finished",
            "  PolicySucceeded  True    EvaluationPassed  2026-11-20T08:04:00Z  stale: its time is not later than that of Scanning",
            "    No CVEs were found that violated the policy",
            "  Other            Maybe   -                 -                     ignored: malformed, see the findings",
        ],
    );
    assert!(page.contains("\nPolicy:      scan-policy: the artifact complies, in an earlier run\n"), "{page}");
}

fn the_other_kind_and_spelling_are_described(namespace: &Namespace<'_>) {
    let image = json!({"apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": "ImageScan",
        "metadata": {"name": "image"}, "spec": {"registry": {"image": "example.com/a:1"}, "scanTemplate": "template"}});
    let status = json!({"phase": "Completed", "conditions": finished(None), "CVECount": {"CRITICAL": 1, "CVETOTAL": 1},
        "metadataURL": "https://example.com/r", "scannedBy": {"name": "Snyk"}, "scannedAt": "2026-11-20T08:03:00Z"});
    store(namespace, &image, Some(&status));
    let (code, page, _) = describe(namespace, User::Admin, &["imagescans", "image"]);
    assert_eq!(code, Some(0));
    for line in [
        "Policy:      none, so the results are not judged",
        "CVEs:        1 critical, 1 in total",
        "Scanned:     2026-11-20T08:03:00Z (60m ago) by Snyk",
        "Source:      example.com/a:1",
        "Results:     https://example.com/r",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}: {page}");
    }
}

fn a_changed_spec_is_said_to_be_ahead(namespace: &Namespace<'_>) {
    let patch = r#"{"spec": {"scanPolicy": "another"}}"#;
    namespace.kubectl(User::Admin).args(["patch", "sourcescan", "passed", "--type=merge", "--patch", patch]).run().ok();
    let page = page(namespace, "sourcescan/passed");
    assert!(page.contains("\nGeneration:  2, but the status was written for 1\n"), "{page}");
    assert!(without_times(&page).contains("\nWaiting:     Behind since TIME\n"), "{page}");
    let next = "  The spec has changed since the status was written, so the controller runs the scan again.\n";
    assert!(page.ends_with(&format!("\nNext\n{next}")), "{page}");
}

fn contents_have_no_control_characters(namespace: &Namespace<'_>) {
    let evil = "\u{1b}[2J\u{202e}\u{9b}31m\nx";
    let mut hostile = with_policy("hostile");
    hostile["spec"]["scanTemplate"] = json!(evil);
    let condition = json!({"type": evil, "status": evil, "reason": evil, "message": evil, "error": evil,
        "lastTransitionTime": evil});
    let status = json!({"phase": evil, "conditions": [condition], "scannedAt": evil, "metadataUrl": evil,
        "scannedBy": {"scanner": {"name": evil, "vendor": evil, "version": evil}}, "cveCount": {evil: 1, "high": evil},
        "artifact": {"blob": {"url": evil, "revision": evil}}, "compliantArtifact": {"registry": {"image": evil}}});
    store(namespace, &hostile, Some(&status));
    let page = page(namespace, "sourcescan/hostile");
    let is_evil = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!page.contains(is_evil) && page.matches("?[2J").count() > 10, "{page:?}");
}

/// Creates an Event about a scan.
fn event(namespace: &Namespace<'_>, scan: &str, event: Value) {
    let get = ["get", "sourcescan", scan, "-o", "jsonpath={.metadata.uid}"];
    let uid = namespace.kubectl(User::Admin).args(get).run().ok().to_owned();
    let about = json!({"apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": "SourceScan", "name": scan,
        "namespace": namespace.name, "uid": uid});
    let field = if event["apiVersion"] == "v1" { "involvedObject" } else { "regarding" };
    let event = merged(event, &json!({field: about}));
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(event.to_string()).run().ok();
}

/// An Event as `serve --events` writes it.
fn denial(name: &str, note: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name}, "type": "Warning",
        "reason": "StatusDenied", "action": "Validate", "note": note,
        "reportingController": "scan-admission.dev/webhook", "reportingInstance": "scan-admission-1",
        "eventTime": "2026-11-20T08:50:00.000000Z", "series": {"count": 5, "lastObservedTime": "2026-11-20T09:00:00.000000Z"},
    })
}

/// An Event as a controller with the older API writes it.
fn older_event() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "older"}, "type": "Warning", "reason": "FailedCreate",
        "message": "pods \"scan-x\" is forbidden: exceeded quota", "source": {"component": "job-controller"}, "count": 3,
        "firstTimestamp": "2026-11-20T08:12:00Z", "lastTimestamp": "2026-11-20T08:33:00Z",
    })
}

const PAGE: &str = "\
SourceScan NAMESPACE/hound
Created:     TIME
Template:    blob-source-scan-template
Phase:       Completed: the scan succeeded, and the artifact complies with its scan policy, if the scan has a policy
Generation:  1; the status does not say for which it was written
Policy:      scan-policy: the artifact complies
CVEs:        0 critical, 2 high, 0 medium, 1 low, 0 unknown, 4 in total
Scanned:     2026-11-20T08:03:00Z (60m ago) by Grype v0.37.0 (Anchore)
Source:      https://example.com/code.tar.gz, revision main
Ships:       https://example.com/code.tar.gz, revision main

Conditions
  TYPE             STATUS  REASON            SINCE                 STATE
  Scanning         False   JobFinished       2026-11-20T08:03:00Z  current
    The scan job terminated
  Succeeded        True    JobFinished       2026-11-20T08:03:00Z  current
    The scan job finished
  PolicySucceeded  True    EvaluationPassed  2026-11-20T08:04:00Z  current
    All is well

Findings
  error: status.conditions[PolicySucceeded].message: Invalid value: \"All is well\": must be \"No CVEs were found that violated the policy\" while PolicySucceeded is \"True\" [policy-vocabulary]
    by ScanTemplate blob-source-scan-template; written by scan-controller, last TIME
  error: status.cveCount.total: Invalid value: 4: must be 3, the sum of the severities [cve-total]
    by ScanTemplate blob-source-scan-template; written by counter, last TIME

Denied lately
  3m ago  StatusDenied, 5 times, scan-admission.dev/webhook: status.phase: must be \"Failed\"; and 1 more [phase-disagrees, cve-total]

Other Events
  30m ago  FailedCreate, 3 times, job-controller: pods \"scan-x\" is forbidden: exceeded quota

Next
  The supply chain ships the compliant artifact. The scan runs again when its spec, its template or its policy changes.
  The webhook denies the next change of a field with an error, unless the change corrects it.";

fn describe_says_who_wrote_a_field_and_what_was_denied(namespace: &Namespace<'_>) {
    let mut conditions = finished(Some(passed()));
    conditions[2]["message"] = json!("All is well");
    let status = json!({"phase": "Completed", "conditions": conditions, "compliantArtifact": results()["artifact"]});
    let hound = with_policy("hound");
    store(namespace, &hound, Some(&merged(status, &results())));
    patch(namespace, &hound, &json!({"cveCount": {"total": 4}}), "counter");
    // Events of another scan, and of an earlier scan of this name, do not count.
    store(namespace, &with_policy("other"), None);
    event(namespace, "other", denial("of-other", "another scan"));
    event(
        namespace,
        "hound",
        denial("denied", "status.phase: must be \"Failed\"; and 1 more [phase-disagrees, cve-total]"),
    );
    event(namespace, "hound", older_event());
    let earlier = merged(
        denial("earlier", "an earlier scan"),
        &json!({"regarding": {"kind": "SourceScan", "name": "hound",
        "namespace": namespace.name, "uid": "00000000-0000-0000-0000-000000000000"}}),
    );
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(earlier.to_string()).run().ok();

    let page = page(namespace, "sourcescan/hound");
    assert_eq!(without_times(&page).replace(&namespace.name, "NAMESPACE"), PAGE, "{page}");

    // The exit code, and the document.
    let (code, failing, _) = describe(namespace, User::Admin, &["sourcescan/hound", "--fail"]);
    assert_eq!((code, failing), (Some(1), page));
    let (code, json, stderr) = describe(namespace, User::Admin, &["sourcescan/hound", "-o", "json"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let document: Value = serde_json::from_str(&json).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../docs/describe.schema.json")).unwrap();
    assert_members_are_described(&document, &schema);
    assert_eq!(document["findings"][1]["manager"], "counter");
    assert!(parse(document["findings"][1]["written"].as_str().unwrap()).is_some());
    let denied = json!([{"warning": true, "reason": "StatusDenied", "controller": "scan-admission.dev/webhook", "count": 5,
        "note": "status.phase: must be \"Failed\"; and 1 more [phase-disagrees, cve-total]",
        "first": "2026-11-20T08:50:00Z", "last": "2026-11-20T09:00:00Z"}]);
    assert_eq!(document["denied"], denied);
    assert_eq!(document["events"][0]["controller"], "job-controller");
    assert_eq!(document["cveCount"]["total"], 4);
    assert_eq!(document["conditions"][2]["state"], "current");

    // By the configuration, nothing is denied.
    let folder = Folder::new();
    fs::write(folder.join("config.yaml"), "rules: {cve-total: warn, policy-vocabulary: audit}").unwrap();
    let config = folder.join("config.yaml");
    let arguments = ["sourcescan/hound", "--fail", "--config", config.to_str().unwrap()];
    let (code, page, _) = describe(namespace, User::Admin, &arguments);
    assert!(
        code == Some(0) && page.contains("\n  warning: status.cveCount.total: ") && page.contains("\n  note: "),
        "{page}"
    );
}

fn assert_members_are_described(document: &Value, schema: &Value) {
    let known = schema["properties"].as_object().unwrap();
    for member in document.as_object().unwrap().keys() {
        assert!(known.contains_key(member), "{member} is not in the schema");
    }
    for member in schema["required"].as_array().unwrap() {
        assert!(!document[member.as_str().unwrap()].is_null(), "{member} is absent");
    }
}

fn describe_names_what_is_missing(namespace: &Namespace<'_>) {
    let name = &namespace.name;
    store(namespace, &with_policy("hound"), None);
    // Developers may get scans, but not list Events.
    let (code, page, stderr) = describe(namespace, User::Developer, &["sourcescan/hound"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{page}");
    let error = format!(
        "  unknown: events.events.k8s.io is forbidden: User \"developer\" cannot list resource \"events\" in API group \
         \"events.k8s.io\" in the namespace \"{name}\"; this needs the right to list events of events.k8s.io"
    );
    assert_section(&page, "Denied lately", &[&error]);
    let (code, json, _) = describe(namespace, User::Developer, &["sourcescan/hound", "-o", "json"]);
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, format!("  unknown: {}", document["eventsError"].as_str().unwrap())), (Some(0), error));
    for (user, arguments, error) in [
        (
            User::Admin,
            &["sourcescan/none"][..],
            format!(
                "error: SourceScan \"none\" was not found in namespace \"{name}\"; name another one with --namespace\n"
            ),
        ),
        (
            User::Webhook,
            &["imagescan/none"],
            format!(
                "error: imagescans.scanning.apps.tanzu.vmware.com \"none\" is forbidden: User \"{}\" cannot get resource \
                 \"imagescans\" in API group \"scanning.apps.tanzu.vmware.com\" in the namespace \"{name}\"; this needs the \
                 right to get imagescans in namespace \"{name}\"\n",
                User::Webhook.username()
            ),
        ),
        (
            User::Admin,
            &["pods/x"],
            "error: unknown kind \"pods\": write sourcescan/NAME or imagescan/NAME\n".to_owned(),
        ),
        (User::Admin, &["imgscan"], "error: missing the name of the scan: write imgscan/NAME\n".to_owned()),
    ] {
        assert_eq!(describe(namespace, user, arguments), (Some(2), String::new(), error));
    }
}

/// Returns a folder with the plugin, and a PATH with the plugin and kubectl.
fn with_plugin(namespace: &Namespace<'_>) -> (Folder, OsString) {
    let folder = Folder::new();
    let mut generate = program(&["generate", "plugin", "--to"]);
    // It replaces its links.
    for _ in 0..2 {
        assert!(generate.arg(folder.path()).output().unwrap().status.success());
        generate = program(&["generate", "plugin", "--to"]);
    }
    std::os::unix::fs::symlink(namespace.cluster.kubectl_path(), folder.join("kubectl")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_scan-admission"), folder.join("scan-admission")).unwrap();
    let mut path = folder.path().as_os_str().to_owned();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    (folder, path)
}

fn describe_is_a_plugin_of_kubectl(namespace: &Namespace<'_>) {
    store(namespace, &with_policy("hound"), None);
    let (_folder, path) = with_plugin(namespace);
    // kubectl looks for a plugin only if its own flags do not come first.
    let kubectl = |arguments: &[&str]| {
        let mut command = Command::new(namespace.cluster.kubectl_path());
        crate::support::program::clean(&mut command);
        command.args(arguments).env("PATH", &path).env("KUBECONFIG", namespace.cluster.kubeconfig(User::Admin));
        command.env("KUBECACHEDIR", namespace.cluster.folder().join("kubectl-cache")).env("KUBECTL_KUBERC", "false");
        run(command)
    };
    let with_plugin = |arguments: &[&str]| kubectl(&[&["scan-admission"], arguments].concat());
    let arguments = ["describe", "sourcescan/hound", "--namespace", &namespace.name, "--now", NOW];
    assert_eq!(with_plugin(&arguments), (Some(0), page(namespace, "sourcescan/hound"), String::new()));
    let (code, help, _) = with_plugin(&["describe", "--help"]);
    assert_eq!(code, Some(0));
    assert!(help.contains("Usage: kubectl scan-admission describe [OPTIONS] <KIND/NAME> [NAME]\n"), "{help}");
    assert!(help.contains("\n  kubectl scan-admission describe sourcescan/hound\n"), "{help}");

    // kubectl completes the arguments of the plugin by asking it.
    let complete = |words: &[&str]| {
        let (code, stdout, stderr) = kubectl(&[&["__complete", "scan-admission"], words].concat());
        assert_eq!(code, Some(0), "{stderr}");
        stdout
    };
    let name = ["-n", &namespace.name];
    assert_eq!(complete(&["describe", name[0], name[1], "sourcescan/h"]), "sourcescan/hound\n:4\n");
    assert_eq!(complete(&["describe", "s"]), "sourcescan/\n:6\n");
    assert_eq!(complete(&["explain", "policy-v"]), "policy-vocabulary\npolicy-violation-count\n:4\n");
    assert_eq!(complete(&["describe", "pod/"]), ":4\n");
}

fn shells_complete_from_the_cluster(namespace: &Namespace<'_>) {
    for name in ["hound", "horse", "cat"] {
        store(namespace, &with_policy(name), None);
    }
    let (folder, path) = with_plugin(namespace);
    let generate = program(&["generate", "completions", "--to"]).arg(folder.path()).output().unwrap();
    assert!(generate.status.success());
    // As bash calls the function that the script registers.
    let complete_with = |kubeconfig: &str, words: &[&str]| {
        let last = words.last().unwrap();
        let script = format!(
            "source scan-admission.bash\nread -ra spec < <(complete -p scan-admission)\nfor ((i = 0; i < ${{#spec[@]}}; i++)); do\n\
             [ \"${{spec[i]}}\" = -F ] && function=${{spec[i + 1]}}\ndone\nCOMP_WORDS=(scan-admission {words})\n\
             COMP_CWORD={count} COMP_TYPE=9\n$function scan-admission '{last}' ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            count = words.len(),
        );
        let mut bash = Command::new("bash");
        crate::support::program::clean(&mut bash);
        bash.args(["--noprofile", "--norc", "-c", &script]).current_dir(folder.path());
        bash.env("PATH", &path).env("KUBECONFIG", kubeconfig);
        let (code, stdout, stderr) = run(bash);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{words:?}: {stdout}");
        let lines = stdout.lines().filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let kubeconfig = namespace.cluster.kubeconfig(User::Admin).to_str().unwrap();
    let complete = |words: &[&str]| complete_with(kubeconfig, words);
    let name = namespace.name.as_str();
    assert_eq!(complete(&["desc"]), ["describe"]);
    assert_eq!(complete(&["describe", "i"]), ["imagescan/"]);
    assert_eq!(complete(&["describe", "-n", name, "sourcescan/ho"]), ["sourcescan/horse", "sourcescan/hound"]);
    assert_eq!(complete(&["describe", "--namespace", name, "srcscan/c"]), ["srcscan/cat"]);
    assert_eq!(complete(&["describe", "-n", name, "sourcescans", "c"]), ["cat"]);
    assert_eq!(complete(&["describe", "sourcescan/x", "-n", &name[..name.len() - 1]]), [name]);
    // The flags of the command line choose the cluster.
    assert_eq!(
        complete_with("/none", &["describe", "--kubeconfig", kubeconfig, "-n", name, "sourcescan/c"]),
        ["sourcescan/cat"]
    );
    assert_eq!(complete(&["describe", "-n", name, "imagescan/"]), [""; 0]);
    let mut rules: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    let mut found = complete(&["explain", ""]);
    found.retain(|candidate| !candidate.starts_with('-'));
    rules.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, rules);

    // A cluster that does not answer holds up a shell for two seconds, and prints nothing. A test of this time would depend
    // on the speed of the machine; without the limit, the client waits for 65 seconds.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = fs::read_to_string(kubeconfig).unwrap();
    let address = format!("https://{}", silent.local_addr().unwrap());
    let dead = folder.join("dead");
    fs::write(&dead, text.replace(&namespace.cluster.ready().address, &address)).unwrap();
    let start = std::time::Instant::now();
    assert_eq!(complete_with(dead.to_str().unwrap(), &["describe", "-n", name, "sourcescan/"]), [""; 0]);
    assert!(start.elapsed() < std::time::Duration::from_secs(40), "{:?}", start.elapsed());
    assert_eq!(complete_with("/none", &["describe", "-n", name, "sourcescan/"]), [""; 0]);
}

fn audit_lists_stuck_scans(namespace: &Namespace<'_>) {
    store(namespace, &with_policy("never-came"), None);
    store(namespace, &with_policy("runs"), Some(&json!({"phase": "Scanning", "conditions": [running()]})));
    let completed = json!({"phase": "Completed", "conditions": finished(Some(passed())), "observedGeneration": 1});
    store(namespace, &with_policy("done"), Some(&completed));
    store(namespace, &with_policy("edited"), Some(&completed));
    let patch = r#"{"spec": {"scanPolicy": "another"}}"#;
    namespace.kubectl(User::Admin).args(["patch", "sourcescan", "edited", "--type=merge", "--patch", patch]).run().ok();
    event(namespace, "runs", older_event());
    let normal = merged(
        older_event(),
        &json!({"metadata": {"name": "normal"}, "type": "Normal", "reason": "Started",
        "lastTimestamp": "2026-11-20T09:00:00Z"}),
    );
    event(namespace, "runs", normal);
    let audit = |user, now: &str, arguments: &[&str]| {
        let mut command = program(&["audit", "--stuck", "30m", "--now", now, "--kubeconfig"]);
        command.arg(namespace.cluster.kubeconfig(user)).args(arguments);
        run(command)
    };
    let stuck = |now: &str| {
        let (_, json, stderr) = audit(User::Admin, now, &["-o", "json"]);
        let report: Value = serde_json::from_str(&json).unwrap();
        let all = report["stuck"].as_array().unwrap();
        assert_eq!(report["counts"]["stuck"], all.len());
        assert!(stderr.contains(&format!("; {} stuck", all.len())), "{stderr}");
        let ours = all.iter().filter(|scan| scan["namespace"] == namespace.name.as_str());
        ours.cloned().collect::<Vec<Value>>()
    };
    // The others were created at the time of this test, and the job started at 08:10.
    assert_eq!(stuck("2026-11-20T08:40:00Z"), Vec::<Value>::new());
    let found = stuck("2026-11-20T08:40:01Z");
    let event = json!({"warning": true, "reason": "FailedCreate", "controller": "job-controller", "count": 3,
        "note": "pods \"scan-x\" is forbidden: exceeded quota", "first": "2026-11-20T08:12:00Z", "last": "2026-11-20T08:33:00Z"});
    let condition =
        json!({"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running"});
    let runs = json!({"kind": "SourceScan", "namespace": namespace.name, "name": "runs", "state": "Scanning",
        "since": "2026-11-20T08:10:00Z", "condition": condition, "event": event});
    assert_eq!(found, [runs]);
    let found = stuck("2126-11-20T08:00:00Z");
    let mut found: Vec<_> =
        found.iter().map(|scan| [&scan["name"], &scan["state"]].map(|text| text.as_str().unwrap())).collect();
    found.sort_unstable();
    assert_eq!(found, [["edited", "Behind"], ["never-came", "Pending"], ["runs", "Scanning"]]);

    let folder = Folder::new();
    let outputs = ["junit", "markdown"].map(|format| format!("{format}={}", folder.join(format).display()));
    let (code, text, stderr) = audit(User::Admin, "2026-11-20T08:40:01Z", &["-o", &outputs[0], "-o", &outputs[1]]);
    let (usual, ..) = run({
        let mut command = program(&["audit", "--now", "2026-11-20T08:40:01Z", "--kubeconfig"]);
        command.arg(namespace.cluster.kubeconfig(User::Admin));
        command
    });
    assert_eq!(code, usual, "{stderr}");
    let state = "stuck: Scanning since 2026-11-20T08:10:00Z (30m ago); last condition Scanning \"True\", JobStarted: The scan \
                 job is running; Event FailedCreate, 3 times, job-controller: pods \"scan-x\" is forbidden: exceeded quota";
    let line = format!("SourceScan {}/runs is {state}", namespace.name);
    assert!(text.lines().any(|found| found == line), "{text}");
    let markdown = fs::read_to_string(folder.join("markdown")).unwrap();
    assert!(markdown.contains(&format!("\n- :hourglass: `{}", &line[..200])), "{markdown}");
    let junit = fs::read_to_string(folder.join("junit")).unwrap();
    assert!(junit.contains(&state.replace('"', "&quot;")), "{junit}");
    assert!(!audit(User::Admin, "2026-11-20T08:40:00Z", &[]).1.contains(&format!("{}/runs is stuck", namespace.name)));
}
