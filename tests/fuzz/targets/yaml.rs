//! Any bytes as a file of manifests.

#![no_main]

#[path = "../../support"]
mod support {
    pub mod fuzzed_manifest;
    pub mod review_context;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed_manifest::check_manifest(bytes));
