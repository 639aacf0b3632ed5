//! Tests the reports in SARIF.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use scan_admission::rules::RULES;
use serde_json::{Value, json};

use super::runs::{self, MANY, Run};
use super::{validators, written};
use crate::support::folder::Folder;

/// The most results that GitHub shows of a file.
const RESULTS_MAX: usize = 5_000;

fn results(sarif: &Value) -> &Vec<Value> {
    sarif["runs"][0]["results"].as_array().unwrap()
}

fn location(result: &Value) -> &Value {
    &result["locations"][0]["physicalLocation"]
}

fn fingerprint(result: &Value) -> String {
    result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().to_owned()
}

/// Returns a place of a region, as line and column.
fn place(region: &Value, line: &str, column: &str) -> (usize, usize) {
    let number = |name: &str| usize::try_from(region[name].as_u64().unwrap_or_else(|| panic!("{region}"))).unwrap();
    (number(line), number(column))
}

/// A text in which lines are found.
struct Lines<'a> {
    text: &'a str,
    lines: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, lines: text.split('\n').collect() }
    }

    /// Returns the byte at which a line and a column of code points begin, both from 1.
    fn offset(&self, (line, column): (usize, usize)) -> usize {
        let text = self.lines.get(line - 1).unwrap_or_else(|| panic!("there is no line {line}"));
        assert!(text.chars().count() >= column - 1, "{line}:{column} is not in {text:?}");
        let line_start = text.as_ptr().addr() - self.text.as_ptr().addr();
        line_start + text.chars().take(column - 1).map(char::len_utf8).sum::<usize>()
    }

    /// Returns the bytes of a region.
    fn bytes(&self, region: &Value) -> Range<usize> {
        let start = self.offset(place(region, "startLine", "startColumn"));
        let end = self.offset(place(region, "endLine", "endColumn"));
        assert!(start <= end, "{region}");
        start..end
    }
}

/// Decodes a percent-encoded path.
fn decoded(uri: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = uri.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn reports_are_valid_for_the_standard_and_for_github() {
    let (Some(npm), Some(python)) = (validators::npm(), validators::python()) else { return };
    let runs = runs::runs();
    let reports: Vec<PathBuf> = runs.iter().map(Run::sarif_file).collect();
    let problems = [npm.sarif_problems(&reports), python.schema_errors(&npm.sarif_schema(), &reports)].concat();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems[..problems.len().min(20)].join("\n"));
}

/// The findings are those of the JSON report, the errors first.
#[test]
fn results_are_the_findings() {
    for run in runs::runs() {
        let (sarif, name) = (run.sarif(), run.name);
        let results = results(&sarif);
        let mut findings: Vec<&Value> = run.findings().iter().collect();
        let severity =
            |finding: &&Value| ["deny", "warn", "audit"].iter().position(|action| finding["action"] == *action);
        findings.sort_by_key(severity);
        assert_eq!(results.len(), findings.len().min(RESULTS_MAX), "{name}");
        for (result, finding) in results.iter().zip(findings) {
            let level = match finding["action"].as_str().unwrap() {
                "deny" => "error",
                "warn" => "warning",
                _ => "note",
            };
            let case = format!("{name}: {result}\n{finding}");
            assert_eq!(result["level"], level, "{case}");
            let rules = &sarif["runs"][0]["tool"]["driver"]["rules"];
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"], "{case}");
            assert!(finding["rule"].is_null() || finding["rule"] == result["ruleId"], "{case}");
            let artifact = &location(result)["artifactLocation"];
            assert_eq!(artifact["uriBaseId"], "%SRCROOT%", "{case}");
            let file = finding["file"].as_str().unwrap();
            let expected = if file == "standard input" { "stdin" } else { file.trim_start_matches("./") };
            assert_eq!(decoded(artifact["uri"].as_str().unwrap()), expected, "{case}");
            let line = place(&location(result)["region"], "startLine", "startColumn").0;
            assert!(u64::try_from(line).unwrap() >= finding["line"].as_u64().unwrap(), "{case}");
        }
        let run = &sarif["runs"][0];
        assert_eq!(run["columnKind"], "unicodeCodePoints", "{name}");
    }
}

#[test]
fn every_region_is_in_its_file_and_every_fingerprint_occurs_once() {
    for run in runs::runs() {
        let sarif = run.sarif();
        let texts: BTreeMap<&str, Lines<'_>> =
            run.inputs.iter().map(|(file, text)| (file.as_str(), Lines::new(text))).collect();
        let mut fingerprints = BTreeSet::new();
        for result in results(&sarif) {
            let file = decoded(location(result)["artifactLocation"]["uri"].as_str().unwrap());
            let lines = texts.get(file.as_str()).or_else(|| texts.get("standard input")).unwrap();
            let region = lines.bytes(&location(result)["region"]);
            assert!(!lines.text[region].trim().is_empty(), "{}: {result}", run.name);
            assert!(fingerprints.insert((file, fingerprint(result))), "{}: {result}", run.name);
        }
    }
}

