//! The command that starts the program, without settings from the environment of the tests.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program: the one that cargo has built, or the one that the variable BINARY names.
pub fn path() -> PathBuf {
    std::env::var_os("BINARY").map_or(env!("CARGO_BIN_EXE_scan-admission").into(), PathBuf::from)
}

/// Returns the command `scan-admission serve` with these arguments, on free ports, in `folder`.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    command.current_dir(folder).arg("serve").args(arguments).stdin(Stdio::null());
    clean(&mut command);
    // The program must not find a cluster of the user who runs the tests.
    command.env("HOME", folder).env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST");
    command.env("SCAN_ADMISSION_LISTEN", "127.0.0.1:0").env("SCAN_ADMISSION_ADMIN", "127.0.0.1:0");
    // Tests search the log for texts, which JSON would escape.
    command.env("SCAN_ADMISSION_LOG_FORMAT", "text");
    command
}

/// Removes the program's variables from the environment of a command.
pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SCAN_ADMISSION_")) {
        command.env_remove(name);
    }
}

/// Returns the addresses of the ready line: that of reviews, and that of health and metrics.
pub fn addresses(ready: &str) -> Option<(SocketAddr, SocketAddr)> {
    let address = |scheme: &str| ready.split_once(scheme)?.1.split_whitespace().next()?.parse().ok();
    Some((address("https://")?, address("http://")?))
}
