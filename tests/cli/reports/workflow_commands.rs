//! Tests the reports as workflow commands of GitHub, and the summary of a job.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::runs::{self, Run};
use super::validators;
use crate::support::folder::Folder;

/// A workflow command, as the runner of GitHub reads it.
#[derive(Debug)]
struct WorkflowCommand {
    level: String,
    properties: Vec<(String, String)>,
    message: String,
}

impl WorkflowCommand {
    fn parse(line: &str) -> Self {
        let (command, message) = line.strip_prefix("::").and_then(|line| line.split_once("::")).expect(line);
        let (level, properties) = command.split_once(' ').expect(line);
        let property = |text: &str| {
            let (name, value) = text.split_once('=').expect(line);
            (name.to_owned(), unescaped(value).replace("%3A", ":").replace("%2C", ",").replace("%25", "%"))
        };
        Self {
            level: level.to_owned(),
            properties: properties.split(',').map(property).collect(),
            message: unescaped(message).replace("%25", "%"),
        }
    }

    fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Returns the text with the line breaks that were escaped.
fn unescaped(text: &str) -> String {
    text.replace("%0D", "\r").replace("%0A", "\n")
}

fn commands(run: &Run) -> Vec<WorkflowCommand> {
    run.github.lines().map(WorkflowCommand::parse).collect()
}

#[test]
fn the_toolkit_prints_the_same_commands() {
    let Some(npm) = validators::npm() else { return };
    let runs = runs::runs();
    let lines: Vec<&str> = runs.iter().flat_map(|run| run.github.lines()).collect();
    let annotations: Vec<Value> = lines
        .iter()
        .map(|line| {
            let WorkflowCommand { level, properties, message } = WorkflowCommand::parse(line);
            json!({"level": level, "properties": properties, "message": message})
        })
        .collect();
    let printed = npm.workflow_commands(&json!(annotations));
    assert_eq!(printed.len(), 2 * lines.len());
    let sorted = |line: &str| {
        let WorkflowCommand { level, properties, message } = WorkflowCommand::parse(line);
        (level, properties.into_iter().collect::<BTreeMap<_, _>>(), message)
    };
    for (line, printed) in lines.iter().zip(printed.chunks(2)) {
        assert_eq!(*line, printed[0]);
        // The function for actions prints the properties in another order.
        assert_eq!(sorted(line), sorted(&printed[1]));
    }
}

#[test]
fn every_finding_is_an_annotation() {
    for run in runs::runs() {
        let commands = commands(&run);
        assert_eq!(commands.len(), run.findings().len() + run.errors().len(), "{}", run.name);
        // Findings and errors may be mixed; each are in the order of the JSON report.
        let (errors, annotations): (Vec<_>, Vec<_>) =
            commands.iter().partition(|command| run.errors().iter().any(|error| is_about(command, error)));
        assert_eq!(errors.len(), run.errors().len(), "{}", run.name);
        for (command, finding) in annotations.into_iter().zip(run.findings()) {
            let case = format!("{}: {command:?}\n{finding}", run.name);
            let level = match finding["action"].as_str().unwrap() {
                "deny" => "error",
                "warn" => "warning",
                _ => "notice",
            };
            assert_eq!(command.level, level, "{case}");
            assert_eq!(command.property("file"), path(finding), "{case}");
            let number = |name: &str| command.property(name).map(|number| number.parse::<u64>().expect(number));
            assert!(number("line").unwrap() >= finding["line"].as_u64().unwrap(), "{case}");
            assert!(number("endLine").is_none_or(|end| end >= number("line").unwrap()), "{case}");
            assert!(number("endColumn").is_none_or(|end| end > number("col").unwrap()), "{case}");
            if run.name != "control-characters" {
                assert!(command.message.contains(finding["message"].as_str().unwrap()), "{case}");
            }
            if let Some(rule) = finding["rule"].as_str() {
                assert!(command.property("title").unwrap().contains(rule), "{case}");
            }
        }
    }
}

/// Returns the file of a finding or an error as GitHub needs it, relative to the root of the repository.
fn path(of: &Value) -> Option<&str> {
    of["file"].as_str().map(|file| if file == "standard input" { "stdin" } else { file.trim_start_matches("./") })
}

/// Whether a command reports an input that cannot be read.
fn is_about(command: &WorkflowCommand, error: &Value) -> bool {
    command.level == "error"
        && command.property("file") == path(error)
        && error["message"].as_str().unwrap() == command.message
}

/// The runner reads commands anywhere in the output. Values of an object cannot make one.
#[test]
fn a_value_makes_no_command_of_its_own() {
    let runs = runs::runs();
    let run = runs.iter().find(|run| run.name == "control-characters").unwrap();
    assert_eq!((run.github.lines().count(), run.findings().len()), (1, 1));
    assert!(!run.github.trim_end().contains(|c: char| c.is_control()), "{:?}", run.github);
}

#[test]
fn the_summary_of_the_job_is_appended() {
    let folder = Folder::new();
    fs::write(folder.join("scan.yaml"), runs::document(runs::WRONG)).unwrap();
    fs::write(folder.join("summary.md"), "# Earlier steps\n\n").unwrap();
    let check = |outputs: &[&str]| {
        let mut command = runs::check(&folder);
        command.env("GITHUB_STEP_SUMMARY", folder.join("summary.md")).args(outputs).arg("scan.yaml");
        assert_eq!(command.output().unwrap().status.code(), Some(1));
        fs::read_to_string(folder.join("summary.md")).unwrap()
    };
    // The other formats write none.
    assert_eq!(check(&["-o", "json"]), "# Earlier steps\n\n");
    let once = check(&["-o", "github"]);
    assert!(once.starts_with("# Earlier steps\n\n") && once.contains("phase-unknown"), "{once}");
    let twice = check(&["-o", "github", "-o", "sarif=scans.sarif"]);
    assert_eq!(twice.matches("phase-unknown").count(), 2 * once.matches("phase-unknown").count());
    assert!(twice.starts_with(&once));
}
