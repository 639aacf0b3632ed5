//! `check`: manifests in, the findings in their scans out, with file, line and column.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use time::OffsetDateTime;

use super::flags::config::ConfigFlags;
use super::flags::parse_time;
use super::{DENIED, UNUSABLE};
use crate::offline::documents::check_file;
use crate::offline::{Judge, input};
use crate::report::Format;
use crate::report::documents::DocumentReport;
use crate::scan::Kind;

/// Checks the scans in manifests: their spec, and the status where there is one
#[derive(Args)]
#[command(after_help = "Reads YAML, JSON, Lists and what kubectl get -o yaml or -o json prints.
Of watch events and AdmissionReviews the object is judged. Objects of other kinds are skipped.
A file that is named has to hold objects, with apiVersion and kind; in folders others are skipped.

Examples:
  scan-admission check scans/ more.yaml
  kubectl get sourcescans,imagescans -A -o yaml | scan-admission check
  scan-admission check -o json scans/ | jq -r '.findings[].rule'
  kubectl get sourcescan app -o jsonpath='{.status}' | scan-admission check --kind SourceScan

Exit: 0 nothing denied, 1 something denied, 2 something could not be read.")]
pub struct CheckCommand {
    /// Lines as compilers print them, or one JSON document
    #[arg(short, long, value_enum, default_value_t = Format::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: Format,
    /// The time that scans are judged at [default: the clock's]
    #[arg(long, value_name = "RFC3339", value_parser = parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    /// The kind of the scan that a status is of, where nothing around it says so: `status: {…}`, or its members alone
    #[arg(long, env = "SCAN_ADMISSION_KIND", value_name = "KIND", ignore_case = true,
          value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)).try_map(parse_kind))]
    kind: Option<Kind>,
    #[command(flatten)]
    config: ConfigFlags,
    /// Files, folders (their .yaml, .yml and .json files) or `-` for standard input, which is the default
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl CheckCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        let config = self.config.load().map_err(io::Error::other)?.config;
        let judge = Judge { now: self.now.unwrap_or_else(OffsetDateTime::now_utc), settings: config.settings };
        let mut report = DocumentReport::new(self.output.stdout(), self.output);
        for input in input::inputs(&self.files, &["yaml", "yml", "json"]) {
            check_file(&input, self.kind, &judge, &mut report)?;
        }
        let counts = report.finish()?;
        Ok(ExitCode::from(match (counts.errors, counts.tally.denied) {
            (0, 0) => 0,
            (0, _) => DENIED,
            _ => UNUSABLE,
        }))
    }
}

/// Reads the value of `--kind`, in any case.
fn parse_kind(name: String) -> Result<Kind, &'static str> {
    Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(&name)).ok_or("no kind of scan")
}
