//! The beginning of a request, for a body that is written by hand.

/// The head of a POST, for a body that is written by hand.
pub fn head(path: &str, length_bytes: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length_bytes}\r\n\r\n"
    )
}
