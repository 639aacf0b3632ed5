//! Replays the committed inputs of the fuzz targets that need no feature of the crate.

use std::fs;
use std::path::Path;

use crate::support::review_edits::captured;
use crate::support::{fuzzed, structured};

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

#[test]
fn inputs_of_the_target_structured_hold() {
    assert!(replay("structured", structured::scans) > 50);
}

/// The inputs of a fixed seed: the target `structured` searches for others.
#[test]
fn random_scans_have_the_findings_of_the_rules() {
    let mut state = 1_u64;
    // SplitMix64.
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..12).flat_map(|_| random().to_le_bytes()).collect();
        structured::scans(&bytes);
    }
}

#[test]
fn captured_reviews_have_the_findings_of_the_rules() {
    for captured in captured() {
        let judged = structured::judged_alike(&captured.lean, &[]);
        assert!(!judged.iter().any(|it| it.2), "{}: {judged:?}", captured.name);
    }
}
