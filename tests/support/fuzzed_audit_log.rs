//! What the fuzz target `audit_log` checks of an input: any bytes as an audit log.

use std::io::Write as _;
use std::rc::Rc;
use std::sync::LazyLock;
use std::{env, fs, process};

use flate2::Compression;
use flate2::write::GzEncoder;
use scan_admission::admission::ReviewSettings;
use scan_admission::offline::audit_log::{AuditLogs, Replay};
use scan_admission::offline::input::Input;
use scan_admission::report::replay::{ReplayFormat, ReplayReport};
use serde_json::Value;

/// Room for a few old objects, so that some are dropped.
const OLD_OBJECTS_MAX_BYTES: usize = 10_000;

/// The styles of the report on a terminal.
const STYLES: [&str; 5] = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"];

/// Any bytes as an audit log.
pub fn check_audit_log(bytes: &[u8]) {
    let report = replayed(bytes);
    let counts = report.counts;
    assert_eq!(counts.denied + counts.warned + counts.clean, counts.status_writes, "{counts:?}");
    assert!(counts.mutated.max(counts.upper_bounds) <= counts.status_writes, "{counts:?}");
    let of_writes = counts.status_writes + counts.dry_runs + counts.failed + counts.not_replayed;
    assert!(of_writes + counts.panics <= counts.events, "{counts:?}");
    let document = document(&report);
    for (member, count) in [("notReplayed", counts.not_replayed), ("unread", counts.unread)] {
        let counted = document[member].as_array().unwrap().iter().map(|reason| reason["count"].as_u64().unwrap());
        assert_eq!(counted.sum::<u64>(), count, "{document}");
    }
    for format in [ReplayFormat::Text, ReplayFormat::Markdown] {
        let mut text = Vec::new();
        report.finish(&mut text, format).unwrap();
        let text = STYLES.iter().fold(String::from_utf8(text).unwrap(), |text, style| text.replace(style, ""));
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
    if let Some(events) = parsed(bytes) {
        check_lines(&events, &report);
    }
    // A rotated log is compressed.
    let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
    compressed.write_all(bytes).unwrap();
    if !bytes.starts_with(&[0x1F, 0x8B]) {
        assert_eq!(self::document(&replayed(&compressed.finish().unwrap())), document);
    }
}

/// Replays a log as the command does.
fn replayed(bytes: &[u8]) -> ReplayReport {
    static PATH: LazyLock<std::path::PathBuf> =
        LazyLock::new(|| env::temp_dir().join(format!("scan-admission-fuzzed-{}.log", process::id())));
    fs::write(&*PATH, bytes).unwrap();
    let mut report = ReplayReport::default();
    let mut replay = Replay::new(ReviewSettings::default(), OLD_OBJECTS_MAX_BYTES);
    let mut logs = AuditLogs::new(vec![Input::File(PATH.clone())], Rc::new(|_| ()));
    while let Some(event) = logs.next_event(&mut report) {
        replay.event(&event, &mut report);
    }
    replay.finish(&mut report);
    fs::remove_file(&*PATH).unwrap();
    report
}

fn document(report: &ReplayReport) -> Value {
    let mut json = Vec::new();
    report.finish(&mut json, ReplayFormat::Json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Returns the lines of a log with one object a line, none of which holds an event or a list itself, and the objects.
fn parsed(bytes: &[u8]) -> Option<Vec<(&str, Value)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines = text.lines().filter(|line| !line.trim_ascii().is_empty());
    lines
        .map(|line| {
            let value: Value = serde_json::from_str(line).ok()?;
            let is_single = line.matches("{\"kind\":\"Event").count() <= 1 && !line.contains("items");
            (value.is_object() && is_single).then_some((line.trim_ascii(), value))
        })
        .collect()
}

/// Expects that each line is an event or unread, and each write of a status is counted once.
fn check_lines(lines: &[(&str, Value)], report: &ReplayReport) {
    let counts = report.counts;
    // A line that begins as an API server begins an event is one, whatever follows.
    let is_event = |(line, value): &&(&str, Value)| {
        line.starts_with("{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",")
            || value["kind"] == "Event" && value["apiVersion"] == "audit.k8s.io/v1"
    };
    let events: Vec<&Value> = lines.iter().filter(is_event).map(|(_, value)| value).collect();
    assert_eq!((counts.events, counts.unread), (events.len() as u64, (lines.len() - events.len()) as u64));
    let writes: Vec<&&Value> = events.iter().filter(|event| is_write(event)).collect();
    let of_status = writes.iter().filter(|event| event["objectRef"]["subresource"] == "status").count() as u64;
    let counted = counts.status_writes + counts.dry_runs + counts.failed + counts.not_replayed;
    assert!((of_status..=writes.len() as u64).contains(&counted), "{counts:?}");
}

/// Whether an event is a write of a scan or of its status that was answered.
fn is_write(event: &Value) -> bool {
    let reference = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    reference["apiGroup"] == "scanning.apps.tanzu.vmware.com"
        && ["sourcescans", "imagescans"].contains(&&*text(&reference["resource"]))
        && event["stage"] == "ResponseComplete"
        && ["create", "update", "patch"].contains(&&*text(&event["verb"]))
        && ["", "status"].contains(&&*text(&reference["subresource"]))
}
