//! A shell in a copy of the repository that runs the commands of a page in their order.

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
use crate::support::page::{Block, Environment, Page, ShownCommand, fits, root};
use crate::support::program::{addresses, clean};

/// The time limit of a command. No command of a page takes this long on any machine.
const COMMAND_MAX: Duration = Duration::from_secs(300);
/// The time limit until a program that keeps running has printed its output. It starts in milliseconds.
const START_MAX: Duration = Duration::from_secs(60);

/// The tools that a machine may lack. A page that needs a missing tool is reported as skipped.
const TOOLS: &[&str] = &["curl", "jq", "openssl"];

/// The addresses on the pages. In tests the system chooses the ports.
const REVIEWS: &str = "127.0.0.1:8443";
const ADMIN: &str = "127.0.0.1:8080";

/// The environment of the shell that runs a page.
pub struct SessionSettings<'a> {
    pub variables: Vec<(&'static str, OsString)>,
    /// Files outside of the checkout, by the paths at which the commands find them.
    pub links: Vec<(&'static str, PathBuf)>,
    /// Called before each command. Returns when the changes of the previous commands are in effect.
    pub settle: &'a dyn Fn(),
    /// Blocks that need a cluster are ignored where this is None.
    pub kubectl: Option<PathBuf>,
}

/// Runs the commands of a page, and returns the skipped blocks or page with the reasons.
pub fn run(page: &Page, settings: &SessionSettings<'_>) -> Result<Vec<String>, String> {
    let mut skipped = Vec::new();
    if let Some(tool) = missing_tool(page) {
        let why = format!("{}: {tool} was not found", page.path);
        return if env::var_os("CI").is_some() { Err(why) } else { Ok(vec![why]) };
    }
    let mut session = Session::new(settings);
    for block in page.consoles() {
        match block.environment() {
            Environment::Elsewhere(why) => skipped.push(format!("{}:{}: {why}", page.path, block.line)),
            Environment::Cluster | Environment::NewCluster if settings.kubectl.is_none() => {}
            _ => session
                .block(block, settings.settle)
                .map_err(|error| format!("{}:{}: {error}", page.path, block.line))?,
        }
    }
    Ok(skipped)
}

/// Returns a tool that the page needs and the machine lacks.
fn missing_tool(page: &Page) -> Option<&'static str> {
    let is_there =
        |tool: &str| Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_needed = |tool: &str| {
        let blocks = page.consoles().filter(|block| !matches!(block.environment(), Environment::Elsewhere(_)));
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
    /// The actual addresses, each with the address on the page.
    addresses: Vec<(String, &'static str)>,
}

impl Session {
    fn new(settings: &SessionSettings<'_>) -> Self {
        let folder = Folder::new();
        checkout(&folder.join("checkout"));
        for (path, target) in &settings.links {
            let link = folder.join("checkout").join(path);
            fs::create_dir_all(link.parent().expect("a folder")).unwrap();
            symlink(target, link).unwrap();
        }
        let bin = folder.join("bin");
        programs(&bin, settings.kubectl.as_deref());
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
            .envs(settings.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("errors")).unwrap())
            // The shell has a process group of its own, so that the processes that it starts can be ended with it.
            .process_group(0)
            .spawn()
            .expect("bash starts");
        let stdout = BufReader::new(shell.stdout.take().expect("piped"));
        let mut stdin = shell.stdin.take().expect("piped");
        let (sender, done) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        // If this test is killed, the shell reads the end of its input and kills its process group.
        writeln!(stdin, "trap 'kill -KILL 0' EXIT").expect("bash reads");
        Self { folder, shell, stdin, done, count: 0, addresses: Vec::new() }
    }

    fn block(&mut self, block: &Block, settle: &dyn Fn()) -> Result<(), String> {
        let mut commands = block.commands();
        let last = if block.runs() { commands.pop() } else { None };
        for shown in commands {
            settle();
            let printed = self.run(&shown)?;
            // Helps to write a page.
            if env::var_os("SHOW").is_some() {
                eprint!("$ {}\n{printed}", shown.command);
            }
            if !shown.output.is_empty() && !is_shown(&shown, &printed) {
                return Err(difference(&shown, &printed));
            }
        }
        last.map_or(Ok(()), |shown| self.start(&shown))
    }

    /// Runs a command to its end and returns its output.
    fn run(&mut self, shown: &ShownCommand) -> Result<String, String> {
        let output = self.send(shown, "");
        let done = self.done.recv_timeout(COMMAND_MAX);
        let printed = self.printed(&output);
        match done.as_deref().map(|done| done.split_once(' ').unwrap_or_default()) {
            Ok((number, "0")) if number == self.count.to_string() => Ok(printed),
            Ok((number, code)) if number == self.count.to_string() => {
                Err(format!("{}\nexit code {code}:\n{printed}", shown.command))
            }
            Ok((_, code)) => Err(format!("{}\nthe command in the background has ended with {code}", shown.command)),
            Err(_) => {
                let errors = fs::read_to_string(self.folder.join("errors")).unwrap_or_default();
                Err(format!("{}\ndoes not end:\n{printed}{errors}", shown.command))
            }
        }
    }

    /// Starts a command in the background, and returns when it has printed the output of the page.
    fn start(&mut self, shown: &ShownCommand) -> Result<(), String> {
        let output = self.send(shown, "&");
        let start = Instant::now();
        loop {
            self.find_addresses(&output);
            let printed = self.printed(&output);
            if is_shown(shown, &printed) {
                return Ok(());
            }
            let ended = self.done.recv_timeout(Duration::from_millis(20)).is_ok();
            if ended || start.elapsed() > START_MAX {
                return Err(difference(shown, &printed));
            }
        }
    }

    /// Sends a command to the shell and returns the file of its output. The shell prints the number and the exit code
    /// of the command when it has ended.
    fn send(&mut self, shown: &ShownCommand, background: &str) -> PathBuf {
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

    /// Returns the output in the file, with the addresses of the page.
    fn printed(&self, output: &Path) -> String {
        let printed = fs::read_to_string(output).unwrap_or_default();
        self.addresses.iter().fold(printed, |printed, (actual, shown)| printed.replace(actual, shown))
    }

    /// Reads the addresses of `serve` from its ready line, and configures curl to use them for the addresses of the
    /// page.
    fn find_addresses(&mut self, output: &Path) {
        let printed = fs::read_to_string(output).unwrap_or_default();
        let Some(line) = printed.lines().find(|line| line.starts_with("ready: ")) else { return };
        let Some((reviews, admin)) = addresses(line) else { return };
        let (reviews, admin) = (reviews.to_string(), admin.to_string());
        let to = |shown, actual| format!("connect-to = \"{shown}:{actual}\"\n");
        // The pages show the output of a terminal, where curl prints no progress.
        let quiet = "silent\nshow-error\n";
        fs::write(self.folder.join(".curlrc"), to(REVIEWS, &reviews) + &to(ADMIN, &admin) + quiet).unwrap();
        self.addresses = vec![(reviews, REVIEWS), (admin, ADMIN)];
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Kills the process group. Its id stays reserved until `wait` returns.
        let kill = format!("kill -s KILL -- -{}", self.shell.id());
        let _ = Command::new("sh").args(["-c", &kill]).status();
        let _ = self.shell.wait();
    }
}

fn is_shown(shown: &ShownCommand, printed: &str) -> bool {
    let lines: Vec<&str> = shown.output.iter().map(String::as_str).collect();
    fits(&lines, &printed.lines().collect::<Vec<_>>())
}

fn difference(shown: &ShownCommand, printed: &str) -> String {
    format!("{}\nprints\n{printed}\nbut the page shows:\n{}", shown.command, shown.output.join("\n"))
}

/// Copies the folders of the repository that the commands of the pages use.
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

/// Puts the programs of the pages in a folder: this program, also as `cargo run`, and the cluster's kubectl or one that
/// fails.
fn programs(bin: &Path, kubectl: Option<&Path>) {
    fs::create_dir(bin).unwrap();
    let script = |name: &str, text: &str| {
        fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    symlink(env!("CARGO_BIN_EXE_scan-admission"), bin.join("scan-admission")).unwrap();
    script(
        "cargo",
        "[ \"$1\" = run ] || { echo 'only cargo run can be tested'; exit 1; }\n\
         while [ $# -gt 0 ] && [ \"$1\" != -- ]; do shift; done; shift; exec scan-admission \"$@\"",
    );
    match kubectl {
        Some(kubectl) => symlink(kubectl, bin.join("kubectl")).unwrap(),
        None => script("kubectl", "echo 'kubectl needs a block of the kind: console cluster'; exit 1"),
    }
}
