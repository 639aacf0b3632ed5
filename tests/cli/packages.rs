//! Programs of others that tests need, from the package registries. They are installed once into the target folder. A machine
//! without an interpreter or the registries skips the tests; with CI set, these fail.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The largest set of packages has 104 MB, which needs 2 s on a line of 100 MB/s. A registry that does not answer costs at
/// most three tries of this time.
pub const REGISTRY_MAX_S: &str = "60";

/// Returns what a test needs; `None` if the machine lacks it, which is a failure with CI set.
pub fn or_skipped<T>(installed: &'static Result<T, String>) -> Option<&'static T> {
    if let Err(why) = installed {
        assert!(env::var_os("CI").is_none(), "{why}");
        eprintln!("skipped: {why}");
    }
    installed.as_ref().ok()
}

/// Returns the version of a program, or how to get the program.
pub fn version(program: &str, flag: &str, remedy: &str) -> Result<String, String> {
    match Command::new(program).arg(flag).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => Err(format!("{program} is missing: {remedy}")),
    }
}

/// Returns the command that installs the packages of a package-lock.json into a folder, without their scripts.
pub fn npm_ci(folder: &Path) -> Command {
    let mut command = Command::new("npm");
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=2"]);
    command.args(["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]);
    command.arg(format!("--fetch-timeout={REGISTRY_MAX_S}000")).current_dir(folder);
    command
}

/// Installs packages into a folder of the target folder, unless they are there for this version of the interpreter, and
/// returns the folder. The command runs in the folder, beside copies of the committed files, which are in `from`.
pub fn install(
    name: &str,
    interpreter: &str,
    from: &Path,
    files: &[&str],
    command: impl FnOnce(&Path) -> Command,
) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    // Other test processes wait here. The lock is released when the process that holds it ends.
    let lock = File::create(folder.join("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;

    let mut wanted = interpreter.to_owned();
    for file in files {
        wanted += &fs::read_to_string(from.join(file)).map_err(failed)?;
    }
    // Written last, so it is there only after a complete installation.
    let installed = folder.join("installed");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    for file in files {
        fs::copy(from.join(file), folder.join(file)).map_err(failed)?;
    }
    let output = command(&folder).stdin(Stdio::null()).output().map_err(failed)?;
    if !output.status.success() {
        return Err(format!("the packages of {name} cannot be installed: {}", printed(&output)));
    }
    fs::write(installed, wanted).map_err(failed)?;
    Ok(folder)
}

/// Returns both outputs of a program.
pub fn printed(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat()
}
