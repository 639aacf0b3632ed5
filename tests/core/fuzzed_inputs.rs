//! Replays the committed inputs of the fuzz targets that need no feature of the crate.

use crate::support::fuzz_corpus::replay;
use crate::support::fuzzed;

#[test]
fn inputs_of_the_target_review_hold() {
    assert!(replay("review", fuzzed::answers) > 50);
}
