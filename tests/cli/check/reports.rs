//! Tests the reports of `check`: their destinations, and each format.

use std::fs;

use serde_json::{Value, json};

use super::runner::{Run, command, run};
use crate::support::folder::Folder;

/// A SourceScan on eight lines, whose total on line 7 is wrong, and that has no scanner.
fn scan(name: &str) -> String {
    format!(
        "apiVersion: scanning.apps.tanzu.vmware.com/v1beta1\nkind: SourceScan\nmetadata: {{name: {name}, namespace: dev}}\n\
         spec: {{blob: {{url: 'https://example.com/a'}}, scanTemplate: t}}\nstatus:\n  phase: Error\n\
         \x20 cveCount: {{critical: 1, total: 2}}\n  scannedBy: {{}}\n"
    )
}

/// The findings of [`scan`].
const TOTAL: &str = "status.cveCount.total: Invalid value: 2: must be 1, the sum of the severities";

fn sarif(args: &[&str], stdin: &str) -> (i32, Value) {
    let done = run(&[&["-o", "sarif"], args].concat(), stdin.as_bytes());
    (done.code, serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.stderr)))
}

fn results(sarif: &Value) -> &Vec<Value> {
    sarif["runs"][0]["results"].as_array().unwrap()
}

#[test]
fn several_reports_are_written_in_one_run() {
    let folder = Folder::new();
    let formats = ["text", "json", "junit", "sarif", "github", "markdown"];
    let outputs = formats.map(|format| format!("{format}={}", folder.join(format).display()));
    let args: Vec<&str> = outputs.iter().flat_map(|output| ["-o", output]).chain(["scans.yaml"]).collect();
    let done = run(&args, b"");
    // Text stays on standard output, and every report is the same as alone.
    assert_eq!((done.code, done.stdout), (1, run(&["scans.yaml"], b"").stdout));
    for format in formats {
        let alone = run(&["-o", format, "scans.yaml"], b"");
        assert_eq!((alone.code, alone.stdout), (1, fs::read_to_string(folder.join(format)).unwrap()), "{format}");
        let dash = run(&["-o", &format!("{format}=-"), "scans.yaml"], b"");
        assert_eq!(dash.stdout, fs::read_to_string(folder.join(format)).unwrap(), "{format}");
    }
    let mut by_variable = command(&["scans.yaml"]);
    by_variable.env("SCAN_ADMISSION_OUTPUT", format!("json,{}", outputs[3]));
    let done = by_variable.output().unwrap();
    assert_eq!(done.stdout, fs::read(folder.join("json")).unwrap());
}

#[test]
fn the_exit_code_is_the_same_for_every_format() {
    for (args, code) in [(&["folder"][..], 0), (&["scans.yaml"], 1), (&["scans.yaml", "missing.yaml"], 2), (&["-"], 2)]
    {
        for format in ["text", "json", "junit", "sarif", "github", "markdown"] {
            assert_eq!(run(&[&["-o", format], args].concat(), b"").code, code, "{format} {args:?}");
        }
    }
}

#[test]
fn a_wrong_output_is_an_error_before_anything_is_read() {
    for (args, message) in [
        (
            &["-o", "xml"][..],
            "unknown format \"xml\": write FORMAT or FORMAT=FILE, where FORMAT is one of text, json, junit, sarif, github, markdown",
        ),
        (&["-o", "sarif="], "missing the name of the file after \"sarif=\""),
        (&["-o", "json", "-o", "text"], "only one report can go to standard output: write `-o text=FILE`"),
        (&["-o", "json=-", "-o", "sarif"], "only one report can go to standard output: write `-o sarif=FILE`"),
        (&["-o", "json=scans.yaml"], "scans.yaml is an input: write the report to another file"),
        (
            &["-o", "json=missing/a"],
            "cannot write the report to missing/a: No such file or directory (os error 2); create its folder first",
        ),
        (&["-o", "json=folder"], "cannot write the report to folder: Is a directory"),
    ] {
        let Run { code, stdout, stderr } = run(&[args, &["scans.yaml"]].concat(), b"");
        assert!(code == 2 && stdout.is_empty() && stderr.contains(message), "{args:?}: {code} {stdout} {stderr}");
    }
}

