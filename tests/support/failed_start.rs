//! Starts of the program that are expected to fail.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Runs the program, which must not become ready, and returns its exit code and its stderr.
pub fn fails(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if !line.is_empty() {
        let _ = child.kill();
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(line, "", "a failed start prints nothing on stdout");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
