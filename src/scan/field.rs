//! A judged field: its path in findings, and its value in a scan that a mutation writes.

use std::fmt;

use super::json::printable;
use super::{
    ConditionMember, ConditionType, Container, Count, Json, Member, Scan, ScannerForm, ScannerMember, Source,
    SourceMember, Sources, Spelling, Status,
};

/// Characters of an unknown key that a path shows. Labels and most names in Kubernetes have at most 63.
const KEY_MAX_CHARS: usize = 64;

/// A field of a scan. It is displayed as its path: `status.conditions[Succeeded].reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field<'a> {
    Status,
    Phase,
    Conditions,
    Condition(Entry<'a>),
    ConditionMember {
        entry: Entry<'a>,
        member: ConditionMember,
    },
    CveCount(Spelling),
    /// A count: the container and the key each have a spelling.
    Count {
        container: Spelling,
        count: Count,
        key: Spelling,
    },
    /// A member of a cveCount that is not one of the six counts.
    OtherCount {
        container: Spelling,
        key: &'a str,
    },
    MetadataUrl(Spelling),
    ScannedBy,
    Scanner,
    ScannerMember {
        form: ScannerForm,
        member: ScannerMember,
    },
    ScannedAt,
    ObservedGeneration,
    Artifact(Artifact),
    Source {
        artifact: Artifact,
        source: Source,
    },
    SourceMember {
        artifact: Artifact,
        source: Source,
        member: SourceMember,
    },
    Generation,
    SpecSource {
        source: Source,
        member: SourceMember,
    },
    ScanTemplate,
    ScanPolicy,
}

/// An entry of `status.conditions`: by its type, or by index if the type is missing, malformed or repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry<'a> {
    Type(&'a str),
    Index(usize),
}

impl From<ConditionType> for Entry<'_> {
    fn from(kind: ConditionType) -> Self {
        Entry::Type(kind.name())
    }
}

/// The two artifacts of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Artifact {
    Scanned,
    Compliant,
}

impl Artifact {
    pub const BOTH: [Artifact; 2] = [Artifact::Scanned, Artifact::Compliant];

    pub fn name(self) -> &'static str {
        match self {
            Artifact::Scanned => "artifact",
            Artifact::Compliant => "compliantArtifact",
        }
    }

    pub fn of<'s, 'a>(self, status: &'s Status<'a>) -> &'s Container<'a, Sources<'a>> {
        match self {
            Artifact::Scanned => &status.artifact,
            Artifact::Compliant => &status.compliant_artifact,
        }
    }
}

/// The name of the cveCount container.
pub fn cve_count_name(spelling: Spelling) -> &'static str {
    match spelling {
        Spelling::Wire => "cveCount",
        Spelling::Documented => "CVECount",
    }
}

/// The name of the metadataUrl field.
pub fn metadata_url_name(spelling: Spelling) -> &'static str {
    match spelling {
        Spelling::Wire => "metadataUrl",
        Spelling::Documented => "metadataURL",
    }
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Type(name) => write!(f, "status.conditions[{name}]"),
            Entry::Index(index) => write!(f, "status.conditions[{index}]"),
        }
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Status => f.write_str("status"),
            Field::Phase => f.write_str("status.phase"),
            Field::Conditions => f.write_str("status.conditions"),
            Field::Condition(entry) => entry.fmt(f),
            Field::ConditionMember { entry, member } => write!(f, "{entry}.{}", member.name()),
            Field::CveCount(container) => write!(f, "status.{}", cve_count_name(*container)),
            Field::Count { container, count, key } => {
                write!(f, "status.{}.{}", cve_count_name(*container), count.name(*key))
            }
            Field::OtherCount { container, key } => {
                write!(f, "status.{}.{}", cve_count_name(*container), printable(key, KEY_MAX_CHARS))
            }
            Field::MetadataUrl(spelling) => write!(f, "status.{}", metadata_url_name(*spelling)),
            Field::ScannedBy => f.write_str("status.scannedBy"),
            Field::Scanner => f.write_str("status.scannedBy.scanner"),
            Field::ScannerMember { form: ScannerForm::Nested, member } => {
                write!(f, "status.scannedBy.scanner.{}", member.name())
            }
            Field::ScannerMember { form: ScannerForm::Flat, member } => write!(f, "status.scannedBy.{}", member.name()),
            Field::ScannedAt => f.write_str("status.scannedAt"),
            Field::ObservedGeneration => f.write_str("status.observedGeneration"),
            Field::Artifact(artifact) => write!(f, "status.{}", artifact.name()),
            Field::Source { artifact, source } => write!(f, "status.{}.{}", artifact.name(), source.name()),
            Field::SourceMember { artifact, source, member } => {
                write!(f, "status.{}.{}.{}", artifact.name(), source.name(), member.name())
            }
            Field::Generation => f.write_str("metadata.generation"),
            Field::SpecSource { source, member } => write!(f, "spec.{}.{}", source.name(), member.name()),
            Field::ScanTemplate => f.write_str("spec.scanTemplate"),
            Field::ScanPolicy => f.write_str("spec.scanPolicy"),
        }
    }
}

impl<'f> Field<'f> {
    /// The five severities of a container in both spellings: the fields that a sum reads.
    pub fn severities(container: Spelling) -> Vec<Field<'f>> {
        let keys = |count| Spelling::BOTH.map(|key| Field::Count { container, count, key });
        Count::SEVERITIES.into_iter().flat_map(keys).collect()
    }

    /// The value of a field that a mutation may write, if its parent is present. `None` for every other field.
    pub fn value_mut<'s, 'a>(&self, scan: &'s mut Scan<'a>) -> Option<&'s mut Json<'a>> {
        let status = scan.status.present_mut()?;
        match self {
            Field::Phase => Some(&mut status.phase),
            Field::ScannedAt => Some(&mut status.scanned_at),
            Field::ConditionMember { entry: Entry::Index(index), member } => {
                Some(&mut status.conditions.present_mut()?.get_mut(*index).and_then(Member::present_mut)?[*member])
            }
            Field::Count { container, count, key } => {
                Some(status.cve_count.get_mut(*container).present_mut()?.get_mut(*count, *key))
            }
            _ => None,
        }
    }

    /// The JSON Pointer (RFC 6901) of a field that a mutation may write. `None` for every other field.
    pub fn pointer(&self) -> Option<String> {
        match self {
            Field::Phase => Some("/status/phase".to_owned()),
            Field::ScannedAt => Some("/status/scannedAt".to_owned()),
            Field::ConditionMember { entry: Entry::Index(index), member } => {
                Some(format!("/status/conditions/{index}/{}", member.name()))
            }
            Field::Count { container, count, key } => {
                Some(["/status/", cve_count_name(*container), "/", count.name(*key)].concat())
            }
            _ => None,
        }
    }
}
