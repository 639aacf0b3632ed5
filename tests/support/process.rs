//! The real program, in a folder of its own.

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
    /// Starts it and reads the ready line.
    pub fn start(command: Command, errors: PathBuf) -> Self {
        Self::start_with(command, File::create(&errors).unwrap(), errors)
    }

    /// Starts it with another stderr than the file of its errors.
    pub fn start_with(mut command: Command, stderr: impl Into<Stdio>, errors: PathBuf) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program starts");
        let line = read_line(&mut child);
        let Some((address, admin)) = addresses(&line) else {
            panic!("not ready: {line:?} {}", fs::read_to_string(&errors).unwrap_or_default());
        };
        assert!(line.starts_with("ready: reviews on https://"), "{line}");
        Self { child, errors, address, admin }
    }

    /// What it has logged.
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }
}

/// The next line of its output; nothing after it is read.
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
        // Both do nothing where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
