//! Replays the committed inputs of the fuzz targets of files.

use std::path::Path;
use std::{env, fs};

use scan_admission::manifest::{Documents, Manifest, encoding};
use serde_json::Value;

use crate::kubectl_reader;
use crate::support::fuzz_corpus::{files, replay};
use crate::support::fuzzed_audit_log::check_audit_log;
use crate::support::fuzzed_config::check_config;
use crate::support::fuzzed_manifest::check_manifest;
use crate::support::fuzzed_pem::check_pem;

#[test]
fn inputs_of_the_target_yaml_hold() {
    assert!(replay("yaml", check_manifest) > 50);
}

#[test]
fn inputs_of_the_target_pem_hold() {
    assert!(replay("pem", check_pem) > 50);
}

#[test]
fn inputs_of_the_target_config_hold() {
    assert!(replay("config", check_config) > 50);
}

#[test]
fn inputs_of_the_target_audit_log_hold() {
    assert!(replay("audit_log", check_audit_log) > 50);
}

/// The variable YAML_INPUTS names another folder of inputs, such as those that a run of the fuzzer has found.
#[test]
fn kubectl_reads_the_same_values_in_the_inputs_of_the_target_yaml() {
    let folder = env::var_os("YAML_INPUTS").unwrap_or_else(|| "tests/fuzz/corpus/yaml".into());
    let paths = files(Path::new(&folder));
    let documents: Vec<(String, Value)> = paths.iter().flat_map(|path| documents(&fs::read(path).unwrap())).collect();
    let texts: Vec<&str> = documents.iter().map(|(text, _)| text.as_str()).collect();
    let Some(read) = kubectl_reader::read(&texts) else { return };
    let mut differences = Vec::new();
    for ((text, value), read) in documents.iter().zip(read) {
        let due = if value.is_null() { vec![] } else { vec![value.clone()] };
        if read.as_ref() != Ok(&due) {
            differences.push(format!("{text:?}\n  kubectl: {read:?}\n  check:   {due:?}"));
        }
    }
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), documents.len(), differences.join("\n"));
    eprintln!("kubectl reads the same values in {} documents", documents.len());
}

/// Returns the text and the value of each document of a file that `check` can read, but for known differences.
fn documents(file: &[u8]) -> Vec<(String, Value)> {
    let decoded = encoding::decode(file);
    let mut documents = Documents::new(&decoded[..]);
    let mut all = Vec::new();
    while let Some(document) = documents.next_document().unwrap() {
        let Ok(manifest) = Manifest::read(&document) else { continue };
        let Ok(value) = serde_json::from_str(manifest.json()) else { continue };
        if !may_be_read_otherwise(manifest.text()) {
            all.push((manifest.text().to_owned(), value));
        }
    }
    all
}

/// Whether a text may have a known difference, which `manifest::yaml` names: YAML that no tool writes.
fn may_be_read_otherwise(text: &str) -> bool {
    let is_broken_otherwise = text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\t']);
    let has_directives = text.lines().any(|line| line.starts_with('%') || line.starts_with("---"));
    let is_cut_scalar = !text.ends_with('\n') && text.contains(['|', '>']);
    let is_scalar = text.trim_start().starts_with(['|', '>']);
    // Indicators beside each other in a flow collection.
    let joined: String = text.split_whitespace().collect();
    let pairs = ["[?", "[:", "[-", "{?", "{:", "{#", ",?", ",:", ",#", ":,", ":}", ":]", ":?"];
    let is_joined = pairs.iter().any(|pair| joined.contains(pair));
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let ends = [',', '[', ']', '{', '}'];
    let names = text.split(['&', '*']).skip(1).map(|rest| rest.split(|c: char| c.is_whitespace() || ends.contains(&c)));
    let has_odd_name = names.map(|mut parts| parts.next().unwrap_or_default()).any(|name| !is_name(name));
    let mut tags = text.split_whitespace().filter(|token| token.contains('!'));
    let has_odd_tag = tags.any(|tag| tag.contains([',', '[', ']', '{', '}', '\'', '"']));
    is_broken_otherwise || has_directives || is_cut_scalar || is_scalar || is_joined || has_odd_name || has_odd_tag
}
