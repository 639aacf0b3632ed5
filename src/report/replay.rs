//! The report of a replay: what the webhooks would have done to the status writes of an audit log.
//!
//! The JSON form is a single document, [`ReplayDocument`]. Its schema is docs/replay.schema.json.

mod document;
mod tables;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use time::OffsetDateTime;

use super::origins::Origins;
use super::print_error;
use crate::engine::{Action, Finding, Findings, PatchOperation};
use crate::scan::Kind;
use crate::scan::json::printable;
pub use document::{ReplayCounts, ReplayDocument};

/// The most rows of the table: 1,000. A row takes at most 4 KiB, so the table takes at most 4 MiB. Rows beyond the limit
/// are those with the least severe outcomes. Their writes are counted by outcome.
pub const ROWS_MAX: usize = 1_000;
/// The most bytes of a namespace, a name, a user or an ID that are kept: 253, the limit of names in Kubernetes. A row has
/// four.
const NAME_MAX_BYTES: usize = 253;
/// The most bytes of a path, a message or a position that are kept. A row has one of each. Messages quote a few values, each
/// truncated.
const MESSAGE_MAX_BYTES: usize = 1_000;

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
    /// An update of a whole scan with another status than the old object. The update has not changed the status, since
    /// the generation is the same. The write that has is not in the log.
    UnrecordedWrite,
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
            NotReplayed::UnrecordedWrite => {
                "status changed by a write that is not in the log: the policy has to record it"
            }
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
    /// The input or a list ends within it.
    Cut,
    /// It is JSON of another kind or version than `Event` of `audit.k8s.io/v1`.
    OtherKind,
    /// It exceeds 8 MiB, and is not an event of another resource.
    TooLong,
}

