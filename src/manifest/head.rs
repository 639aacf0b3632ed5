//! The members of an object that identify it, and whether the object is a watch event or a review that wraps another
//! object.

use super::path;
use crate::scan::reader::ReadError;
use crate::scan::{Container, Json, Key, Kind, Member, Object, Reader, Scan, Status, reader};

/// A scan in a document: its JSON and its name.
pub struct ScanManifest<'a> {
    pub kind: Kind,
    pub json: &'a str,
    pub part: ScanPart,
    /// Whether the scan is the object of a watch event or of a review.
    pub is_wrapped: bool,
    pub namespace: String,
    pub name: String,
}

/// The part of a scan that a JSON object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanPart {
    Whole,
    /// An object with the member `status`, and perhaps `metadata`.
    Status,
    /// The members of a status.
    StatusMembers,
}

impl<'a> ScanManifest<'a> {
    pub fn scan(&self) -> Result<Scan<'a>, ReadError> {
        match self.part {
            ScanPart::Whole | ScanPart::Status => {
                let scan = reader::read::<Container<'_, Scan<'_>>>(self.json)?;
                Ok(scan.value().unwrap_or_default())
            }
            ScanPart::StatusMembers => Ok(Scan { status: reader::read(self.json)?, ..Scan::default() }),
        }
    }

    /// Translates the path of a field in a scan to its path in this JSON. Returns `None` if this part of a scan cannot
    /// hold the field.
    pub fn path<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self.part {
            ScanPart::Whole | ScanPart::Status => Some(path),
            ScanPart::StatusMembers => path.strip_prefix("status."),
        }
    }

    /// Returns the value of a field by its path in a scan.
    pub fn value(&self, path: &str) -> Option<&'a str> {
        path::value(self.json, self.path(path)?)
    }
}

/// The types of watch events whose objects are judged.
const EVENTS: [&str; 3] = ["ADDED", "MODIFIED", "DELETED"];

/// The members of an object that identify it.
#[derive(Default)]
pub struct ObjectHead<'a> {
    pub api_version: Json<'a>,
    pub kind: Json<'a>,
    metadata: Container<'a, ObjectNames<'a>>,
    pub items: Option<&'a str>,
    has_spec: bool,
    has_status: bool,
    has_status_member: bool,
    /// The members of a watch event.
    event: Json<'a>,
    object: &'a str,
    /// A member of an AdmissionReview.
    request: Container<'a, ReviewRequest<'a>>,
}

impl<'a> Object<'a> for ObjectHead<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "apiVersion" => self.api_version = value.read()?,
            "kind" => self.kind = value.read()?,
            "metadata" => self.metadata = value.read()?,
            "items" => self.items = Some(value.raw()?),
            "type" => self.event = value.read()?,
            "object" => self.object = value.raw()?,
            "request" => self.request = value.read()?,
            "spec" => {
                self.has_spec = true;
                value.skip()?;
            }
            "status" => {
                self.has_status = true;
                value.skip()?;
            }
            name => {
                self.has_status_member |= Status::MEMBERS.contains(&name);
                value.skip()?;
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct ObjectNames<'a> {
    namespace: Json<'a>,
    name: Json<'a>,
}

impl<'a> Object<'a> for ObjectNames<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "namespace" => self.namespace = value.read()?,
            "name" => self.name = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

/// The request of an AdmissionReview.
#[derive(Default)]
struct ReviewRequest<'a> {
    object: &'a str,
}

impl<'a> Object<'a> for ReviewRequest<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "object" => self.object = value.raw()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> ObjectHead<'a> {
    /// Whether the object has neither apiVersion nor kind.
    pub fn is_unnamed(&self) -> bool {
        self.kind.is_absent() && self.api_version.is_absent()
    }

    /// The object that a watch event, as `kubectl get --watch --output-watch-events` prints it, or an AdmissionReview
    /// wraps.
    pub fn wrapped(&self) -> Option<&'a str> {
        let is_review = self.kind.is_text("AdmissionReview")
            && self.api_version.string().value().is_some_and(|version| version.starts_with("admission.k8s.io/"));
        let object = match (self.is_event(), &self.request) {
            (true, _) if EVENTS.iter().any(|event| self.event.is_text(event)) => self.object,
            (_, Member::Present(request)) if is_review => request.object,
            _ => "",
        };
        Some(object).filter(|object| object.starts_with('{'))
    }

    /// Whether this is a watch event without an object to judge: a bookmark, whose object has only a version, or an
    /// error.
    pub fn is_event_without_object(&self) -> bool {
        self.is_event() && (self.event.is_text("BOOKMARK") || self.event.is_text("ERROR")) && !self.object.is_empty()
    }

    fn is_event(&self) -> bool {
        self.is_unnamed() || self.kind.is_text("WatchEvent")
    }

    /// The part of a scan that an object without apiVersion and kind holds, if it resembles one.
    pub fn part(&self) -> Option<ScanPart> {
        match (self.has_spec, self.has_status, self.has_status_member) {
            (true, ..) => Some(ScanPart::Whole),
            (false, true, _) => Some(ScanPart::Status),
            (false, false, true) => Some(ScanPart::StatusMembers),
            (false, false, false) => None,
        }
    }

    pub fn scan(&self, json: &'a str, kind: Kind, part: ScanPart, is_wrapped: bool) -> ScanManifest<'a> {
        let text = |json: &Json<'_>| json.string().value().unwrap_or_default().to_owned();
        let (namespace, name) =
            self.metadata.present().map(|names| (text(&names.namespace), text(&names.name))).unwrap_or_default();
        ScanManifest { kind, json, part, is_wrapped, namespace, name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_members_are_the_members_that_a_status_reads() {
        let read = |json: &str| format!("{:?}", reader::read::<Container<'_, Status<'_>>>(json).unwrap());
        for name in Status::MEMBERS {
            assert_ne!(read(&format!("{{\"{name}\": 1}}")), read("{\"other\": 1}"), "{name}");
        }
        let all = read(
            &serde_json::json!(
                Status::MEMBERS.map(|name| (name, 1)).into_iter().collect::<std::collections::HashMap<_, _>>()
            )
            .to_string(),
        );
        assert!(!all.contains("Absent") && !all.contains("null"), "{all}");
    }
}
