//! The programs that read our reports and workflows, all written by others: Microsoft's validator of SARIF and GitHub's
//! toolkit for actions (npm), jsonschema, junitparser and xmlschema (PyPI), and actionlint (Go). The exact versions of
//! the first two are in the files of `validators/`. They are installed once into the target folder. A machine without
//! Node, Python, Go or the registries skips their tests; with CI set, these fail.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use serde_json::Value;

use crate::packages::{self, REGISTRY_MAX_S, install, or_skipped, printed, version};
use crate::support::folder::Folder;

const ACTIONLINT: &str = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12";

/// The folder of the committed files, from the root of the repository.
const FILES: &str = "tests/cli/reports/validators";
/// sarif-multitool leaves out files above a limit, 10,000 KB by default, with exit code 0. No report is as large as this.
const SARIF_MAX_KB: &str = "1000000";
/// Jenkins' schema lacks this attribute, which pytest, nextest and others write, too.
const NOT_IN_JUNIT_SCHEMA: &str = "/testsuites: 'skipped' attribute not allowed for element";

/// The folder of the packages from npm, `node_modules`.
pub struct Npm(PathBuf);

/// The folder of the packages from PyPI.
pub struct Python(PathBuf);

/// Returns the installed packages from npm, or `None` if the machine cannot have them.
pub fn npm() -> Option<&'static Npm> {
    static INSTALLED: OnceLock<Result<Npm, String>> = OnceLock::new();
    or_skipped(INSTALLED.get_or_init(|| {
        let node = version("node", "--version", "install Node.js 20 or newer")?;
        let files = ["package.json", "package-lock.json"];
        let folder = install("validators/npm", &node, Path::new(FILES), &files, |folder| {
            // The only install script makes the validator executable.
            packages::npm_ci(folder)
        })?;
        let npm = Npm(folder.join("node_modules"));
        fs::set_permissions(npm.multitool(), fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
        Ok(npm)
    }))
}

/// Returns the installed packages from PyPI, or `None` if the machine cannot have them.
pub fn python() -> Option<&'static Python> {
    static INSTALLED: OnceLock<Result<Python, String>> = OnceLock::new();
    or_skipped(INSTALLED.get_or_init(|| {
        let python = version("python3", "--version", "install Python 3.11 or newer with pip")?;
        let folder = install("validators/python", &python, Path::new(FILES), &["requirements.txt"], |folder| {
            let mut command = Command::new("python3");
            command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--upgrade"]);
            command.args(["--retries=2", "--timeout", REGISTRY_MAX_S, "--target", "packages"]);
            command.args(["-r", "requirements.txt"]).current_dir(folder);
            command
        })?;
        Ok(Python(folder.join("packages")))
    }))
}

/// Returns the program that validates workflows of GitHub, or `None` if the machine cannot have it.
pub fn actionlint() -> Option<&'static PathBuf> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    or_skipped(INSTALLED.get_or_init(|| {
        let go = env::var("GO").unwrap_or_else(|_| "go".to_owned());
        let version = version(&go, "version", "install Go 1.26 or newer")?;
        let folder = install("validators/go", &format!("{version}{ACTIONLINT}"), Path::new(FILES), &[], |folder| {
            let mut command = Command::new(&go);
            command.args(["install", "-trimpath", ACTIONLINT]).env("GOBIN", folder.canonicalize().unwrap());
            command.env("GOFLAGS", "").current_dir(folder);
            command
        })?;
        Ok(folder.join("actionlint"))
    }))
}

impl Npm {
    fn multitool(&self) -> PathBuf {
        self.0.join("@microsoft/sarif-multitool-linux/Sarif.Multitool")
    }

    /// The JSON Schema of SARIF 2.1.0, which the validator brings along.
    pub fn sarif_schema(&self) -> PathBuf {
        self.0.join("@microsoft/sarif-multitool-linux/sarif-2.1.0.json")
    }

