//! Any bytes on a connection that speaks HTTP/2.

#![no_main]

#[path = "../../support"]
mod support {
    pub mod frames;
    pub mod fuzzed_connection;
    pub mod request_head;
    pub mod review_context;
}

use scan_admission::server::timeouts::Protocol;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed_connection::check_connection(Protocol::Http2, bytes));
