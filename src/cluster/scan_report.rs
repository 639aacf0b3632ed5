//! The report of a scan with findings, in the API that dashboards read: a Report of openreports.io, or its predecessor, the
//! PolicyReport of wgpolicyk8s.io. Both have the fields that are written here.
//!
//! A report depends only on the scan and on the rules, so that two replicas write the same. It has no timestamps.

use std::collections::BTreeMap;
use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::MANAGED_BY;
use crate::engine::{Action, Severity};
use crate::offline::stored::StoredScan;
use crate::report::{Origin, ReportedFinding};
use crate::scan::json::printable;
use crate::scan::time as scan_time;

/// The most results of a report. With [`MESSAGE_MAX_CHARS`] and [`PROPERTY_MAX_CHARS`], a report has at most 64 × 2,400
/// characters of at most 4 bytes, 0.6 MB. The API server stores objects of up to 1.5 MB.
const RESULTS_MAX: usize = 64;
/// The most characters of a message: that of a condition in Kubernetes has a similar limit, and a table shows fewer.
const MESSAGE_MAX_CHARS: usize = 1_024;
/// The most characters of a property. A path has at most 316 for the type of a condition, and names of Kubernetes 253.
const PROPERTY_MAX_CHARS: usize = 400;

const CATEGORY: &str = "Scan status";
/// The policy of a scan that waits for its controller for too long. All other policies are rules.
const STUCK: &str = "stuck-scan";
/// The name of a report is this and the uid of its scan.
const NAME_PREFIX: &str = "scan-admission-";

/// The API of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportApi {
    /// Report of openreports.io/v1alpha1
    Openreports,
    /// PolicyReport of wgpolicyk8s.io/v1alpha2
    Policyreport,
}

impl ReportApi {
    /// The apiVersion: group and version.
    pub fn version(self) -> &'static str {
        match self {
            Self::Openreports => "openreports.io/v1alpha1",
            Self::Policyreport => "wgpolicyk8s.io/v1alpha2",
        }
    }

    pub fn kind(self) -> &'static str {
        match self {
            Self::Openreports => "Report",
            Self::Policyreport => "PolicyReport",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Self::Openreports => "reports",
            Self::Policyreport => "policyreports",
        }
    }
}

/// The uid of a scan. The API server makes it as a random UUID.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScanUid(u128);

impl ScanUid {
    /// Parses a UUID. Returns `None` for every other text, which no API server writes.
    pub fn parse(text: &str) -> Option<Self> {
        let uid = Self(u128::from_str_radix(&text.replace('-', ""), 16).ok()?);
        (uid.to_string() == text).then_some(uid)
    }

    /// The name of the report of the scan.
    pub fn report_name(self) -> String {
        format!("{NAME_PREFIX}{self}")
    }

    /// Returns the scan of a report with this name.
    pub fn of_report(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix(NAME_PREFIX)?)
    }
}

impl fmt::Display for ScanUid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(out, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// A report, as far as this program writes it. Members of other clients are ignored.
#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanReport {
    api_version: String,
    kind: String,
    pub metadata: ReportMetadata,
    #[serde(default)]
    scope: ObjectReference,
    #[serde(default)]
    summary: ReportSummary,
    #[serde(default)]
    results: Vec<ReportResult>,
}

#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportMetadata {
    pub name: String,
    pub namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// The garbage collector deletes the report with its scan.
    #[serde(default)]
    owner_references: Vec<ObjectReference>,
}

/// A reference to a scan: the scope of a report, or without its namespace the owner.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectReference {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: String,
}

/// The number of findings by result. Findings beyond the limit of results count as well.
#[derive(Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
struct ReportSummary {
    pass: u64,
    fail: u64,
    warn: u64,
    error: u64,
    skip: u64,
}

#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportResult {
    #[serde(default)]
    source: String,
    /// The id of the rule.
    policy: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    result: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

