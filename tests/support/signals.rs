//! Signals to the program, and the wait for its exit.

use std::io::Read as _;
use std::process::{Command, ExitStatus};

use super::process::Process;

impl Process {
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Returns the exit status, and the rest of stdout.
    pub async fn wait(mut self) -> (ExitStatus, String) {
        // This blocks a thread of its own, so that the clients of the test keep running.
        let waited = tokio::task::spawn_blocking(move || {
            let mut rest = String::new();
            self.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
            (self.child.wait().unwrap(), rest)
        });
        waited.await.unwrap()
    }
}