#[test]
fn a_report_never_takes_the_place_of_an_input() {
    let folder = Folder::new();
    let [scan_file, config] = ["scan.yaml", "config.yaml"].map(|name| folder.join(name).display().to_string());
    fs::write(&scan_file, scan("a")).unwrap();
    fs::write(&config, "rules: {cve-total: warn}\n").unwrap();
    let whole = folder.path().to_str().unwrap();
    for args in [
        &["-o", &format!("json={scan_file}"), whole][..],
        &["-o", &format!("text={scan_file}"), &scan_file],
        &["--fix", "-o", &format!("sarif={scan_file}"), &scan_file],
        &["--config", &config, "-o", &format!("json={config}"), &scan_file],
    ] {
        let done = run(args, b"");
        assert_eq!(done.code, 2, "{args:?}");
        assert!(done.stderr.ends_with(": write the report to another file\n"), "{}", done.stderr);
    }
    assert_eq!(fs::read_to_string(&scan_file).unwrap(), scan("a"));
}

#[test]
fn an_input_that_is_named_twice_is_read_once() {
    let folder = Folder::new();
    let file = folder.join("scan.yaml").display().to_string();
    fs::write(&file, scan("a")).unwrap();
    let once = run(&[&file], b"");
    let twice = run(&[&file, &folder.join("./scan.yaml").display().to_string(), folder.path().to_str().unwrap()], b"");
    assert_eq!((twice.stdout, twice.stderr), (once.stdout, once.stderr));
    let stdin = run(&["-", "-"], scan("a").as_bytes());
    assert!(stdin.stderr.starts_with("1 scan checked in 1 file: 1 denied"), "{}", stdin.stderr);
}

#[test]
fn two_reports_cannot_go_to_the_same_file() {
    let folder = Folder::new();
    let file = folder.join("a").display().to_string();
    let link = folder.join("link").display().to_string();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for other in [&file, &link, &folder.join("./a").display().to_string()] {
        let done = run(&["-o", &format!("json={file}"), "-o", &format!("sarif={other}"), "scans.yaml"], b"");
        assert_eq!(done.stderr, format!("error: two reports cannot go to the same file, {other}\n"));
        assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    }
    assert_eq!(run(&["-o", "json=/dev/null", "-o", "sarif=/dev/null", "folder"], b"").code, 0);
}

#[test]
fn a_report_is_no_input_of_its_own_run() {
    let folder = Folder::new();
    fs::write(folder.join("scan.yaml"), scan("a")).unwrap();
    let report = folder.join("report.json");
    for _ in 0..2 {
        let output = format!("json={}", report.display());
        let done = run(&["-o", &output, folder.path().to_str().unwrap()], b"");
        let counts = &serde_json::from_slice::<Value>(&fs::read(&report).unwrap()).unwrap()["counts"];
        assert_eq!((done.code, &counts["files"], &counts["skipped"]), (1, &json!(1), &json!(0)));
    }
}

#[test]
fn a_report_is_complete_although_the_reader_of_another_one_has_gone() {
    let folder = Folder::new();
    fs::write(
        folder.join("scans.yaml"),
        (0..5_000).map(|n| format!("---\n{}", scan(&n.to_string()))).collect::<String>(),
    )
    .unwrap();
    let (scans, report) = (folder.join("scans.yaml"), folder.join("report.json"));
    let mut child =
        command(&["-o", "text", "-o", &format!("json={}", report.display()), scans.to_str().unwrap()]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["counts"]["scans"], 5_000);
}

