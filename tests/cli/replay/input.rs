//! The forms of logs, and damaged logs.

use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use scan_admission::offline::audit_log::records::EVENT_MAX_BYTES;
use serde_json::{Value, json};

use super::log::{counts, event, lines, reasons, report, rows, run, run_in, scan};
use crate::support::folder::Folder;

/// Two writes: the second has the error of the first, which downgrades it only if they are read in order.
fn two() -> [Value; 2] {
    let status = json!({"phase": "Done", "scannedAt": "2026-11-20T08:00:00Z"});
    [event(1, scan(1, status.clone())), event(2, scan(2, status))]
}

const IN_ORDER: [&str; 2] = ["deny phase-unknown 1/1", "warn phase-unknown 1/0"];

fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn json_of(folder: &Folder, args: &[&str]) -> Value {
    let run = run_in(folder.path(), &[&["-o", "json"], args].concat(), b"");
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn every_form_of_a_log_gives_the_same_findings() {
    let events = two();
    let without_kind: Vec<Value> = events
        .iter()
        .map(|event| {
            let mut event = event.clone();
            event.as_object_mut().unwrap().retain(|name, _| !["kind", "apiVersion"].contains(&name.as_str()));
            event
        })
        .collect();
    let head = r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":"#;
    let list = |items: &[Value]| format!("{head}{}}}\n", json!(items));
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    // serde_json sorts the keys, so the items are before the kind.
    let sorted = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": without_kind});
    let written_by_go = |event: &Value| {
        format!("{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",{}\n", &event.to_string()[1..])
    };
    let of_go: String = without_kind.iter().map(written_by_go).collect();
    for log in [
        of_go.clone(),
        of_go.trim_end().to_owned(),
        of_go.replace('\n', "\r\n"),
        format!("\u{FEFF}{of_go}"),
        lines(&events),
        events.iter().map(Value::to_string).collect(),
        events.iter().map(pretty).collect(),
        list(&events),
        list(&without_kind),
        pretty(&sorted),
        list(&without_kind[..1]) + &list(&without_kind[1..]),
    ] {
        let found = report(&log);
        assert_eq!(counts(&found)["events"], 2, "{log}");
        assert_eq!(rows(&found), IN_ORDER, "{log}");
        assert_eq!(found["unread"], json!([]), "{log}");
        assert_eq!(report(compressed(&log)), found, "{log}");
    }
    // Several compressed files one after the other.
    let members = [compressed(&lines(&events[..1])), compressed(""), compressed(&lines(&events[1..]))].concat();
    assert_eq!(rows(&report(members)), IN_ORDER);
}

#[test]
fn a_folder_is_read_in_the_order_of_time() {
    let folder = Folder::new();
    let events = two();
    fs::create_dir(folder.join("logs")).unwrap();
    let rotated = compressed(&lines(&events[..1]));
    fs::write(folder.join("logs/audit-2026-11-20T08-00-01.500.log.gz"), rotated).unwrap();
    fs::write(folder.join("logs/audit.log"), lines(&events[1..])).unwrap();
    assert_eq!(rows(&json_of(&folder, &["logs"])), IN_ORDER);
    // Names that are not in the order of time, as logrotate makes them, and in any order of arguments.
    fs::write(folder.join("audit.log.1"), lines(&events[..1])).unwrap();
    fs::write(folder.join("audit.log"), lines(&events[1..])).unwrap();
    for files in [["audit.log", "audit.log.1"], ["audit.log.1", "audit.log"]] {
        assert_eq!(rows(&json_of(&folder, &files)), IN_ORDER, "{files:?}");
    }
    // Without times, the order of the names or arguments counts.
    let timeless = |event: &Value| event.to_string().replace("\"stageTimestamp\"", "\"stage time\"");
    fs::write(folder.join("logs/audit-2026-11-20T08-00-01.500.log.gz"), timeless(&events[0])).unwrap();
    fs::write(folder.join("logs/audit.log"), timeless(&events[1])).unwrap();
    assert_eq!(rows(&json_of(&folder, &["logs"])), IN_ORDER);
}

#[test]
fn a_folder_is_read_with_its_rotated_logs_and_the_other_files_are_counted() {
    let logs = [
        "audit.log",
        "audit.log.1",
        "audit.log.12",
        "audit.log.2.gz",
        "audit.log-20261120",
        "audit.json.3",
        "audit-2026-11-20T08-00-01.500.log",
        "AUDIT.JSONL",
        "audit.log-20261120-1763625600.gz",
        "below/audit.log.1",
    ];
    let others = ["audit.log.3.zst", "below/README", "audit.tar.1", "1", "log.txt"];
    for (is_with_others, message) in [
        (false, ""),
        (true, "skipped 5 files in folders, whose names have none of .log, .json, .jsonl, .gz: the first is logs/1\n"),
    ] {
        let folder = Folder::new();
        fs::create_dir_all(folder.join("logs/below")).unwrap();
        fs::create_dir_all(folder.join("logs/empty")).unwrap();
        for (number, name) in logs.iter().chain(others.iter().filter(|_| is_with_others)).enumerate() {
            fs::write(folder.join(&format!("logs/{name}")), lines(&[event(number as u32, scan(1, json!({})))]))
                .unwrap();
        }
        let run = run_in(folder.path(), &["-o", "json", "logs"], b"");
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), message));
        let found: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(counts(&found)["events"], logs.len(), "{found}");
    }
}

