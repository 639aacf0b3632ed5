//! `audit`: what the webhook would refuse of the scans that a cluster has.

mod report;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::judge::Judge;
use super::output::Output;
use super::{config, kubeconfig};
use crate::cluster::audit::{self, Page};
use crate::scan::{Kind, Member, Scan, reader};
use report::{Report, Subject};

/// Judges every scan of a cluster as it stands, page by page, and changes nothing
#[derive(Args)]
#[command(after_help = "Each scan is judged as if it were written anew: that an old fault is excused does not count.
docs/doctor.md says which rights that takes.

Examples:
  scan-admission audit
  scan-admission audit --config config.yaml
  scan-admission audit -o json | jq '.rules'

Exit: 0 nothing would be refused, 1 something would, 2 not everything could be read.")]
pub struct Audit {
    /// A line a finding and a table of their numbers, or one JSON document
    #[arg(short, long, value_enum, default_value_t = Output::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: Output,
    /// The time of the verdict [default: the clock's]
    #[arg(long, value_name = "RFC3339", value_parser = super::parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    #[command(flatten)]
    config: config::Args,
    #[command(flatten)]
    cluster: kubeconfig::Args,
}

impl Audit {
    pub fn run(self) -> io::Result<ExitCode> {
        let (config, _) = self.config.load().map_err(io::Error::other)?;
        let judge = Judge { now: self.now.unwrap_or_else(OffsetDateTime::now_utc), policy: config.policy };
        let mut report = Report::new(self.output.stdout(), self.output);
        kubeconfig::run(everything(&self.cluster, &judge, &mut report))??;
        report.finish()
    }
}

/// Judges all that can be listed. What cannot is told by the report, beside what could.
async fn everything(cluster: &kubeconfig::Args, judge: &Judge, report: &mut Report<impl Write>) -> io::Result<()> {
    let client = cluster.client().await.map_err(io::Error::other)?;
    let listings = audit::listings(&client).await.map_err(io::Error::other)?;
    let progress = Progress::new();
    for mut listing in listings {
        loop {
            match listing.next().await {
                Ok(Some(Page { scans, left })) => {
                    progress.clear();
                    scans.iter().try_for_each(|json| scan(listing.kind, json, judge, report))?;
                    progress.tell(report, left)?;
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

/// What a scan is called.
#[derive(Deserialize)]
struct Head {
    metadata: Names,
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

fn scan(kind: Kind, json: &RawValue, judge: &Judge, report: &mut Report<impl Write>) -> io::Result<()> {
    let json = json.get();
    let read = serde_json::from_str::<Head>(json).map_err(|error| error.to_string()).and_then(|head| {
        let scan = reader::read::<Member<Scan<'_>>>(json).map_err(|fault| fault.words(json))?;
        Ok((head.metadata, scan.value().unwrap_or_default()))
    });
    let (names, scan) = match read {
        Ok(read) => read,
        Err(words) => {
            report.error(format!("a {} cannot be read: {words}", kind.name()));
            return Ok(());
        }
    };
    let subject = Subject { kind, namespace: &names.namespace, name: &names.name };
    judge.judge(kind, &scan, subject.namespace, |findings| report.scan(&subject, findings))
}

/// One line on a terminal that says how far it is.
struct Progress {
    is_shown: bool,
}

/// To the start of the line, and nothing left of what was there.
const CLEAR: &str = "\r\x1b[K";

impl Progress {
    fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    fn tell<W: Write>(&self, report: &mut Report<W>, left: u64) -> io::Result<()> {
        if !self.is_shown {
            return Ok(());
        }
        // The findings may be on the same terminal: those of this page are above this line.
        report.flush()?;
        let (scans, refused) = (report.tally.scans, report.tally.refused);
        let words = format!("{CLEAR}{scans} scans judged, {left} more of this kind, {refused} would be refused");
        io::stderr().write_all(words.as_bytes())
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = io::stderr().write_all(CLEAR.as_bytes());
        }
    }
}
