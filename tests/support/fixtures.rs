//! The captured reviews.

use std::fs;
use std::path::Path;

/// Returns a review of tests/fixtures/reviews.
pub fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reviews").join(name)).unwrap()
}
