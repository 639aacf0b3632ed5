//! What monitors, alerts and the dashboard name is there; each alert fires when it should; the runbook knows each.
#[path = "support/client.rs"]
mod client;
#[path = "support/folder.rs"]
mod folder;
#[path = "docs/page.rs"]
mod page;
#[path = "support/process.rs"]
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use client::{Client, get};
use folder::{Folder, fixture};
use process::{Process, command};
use serde_json::Value;

/// What Prometheus adds to every sample, and what a quantile needs.
const TARGET: [&str; 4] = ["namespace", "job", "instance", "pod"];

fn rules() -> Vec<Value> {
    let text = fs::read_to_string("manifests/monitoring/prometheusrule.yaml").unwrap();
    let rule: Value = serde_saphyr::from_str(&text).unwrap();
    rule["spec"]["groups"][0]["rules"].as_array().unwrap().clone()
}

fn expressions() -> Vec<String> {
    let text = fs::read_to_string("manifests/monitoring/dashboard.json").unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter().map(|panel| &panel["targets"][0]["expr"]);
    let rules = rules();
    let all = rules.iter().map(|rule| &rule["expr"]).chain(panels);
    all.map(|expr| expr.as_str().unwrap().to_owned()).collect()
}

/// The labels of each metric that an exposition has.
fn exposed(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let labels = all.entry(line[..end].to_owned()).or_default();
        let inside =
            line[end..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(labels, _)| labels);
        labels.extend(inside.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned())));
    }
    all
}

/// Metrics with our prefix or the API server's, with the labels that the expression matches.
fn named(expr: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(start) = ["scan_admission_", "apiserver_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        let label = |part: &str| part.trim().split(|c| !is_word(c)).next().unwrap_or_default().to_owned();
        found.push((name, inside.split(',').map(label).filter(|label| !label.is_empty()).collect()));
    }
    found
}

fn grouped(expr: &str) -> Vec<String> {
    let lists = expr.split(" by (").skip(1).map(|rest| rest.split(')').next().unwrap());
    lists.flat_map(|list| list.split(", ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_metric_and_label_exists() {
    let folder = Folder::new();
    // So that there is a digest to tell.
    fs::write(folder.join("config.yaml"), "").unwrap();
    let server = Process::start(command(folder.path(), &["--config=config.yaml"]), folder.join("errors"));
    let review = fixture("sourcescan-failed-5-completed.validate.json");
    Client::new(&folder.join("certs/ca.crt"), server.address, "http/1.1").await.post("/validate", review).await;
    let all = exposed(&String::from_utf8(get(server.admin, "/metrics").await.body).unwrap());
    for expr in expressions() {
        let named = named(&expr);
        for (name, labels) in named.iter().filter(|(name, _)| name.starts_with("scan_admission_")) {
            let there = all.get(name).unwrap_or_else(|| panic!("no {name} in /metrics: {expr}"));
            for label in labels.iter().chain(&grouped(&expr)) {
                assert!(there.contains(label) || TARGET.contains(&label.as_str()), "{name} has no {label}: {expr}");
            }
        }
    }
    // The changelog lists the old names, too.
    for page in page::pages().into_iter().filter(|page| page.path != "CHANGELOG.md") {
        let text = fs::read_to_string(&page.path).unwrap();
        for (name, _) in named(&text).iter().filter(|(name, _)| name.starts_with("scan_admission_")) {
            // Of a histogram the pages name the whole.
            let is_there = all.contains_key(name) || all.contains_key(&format!("{name}_count"));
            assert!(is_there || name.ends_with('_'), "{} names {name}, which is not in /metrics", page.path);
        }
    }
}

#[test]
fn the_runbook_has_a_section_for_each_alert() {
    let runbook = fs::read_to_string("docs/runbook.md").unwrap();
    // The other headings are messages, in backticks.
    let headings = runbook.lines().filter_map(|line| line.strip_prefix("### "));
    let sections: Vec<_> = headings.filter(|heading| !heading.starts_with('`')).collect();
    let rules = rules();
    let alerts: Vec<_> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(sections, alerts);
    for rule in &rules {
        let anchor = rule["alert"].as_str().unwrap().to_lowercase();
        assert_eq!(rule["annotations"]["runbook_url"], format!("docs/runbook.md#{anchor}"));
    }
}

#[test]
fn each_alert_fires_on_what_it_should_and_on_nothing_else() {
    let go = env::var_os("GO").unwrap_or_else(|| "go".into());
    if Command::new(&go).arg("version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "no Go to evaluate the alerts with: install Go 1.26 or newer");
        eprintln!("not tested: no Go to evaluate the alerts with");
        return;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("monitoring");
    let built = Command::new(&go)
        .current_dir("tests/monitoring")
        .args(["build", "-trimpath", "-buildvcs=false", "-gcflags=all=-l -dwarf=false", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let said = Command::new(program)
        .args(["manifests/monitoring/prometheusrule.yaml", "tests/monitoring/cases.yaml"])
        .arg("manifests/monitoring/dashboard.json")
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}
