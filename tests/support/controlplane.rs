//! Builds `tests/controlplane` once and runs it for this process: a real API server, and the real kubectl. The control plane
//! ends when its stdin closes, so it never outlives the process.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;
use std::{env, fs, thread};

use serde_json::{Value, json};

/// The release that the Go module pins, as `kubectl version` prints it.
const VERSION: &str = "v1.36.3";

/// A user of the cluster. All but `Admin` have their rights by RBAC: tests/fixtures/cluster/users.yaml and the
/// manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Admin,
    ScanController,
    Developer,
    Webhook,
    /// The ServiceAccount of `audit --watch`.
    Reports,
    /// The ServiceAccount of `helm test`.
    Doctor,
}

impl User {
    /// The users besides the admin, whom the control plane always has.
    const CONFIGURED: [User; 5] = [User::ScanController, User::Developer, User::Webhook, User::Reports, User::Doctor];

    fn name(self) -> &'static str {
        match self {
            User::Admin => "admin",
            User::ScanController => "scan-controller",
            User::Developer => "developer",
            User::Webhook => "webhook",
            User::Reports => "reports",
            User::Doctor => "doctor",
        }
    }

    /// The user name and the groups of the certificate. Those of a ServiceAccount are the ones that its token would
    /// have.
    pub fn identity(self) -> &'static str {
        match self {
            User::Admin => "kubernetes-admin,system:masters",
            User::ScanController => {
                "system:serviceaccount:scan-link-system:scan-link-controller,\
                 system:serviceaccounts,system:serviceaccounts:scan-link-system"
            }
            User::Developer => "developer,developers",
            User::Webhook => {
                "system:serviceaccount:scan-admission:scan-admission,\
                 system:serviceaccounts,system:serviceaccounts:scan-admission"
            }
            User::Reports => {
                "system:serviceaccount:scan-admission:scan-admission-reports,\
                 system:serviceaccounts,system:serviceaccounts:scan-admission"
            }
            User::Doctor => {
                "system:serviceaccount:scan-admission:scan-admission-doctor,\
                 system:serviceaccounts,system:serviceaccounts:scan-admission"
            }
        }
    }
}

/// The reason that there is no cluster.
#[derive(Clone, Debug)]
pub enum ClusterError {
    /// The tools to build it are missing from this machine. This is no failure of the project.
    MissingTools(String),
    /// The cluster cannot be built or started although the tools are there.
    Broken(String),
}

pub struct ControlPlane {
    /// The line that the control plane prints when it is ready, an object.
    pub ready: Value,
    pub kubectl: PathBuf,
    child: Child,
    pub pipes: Mutex<(Option<ChildStdin>, BufReader<ChildStdout>)>,
}

impl ControlPlane {
    /// Starts the control plane with additional flags of kube-apiserver.
    pub fn start_with(flags: &[&str]) -> Result<ControlPlane, ClusterError> {
        let programs = programs().map_err(ClusterError::clone)?;
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = programs.folder.join(format!("{}-{number}.log", env!("CARGO_CRATE_NAME")));
        let broken = |what: String| {
            let log_text = fs::read_to_string(&log).unwrap_or_default();
            let tail: Vec<&str> = log_text.lines().rev().take(20).collect();
            ClusterError::Broken(format!("{what}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n")))
        };
        let stderr = File::create(&log).map_err(|error| broken(format!("{}: {error}", log.display())))?;
        let mut child = Command::new(&programs.controlplane)
            .args(User::CONFIGURED.map(|user| format!("-user={}={}", user.name(), user.identity())))
            .arg("--")
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| broken(format!("{}: {error}", programs.controlplane.display())))?;
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        // No timeout is needed: the program ends by itself if it does not become ready, and its stdout closes.
        let ready = stdout.read_line(&mut line).map_err(|error| error.to_string());
        match ready.and_then(|_| serde_json::from_str(&line).map_err(|error| error.to_string())) {
            Ok(ready) => {
                Ok(ControlPlane { ready, kubectl: programs.kubectl.clone(), child, pipes: Mutex::new((stdin, stdout)) })
            }
            Err(error) => {
                drop(stdin);
                let status = child.wait();
                Err(broken(format!("the control plane did not become ready ({error}; {status:?}):")))
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn kubeconfig(&self, user: User) -> &Path {
        Path::new(self.ready["kubeconfigs"][user.name()].as_str().expect("a path"))
    }

    /// The folder of the control plane, which is removed when it ends.
    pub fn folder(&self) -> &Path {
        Path::new(self.ready["folder"].as_str().expect("a path"))
    }

    /// Returns a kubectl that acts as this user. Each of its requests has a timeout.
    pub fn kubectl(&self, user: User) -> Kubectl {
        let mut command = Command::new(&self.kubectl);
        command
            .env("KUBECONFIG", self.kubeconfig(user))
            .env("KUBECACHEDIR", self.folder().join("kubectl-cache"))
            .env("KUBECTL_KUBERC", "false")
            .arg("--request-timeout=30s");
        Kubectl { command, stdin: Vec::new() }
    }

    /// Creates a namespace for one test.
    pub fn namespace(&self, name: &str, labels: &Value) -> Namespace<'_> {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}).to_string();
        self.kubectl(User::Admin).args(["create", "-f", "-"]).input(namespace).run().ok();
        Namespace { cluster: self, name: name.to_owned() }
    }

    /// Stops the control plane and returns how it ended. The control plane bounds the time that this takes.
    pub fn stop(&mut self) -> Result<(), String> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner).0.take();
        self.wait()
    }

    pub fn wait(&mut self) -> Result<(), String> {
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the control plane ended with {status}")) }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error}");
        }
    }
}

