//! Tests `check` on unexpected files: objects that are no scan or only part of one, other encodings, and values that
//! YAML reads in another way than they look. Lines and columns are written by hand.

use std::fs;
use std::process::Stdio;

use super::runner::{Run, command, run};
use crate::support::folder::Folder;

const API_VERSION: &str = "apiVersion: scanning.apps.tanzu.vmware.com/v1beta1\n";

/// Returns a valid scan without metadata, with these further lines.
fn scan(rest: &str) -> String {
    format!("{API_VERSION}kind: SourceScan\nspec: {{blob: {{url: 'https://example.com/a'}}, scanTemplate: t}}\n{rest}")
}

fn check(stdin: impl AsRef<[u8]>) -> Run {
    run(&[], stdin.as_ref())
}

/// Asserts that `check` prints one error at this place and fails.
fn expect_error(stdin: &str, position: &str, message: &str) {
    let Run { code, stdout, stderr } = check(stdin);
    let first = stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with(&format!("error: standard input:{position}: ")), "{stdin}\n{stderr}");
    assert!(first.contains(message), "{stdin}\n{stderr}");
    assert_eq!((code, stdout.as_str()), (2, ""), "{stdin}\n{stderr}");
}

#[test]
fn a_document_that_is_no_object_is_an_error_with_its_position() {
    for (stdin, position, message) in [
        ("a: 1\n", "1:1", "expected a Kubernetes object"),
        ("# values\n\nimage: x\n", "3:1", "expected a Kubernetes object"),
        ("{}", "1:1", "expected a Kubernetes object"),
        ("hello\n", "1:1", "expected a Kubernetes object with apiVersion and kind, found a string"),
        ("[{\"kind\": \"SourceScan\"}]", "1:1", "found a list"),
        ("kind: Pod\nmetadata: {}\n", "1:1", "missing field \"apiVersion\""),
        ("apiVersion: v1\n", "1:1", "missing field \"kind\""),
        ("apiVersion: v1\nkind: 7\n", "2:1", "kind must be a string, found a number"),
        ("apiVersion: v1\nkind: List\nitems:\n- a: 1\n", "4:3", "expected a Kubernetes object"),
        ("apiVersion: v1\nkind: list\nitems:\n- a: 1\n", "2:1", "unknown kind \"list\"; did you mean \"List\"?"),
        ("apiVersion: v1\nkind: List\nItems: []\n", "1:1", "missing field \"items\""),
        ("apiVersion: v1\nkind: List\nitems: {}\n", "1:1", "items must be a list"),
        // With --kind, a bare status is accepted.
        ("status: {phase: Completed}\n", "1:1", "--kind SourceScan"),
        ("phase: Completed\n", "1:1", "--kind SourceScan"),
        ("{\"type\": \"RENAMED\", \"object\": {}}", "1:1", "expected a Kubernetes object"),
    ] {
        expect_error(stdin, position, message);
    }
}

#[test]
fn an_object_that_is_almost_a_scan_is_an_error() {
    let group = "scanning.apps.tanzu.vmware.com/v1beta1";
    for kind in ["Sourcescan", "SourceScans", "sourcescan", "SourceSan"] {
        expect_error(&format!("{API_VERSION}metadata: {{}}\nkind: {kind}\n"), "3:1", "did you mean \"SourceScan\"?");
    }
    expect_error(&format!("{API_VERSION}kind: imagescans\n"), "2:1", "did you mean \"ImageScan\"?");
    for version in ["v1", "v1beta1", "scanning.app.tanzu.vmware.com/v1beta1", "scanning.apps.tanzu.vmware.com"] {
        let stdin = format!("kind: ImageScan\napiVersion: {version}\n");
        expect_error(&stdin, "2:1", &format!("did you mean {group:?}?"));
    }
    expect_error("kind: SourceScan\nspec: {}\n", "1:1", &format!("did you mean {group:?}?"));
    expect_error(
        &format!("---\n{API_VERSION}spec: {{}}\n"),
        "2:1",
        "missing field \"kind\"; did you mean \"SourceScan\" or \"ImageScan\"?",
    );
    // An invalid document does not prevent checks of the others.
    let stream = format!("{}---\n{API_VERSION}kind: Sourcescan\n---\n{}", scan(""), scan("status: {phase: Done}\n"));
    let done = check(&stream);
    assert_eq!(done.code, 2);
    assert!(done.stdout.contains(":11:10: error: (no name) status.phase: "), "{}", done.stdout);
    assert!(done.stderr.contains("error: standard input:6:1: unknown kind \"Sourcescan\""), "{}", done.stderr);
}

