//! The report of a replay: what the webhooks would have done to the status writes of an audit log.
//!
//! The JSON form is a single document, [`ReplayDocument`]. Its schema is docs/replay.schema.json.

mod document;
mod tables;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use time::OffsetDateTime;

use super::print_error;
use crate::engine::{Action, Findings, PatchOperation};
use crate::scan::Kind;
use crate::scan::json::printable;
pub use document::{ReplayCounts, ReplayDocument};

/// The most rows of the table: 1,000. A row takes at most 4 KiB, so the table takes at most 4 MiB. Further rows are
/// summed up in one.
pub const ROWS_MAX: usize = 1_000;
/// The most characters of a namespace, a name or a user that are kept: the limit of names in Kubernetes.
const NAME_MAX_CHARS: usize = 253;
/// The most characters of a message that are kept. Messages quote a few values, each truncated.
const MESSAGE_MAX_CHARS: usize = 1_000;
/// The most characters of a replaced value in a message.
const OLD_VALUE_MAX_CHARS: usize = 64;

/// The format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "server", derive(clap::ValueEnum))]
pub enum ReplayFormat {
    Text,
    Json,
    Markdown,
}

/// What would be done to a status write, the most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The write would be denied.
    Deny,
    /// The client would get a warning.
    Warn,
    /// A derived field would be filled in or corrected.
    Mutate,
    /// The finding would only be in the audit annotation `audited`.
    Audit,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Deny => "deny",
            Outcome::Warn => "warn",
            Outcome::Mutate => "mutate",
            Outcome::Audit => "audit",
        }
    }
}

impl From<Action> for Outcome {
    fn from(action: Action) -> Self {
        match action {
            Action::Deny => Outcome::Deny,
            Action::Warn => Outcome::Warn,
            Action::Audit => Outcome::Audit,
        }
    }
}

/// Why an event of a status write is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NotReplayed {
    /// The audit policy records this request at level Metadata.
    LevelMetadata,
    /// The audit policy records this request at level Request. Only the response has the object that was stored.
    LevelRequest,
    /// The API server removed the objects, since the event exceeded its size limit.
    Truncated,
    /// The response is not the scan. Clients can ask for another form.
    NoResponseObject,
    /// The event has no code or no time of the response.
    Incomplete,
    /// An update of a whole scan whose old object is not in the log. It is not known whether the update changed the
    /// status.
    NoOldObject,
}

impl NotReplayed {
    fn description(self) -> &'static str {
        match self {
            NotReplayed::LevelMetadata => "recorded at level Metadata: the policy has to record RequestResponse",
            NotReplayed::LevelRequest => "recorded at level Request: the policy has to record RequestResponse",
            NotReplayed::Truncated => "objects removed by the API server: raise --audit-log-truncate-max-event-size",
            NotReplayed::NoResponseObject => "the response is not the scan",
            NotReplayed::Incomplete => "the event has no response code or no time",
            NotReplayed::NoOldObject => "update of a whole scan whose old object is unknown",
        }
    }
}

/// Why a part of the input is not an audit event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Unread {
    /// It is not JSON.
    Malformed,
    /// The input ends within it.
    Cut,
    /// It is JSON of another kind or version than `Event` of `audit.k8s.io/v1`.
    OtherKind,
    /// It names the group of scans and exceeds 8 MiB.
    TooLong,
}

impl Unread {
    fn description(self) -> &'static str {
        match self {
            Unread::Malformed => "not valid JSON",
            Unread::Cut => "cut off at the end of the input",
            Unread::OtherKind => "not an Event of audit.k8s.io/v1",
            Unread::TooLong => "longer than 8 MiB",
        }
    }
}

/// A line of a log.
#[derive(Debug, Clone, Copy)]
pub struct LogPosition<'a> {
    pub file: &'a str,
    pub line: u64,
}

/// A number of events, and the position of the first.
#[derive(Debug, Clone)]
pub struct Tallied {
    count: u64,
    first: String,
}

impl Tallied {
    /// Counts an event.
    pub fn add<R: Ord>(tallies: &mut BTreeMap<R, Tallied>, reason: R, at: &LogPosition<'_>) {
        tallies.entry(reason).or_insert_with(|| Tallied { count: 0, first: position(at) }).count += 1;
    }
}

/// A status write that was judged.
pub struct ReplayedWrite<'a> {
    pub at: LogPosition<'a>,
    pub audit_id: &'a str,
    pub kind: Kind,
    pub namespace: &'a str,
    pub name: &'a str,
    pub user: &'a str,
    pub time: OffsetDateTime,
    /// Whether the old object is unknown, so that nothing could be downgraded as pre-existing.
    pub is_upper_bound: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct RowKey {
    outcome: Outcome,
    rule: &'static str,
    namespace: String,
    user: String,
}

#[derive(Debug)]
struct Row {
    writes: u64,
    upper_bounds: u64,
    first: OffsetDateTime,
    last: OffsetDateTime,
    example: RowExample,
}

/// The first finding of a row.
#[derive(Debug)]
struct RowExample {
    audit_id: String,
    position: String,
    kind: Kind,
    name: String,
    path: String,
    message: String,
}