/// A namespace of one test. It is removed with the cluster.
pub struct Namespace<'a> {
    pub cluster: &'a ControlPlane,
    pub name: String,
}

impl Namespace<'_> {
    pub fn kubectl(&self, user: User) -> Kubectl {
        self.cluster.kubectl(user).args(["--namespace", &self.name])
    }
}

/// One call of kubectl.
pub struct Kubectl {
    pub command: Command,
    pub stdin: Vec<u8>,
}

impl Kubectl {
    pub fn args<T: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets the input that `-f -` reads.
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    pub fn run(mut self) -> KubectlOutput {
        let called = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl was built");
        let (mut stdin, input) = (child.stdin.take().expect("piped"), self.stdin);
        // A kubectl that fails early does not read its input, but its output says why it failed.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("kubectl ends");
        writer.join().expect("the writer does not panic");
        KubectlOutput {
            called,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }
}

/// The output of kubectl and its exit code.
#[derive(Debug)]
pub struct KubectlOutput {
    pub called: String,
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

impl KubectlOutput {
    /// Asserts that kubectl succeeded, and returns its stdout.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "kubectl {}\n{}{}", self.called, self.stdout, self.stderr);
        &self.stdout
    }
}

pub struct Programs {
    folder: PathBuf,
    pub controlplane: PathBuf,
    pub kubectl: PathBuf,
}

pub fn programs() -> Result<&'static Programs, &'static ClusterError> {
    static PROGRAMS: OnceLock<Result<Programs, ClusterError>> = OnceLock::new();
    PROGRAMS.get_or_init(build).as_ref()
}

/// Returns the command of Go, which builds the programs.
pub fn go() -> Result<Command, ClusterError> {
    let go = env::var_os("GO").unwrap_or_else(|| "go".into());
    let found = Command::new(&go).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        let why = "Go is missing, which builds the control plane: install Go 1.26 or newer";
        return Err(ClusterError::MissingTools(why.to_owned()));
    }
    Ok(Command::new(&go))
}

/// Builds missing or outdated programs. `go build` detects these; it takes about 2 s if there are none.
fn build() -> Result<Programs, ClusterError> {
    let mut command = go()?;
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let kubectl = assets.as_ref().map(|folder| folder.join("kubectl")).filter(|kubectl| kubectl.exists());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("controlplane");
    let out = folder.join(if assets.is_some() { "assets" } else { "libraries" });
    let broken = |error: std::io::Error| ClusterError::Broken(format!("{}: {error}", out.display()));
    fs::create_dir_all(&out).map_err(broken)?;
    // Other test processes wait here. The lock is released when the process that holds it ends.
    let lock = File::create(folder.join("lock")).map_err(broken)?;
    lock.lock().map_err(broken)?;

    let time = match (out.join("controlplane").exists(), &assets) {
        (true, _) => "seconds, if nothing changed",
        (false, None) => "about 4 minutes on two free cores, this first time",
        (false, Some(_)) => "about 2 minutes on two free cores, this first time",
    };
    eprintln!("building the control plane of the tests (tests/controlplane, Go): {time} …");
    let start = Instant::now();
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controlplane"))
        .env("GOGC", "400") // trades memory for time: the compiler collects garbage less often
        // Without inlining and debug information, a third less is compiled. The speed of the program does not matter
        // here.
        .args(["build", "-trimpath", "-buildvcs=false", "-gcflags=all=-l -dwarf=false"])
        .arg(format!("-ldflags=-s -w -X k8s.io/component-base/version.gitVersion={VERSION}"))
        .args(assets.is_some().then_some("-tags=assets"))
        .arg("-o")
        .arg(out.join("")) // the trailing slash names a folder for all programs
        .args([".", "./policies"])
        .args(kubectl.is_none().then_some("./kubectl"));
    let output = command.output().map_err(broken)?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(ClusterError::Broken(format!("`go build` in tests/controlplane failed:\n{errors}")));
    }
    eprintln!("building the control plane of the tests: done in {:.0?}", start.elapsed());
    let kubectl = kubectl.unwrap_or_else(|| out.join("kubectl"));
    Ok(Programs { controlplane: out.join("controlplane"), kubectl, folder })
}
