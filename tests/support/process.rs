//! The program as a process of its own.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::program::addresses;

pub struct Process {
    pub child: Child,
    errors: PathBuf,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

impl Process {
    /// Starts the program and waits for its ready line. Its stderr goes to the file `errors`.
    pub fn start(command: Command, errors: PathBuf) -> Self {
        Self::start_with(command, File::create(&errors).unwrap(), errors)
    }

    /// Starts the program with this stderr; `errors` is the file of [`Process::errors`].
    pub fn start_with(mut command: Command, stderr: impl Into<Stdio>, errors: PathBuf) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program starts");
        let line = read_line(&mut child);
        let Some((address, admin)) = addresses(&line) else {
            panic!("not ready: {line:?} {}", fs::read_to_string(&errors).unwrap_or_default());
        };
        assert!(line.starts_with("ready: reviews on https://"), "{line}");
        Self { child, errors, address, admin }
    }

    /// Returns the log of the program.
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }
}

/// Reads the next line of stdout, and no byte after it.
pub fn read_line(child: &mut Child) -> String {
    let stdout = child.stdout.as_mut().unwrap();
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\n") && stdout.read(&mut byte).unwrap() == 1 {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() && self.errors.exists() {
            eprintln!("the log of the program:\n{}", self.errors());
        }
        // Neither has an effect if the program has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
