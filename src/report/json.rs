//! The report as one JSON document, for programs. [`JsonDocument`] describes it, and `docs/report.schema.json` is its
//! schema. It is stable, except that members may be added; another change gets another [`VERSION`].

use std::io::{self, Write};

use serde::Serialize;

use super::Report;
use super::finding::{ReportedError, ReportedFinding, ReportedObject};
use super::origins::JsonOrigin;
use super::stuck::JsonStuckScan;
use super::totals::{ActionCounts, Tally, Totals};
use crate::manifest::Position;
use crate::scan::time::format;

/// The version of the form of the document.
pub const VERSION: u32 = 1;

/// The findings of `check` or `audit`.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct JsonDocument<'a> {
    /// The version of this form. Within a version, members are only added.
    pub version: u32,
    pub findings: Vec<JsonFinding<'a>>,
    /// The number of findings of each rule in each namespace.
    pub rules: Vec<JsonRuleCounts<'a>>,
    /// The findings of each ScanTemplate and manager, those with the most findings first, at most 1,000; absent for files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "server", schemars(default))]
    pub origins: Vec<JsonOrigin<'a>>,
    /// The scans that have waited for too long, those that have waited longest first, at most 1,000; absent without `--stuck`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "server", schemars(default))]
    pub stuck: Vec<JsonStuckScan<'a>>,
    /// The inputs that could not be read.
    pub errors: Vec<JsonError>,
    pub counts: JsonCounts,
}

/// A finding.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct JsonFinding<'a> {
    /// The file as it was named; absent for a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    /// The position of the field or, if it is absent, of the innermost part around it.
    #[serde(flatten)]
    position: Option<Position>,
    /// The kind of the scan. A finding outside of the scans of a document has no kind, namespace and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// The path of the field, such as `status.conditions[Succeeded].reason`.
    path: &'a str,
    /// The id of the rule; absent for a finding about the document, such as a duplicate field.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    /// How severe the rule considers the finding.
    #[cfg_attr(feature = "server", schemars(extend("enum" = crate::engine::Severity::ALL.map(|known| known.name()))))]
    severity: &'a str,
    /// What is done about the finding.
    #[cfg_attr(feature = "server", schemars(extend("enum" = crate::engine::Action::ALL.map(|known| known.name()))))]
    action: &'a str,
    /// Why the action of an error is not `deny`; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schemars(extend("enum" = crate::engine::Downgrade::ALL.map(|known| known.name()))))]
    downgraded: Option<&'a str>,
    /// The finding in the form of a field error of Kubernetes.
    message: &'a str,
    /// The ScanTemplate that the spec names; absent for files, empty if it names none.
    #[serde(rename = "scanTemplate", skip_serializing_if = "Option::is_none")]
    scan_template: Option<&'a str>,
    /// The manager that has written the field; absent for files, empty if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    manager: Option<&'a str>,
    /// When the manager has written last (RFC 3339); absent for files, and if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<String>,
}

/// The number of findings of a rule in a namespace, by action.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct JsonRuleCounts<'a> {
    namespace: &'a str,
    rule: &'a str,
    #[serde(flatten)]
    counts: ActionCounts,
}

/// An input that could not be read.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct JsonError {
    /// The file as it was named; absent for a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(flatten)]
    position: Option<Position>,
    message: String,
}

#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct JsonCounts {
    /// Files that could be opened; absent for a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<usize>,
    #[serde(flatten)]
    tally: Tally,
    /// Objects of other kinds; absent for a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<usize>,
    /// The scans that have waited for too long; absent without `--stuck`.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<usize>,
    /// Inputs that could not be read.
    errors: usize,
}

/// Writes each finding immediately. Only errors are kept in memory, for the end of the document.
pub struct JsonReport<W> {
    out: W,
    is_begun: bool,
    errors: Vec<JsonError>,
}

impl<W: Write> JsonReport<W> {
    pub fn new(out: W) -> Self {
        Self { out, is_begun: false, errors: Vec::new() }
    }
}

impl<W: Write> Report for JsonReport<W> {
    fn object(&mut self, object: &ReportedObject<'_>) -> io::Result<()> {
        for finding in object.findings {
            self.separate()?;
            serde_json::to_writer(&mut self.out, &JsonFinding::new(object, finding))?;
        }
        Ok(())
    }

    fn error(&mut self, error: &ReportedError) -> io::Result<()> {
        let ReportedError { file, position, message, .. } = error.clone();
        self.errors.push(JsonError { file, position, message });
        Ok(())
    }

    fn finish(mut self: Box<Self>, totals: &Totals) -> io::Result<()> {
        let Totals { tally, files, skipped, errors, .. } = *totals;
        let rules =
            totals.rules.iter().map(|((namespace, rule), counts)| JsonRuleCounts { namespace, rule, counts: *counts });
        let stuck = totals.stuck.as_ref().map(|stuck| stuck.count);
        let has_findings = self.is_begun;
        if !has_findings {
            self.begin()?;
        }
        self.out.write_all(if has_findings { b"\n],\"rules\":" } else { b"],\"rules\":" })?;
        serde_json::to_writer(&mut self.out, &rules.collect::<Vec<_>>())?;
        let origins = totals.origins.groups();
        if !origins.is_empty() {
            self.out.write_all(b",\"origins\":")?;
            serde_json::to_writer(&mut self.out, &origins)?;
        }
        if let Some(stuck) = &totals.stuck {
            self.out.write_all(b",\"stuck\":")?;
            serde_json::to_writer(&mut self.out, &stuck.json().collect::<Vec<_>>())?;
        }
        self.out.write_all(b",\"errors\":")?;
        serde_json::to_writer(&mut self.out, &self.errors)?;
        self.out.write_all(b",\"counts\":")?;
        serde_json::to_writer(&mut self.out, &JsonCounts { files, tally, skipped, stuck, errors })?;
        self.out.write_all(b"}\n")?;
        self.out.flush()
    }
}

impl<W: Write> JsonReport<W> {
    fn begin(&mut self) -> io::Result<()> {
        self.is_begun = true;
        write!(self.out, "{{\"version\":{VERSION},\"findings\":[")
    }

    fn separate(&mut self) -> io::Result<()> {
        if self.is_begun {
            self.out.write_all(b",\n")
        } else {
            self.begin()?;
            self.out.write_all(b"\n")
        }
    }
}

impl<'a> JsonFinding<'a> {
    pub fn new(object: &ReportedObject<'a>, finding: &'a ReportedFinding) -> Self {
        Self {
            file: object.file,
            position: finding.location.map(|location| location.position),
            kind: object.subject.map(|subject| subject.kind.name()),
            namespace: object.subject.map(|subject| subject.namespace),
            name: object.subject.map(|subject| subject.name),
            path: &finding.path,
            rule: finding.rule,
            severity: finding.severity.name(),
            action: finding.action.name(),
            downgraded: finding.downgraded.map(|downgraded| downgraded.name()),
            message: &finding.message,
            scan_template: finding.origin.as_ref().map(|origin| origin.template.as_str()),
            manager: finding.origin.as_ref().map(|origin| origin.manager.as_str()),
            written: finding.origin.as_ref().and_then(|origin| format(origin.written?)),
        }
    }
}
