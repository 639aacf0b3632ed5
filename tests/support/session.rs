//! A shell in a folder like a checkout, in which the commands of one page are run in their order.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::support::folder::Folder;
use crate::support::page::{Block, Page, Place, Shown, fits, root};
use crate::support::program::{addresses, clean};

/// Nothing that is shown takes longer, on any machine.
const FAR: Duration = Duration::from_secs(300);
/// Until a program that goes on running has printed what is shown: it starts in milliseconds.
const STARTED: Duration = Duration::from_secs(60);

/// What a machine may lack; a page that needs it is skipped, and says so.
const TOOLS: &[&str] = &["curl", "jq", "openssl"];

/// What the pages say of addresses. Here both are of the system's choice.
const REVIEWS: &str = "127.0.0.1:8443";
const ADMIN: &str = "127.0.0.1:8080";

/// Where the commands of a page are run.
pub struct Surroundings<'a> {
    pub variables: Vec<(&'static str, OsString)>,
    /// Called before each command: returns when what the ones before it have changed is in effect.
    pub settle: &'a dyn Fn(),
    /// Without it, blocks that need a cluster are passed over.
    pub kubectl: Option<PathBuf>,
}

/// Runs what can be run there; what was skipped, and why.
pub fn run(page: &Page, surroundings: &Surroundings<'_>) -> Result<Vec<String>, String> {
    let mut skipped = Vec::new();
    if let Some(tool) = lacking(page) {
        let why = format!("{}: no {tool} on this machine", page.path);
        return if env::var_os("CI").is_some() { Err(why) } else { Ok(vec![why]) };
    }
    let mut session = Session::new(surroundings);
    for block in page.consoles() {
        match block.place() {
            Place::Elsewhere(why) => skipped.push(format!("{}:{}: {why}", page.path, block.line)),
            Place::Cluster | Place::NewCluster if surroundings.kubectl.is_none() => {}
            _ => session
                .block(block, surroundings.settle)
                .map_err(|error| format!("{}:{}: {error}", page.path, block.line))?,
        }
    }
    Ok(skipped)
}

fn lacking(page: &Page) -> Option<&'static str> {
    let is_there =
        |tool: &str| Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_needed = |tool: &str| {
        let blocks = page.consoles().filter(|block| !matches!(block.place(), Place::Elsewhere(_)));
        blocks.flat_map(Block::commands).any(|shown| shown.command.split([' ', '\n', '(']).any(|word| word == tool))
    };
    TOOLS.iter().copied().find(|tool| is_needed(tool) && is_there(tool).is_err())
}

struct Session {
    folder: Folder,
    shell: Child,
    stdin: ChildStdin,
    done: Receiver<String>,
    count: usize,
    /// Addresses as they are here, and as they are shown.
    addresses: Vec<(String, &'static str)>,
}

impl Session {
    fn new(surroundings: &Surroundings<'_>) -> Self {
        let folder = Folder::new();
        checkout(&folder.join("checkout"));
        let bin = folder.join("bin");
        programs(&bin, surroundings.kubectl.as_deref());
        let mut path = bin.into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new("bash");
        clean(&mut command);
        let mut shell = command
            .args(["--noprofile", "--norc"])
            .current_dir(folder.join("checkout"))
            .env("PATH", path)
            .env("HOME", folder.path())
            .env("NO_PROXY", "*")
            .env("SCAN_ADMISSION_LISTEN", "127.0.0.1:0")
            .env("SCAN_ADMISSION_ADMIN", "127.0.0.1:0")
            .envs(surroundings.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("errors")).unwrap())
            // A group of its own, so that all that it starts can be ended with it.
            .process_group(0)
            .spawn()
            .expect("bash is there");
        let stdout = BufReader::new(shell.stdout.take().expect("piped"));
        let mut stdin = shell.stdin.take().expect("piped");
        let (sender, done) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        // If this test is killed the shell reads the end of its input, and takes its group along.
        writeln!(stdin, "trap 'kill -KILL 0' EXIT").expect("bash reads");
        Self { folder, shell, stdin, done, count: 0, addresses: Vec::new() }
    }

    fn block(&mut self, block: &Block, settle: &dyn Fn()) -> Result<(), String> {
        let mut commands = block.commands();
        let last = if block.runs() { commands.pop() } else { None };
        for shown in commands {
            settle();
            let said = self.run(&shown)?;
            // For whoever writes a page.
            if env::var_os("SHOW").is_some() {
                eprint!("$ {}\n{said}", shown.command);
            }
            if !shown.output.is_empty() && !is_shown(&shown, &said) {
                return Err(other_than_shown(&shown, &said));
            }
        }
        last.map_or(Ok(()), |shown| self.start(&shown))
    }

