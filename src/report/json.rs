//! One JSON document that begins with the findings, each written as it comes.

use std::io::{self, Write};

use serde::Serialize;

#[derive(Default)]
pub struct JsonDocument {
    has_findings: bool,
}

impl JsonDocument {
    pub fn finding(&mut self, out: &mut impl Write, finding: &impl Serialize) -> io::Result<()> {
        out.write_all(if self.has_findings { b",\n" } else { b"{\"findings\":[\n" })?;
        self.has_findings = true;
        serde_json::to_writer(out, finding)?;
        Ok(())
    }

    /// After the last finding. More members may follow.
    pub fn end_findings(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(if self.has_findings { b"\n]" } else { b"{\"findings\":[]" })
    }

    /// The last two members.
    pub fn end(&self, out: &mut impl Write, errors: &impl Serialize, counts: &impl Serialize) -> io::Result<()> {
        out.write_all(b",\"errors\":")?;
        serde_json::to_writer(&mut *out, errors)?;
        out.write_all(b",\"counts\":")?;
        serde_json::to_writer(&mut *out, counts)?;
        out.write_all(b"}\n")
    }
}
