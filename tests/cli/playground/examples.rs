//! Tests the examples of every rule on the page: their findings, and what their mutations write.

use std::collections::BTreeMap;

use scan_admission::engine::{Expectation, Part};
use scan_admission::manifest::{Documents, Manifest};
use scan_admission::offline::example::{findings, object};
use scan_admission::rules::RULES;
use serde::Deserialize;
use serde_json::{Value, json};

use super::tools::{Shown, browse, judge};
use crate::support::fixtures::fixture;
use crate::support::review_context::NOW;

/// Returns the names of the examples for which `is` holds, as links have them.
fn names(is: impl Fn(&Expectation) -> bool) -> Vec<String> {
    let of_rule = |rule: &'static scan_admission::engine::Rule| {
        rule.examples.iter().enumerate().map(move |(index, example)| (format!("{}/{}", rule.id, index + 1), example))
    };
    RULES.iter().flat_map(of_rule).filter(|(_, example)| is(&example.expect)).map(|(name, _)| name).collect()
}

/// Returns findings without what `check` adds about a value that YAML reads as another type.
fn without_hints(findings: Vec<String>) -> Vec<String> {
    let without = |finding: String| match finding.split_once("; quote it, since YAML reads ") {
        Some((finding, rest)) => format!("{finding} [{}", rest.split_once(" [").unwrap().1),
        None => finding,
    };
    findings.into_iter().map(without).collect()
}

#[test]
fn each_example_of_each_rule_shows_its_findings() {
    let names = names(|_| true);
    let Some(all) = browse::<BTreeMap<String, Shown>>("examples", &names) else { return };
    assert_eq!(all.len(), names.len());
    for rule in RULES {
        for (index, example) in rule.examples.iter().enumerate() {
            let name = format!("{}/{}", rule.id, index + 1);
            let shown = &all[&name];
            assert_eq!(without_hints(shown.of_rule(rule.id)), findings(rule, example), "{name}");
            let of_rule = shown.findings.iter().filter(|finding| finding.rule == rule.id);
            let actions: Vec<&str> = of_rule.clone().map(|finding| finding.action.as_str()).collect();
            let (expected, denies) = match example.expect {
                Expectation::Passes | Expectation::Mutates(_) => (&[][..], false),
                Expectation::Warns(_) => (&["warn"][..], false),
                Expectation::Denies(_) => (&["deny"][..], true),
            };
            if matches!(example.expect, Expectation::Mutates(_)) {
                assert!(shown.diff.iter().any(|line| line.starts_with('+')), "{name}: {:?}", shown.diff);
            } else {
                assert_eq!(actions, expected, "{name}");
            }
            // Every finding has a mark at its line, in words too.
            for finding in of_rule {
                let line = finding.line.strip_prefix("Line ").unwrap();
                assert!(
                    shown.marks.iter().any(|mark| mark.split_whitespace().last() == Some(line)),
                    "{name}: {shown:?}"
                );
                assert!(finding.badge.ends_with("error") || finding.badge.ends_with("warning"), "{name}");
            }
            assert!(!denies || shown.summary.contains("the write is denied"), "{name}: {}", shown.summary);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TakenOver {
    #[serde(flatten)]
    shown: Shown,
    /// Whether there is something left to take over.
    is_left: bool,
}

#[test]
fn the_mutations_that_are_taken_over_give_a_clean_status() {
    let examples = names(|expect| matches!(expect, Expectation::Mutates(_)));
    // A stored scan without its derived fields.
    let review: Value = serde_json::from_slice(&fixture("sourcescan-failed-5-completed.validate.json")).unwrap();
    let mut scan = review["request"]["object"].clone();
    for (container, member) in [
        ("/status/cveCount", "total"),
        ("/status/cveCount", "unknown"),
        ("/status", "scannedAt"),
        ("/status/conditions/0", "reason"),
    ] {
        scan.pointer_mut(container).unwrap().as_object_mut().unwrap().remove(member).unwrap();
    }
    let texts = json!({"a stored scan": format!("{scan:#}\n")});
    let input = json!({"examples": examples, "texts": texts});
    let Some(all) = browse::<BTreeMap<String, TakenOver>>("mutations", &input) else { return };
    assert_eq!(all.len(), examples.len() + 1);
    let stored = &all["a stored scan"];
    assert_eq!(stored.shown.summary, "No findings: the scan agrees with itself.");
    assert!(!stored.is_left);
    let mut documents = Documents::new(stored.shown.text.as_bytes());
    let document = documents.next_document().unwrap().unwrap();
    let fixed: Value = serde_json::from_str(Manifest::read(&document).unwrap().json()).unwrap();
    assert_eq!(fixed, review["request"]["object"]);
    for name in &examples {
        let (rule, number) = name.split_once('/').unwrap();
        let rule = RULES.iter().find(|known| known.id == rule).unwrap();
        let example = &rule.examples[number.parse::<usize>().unwrap() - 1];
        let TakenOver { shown, is_left } = &all[name];
        // Of a message with a number, only the number of the CVEs is known to the controller, so it is left as a warning.
        let is_error = |finding: &super::tools::ShownFinding| finding.rule == rule.id && finding.action == "deny";
        assert!(!is_left && !shown.findings.iter().any(is_error), "{name}: {shown:?}");
        let Expectation::Mutates(patch) = example.expect else { unreachable!() };
        let mut documents = Documents::new(shown.text.as_bytes());
        let document = documents.next_document().unwrap().unwrap();
        let written: Value = serde_json::from_str(Manifest::read(&document).unwrap().json()).unwrap();
        for operation in serde_json::from_str::<Vec<Value>>(patch).unwrap() {
            let path = operation["path"].as_str().unwrap();
            assert_eq!(written.pointer(path), Some(&operation["value"]), "{name} {path}");
        }
    }
}

/// The record of what kubectl printed on a real API server has the examples with a finding, each after `## rule: title`.
#[test]
fn kubectl_prints_what_was_recorded_on_a_real_api_server() {
    let record = std::fs::read_to_string("tests/fixtures/cluster/denials.txt").unwrap();
    let mut requests = Vec::new();
    let mut recorded = Vec::new();
    for rule in RULES.iter().filter(|rule| matches!(rule.part, Part::Status | Part::Create)) {
        for example in rule.examples {
            let head = format!("\n## {}: {}\n", rule.id, example.title);
            let Some((_, entry)) = record.split_once(&head) else { continue };
            let lines: Vec<&str> = entry.lines().take_while(|line| !line.starts_with("## ")).collect();
            let of = |name: &str| lines.iter().filter_map(|line| line.strip_prefix(name)).collect::<Vec<_>>();
            recorded.push((head.clone(), [of("stderr| "), of("stdout| ")].concat()));
            // The scan has the name of its example, and all times have passed.
            let name = format!(
                "{}.{}",
                rule.id,
                example.title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
            );
            let text = |members: &str| {
                let mut scan = object(&members.replace("\"2026-", "\"2020-"));
                scan["metadata"]["name"] = name.as_str().into();
                scan.to_string()
            };
            requests.push(json!({
                "text": text(example.new), "old": example.old.map(text).unwrap_or_default(),
                "write": if rule.part == Part::Create { "create" } else { "status" },
                "now": NOW, "user": "", "statusWriters": [], "modes": {},
            }));
        }
    }
    let Some(all) = judge(&requests, "kubectl") else { return };
    assert!(recorded.len() > 80, "{}", recorded.len());
    for ((head, expected), printed) in recorded.iter().zip(all) {
        let lines: Vec<&str> = printed["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(&lines, expected, "{head}");
    }
}