impl ScanReport {
    /// Returns the report of a scan; `None` if there is nothing to report. `version` is the apiVersion of the scan.
    pub fn of_scan(
        api: ReportApi,
        version: &str,
        stored: &StoredScan<'_>,
        findings: &[ReportedFinding],
        stuck_since: Option<OffsetDateTime>,
    ) -> Option<Self> {
        let uid = ScanUid::parse(&stored.metadata.uid)?;
        let mut results: Vec<ReportResult> = findings.iter().map(ReportResult::from).collect();
        results.extend(stuck_since.and_then(ReportResult::stuck));
        let count = |result: &str| results.iter().filter(|found| found.result == result).count() as u64;
        let summary = ReportSummary { fail: count(FAIL), warn: count(WARN), ..ReportSummary::default() };
        if results.is_empty() {
            return None;
        }
        // Those that deny first: `fail` is sorted before `warn`. The order within is that of the rules.
        results.sort_by(|one, other| one.result.cmp(&other.result));
        results.truncate(RESULTS_MAX);
        let owner = ObjectReference {
            api_version: version.to_owned(),
            kind: stored.kind.name().to_owned(),
            namespace: String::new(),
            name: stored.metadata.name.clone(),
            uid: stored.metadata.uid.clone(),
        };
        let namespace = stored.metadata.namespace.clone();
        Some(Self {
            api_version: api.version().to_owned(),
            kind: api.kind().to_owned(),
            scope: ObjectReference { namespace: namespace.clone(), ..owner.clone() },
            metadata: ReportMetadata {
                name: uid.report_name(),
                namespace,
                labels: BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())]),
                owner_references: vec![owner],
            },
            summary,
            results,
        })
    }

    /// Reads a stored report, without the labels and owners that others have added.
    pub fn read(json: &str) -> Option<Self> {
        let mut report: Self = serde_json::from_str(json).ok()?;
        report.metadata.labels.retain(|name, _| name == MANAGED_BY.0);
        let scan = report.scope.uid.clone();
        report.metadata.owner_references.retain(|owner| owner.uid == scan);
        Some(report)
    }
}

const FAIL: &str = "fail";
const WARN: &str = "warn";

impl From<&ReportedFinding> for ReportResult {
    fn from(finding: &ReportedFinding) -> Self {
        let mut properties = BTreeMap::from([("path".to_owned(), limited(&finding.path, PROPERTY_MAX_CHARS))]);
        if let Some(Origin { template, manager, .. }) = &finding.origin {
            for (name, value) in [("manager", manager), ("template", template)] {
                if !value.is_empty() {
                    properties.insert(name.to_owned(), limited(value, PROPERTY_MAX_CHARS));
                }
            }
        }
        let severity = match finding.severity {
            Severity::Error => "high",
            Severity::Warning => "low",
        };
        let result = if finding.action == Action::Deny { FAIL } else { WARN };
        Self::new(finding.rule.unwrap_or_default(), severity, result, &finding.message, properties)
    }
}

impl ReportResult {
    fn new(policy: &str, severity: &str, result: &str, message: &str, properties: BTreeMap<String, String>) -> Self {
        Self {
            source: MANAGED_BY.1.to_owned(),
            policy: policy.to_owned(),
            category: CATEGORY.to_owned(),
            severity: severity.to_owned(),
            result: result.to_owned(),
            message: limited(message, MESSAGE_MAX_CHARS),
            properties,
        }
    }

    fn stuck(since: OffsetDateTime) -> Option<Self> {
        let message = format!("the scan has waited for its controller since {}", scan_time::format(since)?);
        let properties = BTreeMap::from([("path".to_owned(), "status".to_owned())]);
        Some(Self::new(STUCK, "medium", WARN, &message, properties))
    }
}