impl Unread {
    fn description(self) -> &'static str {
        match self {
            Unread::Malformed => "not valid JSON",
            Unread::Cut => "cut off",
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

/// Counts an event among the `tallies`.
pub fn tally<R: Ord>(tallies: &mut BTreeMap<R, Tallied>, reason: R, at: &LogPosition<'_>) {
    tallies.entry(reason).or_insert_with(|| Tallied { count: 0, first: position(at) }).count += 1;
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

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct RowKey {
    outcome: Outcome,
    rule: &'static str,
    namespace: String,
    user: String,
}

#[derive(Debug)]
struct WriteRow {
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

/// What would be done to a write, and why.
enum Reported<'w> {
    Mutation(&'w PatchOperation),
    Finding(&'w Finding<'w>),
}

#[derive(Default)]
pub struct ReplayReport {
    pub counts: ReplayCounts,
    /// The rows of each outcome. No outcome is without a row.
    rows: BTreeMap<Outcome, HashMap<RowKey, WriteRow>>,
    /// The writes in rows beyond [`ROWS_MAX`]. A write counts once for each row.
    more: BTreeMap<Outcome, u64>,
    not_replayed: BTreeMap<NotReplayed, Tallied>,
    unread: BTreeMap<Unread, Tallied>,
    errors: Vec<String>,
    /// The findings in all judged writes, by whose they are.
    pub origins: Origins,
}

impl ReplayReport {
    /// Reports a status write that was judged.
    pub fn write(&mut self, write: &ReplayedWrite<'_>, mutations: &[PatchOperation], findings: &Findings<'_>) {
        // The mutating webhook warns about the values that it replaces.
        let is_replaced = mutations.iter().any(|operation| operation.replaced_value().is_some());
        let mutations = mutations.iter().map(Reported::Mutation);
        let findings = findings.list().iter().map(Reported::Finding);
        let mut reported: Vec<Reported<'_>> = mutations.chain(findings).collect();
        // A write counts once in a row, with the first finding of the rule. The sort is stable.
        reported.sort_by_key(Reported::outcome_and_rule);
        reported.dedup_by_key(|reported| reported.outcome_and_rule());
        reported.iter().for_each(|reported| self.row(write, reported));
        let has = |outcome| reported.iter().any(|reported| reported.outcome_and_rule().0 == outcome);
        let counts = &mut self.counts;
        counts.status_writes += 1;
        counts.upper_bounds += u64::from(write.is_upper_bound);
        counts.mutated += u64::from(has(Outcome::Mutate));
        if has(Outcome::Deny) {
            counts.denied += 1;
        } else if has(Outcome::Warn) || is_replaced {
            counts.warned += 1;
        } else {
            counts.clean += 1;
        }
    }

    /// Counts the write in the row of an outcome and a rule.
    fn row(&mut self, write: &ReplayedWrite<'_>, reported: &Reported<'_>) {
        let (outcome, rule) = reported.outcome_and_rule();
        let [namespace, user] = [write.namespace, write.user].map(|name| shortened(name, NAME_MAX_BYTES));
        let key = RowKey { outcome, rule, namespace, user };
        if let Some(row) = self.rows.get_mut(&outcome).and_then(|rows| rows.get_mut(&key)) {
            row.writes += 1;
            row.upper_bounds += u64::from(write.is_upper_bound);
            row.first = row.first.min(write.time);
            row.last = row.last.max(write.time);
        } else if self.rows.values().map(HashMap::len).sum::<usize>() < ROWS_MAX || self.evict_less_severe(outcome) {
            self.rows.entry(outcome).or_default().insert(key, WriteRow::new(write, reported));
        } else {
            *self.more.entry(outcome).or_default() += 1;
        }
    }

    /// Removes the last row of the report, if its outcome is less severe. Returns whether a row was removed.
    fn evict_less_severe(&mut self, outcome: Outcome) -> bool {
        let Some(mut of_least) = self.rows.last_entry().filter(|rows| *rows.key() > outcome) else { return false };
        let rows = of_least.get_mut();
        let last = rows.iter().max_by(|a, b| report_order(*a, *b)).map(|(key, _)| key.clone());
        let evicted = last.and_then(|last| rows.remove(&last));
        *self.more.entry(*of_least.key()).or_default() += evicted.map_or(0, |row| row.writes);
        if of_least.get().is_empty() {
            of_least.remove();
        }
        true
    }

    /// Reports an event that could not be replayed.
    pub fn not_replayed(&mut self, reason: NotReplayed, at: &LogPosition<'_>) {
        self.counts.not_replayed += 1;
        tally(&mut self.not_replayed, reason, at);
    }

    /// Reports events that could not be replayed.
    pub fn all_not_replayed(&mut self, reason: NotReplayed, events: Tallied) {
        self.counts.not_replayed += events.count;
        self.not_replayed.entry(reason).and_modify(|tallied| tallied.count += events.count).or_insert(events);
    }

    /// Reports a part of the input that is not an audit event.
    pub fn unread(&mut self, reason: Unread, at: &LogPosition<'_>) {
        self.counts.unread += 1;
        tally(&mut self.unread, reason, at);
    }

    /// Reports an input that cannot be read. The error includes its name.
    pub fn error(&mut self, error: impl ToString) {
        self.errors.push(printable(&error.to_string(), usize::MAX));
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
    fn sorted_rows(&self) -> Vec<(&RowKey, &WriteRow)> {
        let mut rows: Vec<_> = self.rows.values().flatten().collect();
        rows.sort_by(|a, b| report_order(*a, *b));
        rows
    }
}

impl WriteRow {
    fn new(write: &ReplayedWrite<'_>, reported: &Reported<'_>) -> Self {
        let (path, message) = reported.path_and_message();
        let example = RowExample {
            audit_id: shortened(write.audit_id, NAME_MAX_BYTES),
            position: position(&write.at),
            kind: write.kind,
            name: shortened(write.name, NAME_MAX_BYTES),
            path: shortened(&path, MESSAGE_MAX_BYTES),
            message: shortened(&message, MESSAGE_MAX_BYTES),
        };
        let upper_bounds = u64::from(write.is_upper_bound);
        Self { writes: 1, upper_bounds, first: write.time, last: write.time, example }
    }
}

impl Reported<'_> {
    fn outcome_and_rule(&self) -> (Outcome, &'static str) {
        match self {
            Reported::Mutation(operation) => (Outcome::Mutate, operation.rule),
            Reported::Finding(finding) => (finding.action.into(), finding.rule),
        }
    }

    fn path_and_message(&self) -> (String, String) {
        match self {
            Reported::Mutation(operation) => (operation.field.to_string(), mutation_message(operation)),
            Reported::Finding(finding) => (finding.field.to_string(), finding.explained().into_owned()),
        }
    }
}

/// Compares two rows: the most severe outcome is first, and of an outcome the row with the most writes.
fn report_order((a, row_a): (&RowKey, &WriteRow), (b, row_b): (&RowKey, &WriteRow)) -> Ordering {
    a.outcome.cmp(&b.outcome).then(row_b.writes.cmp(&row_a.writes)).then_with(|| a.cmp(b))
}

/// Returns the message of a mutation, as a warning of the mutating webhook has it.
fn mutation_message(operation: &PatchOperation) -> String {
    operation.replacement().unwrap_or_else(|| format!("absent, set to {}", operation.value.to_json()))
}

fn position(at: &LogPosition<'_>) -> String {
    format!("{}:{}", shortened(at.file, MESSAGE_MAX_BYTES), at.line)
}

/// Returns the text without control characters. At most `max_bytes` of it are kept, and `…` stands for the rest.
fn shortened(text: &str, max_bytes: usize) -> String {
    let kept = &text[..text.floor_char_boundary(max_bytes)];
    let mut shown = printable(kept, usize::MAX);
    if kept.len() < text.len() {
        shown.push('…');
    }
    shown
}
