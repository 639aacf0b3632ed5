//! The names of the CVE counts in both spellings.

pub const WIRE_COUNTS: &[&str] = &["critical", "high", "medium", "low", "unknown", "total"];
pub const DOCUMENTED_COUNTS: &[&str] = &["CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN", "CVETOTAL"];
