//! The table of checks. tests/cluster sabotages an installation for each of them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use scan_admission::config::Config;
use scan_admission::doctor::CHECKS;
use scan_admission::engine::Mode;
use scan_admission::rules::RULES;

#[test]
fn every_check_says_something_under_a_name_of_its_own() {
    let mut ids = BTreeSet::new();
    for check in CHECKS.iter().copied().flatten() {
        assert!(ids.insert(check.id), "{} comes twice", check.id);
        assert!(check.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{} is no anchor", check.id);
        for text in [check.title, check.causes, check.remedy] {
            assert!(text.ends_with(['.', '`']) && !text.contains("  "), "{}: {text}", check.id);
        }
    }
    assert!(ids.len() >= 20);
}

/// What docs/install.md has for the beginning: a configuration with every rule at warn, but for
/// the one that is off without a list of writers.
#[test]
fn the_configuration_for_the_beginning_sets_every_rule_to_warn() {
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
