//! The program, started without what the environment of the tests says to it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

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
