//! The location of a file in SARIF: a percent-encoded URI.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::relative_path::RelativePath;

/// The characters that are encoded: all but those that RFC 3986 calls unreserved. A colon in the first part of a relative
/// URI would end a scheme.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the location of a file: relative to `%SRCROOT%`, the folder in which the program runs, if it is below this
/// folder or named relative to it.
pub fn artifact_location(path: &RelativePath) -> Value {
    let RelativePath { parts, is_absolute } = path;
    let parts: Vec<_> = parts.iter().map(|part| utf8_percent_encode(part, ENCODED).to_string()).collect();
    match is_absolute {
        true => json!({"uri": format!("file:///{}", parts.join("/"))}),
        false => json!({"uri": parts.join("/"), "uriBaseId": "%SRCROOT%"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_uri() {
        let folder = std::env::current_dir().unwrap();
        for (file, uri, is_relative) in [
            ("scans.yaml", "scans.yaml", true),
            ("./a/b.yaml", "a/b.yaml", true),
            ("../b.yaml", "../b.yaml", true),
            ("my scans/été#1?.yaml", "my%20scans/%C3%A9t%C3%A9%231%3F.yaml", true),
            ("a:b%20.yaml", "a%3Ab%2520.yaml", true),
            (&folder.join("src/a b").display().to_string(), "src/a%20b", true),
            ("/no such/folder", "file:///no%20such/folder", false),
            ("src/../docs/in-ci.md", "docs/in-ci.md", true),
            (crate::report::finding::STDIN, "stdin", true),
            ("", "stdin", true),
        ] {
            let location = artifact_location(&RelativePath::of(file));
            assert_eq!((&location["uri"], location["uriBaseId"] == "%SRCROOT%"), (&json!(uri), is_relative), "{file}");
        }
    }
}
