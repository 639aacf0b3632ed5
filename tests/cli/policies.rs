//! Tests `generate policies`: the committed policies, and the errors of the generator.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use scan_admission::admission::ReviewSettings;
use scan_admission::policies;
use scan_admission::rules::RULES;

use crate::manifests::files;
use crate::support::folder::Folder;

/// The policies are committed too, so that they can be applied without the program.
#[test]
fn the_committed_policies_are_the_generated_ones() {
    let folder = Folder::new();
    let committed = Path::new("manifests/policies");
    let generate = |to: &Path, flags: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
        let output = program.args(["generate", "policies"]).args(flags).arg("--to").arg(to).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    generate(folder.path(), &[]);
    if env::var_os("UPDATE").is_some() {
        generate(committed, &[]);
    }
    assert!(files(folder.path()) == files(committed), "run UPDATE=1 cargo test --test cli policies");
    // Static policies: a folder for each plugin, with nothing else in it, and names that the API server requires.
    let folder = Folder::new();
    generate(folder.path(), &["--static"]);
    for (path, text) in files(folder.path()) {
        assert!(path.starts_with("validating/scan-") || path == "mutating/scan-mutations.yaml", "{path}");
        assert_eq!(text.matches("\n  name: scan-").count(), text.matches(".static.k8s.io\nspec:").count(), "{path}");
    }
}

/// `kubectl apply` stores each object in an annotation, and all annotations of an object together have at most 256 KiB.
#[test]
fn the_policies_can_be_applied_by_kubectl() {
    for object in policies::objects(RULES, &ReviewSettings::default(), false) {
        let bytes = object.to_string().len();
        assert!(bytes < 250_000, "{}: {bytes} bytes", object["metadata"]["name"]);
    }
}

/// A mode that no policy can apply is an error with its line, and nothing is written.
#[test]
fn a_mode_that_no_policy_can_apply_is_an_error() {
    let folder = Folder::new();
    let config = folder.join("config.yaml");
    let to = folder.join("policies");
    for (text, expected) in [
        (
            "rules:\n  cve-total: warn\n  status-on-create: deny\n",
            Some(":3:21: policies cannot judge status-on-create"),
        ),
        ("overrides:\n- {namespaces: [a], rules: {status-on-create: audit}}\n", Some(":2:")),
        ("rules: {status-on-create: off, cve-total: audit}\n", None),
    ] {
        fs::write(&config, text).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
        let output =
            program.args(["generate", "policies", "--config"]).arg(&config).arg("--to").arg(&to).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        match expected {
            Some(expected) => {
                assert!(output.status.code() == Some(2) && stderr.contains(expected), "{text}: {stderr}");
                assert!(!to.exists(), "{text}");
            }
            None => assert!(output.status.success() && to.join("scan-errors.yaml").exists(), "{text}: {stderr}"),
        }
    }
}