#[test]
fn the_members_of_the_json_are_those_of_its_schema() {
    fn compare(value: &Value, schema: &Value, root: &Value) {
        let schema = schema["$ref"].as_str().map_or(schema, |at| root.pointer(&at[1..]).unwrap());
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| {
                    let known = schema["properties"].get(name);
                    compare(value, known.unwrap_or_else(|| panic!("{name} is not in the schema")), root);
                });
                for required in schema["required"].as_array().unwrap() {
                    assert!(members.contains_key(required.as_str().unwrap()), "{required}: {value}");
                }
            }
            Value::Array(entries) => entries.iter().for_each(|entry| compare(entry, &schema["items"], root)),
            Value::String(text) if schema["enum"].is_array() => {
                assert!(schema["enum"].as_array().unwrap().iter().any(|known| known == text), "{text}");
            }
            _ => {}
        }
    }
    let schema: Value = serde_json::from_str(&fs::read_to_string("docs/report.schema.json").unwrap()).unwrap();
    for args in [&["scans.yaml", "broken.yaml", "missing.yaml", "stream.json"][..], &["folder"]] {
        let (_, report) = super::report(args, b"");
        compare(&report, &schema, &schema);
    }
}

#[test]
fn sarif_has_the_region_of_each_value_and_every_rule() {
    let (code, log) = sarif(&[], &scan("a"));
    assert_eq!(
        (code, &log["version"], &log["runs"][0]["columnKind"]),
        (1, &json!("2.1.0"), &json!("unicodeCodePoints"))
    );
    let driver = &log["runs"][0]["tool"]["driver"];
    let rules = driver["rules"].as_array().unwrap();
    let ids: Vec<_> = scan_admission::rules::RULES.iter().map(|rule| rule.id).chain(["document"]).collect();
    assert_eq!(rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    for rule in rules {
        for text in ["/shortDescription/text", "/fullDescription/text", "/help/text", "/help/markdown", "/helpUri"] {
            assert!(!rule.pointer(text).and_then(Value::as_str).unwrap().is_empty(), "{text} {rule}");
        }
    }
    let level = |id: &str| &rules[ids.iter().position(|known| *known == id).unwrap()]["defaultConfiguration"]["level"];
    assert_eq!((level("cve-total"), level("scan-template")), (&json!("error"), &json!("warning")));
    let total = results(&log).iter().find(|result| result["ruleId"] == "cve-total").unwrap();
    assert_eq!(total["message"]["text"], format!("SourceScan dev/a {TOTAL}"));
    assert_eq!(total["level"], "error");
    assert_eq!(
        total["locations"][0]["physicalLocation"],
        json!({"artifactLocation": {"uri": "stdin", "uriBaseId": "%SRCROOT%"},
               "region": {"startLine": 7, "startColumn": 34, "endLine": 7, "endColumn": 35}})
    );
    for result in results(&log) {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    // An absent value has the region of its container, the status.
    let observed = results(&log).iter().find(|result| result["ruleId"] == "phase-disagrees").unwrap();
    let region = &observed["locations"][0]["physicalLocation"]["region"];
    assert_eq!((&region["startLine"], &region["startColumn"]), (&json!(6), &json!(10)));
    let (code, clean) = sarif(&["folder"], "");
    assert_eq!((code, &clean["runs"][0]["results"]), (0, &json!([])));
}

#[test]
fn a_result_of_sarif_has_the_edit_that_repairs_it() {
    let text = scan("a").replace(", total: 2", "");
    let fix = |text: &str, rule: &str| {
        let (_, log) = sarif(&["--stdin-name", "a b.yaml"], text);
        let result = results(&log).iter().find(|result| result["ruleId"] == rule).unwrap();
        result["fixes"][0].clone()
    };
    let change = |line: u32, columns: [u32; 2], text: &str| {
        let region = json!({"startLine": line, "startColumn": columns[0], "endLine": line, "endColumn": columns[1]});
        json!({"description": {"text": "Write status.cveCount.total as the mutating webhook does."},
               "artifactChanges": [{"artifactLocation": {"uri": "a%20b.yaml", "uriBaseId": "%SRCROOT%"},
                                    "replacements": [{"deletedRegion": region, "insertedContent": {"text": text}}]}]})
    };
    assert_eq!(fix(&scan("a"), "cve-total"), change(7, [34, 35], "1"));
    assert_eq!(fix(&text, "cve-total"), change(7, [25, 25], ", total: 1"));
    assert_eq!(fix(&scan("a"), "phase-disagrees"), Value::Null);
}

#[test]
fn a_level_of_sarif_follows_the_action() {
    let folder = Folder::new();
    for (mode, level) in [("deny", "error"), ("warn", "warning"), ("audit", "note")] {
        let config = folder.join("config.yaml");
        fs::write(&config, format!("rules: {{cve-total: {mode}}}\n")).unwrap();
        let (_, log) = sarif(&["--config", config.to_str().unwrap()], &scan("a"));
        let total = results(&log).iter().find(|result| result["ruleId"] == "cve-total").unwrap();
        assert_eq!(total["level"], level);
    }
}

#[test]
fn a_fingerprint_of_sarif_stays_when_lines_move() {
    let fingerprints = |stdin: &str| -> Vec<String> {
        let (_, log) = sarif(&[], stdin);
        let of = |result: &Value| result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().to_owned();
        results(&log).iter().filter(|result| result["ruleId"] == "cve-total").map(of).collect()
    };
    let before = fingerprints(&scan("a"));
    assert!(before[0].ends_with(":1") && before.len() == 1, "{before:?}");
    assert_eq!(fingerprints(&format!("# moved\n\n{}", scan("a").replace("total: 2", "total: 7"))), before);
    assert_ne!(fingerprints(&scan("b")), before);
    let twice = fingerprints(&format!("{}---\n{}", scan("a"), scan("a")));
    assert_eq!(twice, [before[0].clone(), before[0].replace(":1", ":2")]);
    // A scan without a name is identified by its file, however the file is named.
    let unnamed = Folder::new();
    fs::write(unnamed.join("a.yaml"), scan("''")).unwrap();
    let of = |name: &str| {
        let output = command(&["-o", "sarif", name]).current_dir(unnamed.path()).output().unwrap();
        let log: Value = serde_json::from_slice(&output.stdout).unwrap();
        results(&log)[0]["partialFingerprints"].clone()
    };
    let absolute = unnamed.join("a.yaml").display().to_string();
    for name in ["./a.yaml", ".", &absolute] {
        assert_eq!(of(name), of("a.yaml"), "{name}");
    }
    // The number of an occurrence does not depend on other files.
    let folder = Folder::new();
    let files = ["a.yaml", "b.yaml"].map(|name| folder.join(name).display().to_string());
    files.iter().for_each(|file| fs::write(file, scan("a")).unwrap());
    let (_, log) = sarif(&[&files[0], &files[1]], "");
    let of_file = results(&log).iter().filter(|result| result["ruleId"] == "cve-total");
    for result in of_file {
        assert_eq!(result["partialFingerprints"]["primaryLocationLineHash"], before[0]);
    }
}

#[test]
fn sarif_has_the_worst_results_and_counts_the_others() {
    let stream: String = (0..6_000).map(|n| format!("---\n{}", scan(&n.to_string()))).collect();
    let (code, log) = sarif(&[], &stream);
    let (_, report) = super::report(&[], stream.as_bytes());
    let all = report["findings"].as_array().unwrap().len();
    let found = results(&log);
    assert_eq!((code, found.len()), (1, 5_000));
    assert_eq!(log["runs"][0]["properties"]["omittedResults"], all - 5_000);
    assert!(found.iter().all(|result| result["level"] == "error"));
}

#[test]
fn unreadable_input_is_an_error_in_every_report() {
    let (_, log) = sarif(&["broken.yaml", "missing.yaml"], "");
    let invocation = &log["runs"][0]["invocations"][0];
    let notifications = invocation["toolExecutionNotifications"].as_array().unwrap();
    assert_eq!((&invocation["executionSuccessful"], notifications.len()), (&json!(false), 7));
    assert!(notifications.iter().all(|notification| notification["level"] == "error"));
    let place = &notifications[0]["locations"][0]["physicalLocation"];
    assert_eq!((&place["artifactLocation"]["uri"], &place["region"]["startLine"]), (&json!("broken.yaml"), &json!(5)));
    let clean = sarif(&["folder"], "").1;
    assert_eq!(clean["runs"][0]["invocations"][0]["executionSuccessful"], true);
    for (format, expected) in [
        ("github", "::error file=missing.yaml,title=unreadable::missing.yaml: No such file or directory"),
        ("junit", "<testsuite name=\"missing.yaml\" tests=\"1\" skipped=\"0\" errors=\"1\" failures=\"0\">"),
        ("junit", "<testcase name=\"unreadable\">"),
        ("markdown", "- :x: `missing.yaml: No such file or directory"),
    ] {
        let done = run(&["-o", format, "missing.yaml"], b"");
        assert!(done.stdout.contains(expected), "{}", done.stdout);
    }
}

#[test]
fn the_name_of_standard_input_can_be_set() {
    let stdin = scan("a");
    let args = ["--stdin-name", "my scans/é.yaml"];
    let (_, log) = sarif(&args, &stdin);
    for result in results(&log) {
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        assert_eq!(place["uri"], "my%20scans/%C3%A9.yaml");
    }
    let text = run(&args, stdin.as_bytes()).stdout;
    assert!(text.lines().all(|line| line.starts_with("my scans/é.yaml:")), "{text}");
    let github = run(&[&args[..], &["-o", "github"]].concat(), stdin.as_bytes()).stdout;
    assert!(github.lines().all(|line| line.contains(" file=my scans/é.yaml,line=")), "{github}");
}

#[test]
fn commands_of_github_are_escaped() {
    let relative = run(&["-o", "github", "./scans.yaml"], b"").stdout;
    assert!(relative.starts_with("::error file=scans.yaml,line=14,col=10,endColumn=18,"), "{relative}");
    let folder = Folder::new();
    let file = folder.join("a:b,c%.yaml");
    fs::write(&file, scan("a").replace("phase: Error", "phase: \"50%\\n::stop\"")).unwrap();
    let done = run(&["-o", "github", file.to_str().unwrap()], b"");
    let name = file.to_str().unwrap().replace('%', "%25").replace(':', "%3A").replace(',', "%2C");
    let phase = format!(
        "::error file={name},line=6,col=10,endColumn=23,title=SourceScan dev/a [phase-unknown]::status.phase: Unsupported value: \
         \"50%25\\n::stop\": supported values: "
    );
    assert!(done.stdout.lines().any(|line| line.starts_with(&phase)), "{}\n{phase}", done.stdout);
    assert!(
        done.stdout.lines().all(|line| line.starts_with("::error ") || line.starts_with("::warning ")),
        "{}",
        done.stdout
    );
}

#[test]
fn github_gets_a_summary_of_the_job() {
    let folder = Folder::new();
    let summary = folder.join("summary.md");
    fs::write(&summary, "# An earlier step\n").unwrap();
    for (format, is_written) in [("json", false), ("github", true)] {
        let output = command(&["-o", format, "scans.yaml"]).env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let expected = if is_written { run(&["-o", "markdown", "scans.yaml"], b"").stdout } else { String::new() };
        assert_eq!(fs::read_to_string(&summary).unwrap(), format!("# An earlier step\n{expected}"));
    }
}

#[test]
fn annotations_do_not_need_the_summary_of_the_job() {
    let output =
        command(&["-o", "github", "scans.yaml"]).env("GITHUB_STEP_SUMMARY", "missing/summary.md").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 5);
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .starts_with("warning: no summary of the job: cannot write the report to missing/")
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn markdown_is_a_table_by_object() {
    let markdown = run(&["-o", "markdown"], format!("{}---\n{}", scan("a"), scan("'*b|`c`'")).as_bytes()).stdout;
    let pipe = run(&["-o", "markdown"], scan(r"'\|'").as_bytes()).stdout;
    assert!(pipe.contains("| `SourceScan dev/\\¦` |"), "{pipe}");
    let head = "### scan-admission: 2 scans checked in 1 file: 2 denied, 0 with warnings, 0 clean\n\n| scan | place | finding |\n|---|---|---|\n";
    assert!(markdown.starts_with(head), "{markdown}");
    assert!(markdown.contains(&format!(":x: `{TOTAL}` `cve-total` |\n")), "{markdown}");
    // Only the first row of an object has its name, in which no character is markup.
    assert_eq!(markdown.matches("| `SourceScan dev/a` |").count(), 1, "{markdown}");
    assert_eq!(markdown.matches("| `` SourceScan dev/*b\\|`c` `` |").count(), 1, "{markdown}");
    let stream: String = (0..6_000).map(|n| format!("---\n{}", scan(&n.to_string()))).collect();
    let markdown = run(&["-o", "markdown"], stream.as_bytes()).stdout;
    assert!((55_000..=60_000).contains(&markdown.len()), "{}", markdown.len());
    let rows = markdown.matches(" :x: ").count() + markdown.matches(" :warning: ").count();
    let (_, report) = super::report(&[], stream.as_bytes());
    let rest = report["findings"].as_array().unwrap().len() - rows;
    assert!(markdown.ends_with(&format!("\nand {rest} more findings\n")), "{}", &markdown[markdown.len() - 100..]);
}

#[test]
fn junit_has_a_suite_for_each_file_and_a_case_for_each_scan() {
    let folder = Folder::new();
    for (name, text) in
        [("a.yaml", format!("{}---\n{}", scan("a"), scan("b"))), ("b.yaml", scan("c").replace("total: 2", "total: 1"))]
    {
        fs::write(folder.join(name), text).unwrap();
    }
    let junit = run(&["-o", "junit", folder.path().to_str().unwrap(), "folder"], b"").stdout;
    assert!(
        junit.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"scan-admission\""),
        "{junit}"
    );
    let suite = |name: &str| {
        let start = junit.find(&format!("<testsuite name=\"{name}\"")).unwrap_or_else(|| panic!("{name}: {junit}"));
        junit[start..].split("</testsuite>").next().unwrap()
    };
    let a = suite(folder.join("a.yaml").to_str().unwrap());
    assert!(a.contains("tests=\"2\" skipped=\"0\" errors=\"0\" failures=\"2\""), "{a}");
    assert!(a.contains("<testcase name=\"SourceScan dev/a\" classname=\"SourceScan\">"), "{a}");
    let total = format!(": error: {TOTAL} [cve-total]");
    assert!(a.contains(&total.replace('"', "&quot;")) && a.contains("<system-out>"), "{a}");
    // XML 1.0 has no U+FFFF and no control characters.
    let odd = run(&["-o", "junit"], scan(r#""a\a\uFFFF""#).as_bytes()).stdout;
    assert!(odd.contains("name=\"SourceScan dev/a??\""), "{odd}");
    // CI systems take test cases of one name for the same.
    let unnamed = run(&["-o", "junit"], format!("{}---\n{}", scan("''"), scan("''")).as_bytes()).stdout;
    for line in [1, 10] {
        assert!(unnamed.contains(&format!("name=\"SourceScan dev/(no name) at {line}:1\"")), "{unnamed}");
    }
    let broken = run(&["-o", "junit", "broken.yaml"], b"").stdout;
    assert!(broken.contains("<testcase name=\"unreadable at 5:2\">"), "{broken}");
    assert!(broken.contains(">broken.yaml:5:2: invalid YAML: "), "{broken}");
    // A scan without findings passes.
    assert!(junit.contains("classname=\"SourceScan\"/>"), "{junit}");
}
