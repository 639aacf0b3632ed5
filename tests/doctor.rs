//! The page of the checks is the generated one, and every text says something. tests/cluster sabotages an installation
//! for each of them. `UPDATE=1 cargo test` writes it anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use scan_admission::cluster::doctor::{CHECKS, book};

#[test]
fn the_committed_page_is_the_generated_one() {
    for (path, text) in book::pages() {
        let path = Path::new("docs").join(path);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{} is not what the checks say: run UPDATE=1 cargo test --test doctor",
            path.display()
        );
    }
}

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