/// Returns the text at the region of the result of a rule.
fn text_at(sarif: &Value, text: &str, rule: &str) -> String {
    let result = results(sarif).iter().find(|result| result["ruleId"] == rule).unwrap();
    text[Lines::new(text).bytes(&location(result)["region"])].to_owned()
}

#[test]
fn a_region_is_the_value_or_the_container_of_an_absent_value() {
    let json = "{\"apiVersion\": \"scanning.apps.tanzu.vmware.com/v1beta1\", \"kind\": \"SourceScan\",\n\
                \"metadata\": {\"name\": \"é\"},\n\"spec\": {\"blob\": {\"url\": \"https://example.com/a\"}},\n\
                \"status\": {\"a\": \"éé\", \"phase\": \"Complete\",\n\"cveCount\": {\"critical\": 1, \"total\": 3}}}\n";
    let yaml = "apiVersion: scanning.apps.tanzu.vmware.com/v1beta1\nkind: SourceScan\nmetadata: {name: a}\nspec:\n  blob:\n\
                \x20   url: https://example.com/a\nstatus: {\"a\": \"éé\", phase: Complete # a comment\n  ,\n  cveCount:\n\
                \x20 {critical: 1, total: 3}}\n";
    let block_spec = "blob:\n    url: https://example.com/a";
    let flow_spec = "{\"blob\": {\"url\": \"https://example.com/a\"}}";
    for (file, text, phase, spec) in [
        ("a.json", json, "\"Complete\"", flow_spec),
        ("a.yaml", json, "\"Complete\"", flow_spec),
        ("b.yaml", yaml, "Complete", block_spec),
        ("c.yaml", &yaml.replace('\n', "\r\n"), "Complete", &block_spec.replace('\n', "\r\n")),
    ] {
        let run = runs::run("regions", &[(file, text.to_owned())], &[file], "");
        let sarif = run.sarif();
        assert_eq!(text_at(&sarif, text, "phase-unknown"), phase, "{file}");
        assert_eq!(text_at(&sarif, text, "cve-total"), "3", "{file}");
        assert_eq!(text_at(&sarif, text, "scan-template").trim_end(), spec, "{file}");
    }
}

#[test]
fn every_rule_is_described() {
    let sarif = runs::run("none", &[("clean.yaml", runs::document("{}"))], &["clean.yaml"], "").sarif();
    let described = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for rule in RULES {
        let described = described.iter().find(|described| described["id"] == rule.id);
        let described = described.unwrap_or_else(|| panic!("{} is missing", rule.id));
        for place in ["shortDescription/text", "fullDescription/text", "help/text", "help/markdown", "helpUri"] {
            let text = described.pointer(&format!("/{place}"));
            assert!(text.and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "{}: {place}", rule.id);
        }
        let level = described["defaultConfiguration"]["level"].as_str().unwrap();
        assert!(["error", "warning"].contains(&level), "{}: {level}", rule.id);
    }
}

#[test]
fn results_above_the_limit_are_counted() {
    let runs = runs::runs();
    let run = runs.iter().find(|run| run.name == "many").unwrap();
    let sarif = run.sarif();
    let levels: Vec<_> = results(&sarif).iter().map(|result| result["level"].as_str().unwrap()).collect();
    assert_eq!(levels.iter().position(|level| *level == "warning"), Some(MANY / 2));
    let counts = sarif["runs"][0]["properties"].as_object().unwrap();
    assert!(counts.values().any(|count| *count == json!(MANY - RESULTS_MAX)), "{counts:?}");
}

#[test]
fn an_unreadable_input_is_a_notification() {
    for run in runs::runs() {
        let invocation = &run.sarif()["runs"][0]["invocations"][0];
        let notifications = invocation["toolExecutionNotifications"].as_array().cloned().unwrap_or_default();
        assert_eq!(invocation["executionSuccessful"], run.errors().is_empty(), "{}", run.name);
        assert_eq!(notifications.len(), run.errors().len(), "{}", run.name);
        assert!(notifications.iter().all(|notification| notification["level"] == "error"), "{}", run.name);
        if run.name == "unreadable" {
            assert_eq!((run.code, notifications.len()), (2, 2));
        }
    }
}

