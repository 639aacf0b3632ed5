//! Tests `check` on manifests of every form: its output, its positions, and its exit code. Lines and columns are
//! written by hand.

mod engine_agreement;
mod input;
mod reports;
pub mod runner;

use std::io::Read as _;

use serde_json::{Value, json};

use runner::{command, report, run};

/// The members of a scan without a status, on one line, to which tests add an invalid status.
const SPEC: &str = r#""apiVersion":"scanning.apps.tanzu.vmware.com/v1beta1","kind":"SourceScan","spec":{"blob":{"url":"https://example.com/a"},"scanTemplate":"t"}"#;

/// Returns the line, column, field and rule of each finding.
fn positions(report: &Value) -> Vec<(u64, u64, &str, &str)> {
    report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            let number = |key: &str| finding[key].as_u64().unwrap();
            // A finding about the document itself has no rule.
            let text = |key: &str| finding[key].as_str().unwrap_or_default();
            (number("line"), number("column"), text("path"), text("rule"))
        })
        .collect()
}

#[test]
fn text_output_has_the_format_of_compilers() {
    let done = run(&["scans.yaml"], b"");
    let lines = [
        "scans.yaml:14:3: error: default/block status.phase: Unsupported value: \"Complete\": supported values: \"Pending\", \"Scanning\", \"Completed\", \"Failed\", \"Error\"; did you mean \"Completed\"? [phase-unknown]",
        "scans.yaml:25:5: error: default/block status.conditions[Succeeded].reason: Invalid value: \"JobStarted\": must be \"JobFinished\" while Succeeded is \"True\" [succeeded-vocabulary]",
        "scans.yaml:31:5: error: default/block status.cveCount.total: Invalid value: 21: must be 22, the sum of the severities [cve-total]",
        "scans.yaml:43:22: error: flow status.conditions[Scanning].status: Unsupported value: False: supported values: \"True\", \"False\"; did you mean \"False\"? [condition-fields]",
        "scans.yaml:46:103: warning: flow status.CVECount.CVETOTAL: Required value: must be 2, the sum of the severities [cve-total]",
    ];
    assert_eq!(done.stdout.lines().collect::<Vec<_>>(), lines);
    let summary = "3 scans checked in 1 file: 2 denied, 0 with warnings, 1 clean; 1 other object skipped\n";
    assert_eq!((done.code, done.stderr.as_str()), (1, summary));
}

#[test]
fn json_output_is_one_document() {
    let (code, report) = report(&["dump.json"], b"");
    let finding = |line: u32,
                   column: u32,
                   kind: &str,
                   name: &str,
                   path: &str,
                   rule: &str,
                   severity: &str,
                   message: &str| {
        let action = if severity == "error" { "deny" } else { "warn" };
        json!({"file": "dump.json", "line": line, "column": column, "kind": kind, "namespace": "default", "name": name,
               "path": path, "rule": rule, "severity": severity, "action": action, "message": message})
    };
    let counts = |rule: &str, deny: u32, warn: u32| json!({"namespace": "default", "rule": rule, "deny": deny, "warn": warn, "audit": 0});
    let expected = json!({
        "version": 1,
        "findings": [
            finding(78, 21, "SourceScan", "completed", "status.cveCount.total", "cve-total", "error",
                "Invalid value: 21: must be 22, the sum of the severities"),
            finding(81, 17, "SourceScan", "completed", "status.metadataUrl", "metadata-url", "warning",
                "Forbidden: no URL while SendingResults is \"False\""),
            finding(119, 13, "SourceScan", "failed", "status.scannedBy", "scanned-by", "warning",
                "Required value: must have the scanner's name and version while phase is \"Failed\""),
            finding(193, 25, "ImageScan", "image", "status.conditions[Scanning].message", "scanning-vocabulary", "error",
                "Invalid value: \"The scan job was started\": must be \"The scan job is running\" while Scanning is \"True\""),
        ],
        "rules": [counts("cve-total", 1, 0), counts("metadata-url", 0, 1), counts("scanned-by", 0, 1), counts("scanning-vocabulary", 1, 0)],
        "errors": [],
        "counts": {"files": 1, "scans": 3, "denied": 2, "warned": 1, "clean": 0, "skipped": 1, "errors": 0},
    });
    assert_eq!((code, report), (1, expected));
}

#[test]
fn a_dump_of_kubectl_is_read_as_a_list() {
    let (_, of_yaml) = report(&["dump.yaml"], b"");
    let (_, of_json) = report(&["dump.json"], b"");
    let expected = [(62, 7), (64, 5), (94, 3), (151, 7)];
    let found = positions(&of_yaml);
    assert_eq!(found.iter().map(|found| (found.0, found.1)).collect::<Vec<_>>(), expected);
    let messages =
        |found: Vec<(u64, u64, &str, &str)>| found.iter().map(|f| format!("{} {}", f.2, f.3)).collect::<Vec<_>>();
    assert_eq!(messages(found), messages(positions(&of_json)));
    assert_eq!(of_yaml["counts"], of_json["counts"]);
}

