//! What is said about the file: its schema, and the page with an example.

use schemars::schema_for;

use super::file::File;

/// A file with every member, each with what it is for.
pub const EXAMPLE: &str = include_str!("example.yaml");

/// The JSON Schema of the file.
pub fn schema() -> String {
    format!("{:#}\n", schema_for!(File).as_value())
}

/// Every file below `docs`, by its path.
pub fn pages() -> Vec<(String, String)> {
    let page = format!("{}\n```yaml\n{EXAMPLE}```\n", include_str!("page.md"));
    vec![("config.md".to_owned(), page), ("config.schema.json".to_owned(), schema())]
}
