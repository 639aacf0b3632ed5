//! Compares the playground with the program, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use super::tools::{Shown, browse, judge, with_input};
use crate::support::folder::Folder;
use crate::support::program;
use crate::support::review_context::NOW;
use crate::support::review_edits::{captured, edited, edits};

/// The reviews that are compared in Node: the captured ones, each with as many damaged variants as are needed.
const REVIEWS: usize = 10_000;
const SEED: [u8; 32] = [23; 32];

/// Returns the answer of `review` to each review.
fn answers(webhook: &str, reviews: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    command.args(["review", "-o", "json", "--webhook", webhook, "--now", NOW]);
    program::clean(&mut command);
    // The exit code says that reviews are denied.
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$@\" || test $? -le 2", "sh"]).arg(command.get_program()).args(command.get_args());
    let output = with_input(shell, reviews.join("\n").into_bytes());
    String::from_utf8(output).unwrap().lines().map(str::to_owned).collect()
}

fn request(text: &str, write: &str) -> Value {
    json!({"text": text, "old": "", "write": write, "now": NOW, "user": "", "statusWriters": [], "modes": {}})
}

#[test]
fn the_page_answers_all_captured_reviews_as_the_program_does() {
    let reviews: BTreeMap<&str, &str> =
        captured().iter().map(|review| (review.name.as_str(), review.text.as_str())).collect();
    let Some(all) = browse::<BTreeMap<String, Shown>>("reviews", &reviews) else { return };
    let texts: Vec<&str> = reviews.values().copied().collect();
    for (webhook, of) in
        [("validating", (|it| &it.validating) as fn(&Shown) -> &String), ("mutating", |it| &it.mutating)]
    {
        let expected = answers(webhook, &texts);
        assert_eq!(expected.len(), all.len());
        for (name, expected) in reviews.keys().zip(expected) {
            assert_eq!(*of(&all[*name]), expected, "{webhook} {name}");
        }
    }
}

#[test]
fn ten_thousand_damaged_reviews_are_answered_in_node_as_by_the_program() {
    eprintln!("seed {SEED:?}");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut reviews: Vec<String> = captured().iter().map(|review| review.text.clone()).collect();
    for review in captured().iter().cycle() {
        let text = edited(&review.lean, &edits().new_tree(&mut runner).unwrap().current());
        // Without a request it is no review to the page, and without valid JSON it is none to the program.
        if serde_json::from_str::<Value>(&text).is_ok_and(|review| review.get("request").is_some()) {
            reviews.push(text);
        }
        if reviews.len() == REVIEWS {
            break;
        }
    }
    // Each is on a line of its own.
    let reviews: Vec<String> = reviews.iter().map(|text| text.replace('\n', " ")).collect();
    let requests: Vec<Value> = reviews.iter().map(|text| request(text, "status")).collect();
    let Some(judged) = judge(&requests, "answers") else { return };
    let texts: Vec<&str> = reviews.iter().map(String::as_str).collect();
    for webhook in ["validating", "mutating"] {
        let expected = answers(webhook, &texts);
        assert_eq!(expected.len(), REVIEWS);
        let mut denied = 0;
        for ((text, expected), judged) in texts.iter().zip(&expected).zip(&judged) {
            assert_eq!(judged[webhook].as_str(), Some(expected.as_str()), "{text}");
            denied += usize::from(expected.contains("\"allowed\":false"));
        }
        assert!(webhook == "mutating" || denied > REVIEWS / 10, "only {denied} are denied");
    }
}

/// The texts are those of the fixtures of `check`, and the examples as files.
#[test]
fn files_have_the_findings_of_check() {
    let folder = Folder::new();
    let mut texts = vec![
        fs::read_to_string("tests/fixtures/check/scans.yaml").unwrap(),
        fs::read_to_string("tests/fixtures/check/dump.yaml").unwrap(),
        fs::read_to_string("tests/fixtures/check/dump.json").unwrap(),
        fs::read_to_string("tests/fixtures/check/anchors.yaml").unwrap(),
        fs::read_to_string("tests/fixtures/check/broken.yaml").unwrap(),
        "phase: Complete\ncveCount: {low: 1, total: 2}\n".to_owned(),
        "a: b\n---\n[\n".to_owned(),
    ];
    for example in RULES.iter().flat_map(|rule| rule.examples) {
        texts.push(format!("{:#}\n", scan_admission::offline::example::object(example.new)));
    }
    let requests: Vec<Value> = texts.iter().map(|text| request(text, "file")).collect();
    let Some(findings) = judge(&requests, "findings") else { return };
    let Some(errors) = judge(&requests, "errors") else { return };
    let mut count = 0;
    for ((text, findings), errors) in texts.iter().zip(findings).zip(errors) {
        let file = folder.join("scan.yaml");
        fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
        command.current_dir(folder.path()).args([
            "check",
            "-o",
            "json",
            "--kind",
            "SourceScan",
            "--now",
            NOW,
            "scan.yaml",
        ]);
        program::clean(&mut command);
        let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        let members = ["line", "column", "path", "rule", "severity", "action", "downgraded", "message"];
        let only = |list: &Value, members: &[&str]| -> Vec<Vec<Value>> {
            list.as_array().unwrap().iter().map(|it| members.iter().map(|name| it[name].clone()).collect()).collect()
        };
        assert_eq!(only(&findings, &members), only(&report["findings"], &members), "{text}");
        let members = ["line", "column", "message"];
        assert_eq!(only(&errors, &members), only(&report["errors"], &members), "{text}");
        count += findings.as_array().unwrap().len();
    }
    assert!(count > 200, "{count}");
}
