//! Replays the committed inputs of the fuzz targets that need no feature of the crate.

use std::fs;
use std::path::Path;

use crate::support::fuzzed;

/// Calls `check` with each input of a target. Returns their number.
fn replay(target: &str, check: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in &paths {
        eprintln!("{}", path.display());
        check(&fs::read(path).unwrap());
    }
    paths.len()
}

#[test]
fn inputs_of_the_target_review_hold() {
    assert!(replay("review", fuzzed::answers) > 50);
}