#[derive(Default)]
pub struct ReplayReport {
    pub counts: ReplayCounts,
    rows: HashMap<RowKey, Row>,
    /// The writes of each outcome in rows beyond [`ROWS_MAX`], by rule.
    more: BTreeMap<Outcome, u64>,
    not_replayed: BTreeMap<NotReplayed, Tallied>,
    unread: BTreeMap<Unread, Tallied>,
    errors: Vec<String>,
}

impl ReplayReport {
    /// Reports a status write that was judged.
    pub fn write(&mut self, write: &ReplayedWrite<'_>, mutations: &[PatchOperation], findings: &Findings<'_>) {
        let mut reported: Vec<(Outcome, &'static str)> = Vec::new();
        for operation in mutations {
            self.row(write, Outcome::Mutate, operation.rule, &mut reported, || {
                (operation.field.to_string(), mutation_message(operation))
            });
        }
        for finding in findings.list() {
            self.row(write, finding.action.into(), finding.rule, &mut reported, || {
                (finding.field.to_string(), finding.explained().into_owned())
            });
        }
        let has = |outcome| reported.iter().any(|(found, _)| *found == outcome);
        let counts = &mut self.counts;
        counts.status_writes += 1;
        counts.upper_bounds += u64::from(write.is_upper_bound);
        counts.mutated += u64::from(has(Outcome::Mutate));
        if has(Outcome::Deny) {
            counts.denied += 1;
        } else if has(Outcome::Warn) {
            counts.warned += 1;
        } else {
            counts.clean += 1;
        }
    }

    /// Counts the write in the row of an outcome and a rule, once for each write.
    fn row(
        &mut self,
        write: &ReplayedWrite<'_>,
        outcome: Outcome,
        rule: &'static str,
        reported: &mut Vec<(Outcome, &'static str)>,
        example: impl FnOnce() -> (String, String),
    ) {
        if reported.contains(&(outcome, rule)) {
            return;
        }
        reported.push((outcome, rule));
        let [namespace, user] = [write.namespace, write.user].map(|name| printable(name, NAME_MAX_CHARS));
        let key = RowKey { outcome, rule, namespace, user };
        let upper_bounds = u64::from(write.is_upper_bound);
        if let Some(row) = self.rows.get_mut(&key) {
            row.writes += 1;
            row.upper_bounds += upper_bounds;
            row.first = row.first.min(write.time);
            row.last = row.last.max(write.time);
        } else if self.rows.len() >= ROWS_MAX {
            *self.more.entry(outcome).or_default() += 1;
        } else {
            let (path, message) = example();
            let example = RowExample {
                audit_id: printable(write.audit_id, NAME_MAX_CHARS),
                position: position(&write.at),
                kind: write.kind,
                name: printable(write.name, NAME_MAX_CHARS),
                path: printable(&path, MESSAGE_MAX_CHARS),
                message: printable(&message, MESSAGE_MAX_CHARS),
            };
            let row = Row { writes: 1, upper_bounds, first: write.time, last: write.time, example };
            self.rows.insert(key, row);
        }
    }

    /// Reports an event that could not be replayed.
    pub fn not_replayed(&mut self, reason: NotReplayed, at: &LogPosition<'_>) {
        self.counts.not_replayed += 1;
        Tallied::add(&mut self.not_replayed, reason, at);
    }

    /// Reports events that could not be replayed.
    pub fn all_not_replayed(&mut self, reason: NotReplayed, events: Tallied) {
        self.counts.not_replayed += events.count;
        self.not_replayed.entry(reason).and_modify(|tallied| tallied.count += events.count).or_insert(events);
    }

    /// Reports a part of the input that is not an audit event.
    pub fn unread(&mut self, reason: Unread, at: &LogPosition<'_>) {
        self.counts.unread += 1;
        Tallied::add(&mut self.unread, reason, at);
    }

    /// Reports an input that cannot be read. The error includes its name.
    pub fn error(&mut self, error: impl ToString) {
        self.errors.push(error.to_string());
    }

    /// Whether an input could not be read.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Writes the report, and prints errors on stderr.
    pub fn finish(&self, out: &mut impl Write, format: ReplayFormat) -> io::Result<()> {
        self.errors.iter().for_each(print_error);
        match format {
            ReplayFormat::Json => {
                serde_json::to_writer(&mut *out, &ReplayDocument::of(self))?;
                out.write_all(b"\n")?;
            }
            ReplayFormat::Text => tables::text(self, out)?,
            ReplayFormat::Markdown => tables::markdown(self, out)?,
        }
        out.flush()
    }

    /// Returns the rows: the most severe outcome first, and of an outcome the row with the most writes.
    fn sorted_rows(&self) -> Vec<(&RowKey, &Row)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by(|(a, row_a), (b, row_b)| {
            a.outcome.cmp(&b.outcome).then(row_b.writes.cmp(&row_a.writes)).then_with(|| a.cmp(b))
        });
        rows
    }
}

/// Returns the message of a mutation, as a warning of the mutating webhook has it.
fn mutation_message(operation: &PatchOperation) -> String {
    let new = operation.value.to_json();
    match &operation.old_value {
        Some(old) => format!("was {}, set to {new}", printable(old, OLD_VALUE_MAX_CHARS)),
        None => format!("absent, set to {new}"),
    }
}

fn position(at: &LogPosition<'_>) -> String {
    format!("{}:{}", printable(at.file, MESSAGE_MAX_CHARS), at.line)
}
