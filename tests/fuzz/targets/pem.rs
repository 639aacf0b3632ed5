//! Any bytes as a file of certificates or keys.

#![no_main]

#[path = "../../support"]
mod support {
    pub mod fuzzed_pem;
    pub mod review_context;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed_pem::check_pem(bytes));
