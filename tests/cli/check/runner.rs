//! Runs `check` as a user does.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The time of the tests, which is later than all times in the fixtures.
pub const NOW: &str = "2026-11-24T12:00:00Z";

/// The output and the exit code of a run.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `check` in the folder of the fixtures.
pub fn run(args: &[&str], stdin: &[u8]) -> Run {
    let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    command.current_dir("tests/fixtures/check").arg("check").args(["--now", NOW]).args(args);
    command
        .env_remove("SCAN_ADMISSION_OUTPUT")
        .env_remove("GITHUB_STEP_SUMMARY")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Returns the exit code and the report of a run with `-o json`.
pub fn report(args: &[&str], stdin: &[u8]) -> (i32, Value) {
    let run = run(&[&["-o", "json"], args].concat(), stdin);
    (
        run.code,
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr)),
    )
}
