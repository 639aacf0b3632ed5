//! A scan as an API server stores it: its metadata, and the part that rules judge.

use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::managed_fields::ManagedFields;
use crate::engine::Findings;
use crate::report::{Origin, ReportedFinding};
use crate::scan::{Container, Scan, reader, time as scan_time};

/// A stored scan, borrowed from its JSON.
pub struct StoredScan<'a> {
    pub metadata: StoredMetadata<'a>,
    pub scan: Scan<'a>,
}

#[derive(Deserialize)]
struct StoredHead<'a> {
    #[serde(borrow)]
    metadata: StoredMetadata<'a>,
}

/// The metadata that rules do not judge.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredMetadata<'a> {
    #[serde(default)]
    pub namespace: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub uid: String,
    creation_timestamp: Option<String>,
    /// The JSON of managedFields. It is parsed only where it is needed, since it makes up most of a scan.
    #[serde(borrow)]
    pub managed_fields: Option<&'a RawValue>,
}

impl<'a> StoredScan<'a> {
    /// Reads the JSON of a scan. The error is the reason why it cannot be read.
    pub fn read(json: &'a str) -> Result<Self, String> {
        let StoredHead { metadata } = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let scan = reader::read::<Container<'_, Scan<'_>>>(json).map_err(|error| error.message(json))?;
        Ok(Self { metadata, scan: scan.value().unwrap_or_default() })
    }
}

impl StoredMetadata<'_> {
    /// Returns the time at which the scan was created.
    pub fn created(&self) -> Option<OffsetDateTime> {
        scan_time::parse(self.creation_timestamp.as_deref()?)
    }

    pub fn managers(&self) -> ManagedFields {
        self.managed_fields.map(|json| ManagedFields::read(json.get())).unwrap_or_default()
    }
}

/// Returns the findings in a stored scan, each with its origin.
pub fn with_origins(findings: &Findings<'_>, stored: &StoredScan<'_>) -> Vec<ReportedFinding> {
    if findings.list().is_empty() {
        return Vec::new();
    }
    let managers = stored.metadata.managers();
    let template = stored.scan.spec.present().and_then(|spec| spec.scan_template.string().present().copied());
    let template = template.unwrap_or_default();
    let with_origin = |mut finding: ReportedFinding| {
        let writer = managers.writer(&finding.path);
        let (manager, written) =
            writer.map_or((String::new(), None), |writer| (writer.manager.to_owned(), writer.time));
        finding.origin = Some(Origin { template: template.to_owned(), manager, written });
        finding
    };
    findings.list().iter().map(ReportedFinding::from).map(with_origin).collect()
}
