//! The location of a file in SARIF: a percent-encoded URI.

use std::path::{Component, Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::finding::STDIN;

/// The characters that are encoded: all but those that RFC 3986 calls unreserved. A colon in the first part of a relative
/// URI would end a scheme.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the location of a file: relative to `%SRCROOT%`, the folder in which the program runs, if it is below this
/// folder or named relative to it.
pub fn artifact_location(file: &str) -> Value {
    if file == STDIN {
        return json!({"uri": "stdin", "uriBaseId": "%SRCROOT%"});
    }
    let path = Path::new(file);
    let below = std::env::current_dir().ok().and_then(|folder| path.strip_prefix(folder).ok());
    let parts: Vec<_> = below.unwrap_or(path).components().filter_map(part).collect();
    let uri = parts.join("/");
    if below.is_none() && path.is_absolute() {
        json!({"uri": format!("file:///{uri}")})
    } else {
        json!({"uri": uri, "uriBaseId": "%SRCROOT%"})
    }
}

fn part(component: Component<'_>) -> Option<String> {
    match component {
        Component::Normal(name) => Some(utf8_percent_encode(&name.to_string_lossy(), ENCODED).to_string()),
        Component::ParentDir => Some("..".to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
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
            (STDIN, "stdin", true),
        ] {
            let location = artifact_location(file);
            assert_eq!((&location["uri"], location["uriBaseId"] == "%SRCROOT%"), (&json!(uri), is_relative), "{file}");
        }
    }
}
