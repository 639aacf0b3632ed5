//! The real program, in a folder of its own.

#![allow(dead_code, reason = "each test crate that includes this module uses a part of it")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

pub struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    errors: PathBuf,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

/// `scan-admission serve` on any port, with these arguments, in `folder`.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    command.current_dir(folder).arg("serve").args(arguments).stdin(Stdio::null());
    clean(&mut command);
    // No cluster of this machine's user.
    command.env("HOME", folder).env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST");
    command.env("SCAN_ADMISSION_LISTEN", "127.0.0.1:0").env("SCAN_ADMISSION_ADMIN", "127.0.0.1:0");
    // What tests look for in a log is not to be escaped.
    command.env("SCAN_ADMISSION_LOG_FORMAT", "text");
    command
}

/// Takes away what the environment says to the program.
pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SCAN_ADMISSION_")) {
        command.env_remove(name);
    }
}

/// Those of the ready line, of reviews and of health and metrics.
pub fn addresses(ready: &str) -> Option<(SocketAddr, SocketAddr)> {
    let address = |scheme: &str| ready.split_once(scheme)?.1.split_whitespace().next()?.parse().ok();
    Some((address("https://")?, address("http://")?))
}

/// Runs a start that is to fail, and says its exit code and words.
pub fn fails(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if !line.is_empty() {
        let _ = child.kill();
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(line, "", "only results go there");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

impl Process {
    /// Starts it and reads the ready line.
    pub fn start(command: Command, errors: PathBuf) -> Self {
        Self::start_with(command, File::create(&errors).unwrap(), errors)
    }

    /// Starts it with another stderr than the file of its errors.
    pub fn start_with(mut command: Command, stderr: impl Into<Stdio>, errors: PathBuf) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some((address, admin)) = addresses(&line) else {
            panic!("not ready: {line:?} {}", fs::read_to_string(&errors).unwrap_or_default());
        };
        assert!(line.starts_with("ready: reviews on https://"), "{line}");
        Self { child, stdout, errors, address, admin }
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Its exit, and what it printed after the lines that were read.
    pub async fn wait(mut self) -> (ExitStatus, String) {
        // On another thread: the test's clients have to go on answering meanwhile.
        let waited = tokio::task::spawn_blocking(move || {
            let mut rest = String::new();
            self.stdout.read_to_string(&mut rest).unwrap();
            (self.child.wait().unwrap(), rest)
        });
        waited.await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both do nothing where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
