//! A scan as the API server stores it: the judged fields, the metadata that identifies it, and its findings.

use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::judge::Judge;
use super::managed_fields::ManagedFields;
use crate::engine::Part;
use crate::report::{Origin, ReportedFinding, Subject};
use crate::scan::{Container, Kind, Scan, reader, time as scan_time};

/// A stored scan, borrowed from its JSON.
pub struct StoredScan<'a> {
    pub kind: Kind,
    pub metadata: StoredMetadata<'a>,
    pub scan: Scan<'a>,
}

/// The metadata of a stored scan that no rule judges.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredMetadata<'a> {
    #[serde(default)]
    pub namespace: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub uid: String,
    #[serde(default)]
    creation_timestamp: String,
    /// Is read only where it is needed, since it is most of a scan.
    #[serde(borrow)]
    managed_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StoredHead<'a> {
    #[serde(borrow)]
    metadata: StoredMetadata<'a>,
}

impl StoredMetadata<'_> {
    pub fn created(&self) -> Option<OffsetDateTime> {
        scan_time::parse(&self.creation_timestamp)
    }

    pub fn managers(&self) -> ManagedFields {
        self.managed_fields.map(|json| ManagedFields::read(json.get())).unwrap_or_default()
    }
}

impl<'a> StoredScan<'a> {
    /// Reads a scan. Its contents cannot make this fail, but JSON that is not an object with metadata does.
    pub fn read(kind: Kind, json: &'a str) -> Result<Self, String> {
        let head: StoredHead<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let scan = reader::read::<Container<'_, Scan<'_>>>(json).map_err(|error| error.message(json))?;
        Ok(Self { kind, metadata: head.metadata, scan: scan.value().unwrap_or_default() })
    }

    pub fn subject(&self) -> Subject<'_> {
        Subject { kind: self.kind, namespace: &self.metadata.namespace, name: &self.metadata.name }
    }

    /// The ScanTemplate that the spec names; empty if it names none.
    fn template(&self) -> &str {
        let template = self.scan.spec.present().and_then(|spec| spec.scan_template.string().value());
        template.unwrap_or_default()
    }

    /// Judges the scan as if it were written now. Each finding has its origin.
    pub fn findings(&self, judge: &Judge) -> Vec<ReportedFinding> {
        let parts = [Part::Spec, Part::Status];
        let mut findings: Vec<ReportedFinding> =
            judge.judge(self.kind, &self.scan, &self.metadata.namespace, &parts, |findings| {
                findings.list().iter().map(ReportedFinding::from).collect()
            });
        if findings.is_empty() {
            return findings;
        }
        let managers = self.metadata.managers();
        for finding in &mut findings {
            let writer = managers.writer(&finding.path);
            let (manager, written) =
                writer.map_or((String::new(), None), |writer| (writer.manager.to_owned(), writer.time));
            finding.origin = Some(Origin { template: self.template().to_owned(), manager, written });
        }
        findings
    }
}
