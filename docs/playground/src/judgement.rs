//! What the page shows.

use scan_admission::manifest::ManifestError;
use scan_admission::report::describe::DescribedScan;
use scan_admission::report::{ReportedError, ReportedFinding};
use serde::Serialize;

use crate::kubectl::Printed;

/// The findings in a text, its fixes, and the answers to its write.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// Why the text, or a part of it, cannot be read.
    pub errors: Vec<ShownError>,
    /// Why the old object cannot be read.
    pub old_errors: Vec<ShownError>,
    pub findings: Vec<ShownFinding>,
    /// The text with the writes of the mutations; absent if there are none.
    pub fixed: Option<String>,
    /// The mutations that the text does not allow.
    pub not_fixed: Vec<ShownError>,
    /// The scan of the text, the first if there are several.
    pub scan: Option<ShownScan>,
    /// The number of scans in the text.
    pub scans: usize,
    /// Whether the text is an AdmissionReview, and its objects.
    pub review: Option<ReviewedObjects>,
    /// The answers of both webhooks, byte for byte.
    pub answers: Option<Answers>,
    pub kubectl: Option<Printed>,
}

/// An error and its position.
#[derive(Serialize)]
pub struct ShownError {
    line: usize,
    column: usize,
    message: String,
}

/// A finding and its place in the text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownFinding {
    line: usize,
    column: usize,
    /// The value, or the container around it if the field is absent.
    value: Option<[[usize; 2]; 2]>,
    path: String,
    rule: Option<&'static str>,
    severity: &'static str,
    action: &'static str,
    downgraded: Option<&'static str>,
    message: String,
}

/// The contents of a scan.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownScan {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub old_phase: Option<String>,
    pub has_old: bool,
    #[serde(flatten)]
    pub contents: DescribedScan,
}

/// The objects of an AdmissionReview, as indented JSON, and its request.
#[derive(Serialize)]
pub struct ReviewedObjects {
    pub object: String,
    pub old: String,
    pub write: crate::request::Write,
    pub user: String,
}

/// The answers of the webhooks to the write.
#[derive(Serialize)]
pub struct Answers {
    pub mutating: String,
    /// The answer to the object after the mutations. To an AdmissionReview it is the answer to the review as it is.
    pub validating: String,
}

impl Judgement {
    /// A judgement that says only why there is none.
    pub fn failed(message: String) -> Self {
        Judgement { errors: vec![ShownError { line: 1, column: 1, message }], ..Judgement::default() }
    }
}

impl From<ManifestError> for ShownError {
    fn from(ManifestError { position, message }: ManifestError) -> Self {
        ShownError { line: position.line, column: position.column, message }
    }
}

impl From<&ReportedError> for ShownError {
    fn from(error: &ReportedError) -> Self {
        let (line, column) = error.position.map_or((1, 1), |position| (position.line, position.column));
        ShownError { line, column, message: error.message.clone() }
    }
}

impl From<&ReportedFinding> for ShownFinding {
    fn from(finding: &ReportedFinding) -> Self {
        let (line, column) = finding.location.map_or((1, 1), |at| (at.position.line, at.position.column));
        let value = finding.location.map(|location| {
            [location.region.start, location.region.end].map(|position| [position.line, position.column])
        });
        ShownFinding {
            line,
            column,
            value,
            path: finding.path.clone(),
            rule: finding.rule,
            severity: finding.severity.name(),
            action: finding.action.name(),
            downgraded: finding.downgraded.map(|downgraded| downgraded.name()),
            message: finding.message.clone(),
        }
    }
}
