//! `audit`: what the webhook would deny of the scans that a cluster has.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::flags::cluster::{self, ClusterFlags};
use super::flags::config::ConfigFlags;
use super::flags::parse_time;
use super::{DENIED, UNUSABLE};
use crate::cluster::client::{ClusterOptions, client};
use crate::cluster::listing::{ScanPage, listings};
use crate::engine::Part;
use crate::offline::Judge;
use crate::report::cluster::ClusterReport;
use crate::report::{Format, Subject};
use crate::scan::{Container, Kind, Scan, reader};

/// Judges every scan of a cluster as it stands, page by page, and changes nothing
#[derive(Args)]
#[command(
    after_help = "Each scan is judged as if it were written anew: that an old error is downgraded does not count.
docs/doctor.md says which rights that takes.

Examples:
  scan-admission audit
  scan-admission audit --config config.yaml
  scan-admission audit -o json | jq '.rules'

Exit: 0 nothing would be denied, 1 something would, 2 not everything could be read."
)]
pub struct AuditCommand {
    /// A line a finding and a table of their numbers, or one JSON document
    #[arg(short, long, value_enum, default_value_t = Format::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: Format,
    /// The time that scans are judged at [default: the clock's]
    #[arg(long, value_name = "RFC3339", value_parser = parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
}

impl AuditCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        let config = self.config.load().map_err(io::Error::other)?.config;
        let judge = Judge { now: self.now.unwrap_or_else(OffsetDateTime::now_utc), settings: config.settings };
        let mut report = ClusterReport::new(self.output.stdout(), self.output);
        cluster::run(audit(&self.cluster.options(), &judge, &mut report))??;
        let counts = report.finish()?;
        Ok(ExitCode::from(match (counts.errors, counts.tally.denied) {
            (0, 0) => 0,
            (0, _) => DENIED,
            _ => UNUSABLE,
        }))
    }
}

/// Judges all that can be listed, and reports what cannot.
async fn audit(cluster: &ClusterOptions, judge: &Judge, report: &mut ClusterReport<impl Write>) -> io::Result<()> {
    let client = client(cluster).await.map_err(io::Error::other)?;
    let listings = listings(&client).await.map_err(io::Error::other)?;
    let progress = Progress::new();
    for mut listing in listings {
        loop {
            match listing.next().await {
                Ok(Some(ScanPage { scans, left })) => {
                    progress.clear();
                    scans.iter().try_for_each(|json| judge_scan(listing.kind, json, judge, report))?;
                    progress.show(report, left)?;
                }
                Ok(None) => break,
                Err(error) => {
                    progress.clear();
                    report.error(error);
                    break;
                }
            }
        }
    }
    progress.clear();
    Ok(())
}

/// The name of a scan.
#[derive(Deserialize)]
struct StoredHead {
    metadata: StoredNames,
}

#[derive(Deserialize)]
struct StoredNames {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

fn judge_scan(kind: Kind, json: &RawValue, judge: &Judge, report: &mut ClusterReport<impl Write>) -> io::Result<()> {
    let json = json.get();
    let read = serde_json::from_str::<StoredHead>(json).map_err(|error| error.to_string()).and_then(|head| {
        let scan = reader::read::<Container<'_, Scan<'_>>>(json).map_err(|error| error.message(json))?;
        Ok((head.metadata, scan.value().unwrap_or_default()))
    });
    let (names, scan) = match read {
        Ok(read) => read,
        Err(message) => {
            report.error(format!("a {} cannot be read: {message}", kind.name()));
            return Ok(());
        }
    };
    let subject = Subject { kind, namespace: &names.namespace, name: &names.name };
    let parts = [Part::Spec, Part::Status];
    judge.judge(kind, &scan, subject.namespace, &parts, |findings| report.scan(&subject, findings))
}

/// One line on a terminal that shows how far it is.
struct Progress {
    is_shown: bool,
}

/// To the start of the line, and nothing left of what was there.
const CLEAR: &str = "\r\x1b[K";

impl Progress {
    fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    fn show<W: Write>(&self, report: &mut ClusterReport<W>, left: u64) -> io::Result<()> {
        if !self.is_shown {
            return Ok(());
        }
        // The findings may be on the same terminal: those of this page are above this line.
        report.flush()?;
        let (scans, denied) = (report.tally.scans, report.tally.denied);
        let line = format!("{CLEAR}{scans} scans judged, {left} more of this kind, {denied} would be denied");
        io::stderr().write_all(line.as_bytes())
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = io::stderr().write_all(CLEAR.as_bytes());
        }
    }
}
