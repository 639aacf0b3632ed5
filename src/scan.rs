//! The data model: the fields of a SourceScan or ImageScan that rules judge, borrowed from the request body.
//!
//! The contents of an object never fail to decode: each judged field is absent, of the wrong JSON type, or present (see
//! [`json`]). All other fields are skipped without allocating, since `managedFields` make up most of a real body.

pub mod condition;
pub mod conditions;
pub mod count;
pub mod field;
pub mod image;
pub mod json;
pub mod reader;
pub mod scanner;
pub mod source;
pub mod time;
pub mod url;

pub use condition::{Condition, ConditionMember, ConditionStatus, ConditionType};
pub use conditions::{Conditions, Form, Staleness, member_form};
pub use count::{Count, CveCount};
pub use field::{Artifact, Entry, Field};
pub use image::ImageReference;
pub use json::{Container, ENTRIES_MAX, Json, JsonType, Member, Object};
pub use reader::{Key, Reader};
pub use scanner::{ScannedBy, ScannerForm, ScannerMember};
pub use source::{Difference, Source, SourceMember, Sources};

use reader::ReadError;
use reader::same::is_same_json;

/// The API group of both kinds.
pub const GROUP: &str = "scanning.apps.tanzu.vmware.com";

/// The two kinds of scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    SourceScan,
    ImageScan,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::SourceScan, Kind::ImageScan];

    /// The kind's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Kind::SourceScan => "SourceScan",
            Kind::ImageScan => "ImageScan",
        }
    }

    /// The resource's name in URLs and registrations.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::SourceScan => "sourcescans",
            Kind::ImageScan => "imagescans",
        }
    }

    /// The resource's short name in our CustomResourceDefinitions.
    pub fn short_name(self) -> &'static str {
        match self {
            Kind::SourceScan => "srcscan",
            Kind::ImageScan => "imgscan",
        }
    }
}

/// How a field is spelled: as on the wire, or as in the vendor's documentation. Both are accepted everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spelling {
    Wire,
    Documented,
}

impl Spelling {
    pub const BOTH: [Spelling; 2] = [Spelling::Wire, Spelling::Documented];
}

/// A member with two spellings, which are read separately so that a conflict can be detected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spelled<T> {
    pub wire: T,
    pub documented: T,
}

impl<T> Spelled<T> {
    pub fn get(&self, spelling: Spelling) -> &T {
        match spelling {
            Spelling::Wire => &self.wire,
            Spelling::Documented => &self.documented,
        }
    }

    pub fn get_mut(&mut self, spelling: Spelling) -> &mut T {
        match spelling {
            Spelling::Wire => &mut self.wire,
            Spelling::Documented => &mut self.documented,
        }
    }
}

/// The five phases a status may be in. No phase is terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Scanning,
    Completed,
    Failed,
    Error,
}

impl Phase {
    pub const ALL: [Phase; 5] = [Phase::Pending, Phase::Scanning, Phase::Completed, Phase::Failed, Phase::Error];

    pub fn name(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Scanning => "Scanning",
            Phase::Completed => "Completed",
            Phase::Failed => "Failed",
            Phase::Error => "Error",
        }
    }

    pub fn parse(name: &str) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

/// The judged fields of a SourceScan or ImageScan.
#[derive(Debug, Clone, Default)]
pub struct Scan<'a> {
    pub metadata: Container<'a, Metadata<'a>>,
    pub spec: Container<'a, Spec<'a>>,
    pub status: Container<'a, Status<'a>>,
    /// The JSON text of the whole status, with the fields that are not judged; empty if there is no status.
    pub status_json: &'a str,
}

