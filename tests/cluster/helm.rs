//! Builds `tests/chart`, the real Helm, and runs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Instant;
use std::{env, fs};

use serde_json::Value;

use crate::controlplane::{ClusterError, ControlPlane, User, go};
use crate::support::folder::Folder;

/// Helm with a folder for its configuration and its cache.
pub struct Helm {
    program: &'static Path,
    home: Folder,
    kubeconfig: Option<PathBuf>,
}

/// The output of Helm.
pub struct HelmOutput {
    called: String,
    pub stdout: String,
    pub stderr: String,
    pub is_success: bool,
}

impl Helm {
    pub fn new() -> Result<Helm, ClusterError> {
        Ok(Helm { program: program().map_err(ClusterError::clone)?, home: Folder::new(), kubeconfig: None })
    }

    /// Makes Helm act as the admin of this cluster.
    pub fn on(mut self, cluster: &ControlPlane) -> Helm {
        self.kubeconfig = Some(cluster.kubeconfig(User::Admin).to_owned());
        self
    }

    pub fn run<T: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = T>) -> HelmOutput {
        let mut command = Command::new(self.program);
        command.args(arguments).env_clear().env("HOME", self.home.path());
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, self.home.path());
        }
        // Without a cluster, it must not find that of the user who runs the tests.
        command.env("KUBECONFIG", self.kubeconfig.as_deref().unwrap_or(Path::new("/dev/null")));
        let called = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let Output { status, stdout, stderr } = command.output().expect("Helm was built");
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        HelmOutput { called, stdout, stderr, is_success: status.success() }
    }

    /// Renders the chart with these values. The release and the namespace have the names of the kustomize base.
    pub fn template(&self, chart: &Path, values: &Value) -> HelmOutput {
        self.template_of("scan-admission", "scan-admission", chart, values)
    }

    /// Renders the chart with these values, as a release of this name in this namespace.
    pub fn template_of(&self, release: &str, namespace: &str, chart: &Path, values: &Value) -> HelmOutput {
        let file = self.home.join("values.json");
        fs::write(&file, values.to_string()).unwrap();
        let arguments = ["template", release, "--namespace", namespace, "--kube-version=1.36.0", "--values"];
        self.run(arguments.map(OsStr::new).into_iter().chain([file.as_os_str(), chart.as_os_str()]))
    }
}

impl HelmOutput {
    /// Asserts that Helm succeeded, and returns its stdout.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert!(self.is_success, "helm {}\n{}{}", self.called, self.stdout, self.stderr);
        &self.stdout
    }

    /// Asserts that Helm failed, and returns its stderr.
    #[track_caller]
    pub fn failed(&self) -> &str {
        assert!(!self.is_success, "helm {}\n{}{}", self.called, self.stdout, self.stderr);
        &self.stderr
    }
}

fn program() -> Result<&'static Path, &'static ClusterError> {
    static PROGRAM: OnceLock<Result<PathBuf, ClusterError>> = OnceLock::new();
    PROGRAM.get_or_init(build).as_ref().map(PathBuf::as_path)
}

/// Returns the folder of a Go module whose files `tests/chart/kinds` names.
pub fn module(path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/kinds");
    let download = go().unwrap().current_dir(folder).args(["mod", "download", "-json", path]).output().unwrap();
    let module: Value = serde_json::from_slice(&download.stdout).unwrap_or_default();
    module["Dir"].as_str().unwrap_or_else(|| panic!("{download:?}")).into()
}

fn build() -> Result<PathBuf, ClusterError> {
    let mut command = go()?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("controlplane");
    let program = folder.join("helm");
    let broken = |error: std::io::Error| ClusterError::Broken(format!("{}: {error}", program.display()));
    fs::create_dir_all(&folder).map_err(broken)?;
    eprintln!("building Helm (tests/chart, Go): about 2 minutes on two free cores, the first time …");
    let start = Instant::now();
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart"))
        .env("GOGC", "400")
        // As the control plane: a third less is compiled.
        .args(["build", "-trimpath", "-buildvcs=false", "-gcflags=all=-l -dwarf=false", "-ldflags=-s -w", "-o"])
        .args([program.as_os_str(), OsStr::new(".")]);
    let output = command.output().map_err(broken)?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(ClusterError::Broken(format!("`go build` in tests/chart failed:\n{errors}")));
    }
    eprintln!("building Helm: done in {:.0?}", start.elapsed());
    Ok(program)
}
