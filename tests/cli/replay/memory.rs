//! The memory of a replay with the longest events that an API server writes.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use scan_admission::scan::json::ENTRIES_MAX;
use serde_json::{Value, json};

use super::log::{event, rows, scan, with};
use crate::support::folder::Folder;
use crate::support::program;

/// The most memory that the program may have for data: 100 MB without 7 MiB for its code, in the unit of `ulimit -d`.
const DATA_MAX_KIB: usize = 100_000_000 / 1024 - 7 * 1024;

/// The limit of a request of an API server, and so of an object: 3 MiB.
const OBJECT_MAX_BYTES: usize = 3 << 20;

/// The number of logs that may overlap.
const LOGS: u32 = 16;

/// Writes a log whose events have these objects, at times between those of the other logs.
fn write_log(path: &Path, log: u32, events: u32, status: &Value) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    for number in 0..events {
        let second = number * LOGS + log + 1;
        let uid = format!("uid-{log}");
        let object = with(scan(second.into(), status.clone()), json!({"metadata": {"uid": uid, "name": uid}}));
        let names = json!({"objectRef": {"name": uid}, "requestObject": object.clone()});
        let event = with(event(second, object), names).to_string();
        // As an API server begins its lines, and with the times at the end.
        let start = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","#;
        writeln!(file, "{start}{}", event.strip_prefix('{').unwrap()).unwrap();
    }
    file.flush().unwrap();
}

/// Returns a status of about 3 MiB with as many conditions as are read.
fn longest_status() -> Value {
    let condition = |number: usize, message: &str| {
        json!({"type": format!("Step{number:05}"), "status": "Done", "reason": "JobFinished", "message": message,
            "lastTransitionTime": "2026-11-20T08:00:00Z"})
    };
    let count = ENTRIES_MAX - 1;
    let message = "m".repeat((OBJECT_MAX_BYTES - 2048) / count - condition(0, "").to_string().len() - 1);
    json!({"phase": "Done", "conditions": (0..count).map(|number| condition(number, &message)).collect::<Vec<_>>()})
}

/// `ulimit -d` limits the memory that is allocated, which is at least as much as what is resident.
fn replay_in_100_mb(folder: &Folder) -> Value {
    let mut command = Command::new("sh");
    program::clean(&mut command);
    let limited = format!("ulimit -d {DATA_MAX_KIB} && exec \"$0\" \"$@\"");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_scan-admission"), "replay", "-o", "json", "."]);
    let output = command.current_dir(folder.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn overlapping_logs_with_the_longest_events_take_at_most_100_mb() {
    let folder = Folder::new();
    let status = longest_status();
    assert!((OBJECT_MAX_BYTES - (64 << 10)..OBJECT_MAX_BYTES).contains(&status.to_string().len()));
    for log in 0..LOGS {
        write_log(&folder.join(&format!("{log}.log")), log, 2, &status);
    }
    let found = replay_in_100_mb(&folder);
    assert_eq!(found["counts"]["statusWrites"], 2 * LOGS, "{}", found["counts"]);
    // Writes that were judged out of turn have no old object, so their errors are new.
    let of_phase: Vec<String> = rows(&found).into_iter().filter(|row| row.contains("phase-unknown")).collect();
    assert!(of_phase[0].starts_with("deny phase-unknown "), "{of_phase:?}");
    assert!(found["counts"]["upperBounds"].as_u64().unwrap() > u64::from(LOGS), "{}", found["counts"]);
}

/// Events of ordinary length wait for their turn.
#[test]
fn overlapping_logs_with_events_of_100_kib_are_judged_in_order() {
    let folder = Folder::new();
    let status = json!({"phase": "Done", "other": "x".repeat(50_000)});
    for log in 0..LOGS {
        write_log(&folder.join(&format!("{log}.log")), log, 3, &status);
    }
    let found = replay_in_100_mb(&folder);
    assert_eq!(rows(&found), ["deny phase-unknown 16/16", "warn phase-unknown 32/0"]);
}
