//! The formats of the report, its bounds, and the exit codes.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::log::{USER, event, lines, report, run, run_in, scan, with};
use crate::support::folder::Folder;
use crate::support::program;

fn log() -> String {
    let other = with(
        event(3, scan(3, json!({"phase": "Scanning", "cveCount": {"low": 1, "total": 2}}))),
        json!({"verb": "patch", "user": {"username": "jane|doe@example.com"}}),
    );
    lines(&[
        event(1, scan(1, json!({"phase": "Pending"}))),
        event(2, scan(2, json!({"phase": "Done"}))),
        other,
        with(event(4, scan(4, json!(null))), json!({"level": "Metadata", "responseObject": null})),
    ])
}

#[test]
fn text_is_an_aligned_table_without_colours_in_a_pipe() {
    let run = run(&[], log().as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let expected = "\
OUTCOME  RULE              NAMESPACE  USER                                                         WRITES  FIRST                 LAST
deny     phase-unknown     dev        USER       1  2026-11-20T08:00:02Z  2026-11-20T08:00:02Z
         dev/app SourceScan status.phase: Unsupported value: \"Done\": supported values: \"Pending\", \"Scanning\", \"Completed\", \"Failed\", \"Error\" (standard input:2, audit ID audit-2)
warn     phase-disagrees   dev        jane|doe@example.com                                              1  2026-11-20T08:00:03Z  2026-11-20T08:00:03Z
         dev/app SourceScan status.phase: Invalid value: \"Scanning\": must not be \"Scanning\" while there is no condition Scanning; add the condition Scanning (standard input:3, audit ID audit-3)
mutate   cve-count-values  dev        jane|doe@example.com                                              1  2026-11-20T08:00:03Z  2026-11-20T08:00:03Z
         dev/app SourceScan status.cveCount.critical: absent, set to 0 (standard input:3, audit ID audit-3)
mutate   cve-total         dev        jane|doe@example.com                                              1  2026-11-20T08:00:03Z  2026-11-20T08:00:03Z
         dev/app SourceScan status.cveCount.total: was 2, set to 1 (standard input:3, audit ID audit-3)

2 of 2 findings come from ScanTemplate blob-source-scan-template, manager x, since 2026-11-20T08:00:02Z

NOT REPLAYED                                                          COUNT  FIRST
recorded at level Metadata: the policy has to record RequestResponse      1  standard input:4

3 status writes in 4 audit events: 1 would be denied, 1 with warnings, 1 clean; 1 mutated.
1 judged write without an old object: errors among them may be warnings.
1 event not replayed.
";
    assert_eq!(run.stdout, expected.replace("USER       1", &format!("{USER}       1")));
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

#[test]
fn markdown_is_a_table_that_fits_into_a_comment() {
    let short = run(&["-o", "markdown"], log().as_bytes()).stdout;
    let cells = format!("| deny | phase-unknown | {} | {} | 1 | ", code("dev"), code(USER));
    assert!(short.lines().any(|line| line.starts_with(&cells)), "{short}");
    assert!(short.contains(&format!("| {} |", code("jane\\|doe@example.com"))), "{short}");
    // Namespaces and users with characters that Markdown escapes, and with the longest encoding in UTF-8.
    for character in ["@", "<", "\u{10FFFD}"] {
        let long = character.repeat(300);
        let events: Vec<Value> = (0..200)
            .map(|number| {
                let names = json!({"user": {"username": format!("{number}{long}")}, "objectRef": {"namespace": long},
                    "responseObject": {"metadata": {"namespace": long, "name": long, "uid": number.to_string()}}});
                with(event(number, scan(1, json!({"phase": long}))), names)
            })
            .collect();
        let folder = Folder::new();
        // Each reason has a long position. All names of a path together may be longer than one.
        let path = vec![character.replace('<', "(").repeat(50); 5].join("/");
        fs::create_dir_all(folder.join(&path)).unwrap();
        let log = format!("{path}/audit.log");
        let start = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","#;
        fs::write(folder.join(&log), lines(&events) + "broken\n{}\n" + start).unwrap();
        let long = run_in(folder.path(), &["-o", "markdown", &log], b"").stdout;
        assert!(long.len() < 60_000, "{character}: {}", long.len());
        assert!(long.len() > 40_000, "{character}: {}", long.len());
        let rows = long.lines().filter(|line| line.starts_with("| deny | ")).count();
        assert!(long.contains(&format!("| | further rows | | | {} | | | |", 200 - rows)), "{long}");
    }
}

#[test]
fn rows_beyond_the_limit_are_summed_up() {
    let as_user = |number: u32| {
        let changes = json!({"user": {"username": format!("user-{number}")},
            "responseObject": {"metadata": {"uid": number.to_string()}}});
        with(event(number, scan(1, json!({"phase": "Done"}))), changes)
    };
    let found = report(lines(&(0..1_003).map(as_user).collect::<Vec<_>>()));
    assert_eq!(found["rows"].as_array().unwrap().len(), 1_000);
    assert_eq!(found["counts"]["denied"], 1_003);
    assert_eq!(found["more"], json!([{"outcome": "deny", "writes": 3}]));
}

#[test]
fn the_most_severe_rows_are_kept() {
    let write = |number: u32, status: Value| {
        let namespace = json!({"namespace": format!("team-{number}"), "uid": number.to_string()});
        with(event(number % 3600, scan(1, status)), json!({"responseObject": {"metadata": namespace}}))
    };
    let clean = json!({"phase": "Error", "cveCount": {"critical": 0, "high": 0, "medium": 0, "low": 0, "unknown": 0}});
    let status = |changes: Value| with(clean.clone(), changes);
    let two_mutations = status(json!({"cveCount": {"low": null, "high": 1, "total": 7}}));
    let denied = json!({"phase": "Done"});
    let mut events: Vec<Value> = (0..600).map(|number| write(number, two_mutations.clone())).collect();
    // Rows with two writes are kept longer than those with one.
    events.push(write(0, two_mutations));
    events.extend((600..610).map(|number| write(number, denied.clone())));
    let found = report(lines(&events));
    let rows = found["rows"].as_array().unwrap();
    let writes = |outcome: &str| {
        let of_outcome = rows.iter().filter(|row| row["outcome"] == outcome);
        of_outcome.map(|row| row["writes"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let denies = rows.iter().filter(|row| row["rule"] == "phase-unknown");
    assert_eq!((rows.len(), denies.count()), (1_000, 10), "{rows:?}");
    let more = |outcome: &str| {
        found["more"]
            .as_array()
            .unwrap()
            .iter()
            .find(|more| more["outcome"] == outcome)
            .map_or(0, |more| more["writes"].as_u64().unwrap())
    };
    assert_eq!(writes("mutate")[..3], [2, 2, 1]);
    // No write is lost.
    assert_eq!(writes("mutate").iter().sum::<u64>() + more("mutate"), 2 * 601);
    assert_eq!((more("deny"), more("warn")), (0, 0));
}

#[test]
fn the_exit_code_says_with_fail_whether_a_write_would_be_denied() {
    let clean = lines(&[event(1, scan(1, json!({"phase": "Pending"})))]);
    let folder = Folder::new();
    fs::write(folder.join("config.yaml"), "rules: {phase-unknown: warn}\n").unwrap();
    for (args, log, code) in [
        (&[][..], log(), 0),
        (&["--fail"], log(), 1),
        (&["--fail"], clean, 0),
        (&["--fail", "--config", "config.yaml"], log(), 0),
        (&["--fail"], "no log".to_owned(), 2),
        (&["--fail", "-", "missing.log"], log(), 2),
        (&["-o", "yaml"], log(), 2),
        (&["--config", "missing.yaml"], log(), 2),
    ] {
        let run = run_in(folder.path(), args, log.as_bytes());
        assert_eq!(run.code, Some(code), "{args:?}: {}", run.stderr);
    }
    fs::write(folder.join("audit.log"), log()).unwrap();
    for (value, code) in [("", 0), ("1", 1), ("true", 1), ("yes", 1), ("0", 0), ("false", 0), ("perhaps", 2)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
        program::clean(&mut command);
        command.current_dir(folder.path()).env("SCAN_ADMISSION_FAIL", value).args(["replay", "audit.log"]);
        assert_eq!(command.output().unwrap().status.code(), Some(code), "{value:?}");
    }
}

#[test]
fn texts_of_a_log_have_no_control_characters() {
    let names = json!({"user": {"username": "a\u{1b}[2Jb"}, "auditID": "\u{202e}", "objectRef": {"namespace": "\u{7}"},
        "responseObject": {"metadata": {"name": "\u{9b}", "namespace": null}, "status": {"phase": "\u{1b}"}}});
    for format in ["text", "json", "markdown"] {
        let printed =
            run(&["-o", format], lines(&[with(event(1, scan(1, json!({}))), names.clone())]).as_bytes()).stdout;
        let unfit = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
        assert_eq!(printed.chars().find(unfit), None, "{printed:?}");
    }
}

/// Checks the document against the schema as far as objects, lists and constants go.
#[test]
fn the_document_has_the_members_of_its_schema() {
    let schema: Value = serde_json::from_str(&fs::read_to_string("docs/replay.schema.json").unwrap()).unwrap();
    let mut found = report(log() + "broken\n");
    check(&schema, &schema, &found, "");
    for (name, value) in [("version", json!("1")), ("rows", json!([{"rule": "x"}])), ("counts", json!(null))] {
        found[name] = value;
        let wrong = found.clone();
        let schema = schema.clone();
        assert!(std::panic::catch_unwind(move || check(&schema, &schema, &wrong, "")).is_err(), "{name}");
    }
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        return check(root, root.pointer(reference.trim_start_matches('#')).unwrap(), value, path);
    }
    if let Some(values) = schema["oneOf"].as_array() {
        return assert!(values.iter().any(|one| one["const"] == *value), "{path}: {value}");
    }
    // An optional member may have two types, of which the second is null.
    match schema["type"].as_str().or(schema["type"][0].as_str()).unwrap() {
        "object" => {
            let members = value.as_object().unwrap_or_else(|| panic!("{path}: {value}"));
            for name in schema["required"].as_array().unwrap() {
                assert!(members.contains_key(name.as_str().unwrap()), "{path} has no {name}");
            }
            for (name, member) in members {
                let schema = &schema["properties"][name];
                assert!(schema.is_object(), "{path}.{name} is not in the schema");
                check(root, schema, member, &format!("{path}.{name}"));
            }
        }
        "array" => {
            let items = value.as_array().unwrap_or_else(|| panic!("{path}: {value}"));
            items.iter().for_each(|item| check(root, &schema["items"], item, &format!("{path}[]")));
        }
        "integer" => assert!(value.is_u64(), "{path}: {value}"),
        "string" => assert!(value.is_string(), "{path}: {value}"),
        other => panic!("{path}: {other}"),
    }
}

/// `script` runs a command on a terminal. The log is a pipe whose end is not reached before the line is shown.
#[test]
fn progress_is_shown_on_a_terminal_and_cleared_at_the_end() {
    if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "script of util-linux is missing");
        eprintln!("skipped: script of util-linux was not found");
        return;
    }
    let folder = Folder::new();
    assert!(Command::new("mkfifo").arg(folder.join("log")).status().unwrap().success());
    let mut script = Command::new("script");
    program::clean(&mut script);
    let command = format!("{} replay log", env!("CARGO_BIN_EXE_scan-admission"));
    script.args(["-q", "-e", "-c", &command, "/dev/null"]).current_dir(folder.path());
    let mut child = script.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (sender, printed) = channel();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stdout.read(&mut chunk) {
            let _ = sender.send(String::from_utf8_lossy(&chunk[..count]).into_owned());
        }
    });
    let mut pipe = File::options().write(true).open(folder.join("log")).unwrap();
    let mut text = String::new();
    let start = Instant::now();
    while !text.contains(" MB read") {
        assert!(start.elapsed() < Duration::from_secs(60), "no progress: {text:?}");
        pipe.write_all(log().as_bytes()).unwrap();
        text.extend(printed.recv_timeout(Duration::from_millis(20)));
    }
    drop(pipe);
    text.extend(printed.iter());
    assert!(child.wait().unwrap().success(), "{text:?}");
    let (before, after) = text.rsplit_once(" MB read").unwrap();
    assert!(before.starts_with("\r\u{1b}[K"), "{text:?}");
    assert!(after.starts_with("\r\u{1b}[KOUTCOME"), "{text:?}");
    // Colours are shown on a terminal.
    assert!(after.contains("\u{1b}[1m\u{1b}[31mdeny"), "{text:?}");
}
