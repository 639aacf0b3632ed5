//! Any bytes as the body of a request.

#![no_main]

#[path = "../../support"]
mod support {
    pub mod count_names;
    pub mod fuzzed;
    pub mod json_checks;
    pub mod review_checks;
    pub mod review_context;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed::answers(bytes));