#[test]
fn a_finding_below_an_alias_has_the_position_to_correct() {
    let (code, report) = report(&["anchors.yaml"], b"");
    let expected = [(25, 7, "status.cveCount.total", "cve-total"), (35, 13, "status.cveCount.total", "cve-total")];
    assert_eq!((code, positions(&report)), (1, expected.to_vec()));
}

#[test]
fn a_stream_of_json_is_read_past_an_error() {
    let (code, report) = report(&["stream.json"], b"");
    assert_eq!(code, 2);
    let phase = ("status.phase", "phase-unknown");
    // An escaped key, in a typed list whose items have no kind, and the last of two equal keys.
    assert_eq!(positions(&report), [(1, 200, phase.0, phase.1), (6, 30, phase.0, ""), (6, 30, phase.0, phase.1)]);
    assert_eq!(
        report["findings"][1]["message"],
        "duplicate field: first set at stream.json:6:12, but only the last value is used; remove the others"
    );
    let names: Vec<_> = report["findings"].as_array().unwrap().iter().map(|finding| &finding["name"]).collect();
    assert_eq!(names, ["one", "three", "three"]);
    assert_eq!(report["errors"].as_array().unwrap().len(), 1);
    let error = &report["errors"][0];
    assert_eq!((&error["file"], &error["line"], &error["column"]), (&json!("stream.json"), &json!(4), &json!(1)));
    assert_eq!(report["counts"]["skipped"], 1);
}

#[test]
fn invalid_documents_do_not_hide_other_findings() {
    let done = run(&["broken.yaml", "missing.yaml", "scans.yaml"], b"");
    assert_eq!(done.code, 2);
    assert!(done.stdout.starts_with("broken.yaml:11:10: error: whole status.phase: "), "{}", done.stdout);
    assert_eq!(done.stdout.matches("\nscans.yaml:").count(), 5, "{}", done.stdout);
    let errors: Vec<_> = done.stderr.lines().collect();
    for (line, prefix, message) in [
        (0, "error: broken.yaml:5:2: invalid YAML: ", "the mistake is here"),
        (1, "error: broken.yaml:13:1: expected a Kubernetes object with ", "found a list"),
        (2, "error: broken.yaml:17:9: expected a Kubernetes object with ", "found a number"),
        (3, "error: broken.yaml:17:12: the entry is empty", "remove it"),
        (4, "error: broken.yaml:19:1: JSON has no infinity", "quote the value"),
        (5, "error: broken.yaml:21:4: invalid YAML: ", "unknown anchor"),
        (6, "error: missing.yaml: ", "No such file"),
        (7, "4 scans checked in 2 files: 3 denied, 0 with warnings, 1 clean; ", "7 errors"),
    ] {
        assert!(errors[line].starts_with(prefix) && errors[line].contains(message), "{}", errors[line]);
    }
    assert_eq!(errors.len(), 8);
}

#[test]
fn folders_and_standard_input_are_read() {
    let done = run(&["folder"], b"");
    let summary = "1 scan checked in 2 files: 0 denied, 0 with warnings, 1 clean; 1 other object skipped\n";
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", summary));
    let bad = format!("{{{SPEC},\"status\":{{\"phase\":\"Complete\"}}}}");
    for args in [&["-"][..], &[]] {
        let done = run(args, bad.as_bytes());
        let column = "{".len() + SPEC.len() + ",\"status\":{".len() + 1;
        let prefix = format!("standard input:1:{column}: error: (no name) status.phase: ");
        assert!(done.stdout.starts_with(&prefix), "{}", done.stdout);
        assert_eq!(done.code, 1);
    }
}

#[test]
fn no_scan_is_no_error() {
    for (stdin, summary) in [
        ("apiVersion: v1\nkind: ConfigMap\n", "no scan in 1 file; 1 other object skipped\n"),
        ("apiVersion: v1\nkind: List\nitems: []\nmetadata: {}\n", "no scan in 1 file\n"),
        ("apiVersion: v1\nkind: List\nitems: null\n", "no scan in 1 file\n"),
        ("kind: SourceScan\napiVersion: other.example.com/v1\n", "no scan in 1 file; 1 other object skipped\n"),
        (
            "apiVersion: scanning.apps.tanzu.vmware.com/v1beta1\nkind: ScanPolicy\n---\n# end\n",
            "no scan in 1 file; 1 other object skipped\n",
        ),
    ] {
        let done = run(&[], stdin.as_bytes());
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", summary), "{stdin}");
    }
}

