//! Tests the reports of `check` with programs that others wrote, which read the formats.

mod in_ci;
mod junit;
mod runs;
mod sarif;
mod schema;
pub mod validators;
mod workflow_commands;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::folder::Folder;

/// A report in SARIF with one result, as small as the validator allows.
fn sarif() -> Value {
    let region = json!({"startLine": 9, "startColumn": 37, "endLine": 9, "endColumn": 39});
    json!({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{
        "tool": {"driver": {
            "name": "scan-admission", "version": "0.1.0", "informationUri": "https://example.com/",
            "rules": [{
                "id": "cve-total",
                "shortDescription": {"text": "The total is the sum."},
                "fullDescription": {"text": "The total is the sum of the severities."},
                "help": {"text": "Set the total to the sum."},
            }],
        }},
        "results": [{
            "ruleId": "cve-total", "ruleIndex": 0, "level": "error", "message": {"text": "must be 23"},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": "my%20scans/a.yaml", "uriBaseId": "%SRCROOT%"}, "region": region,
            }}],
        }],
    }]})
}

/// Writes a report to a folder and returns its path.
fn written(folder: &Folder, name: &str, report: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, report).unwrap();
    path
}

/// Each damage is one that GitHub, or the standard, does not allow.
#[test]
fn the_validator_of_sarif_finds_damage() {
    let (Some(npm), Some(python)) = (validators::npm(), validators::python()) else { return };
    let folder = Folder::new();
    let right = written(&folder, "right.sarif", sarif().to_string());
    assert_eq!(npm.sarif_problems(std::slice::from_ref(&right)), [""; 0]);
    assert_eq!(python.schema_errors(&npm.sarif_schema(), &[right]), [""; 0]);

    let result = "/runs/0/results/0";
    let mut reports = Vec::new();
    let damage = [
        ("GH1015", format!("{result}/locations"), json!([])),
        ("SARIF2017", format!("{result}/locations/0/physicalLocation/region"), json!({})),
        ("JSON1008", format!("{result}/locations/0/physicalLocation/region/startLine"), json!(0)),
        ("SARIF1002", format!("{result}/locations/0/physicalLocation/artifactLocation/uri"), json!("my scans/a.yaml")),
        ("SARIF1009", format!("{result}/ruleIndex"), json!(1)),
        ("GH2012", "/runs/0/tool/driver/rules/0/help".to_owned(), json!({})),
        ("SARIF2005", "/runs/0/tool/driver/informationUri".to_owned(), Value::Null),
    ];
    for (rule, place, value) in &damage {
        let mut report = sarif();
        *report.pointer_mut(place).unwrap() = value.clone();
        reports.push(written(&folder, &format!("{rule}.sarif"), report.to_string()));
    }
    let problems = npm.sarif_problems(&reports);
    for (rule, ..) in damage {
        let is_found = |problem: &String| problem.contains(&format!("/{rule}.sarif: ")) && problem.contains(rule);
        assert!(problems.iter().any(is_found), "{rule} is not found in:\n{}", problems.join("\n"));
    }
    let [_, _, line, ..] = reports.as_slice() else { unreachable!() };
    let errors = python.schema_errors(&npm.sarif_schema(), std::slice::from_ref(line));
    assert!(errors.len() == 1 && errors[0].contains("startLine: 0 is less than"), "{errors:?}");
}

#[test]
fn the_readers_of_junit_find_damage() {
    let Some(python) = validators::python() else { return };
    let folder = Folder::new();
    let report = |case: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"1\" skipped=\"0\" failures=\"1\" errors=\"0\">\
             <testsuite name=\"a.yaml\" tests=\"1\" skipped=\"0\" errors=\"0\" failures=\"1\">{case}</testsuite></testsuites>"
        )
    };
    let case = "<testcase name=\"default/a\"><failure message=\"m\" type=\"cve-total\"/></testcase>";
    let (errors, read) = python.junit(&[written(&folder, "right.xml", report(case))]);
    assert_eq!((errors, &read[0]["totals"]["failures"]), (Vec::new(), &json!(1)));
    assert_eq!(read[0]["suites"][0]["cases"][0]["results"][0]["type"], "cve-total");
    let damaged = [
        written(&folder, "unnamed.xml", report(&case.replace("testcase name", "testcase classname"))),
        written(&folder, "control.xml", report(&case.replace("\"m\"", "\"\u{1b}\""))),
        written(&folder, "noncharacter.xml", report(&case.replace("\"m\"", "\"\u{fffe}\""))),
        written(&folder, "cut.xml", report("<testcase")),
    ];
    let (errors, _) = python.junit(&damaged);
    for file in damaged {
        let file = file.file_name().unwrap().to_str().unwrap();
        assert!(errors.iter().any(|error| error.contains(&format!("/{file}: "))), "{file} is right for {errors:?}");
    }
}

#[test]
fn the_toolkit_of_github_prints_commands() {
    let Some(npm) = validators::npm() else { return };
    let properties =
        json!([["file", "my scans/a,b:c%.yaml"], ["line", 3], ["col", 5], ["endColumn", 9], ["title", "t"]]);
    let printed = npm.workflow_commands(&json!([{"level": "error", "properties": properties, "message": "50%\r\n,:"}]));
    assert_eq!(
        printed,
        [
            "::error file=my scans/a%2Cb%3Ac%25.yaml,line=3,col=5,endColumn=9,title=t::50%25%0D%0A,:",
            "::error title=t,file=my scans/a%2Cb%3Ac%25.yaml,line=3,col=5,endColumn=9::50%25%0D%0A,:",
        ]
    );
}
