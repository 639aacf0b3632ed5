//! Tests the table of checks. tests/cluster/doctor.rs sabotages an installation for each of them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use scan_admission::config::Config;
use scan_admission::doctor::CHECKS;
use scan_admission::engine::Mode;
use scan_admission::rules::RULES;

#[test]
fn every_check_has_a_unique_id_and_complete_texts() {
    let mut ids = BTreeSet::new();
    for check in CHECKS.iter().copied().flatten() {
        assert!(ids.insert(check.id), "{} is not unique", check.id);
        assert!(check.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{} is not a valid anchor", check.id);
        for text in [check.title, check.causes, check.remedy] {
            assert!(text.ends_with(['.', '`']) && !text.contains("  "), "{}: {text}", check.id);
        }
    }
    assert!(ids.len() >= 20);
}

/// docs/install.md starts with a configuration that sets every rule to warn, except for the one that is off without a
/// list of status writers.
#[test]
fn the_first_configuration_of_the_docs_sets_every_rule_to_warn() {
    let page = fs::read_to_string("docs/install.md").unwrap();
    let line = page.lines().find(|line| line.starts_with("$ scan-admission rules -o json | jq")).unwrap();
    let command = line["$ ".len()..]
        .strip_suffix(" > manifests/mine/config.yaml")
        .unwrap()
        .replace("scan-admission", env!("CARGO_BIN_EXE_scan-admission"));
    if Command::new("jq").arg("--version").output().is_err() {
        eprintln!("skipped: no jq on this machine");
        return;
    }
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let config = Config::read(&output.stdout).unwrap_or_else(|fault| panic!("{fault:?}"));
    let modes: Vec<_> = config.settings.modes.iter().map(|setting| (setting.rule, setting.mode)).collect();
    let due: Vec<_> =
        RULES.iter().filter(|rule| rule.id != "status-writer").map(|rule| (rule.id, Mode::Warn)).collect();
    assert_eq!(modes.len(), due.len());
    assert!(due.iter().all(|setting| modes.contains(setting)), "{modes:?}");
}
