//! kubectl's reader of manifests: `tests/controlplane/documents`, which needs Go.

use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

/// Returns the documents of each stream as kubectl reads them, or its error. `None` without Go.
pub fn read(streams: &[&str]) -> Option<Vec<Result<Vec<Value>, String>>> {
    let go = env::var_os("GO").unwrap_or_else(|| "go".into());
    if Command::new(&go).arg("version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "Go was not found: install Go 1.26 or newer");
        eprintln!("skipped: Go was not found, so the manifests were not read by kubectl's reader");
        return None;
    }
    let mut child = Command::new(&go)
        .current_dir("tests/controlplane")
        .args(["run", "-trimpath", "-buildvcs=false", "./documents"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = streams.iter().map(|stream| format!("{}\n", json!(stream))).collect();
    let writer = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let read = lines.map(|line| match serde_json::from_slice(line).unwrap() {
        Value::Array(documents) => Ok(documents),
        error => Err(error.as_str().unwrap().to_owned()),
    });
    let read: Vec<_> = read.collect();
    assert_eq!(read.len(), streams.len());
    Some(read)
}