#[test]
fn in_a_folder_files_without_an_object_are_skipped() {
    let folder = Folder::new();
    for (name, text) in [
        ("values.yaml", "image: x\n---\n- a\n".to_owned()),
        ("package.json", "{\"name\": \"x\"}".to_owned()),
        ("kustomization.yaml", "kind: Kustomization\nresources: []\n".to_owned()),
        ("empty.yml", "# nothing\n".to_owned()),
        ("status.yaml", "status: {phase: Done}\n".to_owned()),
        ("SCAN.YAML", scan("")),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    for args in [&[path][..], &["--kind", "SourceScan", path]] {
        let done = run(args, b"");
        let summary = "1 scan checked in 6 files: 0 denied, 0 with warnings, 1 clean; 6 other objects skipped\n";
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", summary));
    }
    // A file that is named explicitly is an error.
    for name in ["values.yaml", "package.json", "kustomization.yaml", "empty.yml", "status.yaml"] {
        let done = run(&[folder.join(name).to_str().unwrap()], b"");
        assert_eq!(done.code, 2, "{name}: {}", done.stderr);
    }
    // An object that is almost a scan is always an error.
    fs::write(folder.join("near.yaml"), format!("{API_VERSION}kind: SourceScans\n")).unwrap();
    let done = run(&[path], b"");
    assert!(done.code == 2 && done.stderr.contains("near.yaml:2:1: "), "{}", done.stderr);
}

#[test]
fn empty_input_is_an_error() {
    for stdin in ["", "\n\n", "# nothing\n---\n...\n---\n", "null\n", "\u{FEFF}"] {
        expect_error(stdin, "1:1", "expected a Kubernetes object with apiVersion and kind, found none");
    }
    let done = run(&["-", "scans.yaml"], b"");
    assert!(done.code == 2 && done.stderr.contains("3 scans checked in 2 files"), "{}", done.stderr);
}

#[test]
fn the_object_of_an_event_or_a_review_is_judged() {
    let object = r#"{"apiVersion":"scanning.apps.tanzu.vmware.com/v1beta1","kind":"SourceScan","metadata":{"name":"a"},"spec":{"blob":{"url":"https://example.com/a"},"scanTemplate":"t"},"status":{"phase":"Done"}}"#;
    let pod = r#"{"apiVersion":"v1","kind":"Pod"}"#;
    let bookmark = r#"{"type":"BOOKMARK","object":{"apiVersion":"scanning.apps.tanzu.vmware.com/v1beta1","kind":"SourceScan","metadata":{"resourceVersion":"7"}}}"#;
    let phase = object.find("\"phase\"").unwrap() + 1;
    for (prefix, suffix) in [
        (r#"{"type":"MODIFIED","object":"#, "}"),
        (r#"{"object":"#, r#","type":"ADDED"}"#),
        (r#"{"apiVersion":"v1","kind":"WatchEvent","type":"DELETED","object":"#, "}"),
        (r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","object":"#, "}}"),
    ] {
        let stream = format!("{prefix}{object}{suffix}\n{prefix}{pod}{suffix}\n{bookmark}\n");
        let done = check(&stream);
        let column = prefix.len() + phase;
        assert!(
            done.stdout.starts_with(&format!("standard input:1:{column}: error: a status.phase: ")),
            "{}",
            done.stdout
        );
        assert_eq!((done.code, done.stdout.lines().count()), (1, 1), "{}", done.stdout);
        assert!(
            done.stderr.ends_with("1 denied, 0 with warnings, 0 clean; 2 other objects skipped\n"),
            "{}",
            done.stderr
        );
        // The same as YAML.
        let yaml = check(format!("# event\n{prefix}{object}{suffix}\n"));
        assert!(
            yaml.stdout.starts_with(&format!("standard input:2:{column}: error: a status.phase: ")),
            "{}",
            yaml.stdout
        );
    }
    let near = check(
        r#"{"type":"MODIFIED","object":{"apiVersion":"scanning.apps.tanzu.vmware.com/v1beta1","kind":"Sourcescan"}}"#,
    );
    assert!(near.code == 2 && near.stderr.contains("did you mean \"SourceScan\"?"), "{}", near.stderr);
}

#[test]
fn a_bare_status_is_judged_with_the_given_kind() {
    let members = "phase: Completed\ncveCount:\n  high: 1\n  total: 2\nconditions: []\n";
    let indented = format!("status:\n  {}", members.trim_end().replace('\n', "\n  "));
    let json = r#"{"phase":"Completed","cveCount":{"high":1,"total":2}}"#;
    for (stdin, total, phase) in [
        (members.to_owned(), "4:3", "1:1"),
        (indented.clone(), "5:5", "2:3"),
        (format!("metadata: {{name: a, generation: 2}}\n{indented}"), "6:5", "3:3"),
        (json.to_owned(), "1:43", "1:2"),
        (format!("{{\"status\":{json}}}"), "1:53", "1:12"),
    ] {
        for kind in ["SourceScan", "ImageScan", "imagescan"] {
            let done = run(&["--kind", kind], stdin.as_bytes());
            for due in [format!("standard input:{total}: error: "), format!("standard input:{phase}: error: ")] {
                assert!(done.stdout.contains(&due), "{due} in {stdin}\n{}{}", done.stdout, done.stderr);
            }
            assert!(
                done.stdout.contains("status.cveCount.total: ") && !done.stdout.contains("spec."),
                "{}",
                done.stdout
            );
            assert_eq!(done.code, 1);
        }
    }
    // Without a spec it is unknown whether a policy is set, so only findings that hold in both cases are reported.
    let passed = r#"
phase: Completed
conditions:
- {type: Succeeded, status: "True", reason: JobFinished, message: done, lastTransitionTime: "2026-11-20T08:03:00Z"}
- {type: PolicySucceeded, status: "True", reason: EvaluationPassed, message: No CVEs were found that violated the policy, lastTransitionTime: "2026-11-20T08:03:00Z"}
scannedBy: {scanner: {name: Grype, version: v1}}
scannedAt: "2026-11-20T08:03:00Z"
"#;
    let done = run(&["--kind", "SourceScan"], passed.as_bytes());
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{}", done.stderr);
    // With a spec it is a whole scan. An object with apiVersion and kind keeps its kind.
    let spec = run(&["--kind", "SourceScan"], b"spec: {scanTemplate: t}\nstatus: {phase: Done}\n");
    assert!(spec.stdout.contains("[scan-target]") && spec.stdout.contains(":2:10: error: "), "{}", spec.stdout);
    let other = run(&["--kind", "SourceScan"], b"apiVersion: v1\nkind: Pod\nstatus: {phase: Running}\n");
    assert_eq!((other.code, other.stdout.as_str()), (0, ""), "{}", other.stderr);
    for nothing in ["a: 1\n", "[]\n", "metadata: {name: a}\n"] {
        assert_eq!(run(&["--kind", "SourceScan"], nothing.as_bytes()).code, 2, "{nothing}");
    }
    assert_eq!(run(&["--kind", "Pod"], passed.as_bytes()).code, 2);
}

#[test]
fn a_manifest_without_a_generation_has_not_caught_up() {
    let verdict = "status:\n  observedGeneration: 1\n  phase: Completed\n  conditions:\n  - {type: Succeeded, status: 'True', reason: JobFinished, message: done, lastTransitionTime: '2026-11-20T08:03:00Z'}\n  - {type: PolicySucceeded, status: 'True', reason: EvaluationPassed, message: No CVEs were found that violated the policy, lastTransitionTime: '2026-11-20T08:03:00Z'}\n";
    for (metadata, code, level) in
        [("metadata: {name: a}\n", 0, "warning"), ("metadata: {name: a, generation: 1}\n", 1, "error")]
    {
        let done = check(scan(&format!("{metadata}{verdict}")));
        assert!(done.stdout.contains(&format!("{level}: a status.conditions[PolicySucceeded]: ")), "{}", done.stdout);
        assert_eq!(done.code, code, "{}", done.stdout);
    }
}

#[test]
fn utf_16_and_byte_order_marks_are_read() {
    let text = format!(
        "# é\r\n{}",
        scan("metadata: {name: \"é\u{1F600}\"}\nstatus: {x: \"é\u{1F600}\", phase: Done}\n").replace('\n', "\r\n")
    );
    let marked = format!("\u{FEFF}{text}");
    let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let twice = format!("{marked}---\r\n{marked}");
    for (bytes, lines) in [
        (marked.clone().into_bytes(), &["6:19"][..]),
        (utf16(&marked, u16::to_le_bytes), &["6:19"]),
        (utf16(&marked, u16::to_be_bytes), &["6:19"]),
        (utf16(&twice, u16::to_le_bytes), &["6:19", "13:19"]),
        (twice.into_bytes(), &["6:19", "13:19"]),
    ] {
        let done = check(&bytes);
        let places: Vec<&str> = done
            .stdout
            .lines()
            .map(|line| line.strip_prefix("standard input:").unwrap().split(": ").next().unwrap())
            .collect();
        assert_eq!(places, lines, "{}{}", done.stdout, done.stderr);
        assert!(done.code == 1 && done.stdout.contains("é\u{1F600} status.phase"), "{}", done.stdout);
    }
}

#[test]
fn undecodable_text_is_an_error_with_a_remedy() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let utf32 = |text: &str| text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<u8>>();
    let half = [utf16(&format!("\u{FEFF}{API_VERSION}a: ")), 0xDC00_u16.to_le_bytes().into(), utf16("\n")].concat();
    for (bytes, position, message) in [
        (utf16(&scan("")), "1:1", "UTF-16 without a byte order mark"),
        (utf16("{\"kind\": \"SourceScan\"}"), "1:1", "UTF-16 without a byte order mark"),
        (half, "2:4", "invalid UTF-16"),
        (utf32(&format!("\u{FEFF}{}", scan(""))), "1:1", "UTF-32"),
        (format!("{API_VERSION}a: b\0c\n").into_bytes(), "2:5", "NUL"),
        ([API_VERSION.as_bytes(), b"a: caf\xE9\n"].concat(), "2:7", "invalid UTF-8 (byte 0xE9)"),
    ] {
        let done = check(&bytes);
        let prefix = format!("error: standard input:{position}: ");
        assert!(done.stderr.starts_with(&prefix) && done.stderr.contains(message), "{message}: {}", done.stderr);
        assert!(
            done.code == 2 && done.stderr.lines().next().unwrap().contains(": save the file") || message == "NUL",
            "{}",
            done.stderr
        );
    }
}

#[test]
fn duplicate_keys_are_warnings_with_both_positions() {
    let yaml = scan(
        "metadata: {name: a, name: b}\nstatus:\n  phase: Scanning\n  cveCount: {high: 1}\n  phase: Pending\n  cveCount:\n    total: 0\n    # x\n    'total': 0\n",
    );
    let done = check(&yaml);
    assert_eq!(
        done.stdout.lines().filter(|line| line.contains("duplicate")).collect::<Vec<_>>(),
        [
            "standard input:4:21: warning: b metadata.name: duplicate field: first set at standard input:4:12, but only the last value is used; remove the others",
            "standard input:8:3: warning: b status.phase: duplicate field: first set at standard input:6:3, but only the last value is used; remove the others",
            "standard input:9:3: warning: b status.cveCount: duplicate field: first set at standard input:7:3, but only the last value is used; remove the others",
            "standard input:12:5: warning: b status.cveCount.total: duplicate field: first set at standard input:10:5, but only the last value is used; remove the others",
        ]
    );
    assert_eq!(done.code, 0, "{}", done.stdout);
    assert!(done.stderr.contains("0 denied, 1 with warnings"), "{}", done.stderr);
    // The last key counts. A duplicate key also matters in the List around scans, but not in other objects.
    let list = format!(
        "apiVersion: v1\nkind: List\nitems: []\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  data: {{a: x, a: y}}\n- {}",
        scan("status: {phase: Pending, phase: Done}\n").trim_end().replace('\n', "\n  ")
    );
    let done = check(&list);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", done.stdout);
    assert!(
        lines[0].starts_with("standard input:4:1: warning: items: duplicate field: first set at standard input:3:1"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].starts_with("standard input:11:28: warning: (no name) status.phase: duplicate field"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].starts_with("standard input:11:28: error: (no name) status.phase: Unsupported value: \"Done\": "),
        "{}",
        lines[2]
    );
    // JSON has the same finding. A key that overrides one from a YAML merge is no duplicate.
    let json = format!(
        "{{{}, \"status\": {{\"phase\": \"Scanning\",\n\"ph\\u0061se\": \"Pending\"}}}}",
        r#""apiVersion":"scanning.apps.tanzu.vmware.com/v1beta1","kind":"SourceScan","spec":{"blob":{"url":"https://example.com/a"},"scanTemplate":"t"}"#
    );
    let done = check(&json);
    assert!(
        done.stdout.starts_with(
            "standard input:2:1: warning: (no name) status.phase: duplicate field: first set at standard input:1:"
        ),
        "{}",
        done.stdout
    );
    let merged = check(scan("x: &x {phase: Scanning}\nstatus: {<<: *x, phase: Pending}\n"));
    assert_eq!(merged.stdout, "");
}

#[test]
fn values_that_yaml_reads_as_another_type_are_shown_as_written() {
    let yaml = format!(
        "{API_VERSION}kind: SourceScan\nmetadata: {{name: a}}\nspec:\n  git:\n    url: https://example.com/a\n    revision: 5805e10\n    username: off\n  blob: {{url: 'https://example.com/a', revision: 2026-11-20}}\n  scanTemplate: 0123\n  scanPolicy: Yes\nstatus:\n  artifact: {{git: {{revision: 1_000}}}}\n  scannedBy: {{scanner: {{name: Grype, version: 1.10}}}}\n"
    );
    let done = check(&yaml);
    assert_eq!(
        done.stdout.lines().collect::<Vec<_>>(),
        [
            "standard input:7:5: warning: a spec.git.revision: Invalid value: 5805e10: must be a string; quote it, since YAML reads 5805e10 as a number",
            "standard input:8:5: warning: a spec.git.username: Invalid value: off: must be a string; quote it, since YAML reads off as a boolean",
            "standard input:10:3: warning: a spec.scanTemplate: Invalid value: 0123: must be a string; quote it, since YAML reads 0123 as a number",
            "standard input:11:3: warning: a spec.scanPolicy: Invalid value: Yes: must be a string; quote it, since YAML reads Yes as a boolean",
            "standard input:13:20: error: a status.artifact.git.revision: Invalid value: 1_000: must be a string; quote it, since YAML reads 1_000 as a number [status-shape]",
            "standard input:14:38: error: a status.scannedBy.scanner.version: Invalid value: 1.10: must be a string; quote it, since YAML reads 1.10 as a number [scanned-by]",
        ]
    );
    let json = check(format!(
        "{{{}}}",
        r#""apiVersion":"scanning.apps.tanzu.vmware.com/v1beta1","kind":"SourceScan","metadata":{"name":"a"},"spec":{"blob":{"url":"https://example.com/a"},"scanTemplate":123,"scanPolicy":{"name":"x"}}"#
    ));
    let lines: Vec<&str> = json.stdout.lines().map(|line| line.split_once("warning: ").unwrap().1).collect();
    assert_eq!(
        lines,
        [
            "a spec.scanTemplate: Invalid value: 123: must be a string",
            "a spec.scanPolicy: Invalid value: {\"name\":\"x\"}: must be a string"
        ]
    );
}

#[test]
fn a_boolean_in_place_of_a_conditions_status_is_one_finding() {
    for (written, right) in [("True", "True"), ("true", "True"), ("yes", "True"), ("False", "False"), ("off", "False")]
    {
        let yaml = scan(&format!(
            "status:\n  phase: Completed\n  conditions:\n  - {{type: Succeeded, status: {written}, reason: JobFinished, message: done, lastTransitionTime: '2026-11-20T08:03:00Z'}}\n  scannedBy: {{scanner: {{name: Grype, version: v1}}}}\n  scannedAt: '2026-11-20T08:03:00Z'\n"
        ));
        let done = check(&yaml);
        let due = format!(
            "standard input:7:23: error: (no name) status.conditions[Succeeded].status: Unsupported value: {written}: supported values: \"True\", \"False\"; did you mean \"{right}\"? [condition-fields]\n"
        );
        assert_eq!(done.stdout, due);
    }
}

#[test]
fn the_message_for_an_integer_beyond_int64_has_the_range() {
    for number in ["9223372036854775808", "18446744073709551616", "1e30", "-9223372036854775809"] {
        let yaml = scan(&format!(
            "status:\n  observedGeneration: {number}\n  cveCount: {{high: {number}, total: 0}}\n  conditions:\n  - {{type: Scanning, status: 'True', reason: JobStarted, message: The scan job is running, lastTransitionTime: '2026-11-20T08:03:00Z', observedGeneration: {number}}}\n"
        ));
        let done = check(&yaml);
        let message = format!(": Invalid value: {number}: must be from 0 to 9223372036854775807 [");
        for path in
            ["status.observedGeneration", "status.cveCount.high", "status.conditions[Scanning].observedGeneration"]
        {
            assert!(done.stdout.contains(&format!("{path}{message}")), "{path} {number}: {}", done.stdout);
        }
    }
}

/// The formats of kubectl, including `-o kyaml`, and each as editors on Windows save it.
#[test]
fn every_format_that_kubectl_prints_is_read() {
    let kyaml = "---\n{\n  # the scan }\n  apiVersion: \"scanning.apps.tanzu.vmware.com/v1beta1\",\n  kind: \"SourceScan\",\n  metadata: {\n    name: \"a\",\n  },\n  spec: {\n    blob: { url: \"https://example.com/a\" },\n    scanTemplate: \"t\",\n  },\n  status: {\n    phase: \"Done\",\n  },\n}\n";
    let crlf = kyaml.replace('\n', "\r\n");
    for (stdin, count) in [(kyaml.to_owned(), 1), (crlf, 1), (format!("{kyaml}{kyaml}"), 2)] {
        let done = check(&stdin);
        assert!(
            done.stdout.starts_with("standard input:14:5: error: a status.phase: "),
            "{}{}",
            done.stdout,
            done.stderr
        );
        assert_eq!((done.code, done.stdout.lines().count()), (1, count), "{}", done.stdout);
    }
    let tabs = check(format!("{}\tx: 1\n", scan("status:\n")));
    assert!(tabs.code == 2 && tabs.stderr.starts_with("error: standard input:5:"), "{}", tabs.stderr);
}

#[test]
fn unreadable_files_do_not_hide_findings() {
    let folder = Folder::new();
    let valid_scan = folder.join("valid.yaml");
    fs::write(&valid_scan, scan("")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("link.yaml")).unwrap();
    let path = folder.path().to_str().unwrap();
    let done = run(&[path], b"");
    assert!(done.code == 2 && done.stderr.contains("link.yaml: No such file"), "{}", done.stderr);
    assert!(done.stderr.contains("1 scan checked in 1 file"), "{}", done.stderr);
    // A folder instead of standard input, and a folder without a manifest.
    let empty = Folder::new();
    let mut command = command(&["-", empty.path().to_str().unwrap(), valid_scan.to_str().unwrap()]);
    let output = command.stdin(Stdio::from(fs::File::open(folder.path()).unwrap())).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for message in ["standard input: Is a directory", "no .yaml or .yml or .json file", "1 scan checked in 2 files"] {
        assert!(errors.contains(message), "{errors}");
    }
}

#[test]
fn input_cannot_control_the_terminal() {
    let folder = Folder::new();
    let name = |rest: &str| folder.join(&format!("a\u{1b}[31m\n{rest}.yaml")).display().to_string();
    let files = [
        (
            "finding",
            scan(
                "metadata: {name: \"\\e[2J\\u009b\\u202e\"}\nstatus: {phase: \"\\e[31m\", \"x\\e\": 1, \"x\\e\": 2}\n",
            ),
        ),
        ("no-object", "\"\\e[2J\": 1\n".to_owned()),
        ("near", format!("{API_VERSION}kind: \"SourceScan\\e\"\n")),
        ("anchor", "a: *\u{1b}[2J\n".to_owned()),
        ("tag", "a: !!int \"\\e[2J\"\n".to_owned()),
    ];
    let mut names: Vec<String> = files.iter().map(|(rest, _)| name(rest)).collect();
    for (name, (_, text)) in names.iter().zip(&files) {
        fs::write(name, text).unwrap();
    }
    names.push(name("missing"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let done = run(&names, b"");
    assert_eq!(done.code, 2);
    for printed in [&done.stdout, &done.stderr] {
        let unfit = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
        assert_eq!(printed.chars().find(unfit), None, "{printed:?}");
        assert!(printed.lines().all(|line| !line.starts_with(['f', 'n', 'm'])), "{printed}");
    }
    assert_eq!(done.stderr.lines().count(), 6, "{}", done.stderr);
}