#[test]
fn the_logs_of_several_api_servers_are_merged_by_time() {
    let folder = Folder::new();
    let status = json!({"phase": "Done"});
    let events: Vec<Value> = (1..=40).map(|number| event(number, scan(number.into(), status.clone()))).collect();
    let part = |rest: usize| lines(&events.iter().skip(rest).step_by(3).cloned().collect::<Vec<_>>());
    fs::write(folder.join("a.log"), part(0)).unwrap();
    fs::write(folder.join("b.log"), part(1)).unwrap();
    fs::write(folder.join("c.log.gz"), compressed(&part(2))).unwrap();
    let found = json_of(&folder, &["c.log.gz", "b.log", "a.log"]);
    assert_eq!(rows(&found), ["deny phase-unknown 1/1", "warn phase-unknown 39/0"]);
    assert_eq!(found["rows"][0]["example"]["position"], "a.log:1");
    // More than can be open at once, which is no matter, since they do not overlap.
    fs::create_dir(folder.join("many")).unwrap();
    for number in 0..100 {
        let events: Vec<Value> =
            (0..2).map(|more| 2 * number + more).map(|at| event(at, scan(at.into(), status.clone()))).collect();
        // The first line of a log may be damaged.
        fs::write(folder.join(&format!("many/{}.log", 100 - number)), format!("…\n{}", lines(&events))).unwrap();
    }
    assert_eq!(rows(&json_of(&folder, &["many"])), ["deny phase-unknown 1/1", "warn phase-unknown 199/0"]);
    for number in 0..100 {
        let events = [event(number, scan(1, status.clone())), event(500 + number, scan(2, status.clone()))];
        fs::write(folder.join(&format!("many/{number}.log")), lines(&events)).unwrap();
    }
    let run = run_in(folder.path(), &["many"], b"");
    assert!(run.code == Some(2) && run.stderr.contains("more than 16 logs overlap in time"), "{}", run.stderr);
}

#[test]
fn standard_input_is_read_with_files() {
    let folder = Folder::new();
    let events = two();
    fs::write(folder.join("audit.log"), lines(&events[1..])).unwrap();
    let run = run_in(folder.path(), &["-o", "json", "audit.log", "-"], lines(&events[..1]).as_bytes());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(rows(&serde_json::from_str(&run.stdout).unwrap()), IN_ORDER);
}

#[test]
fn damaged_parts_are_counted_with_their_first_position() {
    let start = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","#;
    let [one, two] = two().map(|event| event.to_string());
    let of_go = format!("{start}{}", &two[1..]);
    let other = |kind: &str, version: &str| format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\"}}");
    let log = [
        one.as_str(),
        // Lines of an API server that are cut, in the middle of the log too.
        &of_go[..100],
        &of_go[..of_go.len() - 1],
        &format!("{start}\"objectRef\":{{\"apiGroup\":\"scanning.apps.tanzu.vmware.com\",,}}}}"),
        "no json",
        "[]",
        &other("Event", "audit.k8s.io/v1beta1"),
        &other("Event", "v1"),
        &other("PodList", "v1"),
        &format!("{start}\"a\":\"scanning.apps.tanzu.vmware.com{}\"}}", "x".repeat(9 << 20)),
        &format!("{start}\"a\":\"{}\"}}", "x".repeat(9 << 20)),
        &format!("{{\"a\":\"{}\"}}", "x".repeat(9 << 20)),
        &of_go,
        &of_go[..of_go.len() - 10],
    ]
    .join("\n");
    let found = report(&log);
    assert_eq!(rows(&found), IN_ORDER);
    assert_eq!(
        reasons(&found, "unread"),
        [
            "malformed 5 standard input:2",
            "cut 1 standard input:14",
            "other-kind 3 standard input:7",
            "too-long 2 standard input:10",
        ]
    );
    // An event of another resource counts as an event, however long it is.
    assert_eq!((&counts(&found)["unread"], &counts(&found)["events"]), (&json!(11), &json!(3)));
    let limit = format!("longer than {} MiB  ", EVENT_MAX_BYTES >> 20);
    let text = run(&[], log.as_bytes()).stdout;
    assert!(text.contains(&limit), "{text}");
    let schema = fs::read_to_string("docs/replay.schema.json").unwrap();
    assert!(schema.contains(&format!("It exceeds {} MiB,", EVENT_MAX_BYTES >> 20)), "{schema}");
}

