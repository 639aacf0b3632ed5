//! Tests of what `--fix` and `--diff` print, and of their exit codes.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{HEAD, check, right, text, wrong};
use crate::check::runner::{Run, run};
use crate::support::folder::Folder;

/// A scan whose phase no mutation corrects.
fn denied() -> String {
    wrong().replace("metadataUrl: ~", "phase: Done")
}

#[test]
fn findings_are_those_that_are_left() {
    let folder = Folder::new();
    let (path, clean, denied_path) = (folder.join("a.yaml"), folder.join("b.yaml"), folder.join("c.yaml"));
    fs::write(&path, wrong()).unwrap();
    fs::write(&clean, right()).unwrap();
    fs::write(&denied_path, denied()).unwrap();
    let [path, clean, denied_path] = [path, clean, denied_path].map(|path| path.to_str().unwrap().to_owned());
    let Run { code, stdout, stderr } = run(&["--fix", &path, &clean], b"");
    let expected = format!(
        "{path}: fixed 1 field (status.cveCount.total)\n2 scans checked in 2 files: 0 denied, 0 with warnings, 2 clean\n"
    );
    assert_eq!((code, &*stdout, stderr), (0, "", expected));
    assert_eq!(fs::read_to_string(&path).unwrap(), right());
    let Run { code, stdout, stderr } = run(&["--fix", &denied_path], b"");
    assert!(
        code == 1 && stdout.starts_with(&format!("{denied_path}:7:3: error: a status.phase: ")),
        "{stdout}{stderr}"
    );
    assert_eq!(stdout.lines().count(), 1);
    assert_eq!(fs::read_to_string(&denied_path).unwrap(), denied().replace("total: 4", "total: 1"));
}

#[test]
fn a_diff_is_on_stdout_and_changes_nothing() {
    let folder = Folder::new();
    let path = folder.join("a.yaml");
    fs::write(&path, wrong()).unwrap();
    let path = path.to_str().unwrap();
    let Run { code, stdout, stderr } = run(&["--diff", path], b"");
    let name = path.trim_start_matches('/');
    let line = |sign: &str, total: u32| {
        format!("{sign}  cveCount: {{critical: 1, high: 0, medium: 0, low: 0, unknown: 0, total: {total}}} # four\n")
    };
    let expected = format!(
        "--- a/{name}\n+++ b/{name}\n@@ -3,5 +3,5 @@\n metadata: {{name: a}}\n spec: {{blob: {{url: 'https://example.com/a'}}, scanTemplate: t}}\n status:\n{}{}   metadataUrl: ~\n",
        line("-", 4),
        line("+", 1)
    );
    assert_eq!((code, stdout), (1, expected));
    // The findings are those of the file as it is.
    assert!(stderr.starts_with(&format!("{path}:6:67: error: a status.cveCount.total: ")), "{stderr}");
    assert_eq!(fs::read_to_string(path).unwrap(), wrong());
    let Run { code, stdout, .. } = run(&["--diff", "-"], right().as_bytes());
    assert_eq!((code, &*stdout), (0, ""));
    let Run { code, stdout, .. } = run(&["--diff", "-"], wrong().as_bytes());
    assert!(code == 1 && stdout.starts_with("--- a/stdin\n+++ b/stdin\n@@ "), "{stdout}");
    let both = run(&["--diff", "--fix", path], b"");
    assert!(both.code == 2 && both.stderr.contains("cannot be used with"), "{}", both.stderr);
}

#[test]
fn standard_input_is_printed_fixed() {
    let Run { code, stdout, stderr } = run(&["--fix", "-"], denied().as_bytes());
    assert_eq!((code, stdout), (1, denied().replace("total: 4", "total: 1")));
    assert!(stderr.contains("standard input:7:3: error: a status.phase: "), "{stderr}");
    assert!(stderr.contains("standard input: fixed 1 field (status.cveCount.total)\n"), "{stderr}");
    for unchanged in [right().into_bytes(), b"a: [\n---\n\xFF\n".to_vec(), b"".to_vec()] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
        let mut child = command
            .args(["check", "--fix"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &unchanged).unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, unchanged);
    }
}

#[test]
fn an_unreadable_document_does_not_stop_the_fixes_of_others() {
    let folder = Folder::new();
    let path = folder.join("a.yaml");
    let file = |scan: String| format!("a: [\n---\n{scan}---\n%\n");
    fs::write(&path, file(wrong())).unwrap();
    let done = run(&["--fix", path.to_str().unwrap()], b"");
    assert!(done.code == 2 && done.stderr.contains("invalid YAML"), "{}", done.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), file(right()));
}

