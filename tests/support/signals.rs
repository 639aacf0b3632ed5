//! Signals to the program, and its end.

use std::io::Read as _;
use std::process::{Command, ExitStatus};

use super::process::Process;

impl Process {
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Its exit, and what it printed after the lines that were read.
    pub async fn wait(mut self) -> (ExitStatus, String) {
        // On another thread: the test's clients have to go on answering meanwhile.
        let waited = tokio::task::spawn_blocking(move || {
            let mut rest = String::new();
            self.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
            (self.child.wait().unwrap(), rest)
        });
        waited.await.unwrap()
    }
}
