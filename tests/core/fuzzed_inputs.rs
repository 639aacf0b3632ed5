//! Replays the committed inputs of the fuzz targets that need no feature of the crate.

use crate::support::fuzz_corpus::replay;
use crate::support::review_edits::captured;
use crate::support::{fuzzed, structured};

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
    for _ in 0..10_000 {
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