#[test]
fn only_a_denial_is_a_failure() {
    let warned = format!("{{{SPEC},\"status\":{{\"phase\":\"Pending\",\"cveCount\":{{\"critical\":1}}}}}}");
    let done = run(&[], warned.as_bytes());
    assert_eq!(done.code, 0);
    assert!(done.stdout.contains(": warning: "), "{}", done.stdout);
    assert!(done.stderr.contains("0 denied, 1 with warnings"), "{}", done.stderr);
    // An object that is being deleted is not denied.
    let bad = format!(
        "{{{SPEC},\"metadata\":{{\"deletionTimestamp\":\"2026-11-20T08:03:00Z\"}},\"status\":{{\"phase\":\"Complete\"}}}}"
    );
    let done = run(&[], bad.as_bytes());
    assert_eq!(done.code, 0);
    assert!(done.stdout.contains("(not denied: the object is being deleted) [phase-unknown]"), "{}", done.stdout);
}

#[test]
fn wrong_usage_is_an_error() {
    for args in [&["--now", "today"][..], &["-o", "xml"], &["--what"]] {
        let done = run(args, b"");
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}");
    }
}

#[test]
fn an_absent_field_has_the_position_of_its_parent() {
    let yaml = "\
apiVersion: scanning.apps.tanzu.vmware.com/v1beta1
kind: SourceScan
metadata: {name: absent}
status:
  phase: Scanning
  conditions:
  - type: Scanning
    status: \"True\"
    lastTransitionTime: \"2026-11-20T08:03:00Z\"
  - status: \"True\"
  -
  cveCount: {high: 1}
";
    let (_, report) = report(&[], yaml.as_bytes());
    let found = positions(&report);
    for due in [
        (1, 1, "spec.blob.url", "scan-target"),
        (1, 1, "spec.scanTemplate", "scan-template"),
        (7, 5, "status.conditions[Scanning].reason", "condition-fields"),
        (10, 5, "status.conditions[1].type", "condition-fields"),
        (12, 3, "status.cveCount.total", "cve-total"),
    ] {
        assert!(found.contains(&due), "{due:?} in {found:?}");
    }
    assert!(found.is_sorted_by_key(|found| (found.0, found.1)), "{found:?}");
}

#[test]
fn times_are_compared_with_the_given_time() {
    let manifest = "\
apiVersion: scanning.apps.tanzu.vmware.com/v1beta1
kind: SourceScan
spec: {blob: {url: https://example.com/a}, scanTemplate: t}
status: {phase: Pending, scannedAt: '2026-11-24T13:00:00Z'}
";
    assert!(run(&[], manifest.as_bytes()).stdout.contains("status.scannedAt"));
    assert_eq!(run(&["--now", "2026-11-25T00:00:00Z"], manifest.as_bytes()).stdout, "");
}

#[test]
fn control_characters_in_names_are_replaced() {
    let done = run(&["stream.json"], b"");
    assert!(done.stdout.contains("error: ?[31mred/three status.phase"), "{}", done.stdout);
    assert!(!done.stdout.contains('\u{1B}') && !done.stderr.contains('\u{1B}'));
}

#[test]
fn too_deeply_nested_documents_are_an_error() {
    let levels = 1_000_000;
    for deep in ["[".repeat(levels), "{\"a\":".repeat(levels), "- ".repeat(levels), "{a: ".repeat(levels)] {
        for stdin in [format!("{{{SPEC},\"x\":{deep}"), deep.clone()] {
            let done = run(&[], stdin.as_bytes());
            assert_eq!(done.code, 2, "{}", &deep[..5]);
            assert!(done.stderr.starts_with("error: standard input:1:"), "{}", done.stderr);
        }
    }
    let closed = format!("{{{SPEC},\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let done = run(&[], closed.as_bytes());
    assert!(done.code == 2 && done.stderr.contains("more than 10000 levels"), "{}", done.stderr);
}

#[test]
fn invalid_utf8_is_an_error_with_its_position() {
    let done = run(&[], b"a: 1\nb: \xFF\n---\nkind: Pod\napiVersion: v1\n");
    assert!(done.stderr.starts_with("error: standard input:2:4: invalid UTF-8"), "{}", done.stderr);
    assert!(done.stderr.contains("1 other object skipped"), "{}", done.stderr);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let many = format!("{{{SPEC},\"status\":{{\"phase\":\"Complete\"}}}}\n").repeat(5000);
    let path = std::env::temp_dir().join(format!("scan-admission-check-{}.json", std::process::id()));
    std::fs::write(&path, many).unwrap();
    let mut child = command(&[path.to_str().unwrap()]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 100]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