impl<'a> Object<'a> for Scan<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "metadata" => self.metadata.fill(value)?,
            "spec" => self.spec.fill(value)?,
            "status" => self.status_json = value.with_text(|value| self.status.fill(value))?.1,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Scan<'a> {
    /// Whether both statuses are the same JSON, including fields that are not judged. An empty status counts as absent.
    pub fn has_same_status(&self, other: &Scan<'_>) -> bool {
        match (&self.status, &other.status) {
            (Member::Absent, Member::Absent) => true,
            (Member::Absent, _) | (_, Member::Absent) => false,
            _ => is_same_json(self.status_json, other.status_json),
        }
    }

    /// The status, if it is an object.
    pub fn status(&self) -> Option<&Status<'a>> {
        self.status.present()
    }

    /// `metadata.generation`, if it is an integer.
    pub fn generation(&self) -> Option<i64> {
        self.metadata.present()?.generation.integer().value()
    }

    /// Whether the status has caught up with the spec: `status.observedGeneration` equals `metadata.generation`.
    pub fn is_caught_up(&self) -> bool {
        let observed = self.status().and_then(|status| status.observed_generation.integer().value());
        observed.is_some() && observed == self.generation()
    }

    /// A member of a source of the spec, if the source is present.
    pub fn spec_source(&self, source: Source, member: SourceMember) -> Option<&Json<'a>> {
        self.spec.present()?.sources.value(source, member)
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.metadata.present().is_some_and(|metadata| metadata.deletion_timestamp.string() != Member::Absent)
    }

    /// Whether `spec.scanPolicy` names a policy.
    pub fn has_scan_policy(&self) -> bool {
        self.spec.present().is_some_and(|spec| !matches!(spec.scan_policy.string(), Member::Absent))
    }
}

/// The judged part of `metadata`, and the uid, for Events.
#[derive(Debug, Clone, Default)]
pub struct Metadata<'a> {
    pub uid: Json<'a>,
    pub generation: Json<'a>,
    pub deletion_timestamp: Json<'a>,
}

impl<'a> Object<'a> for Metadata<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "uid" => self.uid = value.read()?,
            "generation" => self.generation = value.read()?,
            "deletionTimestamp" => self.deletion_timestamp = value.read()?,
            "managedFields" => value.skip_repeated()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

/// The judged part of `spec`.
#[derive(Debug, Clone, Default)]
pub struct Spec<'a> {
    pub sources: Sources<'a>,
    pub scan_template: Json<'a>,
    pub scan_policy: Json<'a>,
}

impl<'a> Object<'a> for Spec<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "scanTemplate" => self.scan_template = value.read()?,
            "scanPolicy" => self.scan_policy = value.read()?,
            _ => self.sources.member(key, value)?,
        }
        Ok(())
    }
}

/// The judged part of `status`.
#[derive(Debug, Clone, Default)]
pub struct Status<'a> {
    pub phase: Json<'a>,
    pub conditions: Container<'a, Vec<Container<'a, Condition<'a>>>>,
    pub cve_count: Spelled<Container<'a, CveCount<'a>>>,
    pub metadata_url: Spelled<Json<'a>>,
    pub scanned_by: Container<'a, ScannedBy<'a>>,
    pub scanned_at: Json<'a>,
    pub observed_generation: Json<'a>,
    pub artifact: Container<'a, Sources<'a>>,
    pub compliant_artifact: Container<'a, Sources<'a>>,
}

impl<'a> Object<'a> for Status<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "phase" => self.phase = value.read()?,
            "conditions" => self.conditions = value.read()?,
            "cveCount" => self.cve_count.wire = CveCount::read(value)?,
            "CVECount" => self.cve_count.documented = CveCount::read(value)?,
            "metadataUrl" => self.metadata_url.wire = value.read()?,
            "metadataURL" => self.metadata_url.documented = value.read()?,
            "scannedBy" => self.scanned_by = value.read()?,
            "scannedAt" => self.scanned_at = value.read()?,
            "observedGeneration" => self.observed_generation = value.read()?,
            "artifact" => self.artifact = value.read()?,
            "compliantArtifact" => self.compliant_artifact = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Status<'a> {
    /// The names of the members that are judged.
    pub const MEMBERS: [&'static str; 11] = [
        "phase",
        "conditions",
        "cveCount",
        "CVECount",
        "metadataUrl",
        "metadataURL",
        "scannedBy",
        "scannedAt",
        "observedGeneration",
        "artifact",
        "compliantArtifact",
    ];

    /// The entries of the conditions list; empty if there is no list.
    pub fn conditions(&self) -> &[Container<'a, Condition<'a>>] {
        self.conditions.present().map_or(&[], Vec::as_slice)
    }

    /// The time of `scannedAt`, if it is valid.
    pub fn scanned_at(&self) -> Option<::time::OffsetDateTime> {
        time::parse(self.scanned_at.string().value()?)
    }

    /// The phase, if it is one of the five.
    pub fn phase(&self) -> Option<Phase> {
        Phase::parse(self.phase.string().value()?)
    }
}