/// Returns a text of at most `max_chars` characters without control characters.
fn limited(text: &str, max_chars: usize) -> String {
    // One character is for the ellipsis.
    if text.chars().count() > max_chars { printable(text, max_chars - 1) } else { printable(text, max_chars) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scan::Kind;

    const UID: &str = "0f9b7c1e-0000-4000-8000-00000000000a";

    fn stored() -> String {
        let metadata = json!({"name": "a", "namespace": "team", "uid": UID});
        json!({"metadata": metadata}).to_string()
    }

    fn report(findings: &[ReportedFinding], stuck_since: Option<OffsetDateTime>) -> Option<Value> {
        let json = stored();
        let stored = StoredScan::read(Kind::ImageScan, &json).unwrap();
        let report = ScanReport::of_scan(ReportApi::Policyreport, "x/v1", &stored, findings, stuck_since)?;
        // What is read again is the same, so that it is not written again.
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(ScanReport::read(&text).unwrap(), report);
        Some(serde_json::from_str(&text).unwrap())
    }

    fn finding(message: &str) -> ReportedFinding {
        ReportedFinding::warning("status.phase", message.to_owned())
    }

    #[test]
    fn a_report_belongs_to_its_scan() {
        assert_eq!(report(&[], None), None);
        let report = report(&[], Some(OffsetDateTime::UNIX_EPOCH)).unwrap();
        assert_eq!(
            report,
            json!({
                "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
                "metadata": {
                    "name": format!("scan-admission-{UID}"), "namespace": "team",
                    "labels": {"app.kubernetes.io/managed-by": "scan-admission"},
                    "ownerReferences": [{"apiVersion": "x/v1", "kind": "ImageScan", "name": "a", "uid": UID}],
                },
                "scope": {"apiVersion": "x/v1", "kind": "ImageScan", "namespace": "team", "name": "a", "uid": UID},
                "summary": {"pass": 0, "fail": 0, "warn": 1, "error": 0, "skip": 0},
                "results": [{
                    "source": "scan-admission", "policy": "stuck-scan", "category": "Scan status", "severity": "medium",
                    "result": "warn", "properties": {"path": "status"},
                    "message": "the scan has waited for its controller since 1970-01-01T00:00:00Z",
                }],
            })
        );
    }

    #[test]
    fn results_and_messages_are_limited_and_denials_come_first() {
        let denied = ReportedFinding { severity: Severity::Error, action: Action::Deny, ..finding("denied") };
        let mut findings = vec![finding(&"ü".repeat(2_000)); 70];
        findings.push(denied);
        let report = report(&findings, None).unwrap();
        let results = report["results"].as_array().unwrap();
        assert_eq!(
            (results.len(), &results[0]["message"], &results[0]["severity"]),
            (64, &json!("denied"), &json!("high"))
        );
        let message = results[1]["message"].as_str().unwrap();
        assert_eq!((message.chars().count(), message.chars().last()), (1_024, Some('…')));
        assert_eq!((&report["summary"]["fail"], &report["summary"]["warn"]), (&json!(1), &json!(70)));
        assert_eq!(limited(&"a".repeat(1_024), 1_024).len(), 1_024);
    }

    #[test]
    fn members_of_others_are_ignored() {
        let json = stored();
        let stored = StoredScan::read(Kind::ImageScan, &json).unwrap();
        let report = ScanReport::of_scan(ReportApi::Openreports, "x/v1", &stored, &[finding("a")], None).unwrap();
        let mut changed = serde_json::to_value(&report).unwrap();
        changed["metadata"]["labels"]["team"] = json!("a");
        changed["metadata"]["resourceVersion"] = json!("7");
        changed["metadata"]["ownerReferences"]
            .as_array_mut()
            .unwrap()
            .push(json!({"kind": "Team", "name": "a", "uid": "b"}));
        assert_eq!(ScanReport::read(&changed.to_string()).unwrap(), report);
        changed["results"][0]["message"] = json!("b");
        assert_ne!(ScanReport::read(&changed.to_string()).unwrap(), report);
    }

    #[test]
    fn only_a_uuid_is_a_uid() {
        assert_eq!(ScanUid::parse(UID).unwrap().to_string(), UID);
        assert_eq!(ScanUid::of_report(&format!("scan-admission-{UID}")), ScanUid::parse(UID));
        for text in ["", "a", &UID.replace('-', ""), &UID.to_uppercase(), "scan-admission-a"] {
            assert_eq!(ScanUid::parse(text), None, "{text}");
        }
    }
}
