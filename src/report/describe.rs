//! What `describe` says of one scan: a page for people, or one JSON document.
//!
//! The JSON form is [`DescribeDocument`]. Its schema is docs/describe.schema.json.

mod text;

use std::io::{self, Write};

use serde::Serialize;
use time::OffsetDateTime;

use super::Format;
use super::event::{JsonEvent, ReportedEvent};
use super::finding::{ReportedFinding, ReportedObject, Subject};
use super::json::JsonFinding;

/// The version of the form of the document.
const VERSION: u32 = 1;

/// A stored scan and what is known about it.
pub struct Description<'a> {
    pub subject: Subject<'a>,
    pub now: OffsetDateTime,
    pub scan: DescribedScan,
    pub findings: Vec<ReportedFinding>,
    /// The Events about the scan, the newest first, or the reason why they cannot be read.
    pub events: Result<Vec<ReportedEvent>, String>,
}

/// The contents of a scan.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct DescribedScan {
    /// When the scan was created (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The ScanTemplate that the spec names; absent if it names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_template: Option<String>,
    /// The ScanPolicy that the spec names; absent if it names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_policy: Option<String>,
    /// What is known of the verdict, in words.
    pub verdict: String,
    /// The phase as it is stored; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// What the phase means.
    pub meaning: String,
    /// What the scan waits for; absent if its run has ended for the current spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<DescribedWait>,
    /// The generation of the scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The generation of the spec that the status was written for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The first 100 entries of the list of conditions.
    pub conditions: Vec<DescribedCondition>,
    /// The number of further conditions.
    pub more_conditions: usize,
    /// The CVE counts by severity and in total, those that are valid; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cve_count: Option<DescribedCounts>,
    /// When the scan was finished, as it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanned_at: Option<String>,
    /// The scanner: name, version and vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanner: Option<String>,
    /// What was scanned; if the status does not say it, what the spec names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the supply chain ships next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compliant_artifact: Option<String>,
    /// Where the results are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<String>,
    /// What happens next, a sentence each.
    pub next: Vec<String>,
}

/// What a scan waits for.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct DescribedWait {
    /// `Pending` for the start of its run, `Scanning` for its end, `Behind` for a run for the current spec.
    #[cfg_attr(feature = "server", schemars(extend("enum" = ["Pending", "Scanning", "Behind"])))]
    pub state: &'static str,
    /// Since when (RFC 3339).
    pub since: String,
}

/// A condition. Texts are as they are stored; a value of a wrong type is its JSON.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct DescribedCondition {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub condition_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its lastTransitionTime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    pub state: ConditionState,
    /// Why it is not current; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Whether a condition counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub enum ConditionState {
    /// It belongs to this run.
    Current,
    /// It belongs to an earlier run.
    Stale,
    /// It is malformed, or another one of its type comes first.
    Ignored,
}

/// CVE counts.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct DescribedCounts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
}

/// One scan: what its status means, what is wrong with it, and what happens next.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", schemars(title = "scan-admission describe"))]
pub struct DescribeDocument<'a> {
    /// The version of this form. Within a version, members are only added.
    version: u32,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    #[serde(flatten)]
    scan: &'a DescribedScan,
    /// The findings, in the form of the reports of `audit`.
    findings: Vec<JsonFinding<'a>>,
    /// The Events of the webhook about writes that it has denied, the newest first.
    denied: Vec<JsonEvent<'a>>,
    /// The other Events about the scan, the newest first.
    events: Vec<JsonEvent<'a>>,
    /// Why the Events cannot be read; absent if they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_error: Option<&'a str>,
}

impl ConditionState {
    fn name(self) -> &'static str {
        match self {
            ConditionState::Current => "current",
            ConditionState::Stale => "stale",
            ConditionState::Ignored => "ignored",
        }
    }
}

impl Description<'_> {
    /// Writes the page or the document.
    pub fn write(&self, mut out: impl Write, format: Format) -> io::Result<()> {
        match format {
            Format::Text => text::write(self, &mut out)?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, &DescribeDocument::of(self))?;
                out.write_all(b"\n")?;
            }
        }
        out.flush()
    }

    /// Returns the Events about denied writes, or the other ones.
    fn events(&self, are_denials: bool) -> impl Iterator<Item = &ReportedEvent> {
        self.events.iter().flatten().filter(move |event| event.is_denial() == are_denials)
    }
}

impl<'a> DescribeDocument<'a> {
    fn of(description: &'a Description<'a>) -> Self {
        let Description { subject, scan, findings, events, .. } = description;
        let object = ReportedObject { file: None, subject: Some(*subject), position: None, findings };
        Self {
            version: VERSION,
            kind: subject.kind.name(),
            namespace: subject.namespace,
            name: subject.name,
            scan,
            findings: findings.iter().map(|finding| JsonFinding::new(&object, finding)).collect(),
            denied: description.events(true).map(JsonEvent::from).collect(),
            events: description.events(false).map(JsonEvent::from).collect(),
            events_error: events.as_ref().err().map(String::as_str),
        }
    }
}