/// A carriage return alone ends a line in YAML, but not for the edits. The document is read again before it is written.
#[test]
fn an_edit_that_would_be_read_differently_is_not_made() {
    let folder = Folder::new();
    let path = folder.join("a.yaml");
    let scan = format!("{HEAD}status:\n  cveCount:\n    critical: 1\n    unknown: 0\n  # end\n").replace('\n', "\r");
    fs::write(&path, &scan).unwrap();
    let done = run(&["--fix", path.to_str().unwrap()], b"");
    for field in ["high", "medium", "low", "total"] {
        let message = format!(
            "a.yaml:1:161: a status.cveCount.{field}: not fixed: the edited document would not be read as intended; fix it by hand"
        );
        assert!(done.code == 0 && done.stderr.contains(&message), "{}{}", done.stdout, done.stderr);
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), scan);
}

/// The entry of the list is a mapping without braces, into which nothing can be inserted.
#[test]
fn a_fix_in_a_report_is_checked() {
    let scan = wrong().replace("  metadataUrl: ~", "  phase: Scanning\n  conditions: [type: Scanning]");
    let Run { stdout, .. } = run(&["-o", "sarif", "-"], scan.as_bytes());
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let results = report["runs"][0]["results"].as_array().unwrap();
    assert!(results.len() > 2, "{stdout}");
    for result in results {
        let rule = result["ruleId"].as_str().unwrap();
        assert_eq!(result["fixes"].is_array(), rule == "cve-total", "{rule}: {result}");
    }
}

#[test]
fn times_of_conditions_are_written_only_with_now() {
    let folder = Folder::new();
    let path = folder.join("a.yaml");
    let scan = format!("{HEAD}status:\n  phase: Scanning\n  conditions:\n  - type: Scanning\n    status: 'True'\n");
    let row = "    reason: JobStarted\n    message: The scan job is running\n";
    fs::write(&path, &scan).unwrap();
    let done = check(&["--fix", path.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{scan}{row}"));
    let done = check(&["--fix", "--now", "2026-11-20T08:05:00Z", path.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let time = "    lastTransitionTime: \"2026-11-20T08:05:00Z\"\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{scan}{row}{time}"));
}

#[test]
fn modes_decide_which_fields_are_written() {
    let folder = Folder::new();
    let (path, config) = (folder.join("a.yaml"), folder.join("config.yaml"));
    let scan = wrong().replace("name: a", "name: a, namespace: dev-a");
    for (modes, is_fixed) in [
        ("rules: {cve-total: audit}", false),
        ("rules: {cve-total: warn}", true),
        ("overrides: [{namespaces: [dev-*], rules: {cve-total: \"off\"}}]", false),
        ("overrides: [{namespaces: [prod], rules: {cve-total: \"off\"}}]", true),
    ] {
        fs::write(&path, &scan).unwrap();
        fs::write(&config, modes).unwrap();
        let done = check(&["--fix", "--config", config.to_str().unwrap(), path.to_str().unwrap()]);
        assert_eq!(done.status.code(), Some(0), "{modes}: {}", text(&done.stderr));
        assert_eq!(fs::read_to_string(&path).unwrap() != scan, is_fixed, "{modes}");
    }
}

/// Without a spec, it is unknown whether there is a policy, on which a phase may depend.
#[test]
fn a_status_alone_gets_what_does_not_depend_on_the_spec() {
    let status = |rest: &str, total: u32| {
        format!(
            "conditions:\n- {{type: Succeeded, status: 'True', reason: JobFinished, message: done, lastTransitionTime: \"2026-11-20T08:01:00Z\"}}\n{rest}cveCount: {{critical: 1, high: 0, medium: 0, low: 0, unknown: 0, total: {total}}}\n"
        )
    };
    for wrap in [|text: String| text, |text: String| format!("status:\n  {}\n", text.trim_end().replace('\n', "\n  "))]
    {
        let Run { stdout, .. } = run(&["--fix", "--kind", "SourceScan", "-"], wrap(status("", 4)).as_bytes());
        assert_eq!(stdout, wrap(status("", 1)));
    }
    let policy = "- {type: PolicySucceeded, status: 'True', reason: EvaluationPassed, message: No CVEs were found that violated the policy, lastTransitionTime: \"2026-11-20T08:01:00Z\"}\n";
    let Run { stdout, .. } = run(&["--fix", "--kind", "SourceScan", "-"], status(policy, 4).as_bytes());
    let expected = format!("phase: Completed\n{}", status(policy, 1));
    assert_eq!(stdout.replace("scannedAt: \"2026-11-20T08:01:00Z\"\n", ""), expected);
}

#[test]
fn reviews_and_watch_events_are_left() {
    let object = json!({"apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": "SourceScan", "metadata": {"name": "a"},
        "spec": {"blob": {"url": "https://example.com/a"}, "scanTemplate": "t"}, "status": {"cveCount": {"high": 1, "total": 2}}});
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"object": object}});
    for wrapped in [review, json!({"type": "MODIFIED", "object": object})] {
        let Run { code, stdout, stderr } = run(&["--fix", "-"], wrapped.to_string().as_bytes());
        assert_eq!((code, stdout), (1, wrapped.to_string()));
        assert!(
            stderr.contains("not fixed: the object of an AdmissionReview or of a watch event is not changed"),
            "{stderr}"
        );
    }
}
