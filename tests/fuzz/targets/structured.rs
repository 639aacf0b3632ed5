//! Plausible scans, old and new, made from the bytes.

#![no_main]

#[path = "../../support"]
mod support {
    pub mod count_names;
    pub mod naive;
    pub mod review_checks;
    pub mod review_context;
    pub mod state_facts;
    pub mod state_rules;
    pub mod states;
    pub mod structured;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::structured::scans(bytes));
