//! A judged field: the path that findings name, the value that the ratchet compares, the place that a patch writes.

use std::borrow::Cow;
use std::fmt;

use super::json::printable;
use super::scanner::Scanner;
use super::source::Strings;
use super::{
    Condition, ConditionMember, ConditionType, Count, CveCount, Json, JsonType, Member, Scan, ScannedBy, ScannerForm,
    ScannerMember, Source, SourceMember, Sources, Spec, Spelling, Status,
};

/// Characters of a key of the user's that a path shows; Kubernetes' own names end at 63.
const KEY_MAX_CHARS: usize = 64;

/// A field of a scan. Displayed as its path: `status.conditions[Succeeded].reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A member of a container that is none of the six.
    OtherCount {
        container: Spelling,
        key: Cow<'a, str>,
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
    Spec,
    SpecSource {
        source: Source,
        member: SourceMember,
    },
    ScanTemplate,
    ScanPolicy,
}

/// An entry of `status.conditions`: by its type, or by index where the type is missing, malformed or doubled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    Type(Cow<'a, str>),
    Index(usize),
}

impl From<ConditionType> for Entry<'_> {
    fn from(kind: ConditionType) -> Self {
        Entry::Type(Cow::Borrowed(kind.name()))
    }
}

/// The two artifacts of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    pub fn of<'s, 'a>(self, status: &'s Status<'a>) -> &'s Member<Sources<'a>> {
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

/// The name of the metadataUrl.
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
            Field::Spec => f.write_str("spec"),
            Field::SpecSource { source, member } => write!(f, "spec.{}.{}", source.name(), member.name()),
            Field::ScanTemplate => f.write_str("spec.scanTemplate"),
            Field::ScanPolicy => f.write_str("spec.scanPolicy"),
        }
    }
}

/// What a field holds; compared by the ratchet.
#[derive(Debug, PartialEq)]
enum Value<'s, 'a> {
    Absent,
    Json(&'s Json<'a>),
    Status(&'s Status<'a>),
    Conditions(&'s [Member<Condition<'a>>]),
    Condition(&'s Condition<'a>),
    All(Vec<Value<'s, 'a>>),
    CveCount(&'s CveCount<'a>),
    ScannedBy(&'s ScannedBy<'a>),
    Scanner(&'s Scanner<'a>),
    Spec(&'s Spec<'a>),
    Sources(&'s Sources<'a>),
    Source(&'s Strings<'a>),
    Wrong(JsonType),
}

impl<'s, 'a> Value<'s, 'a> {
    fn of<T>(member: &'s Member<T>, value: impl FnOnce(&'s T) -> Self) -> Self {
        match member {
            Member::Absent => Value::Absent,
            Member::WrongType(json_type) => Value::Wrong(*json_type),
            Member::Present(is) => value(is),
        }
    }

    fn json(json: Option<&'s Json<'a>>) -> Self {
        json.filter(|json| !json.is_absent()).map_or(Value::Absent, Value::Json)
    }
}

impl Entry<'_> {
    /// The entry, or every entry of the type: which of them counts depends on all.
    fn find<'s, 'a>(&self, status: &'s Status<'a>) -> Vec<&'s Member<Condition<'a>>> {
        let entries = status.conditions();
        let is_of = |entry: &Member<Condition<'a>>, name: &str| {
            entry.present().is_some_and(|condition| condition[ConditionMember::Type].is_text(name))
        };
        match self {
            Entry::Index(index) => entries.get(*index).into_iter().collect(),
            Entry::Type(name) => entries.iter().filter(|entry| is_of(entry, name)).collect(),
        }
    }
}

impl<'f> Field<'f> {
    /// The five severities of a container in both spellings: what a sum reads.
    pub fn severities(container: Spelling) -> Vec<Field<'f>> {
        let keys = |count| Spelling::BOTH.map(|key| Field::Count { container, count, key });
        Count::SEVERITIES.into_iter().flat_map(keys).collect()
    }

    /// Whether both scans say the same here. An absent field equals an absent one.
    pub fn is_same(&self, one: &Scan<'_>, other: &Scan<'_>) -> bool {
        self.value(one) == self.value(other)
    }

    /// The value of a field that a mutation may write, where its parent is there. None for every other field.
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

    fn value<'s, 'a>(&self, scan: &'s Scan<'a>) -> Value<'s, 'a> {
        match self {
            Field::Generation => Value::json(scan.metadata.present().map(|metadata| &metadata.generation)),
            Field::Spec => Value::of(&scan.spec, Value::Spec),
            Field::SpecSource { source, member } => Value::json(scan.spec_source(*source, *member)),
            Field::ScanTemplate => Value::json(scan.spec.present().map(|spec| &spec.scan_template)),
            Field::ScanPolicy => Value::json(scan.spec.present().map(|spec| &spec.scan_policy)),
            _ => match &scan.status {
                Member::Present(status) => self.status_value(status),
                status => Value::of(status, Value::Status),
            },
        }
    }

    fn status_value<'s, 'a>(&self, status: &'s Status<'a>) -> Value<'s, 'a> {
        let each = |entry: &Entry<'_>, value: &dyn Fn(&'s Condition<'a>) -> Value<'s, 'a>| {
            Value::All(entry.find(status).into_iter().map(|entry| Value::of(entry, value)).collect())
        };
        let cve_count = |container: &Spelling| status.cve_count.get(*container);
        match self {
            Field::Status => Value::Status(status),
            Field::Phase => Value::json(Some(&status.phase)),
            Field::Conditions => Value::of(&status.conditions, |entries| Value::Conditions(entries)),
            Field::Condition(entry) => each(entry, &Value::Condition),
            Field::ConditionMember { entry, member } => {
                each(entry, &|condition| Value::json(Some(&condition[*member])))
            }
            Field::CveCount(container) => Value::of(cve_count(container), Value::CveCount),
            Field::Count { container, count, key } => {
                Value::json(cve_count(container).present().map(|counts| counts.get(*count, *key)))
            }
            Field::OtherCount { container, key } => {
                Value::json(cve_count(container).present().and_then(|counts| counts.other(key)))
            }
            Field::MetadataUrl(spelling) => Value::json(Some(status.metadata_url.get(*spelling))),
            Field::ScannedBy => Value::of(&status.scanned_by, Value::ScannedBy),
            Field::Scanner => Value::of(&status.scanned_by, |by| Value::of(&by.scanner, Value::Scanner)),
            Field::ScannerMember { form, member } => {
                let scanner = status.scanned_by.present().and_then(|by| by.scanner(*form));
                Value::json(scanner.map(|scanner| scanner.get(*member)))
            }
            Field::ScannedAt => Value::json(Some(&status.scanned_at)),
            Field::ObservedGeneration => Value::json(Some(&status.observed_generation)),
            Field::Artifact(artifact) => Value::of(artifact.of(status), Value::Sources),
            Field::Source { artifact, source } => {
                Value::of(artifact.of(status), |sources| Value::of(sources.get(*source), Value::Source))
            }
            Field::SourceMember { artifact, source, member } => {
                Value::json(artifact.of(status).present().and_then(|sources| sources.value(*source, *member)))
            }
            // Answered above: these are no part of the status.
            Field::Generation | Field::Spec | Field::SpecSource { .. } | Field::ScanTemplate | Field::ScanPolicy => {
                Value::Absent
            }
        }
    }
}
