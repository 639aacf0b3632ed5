//! `replay`: reports what the webhook would have done to the status writes of an audit log.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use super::flags::config::ConfigFlags;
use super::{DENIED, UNUSABLE};
use crate::offline::audit_log::old_objects::OLD_OBJECTS_MAX_BYTES;
use crate::offline::audit_log::{AuditLogs, NO_EVENT, Replay, inputs};
use crate::offline::input::Input;
use crate::report::format::stdout;
use crate::report::progress::{Progress, bytes};
use crate::report::replay::{ReplayFormat, ReplayReport};

/// Judge the status writes in audit logs: what would have been denied, warned about and mutated
#[derive(Args)]
#[command(
    after_help = "Reads events of audit.k8s.io/v1 as kube-apiserver writes them: JSON lines or an EventList, also
compressed by gzip. Merges the logs of several API servers by time. Judges the scan in the
response of each write, so the audit policy has to record these writes at level
RequestResponse. `generate manifests` writes such a policy, manifests/audit/policy.yaml.

Examples:
  scan-admission replay /var/log/kubernetes/audit
  scan-admission replay --config config.yaml audit-*.log.gz audit.log
  zstd -dc audit.log.zst | scan-admission replay -o json | jq '.rows[] | select(.outcome == \"deny\")'

Exit codes:
  0  the logs were read
  1  with --fail: a write would be denied
  2  an input cannot be read, a named file has contents but no audit event, or no input has one"
)]
pub struct ReplayCommand {
    /// Output format: aligned tables, one JSON document, or Markdown for a comment
    #[arg(short, long, value_enum, default_value_t = ReplayFormat::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: ReplayFormat,
    #[command(flatten)]
    config: ConfigFlags,
    /// Exit with 1 if a write would be denied
    #[arg(long, env = "SCAN_ADMISSION_FAIL", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    fail: bool,
    /// Files, folders (their .log, .json, .jsonl and .gz files, also rotated ones such as audit.log.1), or `-` for standard
    /// input [default: -]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl ReplayCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        let config = self.config.load().map_err(io::Error::other)?.config;
        let inputs = inputs(&self.files);
        let total = total_bytes(&inputs);
        let mut report = ReplayReport::default();
        let mut replay = Replay::new(config.settings, OLD_OBJECTS_MAX_BYTES);
        let mut logs = AuditLogs::new(inputs, progress(total));
        while let Some(event) = logs.next_event(&mut report) {
            replay.event(&event, &mut report);
        }
        // Clears the progress line.
        drop(logs);
        replay.finish(&mut report);
        if report.counts.events == 0 && !report.has_errors() {
            report.error(NO_EVENT);
        }
        report.finish(&mut stdout(self.output == ReplayFormat::Text), self.output)?;
        Ok(ExitCode::from(match (report.has_errors(), report.counts.denied > 0 && self.fail) {
            (true, _) => UNUSABLE,
            (false, true) => DENIED,
            (false, false) => 0,
        }))
    }
}

/// Returns the function that shows how many bytes were read.
fn progress(total: Option<u64>) -> Rc<dyn Fn(usize)> {
    let state = RefCell::new((Progress::start(), 0_u64));
    Rc::new(move |count| {
        let (progress, read) = &mut *state.borrow_mut();
        *read += count as u64;
        if progress.is_due() {
            progress.draw(&bytes(*read, total));
        }
    })
}

/// Returns the size of all inputs, if each is a file.
fn total_bytes(inputs: &[Input]) -> Option<u64> {
    let size = |input: &Input| match input {
        Input::File(path) | Input::Found(path) => {
            fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|it| it.len())
        }
        Input::Stdin(_) | Input::Unreadable(..) => None,
    };
    inputs.iter().map(size).sum()
}
