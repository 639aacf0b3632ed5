//! `check`: reports findings in the scans of manifests, with file, line and column.

mod fix;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use time::OffsetDateTime;

use fix::FixFlags;

use super::flags::config::ConfigFlags;
use super::flags::parse_time;
use super::{DENIED, UNUSABLE};
use crate::offline::documents::check_file;
use crate::offline::{Judge, input};
use crate::report::Format;
use crate::report::documents::DocumentReport;
use crate::scan::Kind;

/// Check the scans in manifests: their spec, and their status if they have one
#[derive(Args)]
#[command(after_help = "Reads YAML and JSON, also Lists and the output of kubectl get -o yaml or -o json.
Of a watch event or an AdmissionReview, the object is checked. Objects of other kinds are skipped.
A file that is named must contain objects with apiVersion and kind; in folders, others are skipped.

Examples:
  scan-admission check scans/ more.yaml
  kubectl get sourcescans,imagescans -A -o yaml | scan-admission check
  scan-admission check -o json scans/ | jq -r '.findings[].rule'
  kubectl get sourcescan app -o jsonpath='{.status}' | scan-admission check --kind SourceScan
  scan-admission check --diff scans/
  scan-admission check --fix scans/

Exit codes:
  0  no scan would be denied
  1  a scan would be denied, with --fix after the fixes; or --diff has printed a difference
  2  not every input could be read, or be fixed")]
pub struct CheckCommand {
    /// Output format: lines as compilers print them, or one JSON document
    #[arg(short, long, value_enum, default_value_t = Format::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: Format,
    /// Time at which to judge [default: the current time]
    #[arg(long, value_name = "RFC3339", value_parser = parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    /// Kind of the scan, for input that is only a status: `status: {…}`, or the members of a status alone
    #[arg(long, env = "SCAN_ADMISSION_KIND", value_name = "KIND", ignore_case = true,
          value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)).try_map(parse_kind))]
    kind: Option<Kind>,
    #[command(flatten)]
    fix: FixFlags,
    #[command(flatten)]
    config: ConfigFlags,
    /// Files, folders (their .yaml, .yml and .json files), or `-` for standard input [default: -]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl CheckCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        let config = self.config.load().map_err(io::Error::other)?.config;
        let judge = Judge { now: self.now.unwrap_or_else(OffsetDateTime::now_utc), settings: config.settings };
        let inputs = input::inputs(&self.files, &["yaml", "yml", "json"]);
        let out = if self.fix.uses_stdout(&inputs) { self.output.stderr() } else { self.output.stdout() };
        let mut report = DocumentReport::new(out, self.output);
        let mut fix_run = self.fix.fix_run(&judge, self.kind, self.now.is_some());
        for mut input in inputs {
            if let Some(fix_run) = &mut fix_run {
                input = fix_run.run(input, &mut report)?;
            }
            check_file(&input, self.kind, &judge, &mut report)?;
        }
        let has_difference = fix_run.is_some_and(|fix_run| fix_run.has_difference);
        let counts = report.finish()?;
        Ok(ExitCode::from(match (counts.errors, counts.tally.denied) {
            (0, 0) if !has_difference => 0,
            (0, _) => DENIED,
            _ => UNUSABLE,
        }))
    }
}

/// Parses the value of `--kind`, ignoring case.
fn parse_kind(name: String) -> Result<Kind, &'static str> {
    Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(&name)).ok_or("not a kind of scan")
}
