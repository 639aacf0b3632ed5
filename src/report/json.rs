//! A JSON document that begins with a stream of findings.

use std::io::{self, Write};

use serde::Serialize;

/// Writes the document. Only whether it has findings is kept in memory.
#[derive(Default)]
pub struct JsonDocument {
    has_findings: bool,
}

impl JsonDocument {
    /// Writes a finding.
    pub fn finding(&mut self, out: &mut impl Write, finding: &impl Serialize) -> io::Result<()> {
        out.write_all(if self.has_findings { b",\n" } else { b"{\"findings\":[\n" })?;
        self.has_findings = true;
        serde_json::to_writer(out, finding)?;
        Ok(())
    }

    /// Ends the list of findings. Other members may follow.
    pub fn end_findings(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(if self.has_findings { b"\n]" } else { b"{\"findings\":[]" })
    }

    /// Writes the members `errors` and `counts`, and ends the document.
    pub fn end(&self, out: &mut impl Write, errors: &impl Serialize, counts: &impl Serialize) -> io::Result<()> {
        out.write_all(b",\"errors\":")?;
        serde_json::to_writer(&mut *out, errors)?;
        out.write_all(b",\"counts\":")?;
        serde_json::to_writer(&mut *out, counts)?;
        out.write_all(b"}\n")
    }
}
