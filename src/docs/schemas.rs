//! The JSON Schemas of reports.

use schemars::{JsonSchema, schema_for};

use super::Page;
use crate::report::json::JsonDocument;
use crate::report::replay::ReplayDocument;

/// Returns the schemas of the JSON that `check`, `audit` and `replay` print.
pub fn pages() -> [Page; 2] {
    [page::<JsonDocument<'_>>("report.schema.json"), page::<ReplayDocument<'_>>("replay.schema.json")]
}

fn page<T: JsonSchema>(path: &str) -> Page {
    Page { path: path.to_owned(), text: format!("{:#}\n", schema_for!(T).as_value()) }
}
