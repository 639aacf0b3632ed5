//! Tests of the files of a release: the workflows, the manifest for krew, the SBOM, the program, and the image with its recipes.

mod crates;
mod image;

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

use scan_admission::install::krew::{ARCHITECTURES, archive};

use crate::support::folder::Folder;

/// Runs a tool of tests/release, which Go builds at the first call; `None` without Go.
fn tool(arguments: &[&str]) -> Option<Output> {
    let go = env::var_os("GO").unwrap_or_else(|| "go".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if Command::new(&go).arg("version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "install Go 1.26 or newer");
        eprintln!("skipped: Go is missing, which builds the tools of tests/release");
        return None;
    }
    let tool = Command::new(go).current_dir(root.join("tests/release")).arg("tool").args(arguments).output();
    Some(tool.unwrap())
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    let workflows = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let files: Vec<String> =
        fs::read_dir(workflows).unwrap().map(|file| file.unwrap().path().display().to_string()).collect();
    assert_eq!(files.len(), 2);
    let mut arguments = vec!["actionlint", "-no-color", "-shellcheck=", "-pyflakes="];
    arguments.extend(files.iter().map(String::as_str));
    let Some(printed) = tool(&arguments) else { return };
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stdout));
}

fn krew_manifest(folder: &Folder, checksums: &str) -> Output {
    fs::write(folder.join("SHA256SUMS"), checksums).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    program.args(["generate", "plugin", "--url", "https://example.com/download/v1/", "--checksums"]);
    program.arg(folder.join("SHA256SUMS")).arg("--to").arg(folder.path()).output().unwrap()
}

#[test]
fn krew_accepts_the_manifest_of_the_plugin() {
    let folder = Folder::new();
    let line = |(_, architecture): (&str, &str)| format!("{}  {}\n", "ab".repeat(32), archive(architecture));
    let checksums = ARCHITECTURES.map(line).concat();
    let printed = krew_manifest(&folder, &checksums);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let manifest = folder.join("scan-admission.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    let uri = format!(
        "uri: https://example.com/download/v1/scan-admission-{}-linux-aarch64.tar.gz\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(text.contains(&uri), "{text}");
    // The archives are not published, so krew cannot install them.
    let path = manifest.display().to_string();
    let Some(printed) = tool(&["validate-krew-manifest", "-skip-install", "-manifest", &path]) else { return };
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
}

#[test]
fn a_checksum_that_is_missing_or_wrong_is_named() {
    let folder = Folder::new();
    let [(_, first), (_, second)] = ARCHITECTURES;
    for (checksums, error) in [
        (format!("{}  {}\n", "ab".repeat(32), archive(first)), format!("there is no checksum of {}", archive(second))),
        (format!("abc  {}\n", archive(first)), format!("the checksum of {} is not a SHA-256", archive(first))),
    ] {
        let printed = krew_manifest(&folder, &checksums);
        let stderr = String::from_utf8_lossy(&printed.stderr).into_owned();
        assert_eq!(printed.status.code(), Some(2));
        assert!(stderr.contains(&error), "{stderr}");
        assert!(!folder.join("scan-admission.yaml").exists());
    }
}

/// Both recipes end in the same image.
#[test]
fn both_recipes_make_the_same_image() {
    let read = |name: &str| fs::read_to_string(Path::new("manifests").join(name)).unwrap();
    let last = |text: String| {
        text[text.find("FROM scratch").unwrap()..]
            .replace("--from=build /scan-admission /LICENSE", "scan-admission LICENSE")
    };
    assert_eq!(last(read("Containerfile")), last(read("Containerfile.release")));
}
