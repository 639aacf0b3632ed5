//! Tests the reports in JUnit XML.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::runs::{self, Run};
use super::validators;

/// Returns the cases of all suites, each with the name of its suite.
fn cases(report: &Value) -> Vec<(&str, &Value)> {
    let suites = report["suites"].as_array().unwrap();
    suites
        .iter()
        .flat_map(|suite| {
            let cases = suite["cases"].as_array().unwrap();
            cases.iter().map(|case| (suite["name"].as_str().unwrap(), case))
        })
        .collect()
}

fn count(run: &Run, name: &str) -> usize {
    usize::try_from(run.json["counts"][name].as_u64().unwrap()).unwrap()
}

/// The counts are those of the JSON report: a case is a scan, a failure is a scan that is denied.
#[test]
fn reports_are_valid_and_count_scans() {
    let Some(python) = validators::python() else { return };
    let runs = runs::runs();
    let files: Vec<PathBuf> = runs.iter().map(Run::junit_file).collect();
    let (errors, reports) = python.junit(&files);
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
    for (run, report) in runs.iter().zip(&reports) {
        let cases = cases(report);
        let of_kind = |kind: &str| {
            let has = |case: &Value| case["results"].as_array().unwrap().iter().any(|result| result["kind"] == kind);
            cases.iter().filter(|(_, case)| has(case)).count()
        };
        let scans = cases.iter().filter(|(_, case)| !case["classname"].is_null()).count();
        assert_eq!(scans, count(run, "scans"), "{}", run.name);
        assert_eq!(of_kind("failure"), count(run, "denied"), "{}", run.name);
        assert_eq!(of_kind("error"), count(run, "errors"), "{}", run.name);
        assert_eq!(of_kind("skipped"), 0, "{}", run.name);
        let total = |name: &str| usize::try_from(report["totals"][name].as_u64().unwrap()).unwrap();
        let totals = ["tests", "failures", "errors", "skipped"].map(total);
        assert_eq!(totals, [cases.len(), of_kind("failure"), of_kind("error"), 0], "{}", run.name);
        let of_suites = |name: &str| {
            let suites = report["suites"].as_array().unwrap();
            suites.iter().map(|suite| usize::try_from(suite["totals"][name].as_u64().unwrap()).unwrap()).sum::<usize>()
        };
        assert_eq!(["tests", "failures", "errors", "skipped"].map(of_suites), totals, "{}", run.name);
    }
}

/// Each error is in a failure and each warning in the output of the case of its scan, in the suite of its file.
#[test]
fn every_finding_is_in_the_case_of_its_scan() {
    let Some(python) = validators::python() else { return };
    // A control character is not written as it is. The 6,000 findings would take long, and are counted elsewhere.
    let runs: Vec<Run> =
        runs::runs().into_iter().filter(|run| !["control-characters", "names", "many"].contains(&run.name)).collect();
    let files: Vec<PathBuf> = runs.iter().map(Run::junit_file).collect();
    let (_, reports) = python.junit(&files);
    for (run, report) in runs.iter().zip(&reports) {
        let mut texts: BTreeMap<(&str, &str), String> = BTreeMap::new();
        for (suite, case) in cases(report) {
            let text = texts.entry((suite, case["name"].as_str().unwrap())).or_default();
            for result in case["results"].as_array().unwrap() {
                *text += &format!("failed: {}\n", result["text"].as_str().unwrap_or_default());
            }
            *text += &format!("printed: {}\n", case["system_out"].as_str().unwrap_or_default());
        }
        for finding in run.findings() {
            let of = |name: &str| finding[name].as_str().unwrap_or_default();
            let is_there = texts.iter().any(|((suite, case), text)| {
                let (failed, printed) = text.split_once("printed: ").unwrap();
                let place = if of("action") == "deny" { failed } else { printed };
                *suite == of("file") && case.contains(of("name")) && place.contains(of("message"))
            });
            assert!(is_there, "{}: {finding}", run.name);
        }
    }
}
