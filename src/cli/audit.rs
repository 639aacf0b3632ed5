//! `audit`: reports the stored scans that the webhook would deny.

mod watch;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kube::Client;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use self::watch::WatchFlags;
use super::flags::cluster::{self, ClusterFlags};
use super::flags::config::ConfigFlags;
use super::flags::duration::parse_stuck;
use super::flags::{output, parse_time};
use super::{DENIED, UNUSABLE};
use crate::cluster::client::{ClusterOptions, client};
use crate::cluster::listing::{ListPage, listings};
use crate::cluster::scan_events::explain;
use crate::offline::Judge;
use crate::offline::stored::StoredScan;
use crate::offline::stuck::stuck_scan;
use crate::report::format::Stdout;
use crate::report::stuck::StuckScans;
use crate::report::totals::Tally;
use crate::report::{FindingSink as _, Output, ReportedError, ReportedObject, Reports, Totals, print_warning};
use crate::scan::Kind;

/// Judge every scan that a cluster stores, without changing anything
#[derive(Args)]
#[command(after_help = "Judges each scan as if it were written now. So an old error counts, even if the webhook would
downgrade it. docs/doctor.md lists the rights that this needs.

Formats:
  text      a line for each finding, and a table of counts
  json      one document, described by docs/report.schema.json
  junit     JUnit XML, with a test case for each scan
  markdown  a table for a comment, of at most 60,000 bytes

Examples:
  scan-admission audit
  scan-admission audit --config config.yaml
  scan-admission audit --stuck 30m
  scan-admission audit -o json | jq '.rules'
  scan-admission audit --watch --reports openreports --admin :8080

With --watch, the command keeps watching, and exports metrics at the address of --admin; docs/reports.md lists them.
With --reports, it also keeps a report for each scan with findings. It ends with 0 on a signal.

Exit codes:
  0  no scan would be denied
  1  a scan would be denied
  2  a scan cannot be read, or a report cannot be written")]
pub struct AuditCommand {
    /// Report to write, to standard output or a file; may be repeated, or several separated by commas [default: text]
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_parser = output::parse_of_cluster, value_delimiter = ',',
          env = "SCAN_ADMISSION_OUTPUT")]
    output: Vec<Output>,
    /// Time at which to judge [default: the current time]
    #[arg(long, value_name = "RFC3339", value_parser = parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    /// List the scans that have waited for longer than this, such as 30m, for their run to begin or to end, or for a run for
    /// their current spec. With --watch: count them [default: 30m]
    #[arg(long, value_name = "DURATION", value_parser = parse_stuck, env = "SCAN_ADMISSION_STUCK")]
    stuck: Option<Duration>,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    watch: WatchFlags,
}

impl AuditCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        if self.watch.is_set() {
            if !self.output.is_empty() || self.now.is_some() {
                return Err(io::Error::other(
                    "--watch writes no report and judges at the current time: omit -o and --now",
                ));
            }
            return self.watch.run(&self.config, &self.cluster.options(), self.stuck);
        }
        self.watch.check_unused()?;
        let config = self.config.load().map_err(io::Error::other)?.config;
        let judge = Judge { now: self.now.unwrap_or_else(OffsetDateTime::now_utc), settings: config.settings };
        let outputs = Output::complete(self.output, Stdout::Free).map_err(io::Error::other)?;
        let totals = Totals { stuck: self.stuck.map(|_| StuckScans::new(judge.now)), ..Totals::default() };
        let mut reports = output::open(&outputs, Stdout::Free, totals)?;
        cluster::run(audit(&self.cluster.options(), &judge, self.stuck, &mut reports))??;
        let totals = reports.finish()?;
        Ok(ExitCode::from(match (totals.errors, totals.tally.denied) {
            (0, 0) => 0,
            (0, _) => DENIED,
            _ => UNUSABLE,
        }))
    }
}

/// Judges every scan that can be listed, and reports the kinds that cannot.
async fn audit(
    cluster: &ClusterOptions,
    judge: &Judge,
    stuck: Option<Duration>,
    reports: &mut Reports,
) -> io::Result<()> {
    let client = client(cluster).await.map_err(io::Error::other)?;
    let listings = listings(&client).await.map_err(io::Error::other)?;
    for mut listing in listings {
        loop {
            match listing.next().await {
                Ok(Some(ListPage { items, left, .. })) => {
                    items.iter().try_for_each(|json| judge_scan(listing.kind, json, judge, stuck, reports))?;
                    reports.progress(|totals| {
                        let Tally { scans, denied, .. } = totals.tally;
                        format!("{scans} scans judged, {left} more of this kind, {denied} would be denied")
                    })?;
                }
                Ok(None) => break,
                Err(error) => {
                    reports.error(&ReportedError::of_cluster(error.to_string()))?;
                    break;
                }
            }
        }
    }
    explain_stuck_scans(&client, reports).await;
    Ok(())
}

/// Finds the Events that explain why scans are stuck. Without the right to read them, the scans are listed all the same.
async fn explain_stuck_scans(client: &Client, reports: &mut Reports) {
    reports.clear_progress();
    let Some(stuck) = &mut reports.totals.stuck else { return };
    stuck.sort();
    for kind in Kind::ALL {
        let mut events = stuck.uids(kind);
        if events.is_empty() {
            continue;
        }
        if let Err(error) = explain(client, kind, &mut events).await {
            print_warning(format_args!("the Events of stuck {} cannot be read: {error}", kind.plural()));
        }
        stuck.add_events(events);
    }
}

/// Judges one scan. A scan that cannot be read is reported as an error.
fn judge_scan(
    kind: Kind,
    json: &RawValue,
    judge: &Judge,
    stuck: Option<Duration>,
    reports: &mut Reports,
) -> io::Result<()> {
    let stored = match StoredScan::read(kind, json.get()) {
        Ok(stored) => stored,
        Err(message) => {
            return reports.error(&ReportedError::of_cluster(format!("a {} cannot be read: {message}", kind.name())));
        }
    };
    let found = stuck.and_then(|after| stuck_scan(&stored, after, judge.now));
    if let (Some(found), Some(stuck)) = (found, &mut reports.totals.stuck) {
        stuck.push(found);
    }
    let findings = stored.findings(judge);
    reports.object(&ReportedObject { file: None, subject: Some(stored.subject()), position: None, findings: &findings })
}
