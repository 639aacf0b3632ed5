//! `check`: reports findings in the scans of manifests, with file, line and column.

mod fix;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use time::OffsetDateTime;

use fix::FixFlags;

use super::flags::config::ConfigFlags;
use super::flags::{output, parse_time};
use super::{DENIED, UNUSABLE};
use crate::offline::Judge;
use crate::offline::documents::{check_file, holds_objects};
use crate::offline::fix::Fixer;
use crate::offline::input::{Input, inputs};
use crate::report::format::Stdout;
use crate::report::{Output, Totals};
use crate::scan::Kind;

/// Check the scans in manifests: their spec, and their status if they have one
#[derive(Args)]
#[command(after_help = "Reads YAML and JSON, also Lists and the output of kubectl get -o yaml or -o json.
Checks the object in a watch event or an AdmissionReview. Objects of other kinds are skipped.
A file that is named must contain objects with apiVersion and kind; in folders, others are skipped.
In -o, commas separate reports, so a file name must not contain a comma.

Formats:
  text      a line for each finding, as compilers print them
  json      one document, described by docs/report.schema.json
  sarif     SARIF 2.1.0, for code review; at most 5,000 results
  junit     JUnit XML, with a test case for each scan
  github    annotations of GitHub Actions, and a summary of the job
  markdown  a table for a comment, of at most 60,000 bytes

Examples:
  scan-admission check scans/ more.yaml
  kubectl get sourcescans,imagescans -A -o yaml | scan-admission check
  scan-admission check -o json scans/ | jq -r '.findings[].rule'
  scan-admission check -o sarif=scans.sarif -o junit=scans.xml scans/
  kubectl get sourcescan app -o jsonpath='{.status}' | scan-admission check --kind SourceScan
  scan-admission check --diff scans/
  scan-admission check --fix scans/

Exit codes:
  0  no scan would be denied
  1  a scan would be denied, with --fix after the fixes; or --diff has printed a difference
  2  an input cannot be read or fixed, or a report cannot be written")]
pub struct CheckCommand {
    /// Report to write, to standard output or a file; may be repeated, or several separated by commas [default: text]
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_parser = output::parse_of_files, value_delimiter = ',',
          env = "SCAN_ADMISSION_OUTPUT")]
    output: Vec<Output>,
    /// Time at which to judge [default: the current time]
    #[arg(long, value_name = "RFC3339", value_parser = parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    /// Kind of the scan, for input that is only a status: `status: {…}`, or the members of a status alone
    #[arg(long, env = "SCAN_ADMISSION_KIND", value_name = "KIND", ignore_case = true,
          value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)).try_map(parse_kind))]
    kind: Option<Kind>,
    /// Name of standard input in reports [default: standard input]
    #[arg(long, env = "SCAN_ADMISSION_STDIN_NAME", value_name = "FILE")]
    stdin_name: Option<String>,
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
        let mut inputs = inputs(&self.files, &["yaml", "yml", "json"], self.stdin_name.as_deref());
        let stdout = if self.fix.uses_stdout(&inputs) { Stdout::Taken } else { Stdout::Free };
        let outputs = Output::complete(self.output, stdout).map_err(io::Error::other)?;
        let reports_before = ReportFiles::existing(&outputs);
        if let Some(file) = self.config.file().filter(|file| reports_before.contain(file)) {
            return Err(io::Error::other(format!(
                "{} is the configuration: write the report to another file",
                file.display()
            )));
        }
        if let Some(input) = inputs.iter().find(|input| reports_before.would_replace(input)) {
            return Err(io::Error::other(format!("{} is an input: write the report to another file", input.name())));
        }
        // The others are reports of an earlier run.
        inputs.retain(|input| !reports_before.contain_found(input));
        let mut reports = output::open(&outputs, stdout, Totals::of_files())?;
        let fixer = Fixer::new(&judge, self.kind, self.now.is_some());
        let mut fix_run = self.fix.fix_run(&fixer);
        for (index, input) in inputs.iter().enumerate() {
            let contents = match &mut fix_run {
                Some(fix_run) => fix_run.run(input, &mut reports)?,
                None => None,
            };
            check_file(input, contents.as_deref(), &fixer, &mut reports)?;
            reports.progress(|totals| {
                format!("{} of {} files checked, {} scans denied", index + 1, inputs.len(), totals.tally.denied)
            })?;
        }
        let has_difference = fix_run.is_some_and(|fix_run| fix_run.has_difference);
        let totals = reports.finish()?;
        Ok(ExitCode::from(match (totals.errors, totals.tally.denied) {
            (0, 0) if !has_difference => 0,
            (0, _) => DENIED,
            _ => UNUSABLE,
        }))
    }
}

/// The files of reports that exist before the reports are opened, by their real paths.
struct ReportFiles(Vec<PathBuf>);

impl ReportFiles {
    fn existing(outputs: &[Output]) -> Self {
        Self(outputs.iter().filter_map(|output| output.file.as_deref()?.canonicalize().ok()).collect())
    }

    fn contain(&self, file: &Path) -> bool {
        !self.0.is_empty() && file.canonicalize().is_ok_and(|file| self.0.contains(&file))
    }

    fn contain_found(&self, input: &Input) -> bool {
        if let Input::Found(found) = input { self.contain(found) } else { false }
    }

    /// Returns whether a report would take the place of an input: of a file that an argument names, or of a file in a
    /// folder that holds objects. The report of an earlier run holds none.
    fn would_replace(&self, input: &Input) -> bool {
        match input {
            Input::File(named) => self.contain(named),
            Input::Found(_) => self.contain_found(input) && holds_objects(input),
            Input::Stdin(_) | Input::Unreadable(..) => false,
        }
    }
}

/// Parses the value of `--kind`, ignoring case.
fn parse_kind(name: String) -> Result<Kind, &'static str> {
    Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(&name)).ok_or("not a kind of scan")
}
