//! The head of an HTTP/1.1 request, for tests that write the body by hand.

/// Returns the head of a POST with a body of this length.
pub fn head(path: &str, length_bytes: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length_bytes}\r\n\r\n"
    )
}
