//! The crates that a release names, in its SBOM and in its binary: those that cargo compiles by Cargo.lock.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

use crate::reports::validators;

/// The name and the version of a crate.
type Crate = (String, String);

/// Returns the crates of a build for a target, with those of build scripts and macros, but without ours.
fn compiled(target: &str) -> BTreeSet<Crate> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--edges=normal,build", "--prefix=none", "--format={p}", "--target", target]);
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let packages = text.lines().map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap().strip_prefix('v').unwrap());
        (name.to_owned(), version.to_owned())
    });
    let ours = (env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let mut crates: BTreeSet<Crate> = packages.collect();
    assert!(crates.remove(&ours) && crates.len() > 100, "{text}");
    crates
}

/// Returns the crates of Cargo.lock.
fn locked() -> BTreeSet<Crate> {
    let text = fs::read_to_string("Cargo.lock").unwrap();
    let packages = text.split("[[package]]\n").skip(1).map(|package| {
        let value =
            |key: &str| package.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim_matches('"').to_owned();
        (value("name = "), value("version = "))
    });
    packages.collect()
}

/// Returns the name and the version of a package in JSON.
fn crate_of(package: &Value) -> Crate {
    let text = |key: &str| package[key].as_str().unwrap().to_owned();
    (text("name"), text("version"))
}

/// BINARY is the program that `.ci/build` has built for TARGET.
#[test]
#[ignore = ".ci/release builds the program and runs this test"]
fn the_program_contains_the_list_of_its_crates() {
    let [binary, target] = ["BINARY", "TARGET"].map(|name| env::var(name).unwrap());
    let json = auditable_info::json_from_file(Path::new(&binary), auditable_info::Limits::default()).unwrap();
    let list: Value = serde_json::from_str(&json).unwrap();
    let (ours, others): (Vec<_>, Vec<_>) =
        list["packages"].as_array().unwrap().iter().partition(|package| package["root"] == true);
    assert_eq!(ours.len(), 1);
    assert_eq!(crate_of(ours[0]), (env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    assert!(others.iter().all(|package| package["source"] == "crates.io"), "{json}");
    // The list also has optional crates that are not compiled.
    let listed: BTreeSet<Crate> = others.into_iter().map(crate_of).collect();
    assert!(listed.is_superset(&compiled(&target)) && listed.is_subset(&locked()), "{listed:?}");
}

/// SBOM is the file that `.ci/sbom` has written.
#[test]
#[ignore = ".ci/run writes the SBOM and runs this test"]
fn the_sbom_is_valid_and_lists_the_crates() {
    let path = env::var("SBOM").unwrap();
    let sbom: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    if let Some(python) = validators::python() {
        let errors = python.schema_errors(&python.cyclonedx_schema(), &[path.into()]);
        assert_eq!(errors, Vec::<String>::new());
    }
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let ours = &sbom["metadata"]["component"];
    assert_eq!(crate_of(ours), (env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    let components = sbom["components"].as_array().unwrap();
    let crates: BTreeSet<Crate> = components.iter().map(crate_of).collect();
    assert_eq!(crates, compiled("x86_64-unknown-linux-gnu"));
    assert!(crates.is_superset(&compiled("aarch64-unknown-linux-gnu")));
    for component in components {
        let (name, version) = crate_of(component);
        assert_eq!(component["purl"], format!("pkg:cargo/{name}@{version}"));
    }
}
