//! What the tests need of the control plane besides starting it.

use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

pub use crate::support::controlplane::go;
use crate::support::controlplane::programs;
pub use crate::support::controlplane::{ClusterError, ControlPlane, Kubectl, KubectlOutput, Namespace, User};
use crate::support::waits::WAIT_MAX;

/// The line that the control plane prints when it is ready.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    pub address: String,
    pub version: String,
    pub audit_log: PathBuf,
    pub webhook_client: WebhookClient,
}

/// The identity of the API server towards a webhook that asks for a client certificate.
#[derive(Debug, Deserialize)]
pub struct WebhookClient {
    pub ca: PathBuf,
    pub name: String,
}

/// The rights of a user compared with the user's requests so far.
#[derive(Debug, Deserialize)]
pub struct Rights {
    pub used: Vec<String>,
    pub unused: Vec<String>,
    pub denied: Vec<String>,
}

impl User {
    pub fn username(self) -> &'static str {
        self.identity().split(',').next().unwrap_or_default()
    }
}

impl ControlPlane {
    pub fn start() -> Result<ControlPlane, ClusterError> {
        Self::start_with(&[])
    }

    pub fn ready(&self) -> Ready {
        serde_json::from_value(self.ready.clone()).expect("the line of the control plane")
    }

    /// The path of kubectl.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    pub fn rights(&self, user: User) -> Rights {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(stdin), stdout) = &mut *pipes else { panic!("stopped") };
        writeln!(stdin, "rights {}", user.username()).expect("the control plane reads");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the control plane answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Returns the events of the audit log so far.
    pub fn audit(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.ready().audit_log).expect("the audit log is there");
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Kubectl {
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }
}

impl KubectlOutput {
    /// Asserts that kubectl failed, and returns its stderr.
    #[track_caller]
    pub fn failed(&self) -> &str {
        assert_eq!(self.code, Some(1), "kubectl {}\n{}{}", self.called, self.stdout, self.stderr);
        &self.stderr
    }
}

/// Retries until `done` returns a value. The API server learns of changes by a watch: a new webhook takes effect after
/// 3 to 50 ms.
#[track_caller]
pub fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(start.elapsed() < WAIT_MAX, "timed out after {WAIT_MAX:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a kubectl that has no cluster, for `kubectl kustomize`.
pub fn kubectl() -> Result<Kubectl, ClusterError> {
    let programs = programs().map_err(ClusterError::clone)?;
    Ok(Kubectl { command: Command::new(&programs.kubectl), stdin: Vec::new() })
}

/// Returns the path of the program that evaluates policies in CEL.
pub fn policy_evaluator() -> Result<PathBuf, &'static ClusterError> {
    programs().map(|programs| programs.controlplane.with_file_name("policies"))
}