    /// Runs a command to its end; what it printed.
    fn run(&mut self, shown: &Shown) -> Result<String, String> {
        let output = self.send(shown, "");
        let done = self.done.recv_timeout(FAR);
        let said = self.printed(&output);
        match done.as_deref().map(|done| done.split_once(' ').unwrap_or_default()) {
            Ok((number, "0")) if number == self.count.to_string() => Ok(said),
            Ok((number, code)) if number == self.count.to_string() => {
                Err(format!("{}\nexit code {code}:\n{said}", shown.command))
            }
            Ok((_, code)) => Err(format!("{}\nwhat was running has ended with {code}", shown.command)),
            Err(_) => {
                let errors = fs::read_to_string(self.folder.join("errors")).unwrap_or_default();
                Err(format!("{}\ndoes not end:\n{said}{errors}", shown.command))
            }
        }
    }

    /// Starts a command that goes on, and returns when it has printed what is shown.
    fn start(&mut self, shown: &Shown) -> Result<(), String> {
        let output = self.send(shown, "&");
        let start = Instant::now();
        loop {
            self.find_addresses(&output);
            let said = self.printed(&output);
            if is_shown(shown, &said) {
                return Ok(());
            }
            let ended = self.done.recv_timeout(Duration::from_millis(20)).is_ok();
            if ended || start.elapsed() > STARTED {
                return Err(other_than_shown(shown, &said));
            }
        }
    }

    /// Gives the shell a command, and says where its output will be. When it has ended the shell says its number and code.
    fn send(&mut self, shown: &Shown, background: &str) -> PathBuf {
        self.count += 1;
        let output = self.folder.join(&format!("output-{}", self.count));
        let (command, number) = (&shown.command, self.count);
        let script = format!(
            "{{ {{\n{command}\n}} </dev/null >'{}' 2>&1\necho {number} $?\n}} {background}\n",
            output.display()
        );
        self.stdin.write_all(script.as_bytes()).expect("bash reads");
        output
    }

    /// What is in the file, with the addresses as they are shown.
    fn printed(&self, output: &Path) -> String {
        let said = fs::read_to_string(output).unwrap_or_default();
        self.addresses.iter().fold(said, |said, (here, shown)| said.replace(here, shown))
    }

    /// Reads the ready line of `serve`, and tells curl where the shown address is.
    fn find_addresses(&mut self, output: &Path) {
        let said = fs::read_to_string(output).unwrap_or_default();
        let Some(line) = said.lines().find(|line| line.starts_with("ready: ")) else { return };
        let Some((reviews, admin)) = addresses(line) else { return };
        let (reviews, admin) = (reviews.to_string(), admin.to_string());
        let to = |shown, here| format!("connect-to = \"{shown}:{here}\"\n");
        // On a terminal it shows no progress either.
        let quiet = "silent\nshow-error\n";
        fs::write(self.folder.join(".curlrc"), to(REVIEWS, &reviews) + &to(ADMIN, &admin) + quiet).unwrap();
        self.addresses = vec![(reviews, REVIEWS), (admin, ADMIN)];
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // By its number, which is ours until we have waited: the shell and what it has started.
        let kill = format!("kill -s KILL -- -{}", self.shell.id());
        let _ = Command::new("sh").args(["-c", &kill]).status();
        let _ = self.shell.wait();
    }
}

fn is_shown(shown: &Shown, said: &str) -> bool {
    let lines: Vec<&str> = shown.output.iter().map(String::as_str).collect();
    fits(&lines, &said.lines().collect::<Vec<_>>())
}

fn other_than_shown(shown: &Shown, said: &str) -> String {
    format!("{}\nprints\n{said}\nbut this is shown:\n{}", shown.command, shown.output.join("\n"))
}

/// What the pages name of a checkout.
fn checkout(to: &Path) {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    for folder in ["docs", "manifests", "tests/fixtures"] {
        copy(&root().join(folder), &to.join(folder));
    }
}

/// The programs of the pages: ours for `cargo run` too, and the kubectl of the cluster or none.
fn programs(bin: &Path, kubectl: Option<&Path>) {
    fs::create_dir(bin).unwrap();
    let script = |name: &str, text: &str| {
        fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    symlink(env!("CARGO_BIN_EXE_scan-admission"), bin.join("scan-admission")).unwrap();
    script(
        "cargo",
        "[ \"$1\" = run ] || { echo 'only cargo run is run here'; exit 1; }\n\
         while [ $# -gt 0 ] && [ \"$1\" != -- ]; do shift; done; shift; exec scan-admission \"$@\"",
    );
    match kubectl {
        Some(kubectl) => symlink(kubectl, bin.join("kubectl")).unwrap(),
        None => script("kubectl", "echo 'this block is of the kind: console cluster'; exit 1"),
    }
}
