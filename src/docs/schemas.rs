//! The JSON Schemas of reports.

use schemars::schema_for;

use super::Page;
use crate::report::json::JsonDocument;

/// Returns the schema of the JSON that `check` and `audit` print.
pub fn pages() -> [Page; 1] {
    let text = format!("{:#}\n", schema_for!(JsonDocument<'_>).as_value());
    [Page { path: "report.schema.json".to_owned(), text }]
}
