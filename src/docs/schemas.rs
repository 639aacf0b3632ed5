//! The JSON Schemas of reports.

use schemars::{JsonSchema, schema_for};

use super::Page;
use crate::report::describe::DescribeDocument;
use crate::report::json::JsonDocument;
use crate::report::replay::ReplayDocument;

/// Returns the schemas of the JSON that `check`, `audit`, `replay` and `describe` print.
pub fn pages() -> [Page; 3] {
    [
        page::<JsonDocument<'_>>("report.schema.json"),
        page::<ReplayDocument<'_>>("replay.schema.json"),
        page::<DescribeDocument<'_>>("describe.schema.json"),
    ]
}

fn page<T: JsonSchema>(path: &str) -> Page {
    Page { path: path.to_owned(), text: format!("{:#}\n", schema_for!(T).as_value()) }
}
