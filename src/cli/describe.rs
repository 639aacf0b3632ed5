//! `describe`: explains one stored scan.

use std::io;
use std::process::ExitCode;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use time::OffsetDateTime;

use super::DENIED;
use super::flags::cluster::{self, ClusterFlags};
use super::flags::config::ConfigFlags;
use super::flags::parse_time;
use super::flags::scan::{ScanFlags, ScanName};
use crate::cluster::client::client;
use crate::cluster::scan_events::events_of;
use crate::cluster::stored_scan::stored_scan;
use crate::engine::Action;
use crate::offline::Judge;
use crate::offline::describe::describe;
use crate::offline::stored::StoredScan;
use crate::report::Format;

/// Describe a scan in a cluster: what its status means, what is wrong, who wrote it, what happens next
#[derive(Args)]
#[command(after_help = "KIND is sourcescan or imagescan, in any form that kubectl accepts.
The Events of the last hour show which writes were denied, if the webhook runs with --events.
docs/doctor.md lists the rights that this needs.

Examples:
  scan-admission describe sourcescan/hound
  scan-admission describe imagescan hound --namespace team-a
  scan-admission describe sourcescan/hound -o json | jq '.findings'

Exit codes:
  0  the scan was described
  1  with --fail: the scan would be denied
  2  the scan cannot be read")]
pub struct DescribeCommand {
    #[command(flatten)]
    scan: ScanFlags,
    /// Output format: a page, or one JSON document, described by docs/describe.schema.json
    #[arg(short, long, value_enum, default_value_t = Format::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: Format,
    /// Time at which to judge [default: the current time]
    #[arg(long, value_name = "RFC3339", value_parser = parse_time, env = "SCAN_ADMISSION_NOW")]
    now: Option<OffsetDateTime>,
    /// Exit with 1 if the scan would be denied
    #[arg(long, env = "SCAN_ADMISSION_FAIL", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    fail: bool,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
}

impl DescribeCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        let ScanName { kind, name, namespace } = self.scan.names().map_err(io::Error::other)?;
        let config = self.config.load().map_err(io::Error::other)?.config;
        let judge = Judge { now: self.now.unwrap_or_else(OffsetDateTime::now_utc), settings: config.settings };
        let options = self.cluster.options();
        cluster::run(async {
            let client = client(&options).await.map_err(io::Error::other)?;
            let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
            let json = stored_scan(&client, kind, &namespace, &name).await.map_err(io::Error::other)?;
            let unreadable = |reason| io::Error::other(format!("{} {name:?} cannot be read: {reason}", kind.name()));
            let stored = StoredScan::read(kind, json.get()).map_err(unreadable)?;
            let events = events_of(&client, &namespace, &name, &stored.metadata.uid).await;
            let description = describe(&stored, &judge, events.map_err(|error| error.to_string()));
            description.write(self.output.stdout(), self.output)?;
            let is_denied = description.findings.iter().any(|finding| finding.action == Action::Deny);
            Ok(ExitCode::from(if self.fail && is_denied { DENIED } else { 0 }))
        })?
    }
}