/// A code review shows one alert for the finding, also after lines and objects were inserted before it.
#[test]
fn a_finding_has_the_same_fingerprint_after_it_moved() {
    let fingerprints = |text: String| {
        let sarif = runs::run("moved", &[("scans.yaml", text)], &["scans.yaml"], "").sarif();
        let of = |result: &Value| (result["message"]["text"].as_str().unwrap().to_owned(), fingerprint(result));
        results(&sarif).iter().map(of).collect::<BTreeSet<_>>()
    };
    let wrong = runs::document(runs::WRONG);
    let other = runs::document(&runs::WRONG.replace("\"wrong\"", "\"other\""));
    let before = fingerprints(wrong.clone());
    assert_eq!(before.len(), 3);
    assert_eq!(fingerprints(format!("# a comment\n\n{wrong}")), before);
    assert!(fingerprints(format!("{other}---\n{wrong}")).is_superset(&before));
    // Another value is the same alert, too.
    let values = |of: &BTreeSet<(String, String)>| of.iter().map(|(_, value)| value.clone()).collect::<BTreeSet<_>>();
    let another = fingerprints(wrong.replace("\"Complete\"", "\"Done\""));
    assert!(another != before && values(&another) == values(&before));
}

/// Applies each fix to its file alone. Then this finding is gone, and no other error has come. Warnings may come, since a
/// condition that lacks a time is not judged further.
#[test]
fn a_fix_repairs_its_finding() {
    let mut fixed_rules = BTreeSet::new();
    for run in runs::runs().iter().filter(|run| !["pipe", "named-pipe", "many"].contains(&run.name)) {
        for result in results(&run.sarif()).iter().filter(|result| !result["fixes"].is_null()) {
            let file = decoded(location(result)["artifactLocation"]["uri"].as_str().unwrap());
            let (_, text) = run.inputs.iter().find(|(name, _)| *name == file).unwrap();
            let fixed = with_fix(text, &result["fixes"][0]);
            let (before, after) = (found(text), found(&fixed));
            let rule = result["ruleId"].as_str().unwrap();
            let is_repaired = before.difference(&after).any(|(repaired, ..)| repaired == rule);
            let is_worse = after.difference(&before).any(|(.., level)| level == "error");
            assert!(is_repaired && !is_worse, "{}: {result}\n{text}\n{fixed}", run.name);
            fixed_rules.insert(rule.to_owned());
        }
    }
    let mutating = RULES.iter().filter(|rule| rule.mutate.is_some()).map(|rule| rule.id.to_owned());
    assert!(fixed_rules.len() > 1 && fixed_rules.is_subset(&mutating.collect()), "{fixed_rules:?}");
}

/// Returns the rule, the fingerprint and the level of each finding in a file.
fn found(text: &str) -> BTreeSet<(String, String, String)> {
    let run = runs::run("fixed", &[("scan.yaml", text.to_owned())], &["scan.yaml"], "");
    let of = |result: &Value| {
        let member = |name: &str| result[name].as_str().unwrap().to_owned();
        (member("ruleId"), fingerprint(result), member("level"))
    };
    results(&run.sarif()).iter().map(of).collect()
}

/// Returns the text with the replacements of a fix. The regions are those of the text before the fix.
fn with_fix(text: &str, fix: &Value) -> String {
    let lines = Lines::new(text);
    let mut edits: Vec<_> = fix["artifactChanges"][0]["replacements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edit| (lines.bytes(&edit["deletedRegion"]), edit["insertedContent"]["text"].as_str().unwrap_or_default()))
        .collect();
    edits.sort_by_key(|(range, _)| range.start);
    let mut fixed = text.to_owned();
    edits.into_iter().rev().for_each(|(range, text)| fixed.replace_range(range, text));
    fixed
}

/// An absolute path below the working directory becomes relative, as GitHub needs it. Another one is a file URI.
#[test]
fn an_absolute_path_is_relative_to_the_root_or_a_file_uri() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let file = written(&folder, "a b.yaml", runs::document(runs::WRONG));
    let artifact = |working_directory: &Folder| {
        let output = runs::check(working_directory).args(["-o", "sarif"]).arg(&file).output().unwrap();
        let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
        location(&results(&sarif)[0])["artifactLocation"].clone()
    };
    assert_eq!(artifact(&folder), json!({"uri": "a%20b.yaml", "uriBaseId": "%SRCROOT%"}));
    let outside = artifact(&elsewhere);
    let path = outside["uri"].as_str().unwrap().strip_prefix("file://").map(decoded);
    assert_eq!((path.as_deref(), outside.get("uriBaseId")), (file.to_str(), None));
}
