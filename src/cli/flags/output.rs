//! `-o FORMAT[=FILE]`, for commands that write reports of findings.

use std::io;
use std::path::PathBuf;

use crate::report::format::{OutputError, Stdout};
use crate::report::{Output, ReportFormat, Reports, Totals};

/// Parses the value of `-o` of a command that reads files.
pub fn parse_of_files(text: &str) -> Result<Output, OutputError> {
    Output::parse(text, ReportFormat::OF_FILES)
}

/// Parses the value of `-o` of a command that reads a cluster.
#[cfg(feature = "cluster")]
pub fn parse_of_cluster(text: &str) -> Result<Output, OutputError> {
    Output::parse(text, ReportFormat::OF_CLUSTER)
}

/// Opens the reports. In a job of GitHub, the format `github` adds a summary to the page of the job.
pub fn open(outputs: &[Output], stdout: Stdout, totals: Totals) -> io::Result<Reports> {
    let job_summary = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()).map(PathBuf::from);
    Reports::open(outputs, stdout, job_summary.as_deref(), totals)
}
