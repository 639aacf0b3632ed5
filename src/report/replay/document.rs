//! The JSON document of a replay, and its schema.

use serde::Serialize;

use super::{NotReplayed, Outcome, ReplayReport, RowKey, Unread, WriteRow};
use crate::report::origins::JsonOrigin;
use crate::scan::time::format;

/// The version of the document.
const VERSION: u32 = 1;

/// What the webhooks would have done to the status writes of an audit log.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", schemars(title = "scan-admission replay"))]
pub struct ReplayDocument<'a> {
    /// The version of this format, 1. It changes if a member is removed or changes its meaning. Members may be added.
    version: u32,
    counts: ReplayCounts,
    /// The judged status writes by outcome, rule, namespace and user, the most severe first. At most 1,000, of which the
    /// most severe are kept.
    rows: Vec<DocumentRow<'a>>,
    /// The writes of further rows, counted by outcome. A write counts once for each row.
    more: Vec<MoreRows>,
    /// The findings of each ScanTemplate and manager in all judged writes, those with the most findings first, at most
    /// 1,000. A finding counts in each write that has it.
    origins: Vec<JsonOrigin<'a>>,
    /// The events that could not be judged, by reason.
    not_replayed: Vec<NotReplayedCount<'a>>,
    /// The parts of the input that are not audit events, by reason.
    unread: Vec<UnreadCount<'a>>,
    /// The inputs that could not be read.
    errors: &'a [String],
}

/// The numbers of events and writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReplayCounts {
    /// The audit events in the input, of all resources and stages.
    pub events: u64,
    /// The status writes that were judged. The next three numbers add up to it.
    pub status_writes: u64,
    /// The status writes that would be denied.
    pub denied: u64,
    /// The status writes that would be allowed with a warning.
    pub warned: u64,
    /// The status writes that would be allowed without a warning.
    pub clean: u64,
    /// The status writes in which a derived field would be filled in or corrected. They are also denied, warned
    /// about or clean.
    pub mutated: u64,
    /// The judged status writes whose old object is unknown. With it, an error could be a warning, since the old object
    /// may have the same error.
    pub upper_bounds: u64,
    /// The writes of scans that were dry runs. They are not judged.
    pub dry_runs: u64,
    /// The writes of scans that failed: the code of the response is 300 or more. They are not judged.
    pub failed: u64,
    /// The requests for scans in which the API server panicked.
    pub panics: u64,
    /// The events that could not be judged.
    pub not_replayed: u64,
    /// The parts of the input that are not audit events.
    pub unread: u64,
    /// The old objects that were dropped, since they exceeded 48 MB together.
    pub evicted: u64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct DocumentRow<'a> {
    outcome: Outcome,
    /// The id of the rule.
    rule: &'a str,
    namespace: &'a str,
    /// The user who wrote: the impersonated one, if there is one.
    user: &'a str,
    /// The number of status writes.
    writes: u64,
    /// The writes among them whose old object is unknown.
    upper_bounds: u64,
    /// The time of the first write, RFC 3339.
    first: String,
    /// The time of the last write, RFC 3339.
    last: String,
    example: DocumentExample<'a>,
}

/// A finding in one of the writes.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct DocumentExample<'a> {
    /// The auditID of the event.
    #[serde(rename = "auditID")]
    audit_id: &'a str,
    /// The file and the line of the event: `FILE:LINE`.
    position: &'a str,
    kind: &'a str,
    name: &'a str,
    /// The path of the field.
    path: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct MoreRows {
    outcome: Outcome,
    writes: u64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct NotReplayedCount<'a> {
    reason: NotReplayed,
    count: u64,
    /// The position of the first: `FILE:LINE`.
    first: &'a str,
}

#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct UnreadCount<'a> {
    reason: Unread,
    count: u64,
    /// The position of the first: `FILE:LINE`.
    first: &'a str,
}

impl<'a> ReplayDocument<'a> {
    pub(super) fn of(report: &'a ReplayReport) -> Self {
        let not_replayed = report.not_replayed.iter();
        let unread = report.unread.iter();
        Self {
            version: VERSION,
            counts: report.counts,
            rows: report.sorted_rows().into_iter().map(|(key, row)| document_row(key, row)).collect(),
            more: report.more.iter().map(|(&outcome, &writes)| MoreRows { outcome, writes }).collect(),
            origins: report.origins.groups(),
            not_replayed: not_replayed
                .map(|(&reason, tallied)| NotReplayedCount { reason, count: tallied.count, first: &tallied.first })
                .collect(),
            unread: unread
                .map(|(&reason, tallied)| UnreadCount { reason, count: tallied.count, first: &tallied.first })
                .collect(),
            errors: &report.errors,
        }
    }
}

fn document_row<'a>(key: &'a RowKey, row: &'a WriteRow) -> DocumentRow<'a> {
    let example = &row.example;
    DocumentRow {
        outcome: key.outcome,
        rule: key.rule,
        namespace: &key.namespace,
        user: &key.user,
        writes: row.writes,
        upper_bounds: row.upper_bounds,
        first: format(row.first).unwrap_or_default(),
        last: format(row.last).unwrap_or_default(),
        example: DocumentExample {
            audit_id: &example.audit_id,
            position: &example.position,
            kind: example.kind.name(),
            name: &example.name,
            path: &example.path,
            message: &example.message,
        },
    }
}
