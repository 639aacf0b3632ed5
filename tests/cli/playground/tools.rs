//! The built page, and the programs that use it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, thread};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::packages::{install, npm_ci, or_skipped, printed, version};

/// The folder of the scripts, from the root of the repository.
const FILES: &str = "tests/cli/playground";
/// The names of Chromium in Debian and elsewhere.
const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// The exit code of the build without a compiler for WebAssembly.
const NO_COMPILER: i32 = 3;
/// The size of the page may be at most 450 KB.
const PAGE_MAX_BYTES: u64 = 450_000;

/// Returns the path of the built page, or `None` if the machine cannot build it.
pub fn page() -> Option<&'static PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    or_skipped(BUILT.get_or_init(|| {
        let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join("playground.html");
        let mut command = Command::new("docs/playground/build");
        // The variables of the cargo that runs the tests are not those of the build.
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("CARGO_") && name != "CARGO_HOME") {
            command.env_remove(name);
        }
        let output = command.arg(&page).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        if output.status.code() == Some(NO_COMPILER) {
            return Err(printed(&output));
        }
        assert!(output.status.success(), "{}", printed(&output));
        let bytes = fs::metadata(&page).unwrap().len();
        assert!(bytes <= PAGE_MAX_BYTES, "the page has {bytes} bytes");
        Ok(page)
    }))
}

/// What a scenario of browser.mjs has printed.
#[derive(Deserialize)]
struct Used<T> {
    result: T,
    requests: Vec<String>,
    problems: Vec<String>,
    url: String,
}

/// What the page shows.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Shown {
    pub findings: Vec<ShownFinding>,
    pub diff: Vec<String>,
    /// The lines of the gutter with a mark.
    pub marks: Vec<String>,
    /// The marked parts of the lifecycle.
    pub lit: Vec<Value>,
    pub summary: String,
    pub kubectl: String,
    pub phase: String,
    pub conditions: String,
    pub counts: String,
    pub mutating: String,
    pub validating: String,
    pub text: String,
}

#[derive(Debug, PartialEq, Deserialize)]
pub struct ShownFinding {
    pub action: String,
    pub line: String,
    pub path: String,
    pub message: String,
    pub rule: String,
    pub badge: String,
}

impl Shown {
    /// Returns the findings of a rule as `path: message [rule]`.
    pub fn of_rule(&self, rule: &str) -> Vec<String> {
        let found = self.findings.iter().filter(|finding| finding.rule == rule);
        found.map(|finding| format!("{}: {} [{rule}]", finding.path, finding.message)).collect()
    }
}

/// Runs a scenario of browser.mjs, and returns its result, or `None` if the machine cannot run it. The page must not request
/// anything or report an error.
pub fn browse<T: DeserializeOwned>(scenario: &str, input: &impl Serialize) -> Option<T> {
    static CHROMIUM_PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let (page, modules) = (page()?, modules()?);
    let chromium = or_skipped(CHROMIUM_PATH.get_or_init(|| {
        let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        let found = CHROMIUM.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        found.into_iter().find(|path| path.exists()).ok_or("Chromium is missing: install Debian's chromium".to_owned())
    }))?;
    let mut command = Command::new("node");
    command.arg(Path::new(FILES).join("browser.mjs")).args([modules, chromium, page]).arg(scenario);
    let output = with_input(command, serde_json::to_vec(input).unwrap());
    let used: Used<T> = serde_json::from_slice(&output).unwrap();
    let others: Vec<_> = used.requests.iter().filter(|request| **request != used.url).collect();
    assert!(!used.requests.is_empty() && others.is_empty(), "{others:?}");
    assert!(used.problems.is_empty(), "{:?}", used.problems);
    Some(used.result)
}

/// Returns the folder of the packages from npm.
fn modules() -> Option<&'static PathBuf> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    or_skipped(INSTALLED.get_or_init(|| {
        let node = version("node", "--version", "install Node.js 20 or newer")?;
        let folder = install("playground", &node, Path::new(FILES), &["package.json", "package-lock.json"], npm_ci)?;
        Ok(folder.join("node_modules"))
    }))
}

/// Returns a member of the judgement of each request, in Node, or `None` if the machine cannot run it.
pub fn judge(requests: &[Value], member: &str) -> Option<Vec<Value>> {
    static NODE: OnceLock<Result<String, String>> = OnceLock::new();
    let page = page()?;
    or_skipped(NODE.get_or_init(|| version("node", "--version", "install Node.js 20 or newer")))?;
    let mut command = Command::new("node");
    command.arg(Path::new(FILES).join("node.mjs")).arg(page).arg(member);
    let lines: String = requests.iter().map(|request| format!("{request}\n")).collect();
    let output = with_input(command, lines.into_bytes());
    let judged: Vec<Value> =
        String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(judged.len(), requests.len());
    Some(judged)
}

/// Runs a command with this input, and returns its output. It must succeed.
pub fn with_input(mut command: Command, input: Vec<u8>) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Input and output are moved concurrently, so that neither pipe blocks.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", output.status);
    output.stdout
}