    /// Validates SARIF files by the rules of SARIF and of GitHub's code scanning, and returns the errors and warnings.
    pub fn sarif_problems(&self, reports: &[PathBuf]) -> Vec<String> {
        let folder = Folder::new();
        let results = folder.join("results.sarif");
        let output = Command::new(self.multitool())
            .arg("validate")
            .args(reports)
            .args(["--rule-kind", "Sarif;Ghas", "--level", "Error;Warning", "--max-file-size-in-kb", SARIF_MAX_KB])
            .arg("--output")
            .arg(&results)
            // It is for .NET, which otherwise looks for a library of locales.
            .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
            .output()
            .unwrap();
        // The exit code is 0 in spite of results, and if some of the files were left out.
        let text = printed(&output);
        assert!(
            output.status.success() && text.contains(&format!("\nDone. {} files scanned.", reports.len())),
            "{text}"
        );
        let results = fs::read_to_string(results).unwrap();
        let results: Value = serde_json::from_str(results.trim_start_matches('\u{feff}')).unwrap();
        let run = &results["runs"][0];
        assert_eq!(run["invocations"][0]["executionSuccessful"], true, "{text}");
        run["results"].as_array().unwrap().iter().map(|result| sarif_problem(run, result)).collect()
    }

    /// Prints annotations with GitHub's toolkit: for each two commands, as workflow_commands.mjs says.
    pub fn workflow_commands(&self, annotations: &Value) -> Vec<String> {
        let mut command = Command::new("node");
        command.arg(Path::new(FILES).join("workflow_commands.mjs")).arg(&self.0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let annotations = annotations.to_string();
        let writer = thread::spawn(move || stdin.write_all(annotations.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{}", output.status);
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Returns a result of the validator as `file: level rule: message`.
fn sarif_problem(run: &Value, result: &Value) -> String {
    let rule = result["ruleId"].as_str().unwrap();
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let metadata = rules.iter().find(|metadata| metadata["id"] == rule).unwrap();
    let message = &result["message"];
    let template = &metadata["messageStrings"][message["id"].as_str().unwrap()]["text"];
    let mut text = template.as_str().unwrap().to_owned();
    for (index, argument) in message["arguments"].as_array().into_iter().flatten().enumerate() {
        text = text.replace(&format!("{{{index}}}"), argument.as_str().unwrap());
    }
    let file = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap_or_default();
    // A warning has no level, since that is the default of SARIF.
    format!("{file}: {} {rule}: {text}", result["level"].as_str().unwrap_or("warning"))
}

impl Python {
    /// The JSON Schema of `.gitlab-ci.yml`, which check-jsonschema brings along.
    pub fn gitlab_schema(&self) -> PathBuf {
        self.0.join("check_jsonschema/builtin_schemas/vendor/gitlab-ci.json")
    }

    /// The JSON Schema of CycloneDX 1.5, which the library of CycloneDX brings along.
    pub fn cyclonedx_schema(&self) -> PathBuf {
        self.0.join("cyclonedx/schema/_res/bom-1.5.SNAPSHOT.schema.json")
    }

    /// Validates JSON files against a JSON Schema, and returns the errors.
    pub fn schema_errors(&self, schema: &Path, reports: &[PathBuf]) -> Vec<String> {
        errors(&self.read("schema", schema, reports))
    }

    /// Reads JUnit files, and returns the errors, among them those against Jenkins' schema, and what was read.
    pub fn junit(&self, reports: &[PathBuf]) -> (Vec<String>, Vec<Value>) {
        let read = self.read("junit", &Path::new(FILES).join("junit-10.xsd"), reports);
        let mut errors = errors(&read);
        errors.retain(|error| !error.ends_with(NOT_IN_JUNIT_SCHEMA));
        (errors, read)
    }

    fn read(&self, kind: &str, schema: &Path, reports: &[PathBuf]) -> Vec<Value> {
        let script = Path::new(FILES).join("read_reports.py");
        let arguments = [script.as_os_str(), OsStr::new(kind), schema.as_os_str()];
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", &self.0).env("PYTHONDONTWRITEBYTECODE", "1").args(arguments).args(reports);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        let lines = String::from_utf8(output.stdout).unwrap();
        let read: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read.len(), reports.len(), "{lines}");
        read
    }
}

/// Returns the errors of all files as `file: error`.
fn errors(read: &[Value]) -> Vec<String> {
    let of = |report: &Value| {
        let errors = report["errors"].as_array().unwrap().clone();
        let file = report["file"].as_str().unwrap().to_owned();
        errors.into_iter().map(move |error| format!("{file}: {}", error.as_str().unwrap()))
    };
    read.iter().flat_map(of).collect()
}
