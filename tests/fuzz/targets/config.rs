//! Any bytes as the configuration file.

#![no_main]

#[path = "../../support"]
mod support {
    pub mod fuzzed_config;
    pub mod review_context;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed_config::check_config(bytes));
