//! Any bytes as an audit log.

#![no_main]

#[path = "../../support"]
mod support {
    pub mod fuzzed_audit_log;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed_audit_log::check_audit_log(bytes));
