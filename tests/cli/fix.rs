//! Tests of `check --fix` and `check --diff`.

mod files;
mod generator;
mod layouts;
mod output;
mod proof;

use std::process::{Command, Output};

/// The members before the status of a scan.
const HEAD: &str = "apiVersion: scanning.apps.tanzu.vmware.com/v1beta1\nkind: SourceScan\nmetadata: {name: a}\nspec: {blob: {url: 'https://example.com/a'}, scanTemplate: t}\n";

/// A status with a wrong total, and the same with the right one.
const WRONG: &str =
    "status:\n  cveCount: {critical: 1, high: 0, medium: 0, low: 0, unknown: 0, total: 4} # four\n  metadataUrl: ~\n";

fn wrong() -> String {
    format!("{HEAD}{WRONG}")
}

fn right() -> String {
    wrong().replace("total: 4", "total: 1")
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

/// Runs `check` with arguments, without `--now`.
fn check(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    command.arg("check").args(arguments).output().unwrap()
}
