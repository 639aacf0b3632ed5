//! Runs of `check` that write a report in every format, on the same input.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use scan_admission::rules::RULES;
use serde_json::{Value, json};

use crate::support::folder::Folder;
use crate::support::program::clean;

/// The time of the tests, which is later than all times in the examples.
pub const NOW: &str = "2026-11-24T12:00:00Z";

/// The findings of the run `many`, half of them warnings.
pub const MANY: usize = 6_000;

/// An error, a warning, and a total that can be computed.
pub const WRONG: &str = r#"{"metadata": {"name": "wrong"}, "spec": {"scanTemplate": null},
    "status": {"phase": "Complete", "cveCount": {"critical": 1, "high": 22, "total": 22}}}"#;

/// A run of `check` and its reports. The input and the reports are in a folder of its own, in which it runs.
pub struct Run {
    pub name: &'static str,
    pub folder: Folder,
    pub code: i32,
    pub json: Value,
    /// The report on standard output.
    pub github: String,
    pub markdown: String,
    /// The files on which it reports, each with its name in reports and its text.
    pub inputs: Vec<(String, String)>,
}

impl Run {
    pub fn json_file(&self) -> PathBuf {
        self.folder.join("reports/report.json")
    }

    /// The file has the name of the run, which then is in the errors of a validator.
    pub fn sarif_file(&self) -> PathBuf {
        self.folder.join(&format!("reports/{}.sarif", self.name))
    }

    pub fn sarif(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.sarif_file()).unwrap()).unwrap()
    }

    pub fn junit_file(&self) -> PathBuf {
        self.folder.join(&format!("reports/{}.xml", self.name))
    }

    pub fn findings(&self) -> &Vec<Value> {
        self.json["findings"].as_array().unwrap()
    }

    pub fn errors(&self) -> &Vec<Value> {
        self.json["errors"].as_array().unwrap()
    }
}

/// Runs `check` on files with these names and texts, with these arguments.
pub fn run(name: &'static str, files: &[(&str, String)], args: &[&str], stdin: &str) -> Run {
    let folder = Folder::new();
    fs::create_dir(folder.join("reports")).unwrap();
    for (file, text) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut command = check(&folder);
    for report in ["json=reports/report.json", "markdown=reports/report.md", "github"] {
        command.args(["-o", report]);
    }
    command.args(["-o", &format!("sarif=reports/{name}.sarif"), "-o", &format!("junit=reports/{name}.xml")]);
    let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let text = stdin.to_owned();
    // A run that reads files does not read the pipe.
    let writer = thread::spawn(move || drop(pipe.write_all(text.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let read = |file: &str| fs::read_to_string(folder.join("reports").join(file)).unwrap();
    let (json, markdown) = (read("report.json"), read("report.md"));
    Run {
        name,
        code: output.status.code().unwrap(),
        json: serde_json::from_str(&json).unwrap_or_else(|error| panic!("{name}: {error}: {json}")),
        github: String::from_utf8(output.stdout).unwrap(),
        markdown,
        inputs: files.iter().map(|(file, text)| ((*file).to_owned(), text.clone())).collect(),
        folder,
    }
}

/// Returns the command `check` in a folder, at the time of the tests.
pub fn check(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    clean(&mut command);
    command.env_remove("GITHUB_STEP_SUMMARY").current_dir(folder.path()).args(["check", "--now", NOW]);
    command.stderr(Stdio::null());
    command
}

/// Returns a valid scan merged with these members (RFC 7386), as JSON on several lines, which is YAML too.
pub fn document(members: &str) -> String {
    let mut scan = json!({
        "apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1",
        "kind": "SourceScan",
        "metadata": {"name": "sample", "namespace": "default", "generation": 1},
        "spec": {"blob": {"url": "https://example.com/code.tar.gz"}, "scanTemplate": "blob-source-scan-template"},
    });
    json_patch::merge(&mut scan, &serde_json::from_str(members).unwrap());
    format!("{scan:#}\n")
}

/// Runs on every kind of input.
pub fn runs() -> Vec<Run> {
    let wrong = || document(WRONG);
    let clean = || document("{}");
    let at_stdin = |name, args: &[&str]| {
        let mut run = run(name, &[], args, &wrong());
        let file = args.get(1).copied().unwrap_or("standard input");
        run.inputs.push((file.to_owned(), wrong()));
        run
    };
    vec![
        of_every_rule(),
        of_fixtures(),
        run("none", &[("clean.yaml", clean())], &["clean.yaml"], ""),
        run("other-kinds", &[("list.yaml", "apiVersion: v1\nkind: List\nitems: []\n".to_owned())], &["list.yaml"], ""),
        at_stdin("pipe", &["-"]),
        at_stdin("named-pipe", &["--stdin-name", "my scans/été.yaml"]),
        of_names(),
        of_many(),
        run("unreadable", &[("broken.yaml", format!("{}---\na: [\n", wrong()))], &["broken.yaml", "missing.yaml"], ""),
        of_control_characters(),
    ]
}

/// Each example of each rule is a file.
fn of_every_rule() -> Run {
    let mut files = Vec::new();
    for rule in RULES {
        for (index, example) in rule.examples.iter().enumerate() {
            files.push((format!("rules/{}-{index}.yaml", rule.id), document(example.new)));
        }
    }
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    run("every-rule", &files, &["rules"], "")
}

/// YAML in block style with anchors, comments and broken documents, and dumps of kubectl.
fn of_fixtures() -> Run {
    let files: Vec<_> = ["anchors.yaml", "broken.yaml", "dump.json", "dump.yaml", "scans.yaml", "stream.json"]
        .map(|file| (file, fs::read_to_string(format!("tests/fixtures/check/{file}")).unwrap()))
        .into();
    run("fixtures", &files, &["."], "")
}

fn of_names() -> Run {
    let names =
        ["my scans/été #1?.yaml", "a:b%20.json", "a,b=c.yaml", "-o.yaml", "line\nbreak.yaml", "[x](y)|`z`.yaml"];
    let files: Vec<_> = names.map(|name| (name, document(WRONG))).into();
    run("names", &files, &["."], "")
}

/// Warnings first, so that the errors have to be moved in front of them.
fn of_many() -> Run {
    let mut text = String::new();
    for index in 0..MANY {
        let members = if index < MANY / 2 {
            json!({"metadata": {"name": format!("warned-{index}")}, "spec": {"scanTemplate": null}})
        } else {
            json!({"metadata": {"name": format!("denied-{index}")}, "status": {"phase": "Complete"}})
        };
        text += &document(&members.to_string());
        text += "---\n";
    }
    run("many", &[("many.yaml", text)], &["many.yaml"], "")
}

/// Values with characters that XML, Markdown, workflow commands or terminals read as more than text.
fn of_control_characters() -> Run {
    let phase = "\u{0}\u{1b}[31m\u{85}\u{2028}\u{fffe}\u{ffff}]]>&<b>::error::%0A\r\n|`[a](b)`*_\\@team #1";
    let members = json!({"metadata": {"name": "a\u{7}b\u{ffff}::warning::"}, "status": {"phase": phase}});
    run("control-characters", &[("scan.json", document(&members.to_string()))], &["scan.json"], "")
}
