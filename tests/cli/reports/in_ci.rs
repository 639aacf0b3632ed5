//! Tests the workflows of docs/in-ci.md: each is valid for its CI system, and its commands do what the page says.

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

use serde_json::{Value, json};

use super::{runs, validators, written};
use crate::support::folder::Folder;
use crate::support::page::Page;
use crate::support::program::clean;

/// Returns the blocks of this kind.
fn blocks(kind: &str) -> Vec<String> {
    let page = Page::read("docs/in-ci.md");
    page.blocks.into_iter().filter(|block| block.kind == kind).map(|block| block.text).collect()
}

/// The workflows of the page, read from YAML.
struct Workflows {
    github: Vec<String>,
    gitlab: Value,
    pre_commit: Value,
}

impl Workflows {
    fn read() -> Self {
        let read = |text: &String| serde_saphyr::from_str::<Value>(text).unwrap();
        let (github, others): (Vec<_>, Vec<_>) = blocks("yaml").into_iter().partition(|text| text.contains("\njobs:"));
        let [gitlab, pre_commit] = others.iter().map(read).collect::<Vec<_>>().try_into().unwrap();
        Self { github, gitlab, pre_commit }
    }

    /// Returns the commands that call this program. The others get it.
    fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        for workflow in &self.github {
            let workflow: Value = serde_saphyr::from_str(workflow).unwrap();
            for job in workflow["jobs"].as_object().unwrap().values() {
                let steps = job["steps"].as_array().unwrap();
                commands.extend(steps.iter().filter_map(|step| step["run"].as_str()).map(str::to_owned));
            }
        }
        let script = self.gitlab["scans"]["script"].as_array().unwrap();
        commands.extend(script.iter().map(|line| line.as_str().unwrap().to_owned()));
        for pipeline in blocks("groovy") {
            let steps = pipeline.lines().filter_map(|line| line.trim().strip_prefix("sh '")?.strip_suffix('\''));
            commands.extend(steps.map(str::to_owned));
        }
        commands.push(self.hook());
        commands.retain(|command| command.starts_with("scan-admission "));
        commands
    }

    /// Returns the command of the hook, with the file that it is called with.
    fn hook(&self) -> String {
        let hook = &self.pre_commit["repos"][0]["hooks"][0];
        format!("{} scans/scan.yaml", hook["entry"].as_str().unwrap())
    }
}

/// Runs a command of the page in a folder whose `scans` contains one scan with these members.
fn run(folder: &Folder, command: &str, members: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_scan-admission"));
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    fs::create_dir_all(folder.join("scans")).unwrap();
    written(folder, "scans/scan.yaml", runs::document(members));
    let mut bash = Command::new("bash");
    clean(&mut bash);
    bash.args(["-c", command]).current_dir(folder.path()).env("PATH", path).env_remove("GITHUB_STEP_SUMMARY");
    bash.output().unwrap()
}

#[test]
fn each_command_of_a_workflow_fails_exactly_for_an_error() {
    let workflows = Workflows::read();
    let commands = workflows.commands();
    assert_eq!(commands.len(), 5, "{commands:?}");
    for command in commands {
        for (members, code) in [("{}", 0), (r#"{"spec": {"scanTemplate": null}}"#, 0), (runs::WRONG, 1)] {
            let output = run(&Folder::new(), &command, members);
            assert_eq!(output.status.code(), Some(code), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// A later step of the same workflow uploads the report under the same name.
#[test]
fn each_report_is_written_where_the_workflow_reads_it() {
    let workflows = Workflows::read();
    let gitlab = workflows.gitlab["scans"]["artifacts"]["reports"]["junit"].as_str().unwrap().to_owned();
    let upload: Value = serde_saphyr::from_str(&workflows.github[1]).unwrap();
    let steps = upload["jobs"]["check"]["steps"].as_array().unwrap();
    let sarif = steps.iter().find_map(|step| step["with"]["sarif_file"].as_str()).unwrap().to_owned();
    let pipeline = blocks("groovy").concat();
    let jenkins =
        pipeline.lines().find_map(|line| line.trim().strip_prefix("junit testResults: '")?.split('\'').next());
    for (report, format) in [(sarif, "sarif"), (gitlab, "junit"), (jenkins.unwrap().to_owned(), "junit")] {
        let commands = workflows.commands();
        let command = commands.iter().find(|command| command.contains(&format!("-o {format}={report} "))).unwrap();
        let folder = Folder::new();
        run(&folder, command, runs::WRONG);
        assert!(fs::read_to_string(folder.join(&report)).unwrap().contains("phase-unknown"), "{command}");
    }
}

#[test]
fn the_hook_corrects_a_derived_value() {
    let folder = Folder::new();
    let counts = |total| json!({"critical": 0, "high": 2, "medium": 0, "low": 0, "unknown": 0, "total": total});
    let members = |total| json!({"status": {"observedGeneration": 1, "cveCount": counts(total)}}).to_string();
    let output = run(&folder, &Workflows::read().hook(), &members(3));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(folder.join("scans/scan.yaml")).unwrap(), runs::document(&members(2)));
}

#[test]
fn the_workflows_of_github_are_valid() {
    let Some(actionlint) = validators::actionlint() else { return };
    let folder = Folder::new();
    let lint = |workflow: &str| {
        let file = written(&folder, "workflow.yaml", workflow);
        // It would also call these programs if they were there, with results that depend on their versions.
        Command::new(actionlint).args(["-no-color", "-shellcheck=", "-pyflakes="]).arg(file).output().unwrap()
    };
    let workflows = Workflows::read().github;
    assert_eq!(workflows.len(), 2);
    for workflow in &workflows {
        let output = lint(workflow);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert!(!lint(&workflows[0].replace("runs-on", "runs_on")).status.success());
}

#[test]
fn the_workflow_of_gitlab_is_valid() {
    let Some(python) = validators::python() else { return };
    let folder = Folder::new();
    let gitlab = Workflows::read().gitlab;
    let file = written(&folder, "gitlab-ci.json", gitlab.to_string());
    assert_eq!(python.schema_errors(&python.gitlab_schema(), &[file]), [""; 0]);
    let damaged = written(&folder, "damaged.json", gitlab.to_string().replace("\"always\"", "\"sometimes\""));
    assert!(!python.schema_errors(&python.gitlab_schema(), &[damaged]).is_empty());
}