#[test]
fn a_cut_log_of_any_form_is_counted() {
    let [one, two] = two().map(|event| event.to_string());
    let list = format!("{{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"items\":[{one},{two}");
    let other = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","user":{"username":"a"}"#;
    for (log, cut) in [
        (list.clone(), 1),
        (list[..list.len() - 50].to_owned(), 2),
        (format!("{one}\n{two}")[..one.len() + 50].to_owned(), 1),
        // Also an event of another resource, even if it ends with a bracket.
        (format!("{one}\n{other}"), 1),
        (format!("{one}\n{other}}}"), 0),
        (format!("{one}\n{other}}}\n"), 0),
    ] {
        let found = report(&log);
        let unread = reasons(&found, "unread");
        let expected: Vec<String> = (cut > 0).then(|| format!("cut {cut} ")).into_iter().collect();
        assert!(unread.len() == expected.len(), "{unread:?} {log}");
        assert!(unread.iter().zip(&expected).all(|(found, start)| found.starts_with(start)), "{unread:?} {log}");
    }
}

/// A writer that crashed leaves a part of an event, or zeros. The next writer appends its events to them.
#[test]
fn the_event_after_a_crash_is_read() {
    let events = two()
        .map(|event| format!("{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",{}", &event.to_string()[1..]));
    let [one, two] = &events;
    for (log, unread) in [
        (format!("{one}\n{}{two}\n", &one[..one.len() - 300]), &["malformed 1 standard input:2"][..]),
        (format!("{one}\n{}{two}\n", &one[..40]), &["malformed 1 standard input:2"]),
        // The kind of the part is not known.
        (format!("{one}\n{}{two}\n", &one[..20]), &["malformed 1 standard input:2"]),
        (format!("{one}{two}\n"), &[]),
        (format!("{one}\n{}{two}\n", "\0".repeat(5000)), &[]),
        (format!("{one}\n\n\0\0\n{two}\n\0"), &[]),
        (format!("{one}\n{}\0\0{two}\n", &one[..300]), &["malformed 1 standard input:2"]),
    ] {
        let found = report(&log);
        assert_eq!(rows(&found), IN_ORDER, "{log:?}");
        assert_eq!(reasons(&found, "unread"), unread, "{log:?}");
    }
}

#[test]
fn the_lists_after_a_cut_list_are_read() {
    let [one, two] = two();
    let list = |event: &Value| {
        let mut items = vec![event.clone(); 2];
        items
            .iter_mut()
            .for_each(|item| item.as_object_mut().unwrap().retain(|name, _| name != "kind" && name != "apiVersion"));
        let items = items.iter().map(Value::to_string).collect::<Vec<_>>().join(",");
        format!("{{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"metadata\":{{}},\"items\":[{items}]}}")
    };
    let whole = list(&one);
    let items_end = whole.len() - "]}".len();
    let other_writes = counts(&report(list(&two) + "\n" + &list(&two)))["statusWrites"].as_u64().unwrap();
    assert_eq!(other_writes, 4);
    let first_end = whole.find("},{").unwrap() + 1;
    for at in [
        first_end - 400,
        first_end - 1,
        first_end,
        first_end + 1,
        first_end + 60,
        items_end - 1,
        items_end,
        items_end + 1,
    ] {
        for between in ["\n", ""] {
            let log = format!("{}{between}{}\n{}", &whole[..at], list(&two), list(&two));
            let found = report(&log);
            let of_whole = if at < first_end {
                0
            } else if at < items_end {
                1
            } else {
                2
            };
            assert_eq!(counts(&found)["statusWrites"], 4 + of_whole, "{at} {between:?} {found:#}");
            // A list without its last bracket lacks nothing.
            assert_eq!(found["unread"] == json!([]), at > items_end, "{at} {between:?} {found:#}");
        }
    }
    // Items that are no objects.
    let head = r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":["#;
    for item in ["null", "[]", "[{}]", "1", "\"a\"", "true"] {
        let found = report(format!("{head}{item},{one},{item} , {two},{item}]}}\n"));
        assert_eq!(rows(&found), IN_ORDER, "{item}");
        assert_eq!(reasons(&found, "unread"), ["malformed 3 standard input:1"], "{item}");
    }
}

#[test]
fn an_input_that_is_named_twice_is_read_once() {
    let folder = Folder::new();
    fs::create_dir(folder.join("logs")).unwrap();
    fs::write(folder.join("logs/audit.log"), lines(&two())).unwrap();
    std::os::unix::fs::symlink("logs/audit.log", folder.join("link.log")).unwrap();
    for files in [&["logs", "logs/audit.log"][..], &["link.log", "logs"], &["-", "-"]] {
        let run = run_in(folder.path(), &[&["-o", "json"], files].concat(), lines(&two()).as_bytes());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        assert_eq!(rows(&serde_json::from_str(&run.stdout).unwrap()), IN_ORDER, "{files:?}");
    }
}

#[test]
fn an_error_is_one_line_whatever_the_name_of_the_file() {
    let folder = Folder::new();
    let name = "a\u{1b}[2J\n.log";
    fs::write(folder.join(name), "hello\n").unwrap();
    for files in [&[name][..], &["missing\n\u{1b}"]] {
        let run = run_in(folder.path(), &[&["-o", "json"], files].concat(), b"");
        assert_eq!((run.code, run.stderr.lines().count()), (Some(2), 1), "{:?}", run.stderr);
        assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
        let found: Value = serde_json::from_str(&run.stdout).unwrap();
        assert!(!found["errors"][0].as_str().unwrap().contains(|c: char| c.is_control()), "{found}");
    }
}

#[test]
fn an_event_that_is_not_utf_8_is_malformed() {
    let [one, two] = two().map(|event| event.to_string());
    let broken = two.replace("10.0.0.1", "10.0.0.\u{FF}").into_bytes();
    let broken: Vec<u8> = broken.into_iter().filter(|byte| *byte != 0xC3).collect();
    let found = report([one.as_bytes(), b"\n", &broken, b"\n"].concat());
    assert_eq!(reasons(&found, "unread"), ["malformed 1 standard input:2"]);
}

#[test]
fn an_input_without_audit_events_is_an_error() {
    let expected =
        "expected events of audit.k8s.io/v1 (JSON lines or an EventList, as kube-apiserver writes them), found none\n";
    for log in ["", "\n", "hello", "{}", "[]", r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[]}"#] {
        let found = run(&[], log.as_bytes());
        assert!(found.code == Some(2) && found.stderr.ends_with(expected), "{log:?}: {}", found.stderr);
    }
    let folder = Folder::new();
    fs::write(folder.join("audit.log"), lines(&two())).unwrap();
    fs::write(folder.join("empty.log"), "").unwrap();
    fs::write(folder.join("other.log"), "hello\n").unwrap();
    fs::write(folder.join("cut.log.gz"), &compressed(&lines(&two()))[..100]).unwrap();
    for (files, error) in [
        (&["audit.log", "empty.log"][..], None),
        (&["audit.log", "other.log"], Some("other.log: expected events")),
        (&["audit.log", "missing.log"], Some("missing.log: No such file")),
        (&["audit.log", "cut.log.gz"], Some("cut.log.gz: ")),
        (&["empty.log"], Some("expected events")),
    ] {
        let run = run_in(folder.path(), &[&["-o", "json"], files].concat(), b"");
        assert_eq!(run.code, Some(if error.is_some() { 2 } else { 0 }), "{files:?}: {}", run.stderr);
        let found: Value = serde_json::from_str(&run.stdout).unwrap();
        // The other inputs are reported all the same.
        assert!(files.len() == 1 || rows(&found) == IN_ORDER, "{found}");
        assert_eq!(found["errors"].as_array().unwrap().len(), usize::from(error.is_some()));
        assert!(run.stderr.contains(error.unwrap_or_default()), "{}", run.stderr);
    }
}
