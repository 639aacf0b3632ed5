//! The AdmissionReview, decoded in one pass and borrowed from the body. Members that were read before an error are
//! kept, so that the answer to a malformed review can have its uid.

use super::RequestInfo;
use super::event::ScanReference;
use super::user::User;
use crate::scan::json::printable;
use crate::scan::reader::ReadError;
use crate::scan::{Container, GROUP, Json, JsonType, Key, Kind, Member, Object, Reader, Scan};

/// Most characters of a member that a message repeats.
const SHOWN_MAX_CHARS: usize = 200;
/// Most characters of the kind in a warning of at most 256 runes.
const KIND_MAX_CHARS: usize = 100;

/// The envelope, as far as it was decoded.
#[derive(Debug, Default)]
pub struct Review<'a> {
    pub api_version: Json<'a>,
    kind: Json<'a>,
    pub request: Request<'a>,
    /// Whether `request` is an object. Otherwise its value is in `invalid_request`.
    has_request: bool,
    invalid_request: Json<'a>,
}

/// The request of a review, as far as it was decoded.
#[derive(Debug, Default)]
pub struct Request<'a> {
    uid: Json<'a>,
    kind: Container<'a, GroupKind<'a>>,
    sub_resource: Json<'a>,
    name: Json<'a>,
    namespace: Json<'a>,
    operation: Json<'a>,
    dry_run: Json<'a>,
    user: Container<'a, User<'a>>,
    object: Container<'a, Scan<'a>>,
    old_object: Container<'a, Scan<'a>>,
}

#[derive(Debug, Default)]
struct GroupKind<'a> {
    group: Json<'a>,
    version: Json<'a>,
    kind: Json<'a>,
}

/// An operation that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
}

/// The object of a request, and whether it is judged.
#[derive(Debug)]
pub enum Target<'r> {
    Scan {
        kind: Kind,
        operation: Operation,
        is_status: bool,
        new: &'r Scan<'r>,
        old: Option<&'r Scan<'r>>,
    },
    /// A DELETE or CONNECT of a scan, which is allowed.
    Ignored,
    /// An object that is not a scan, which is allowed with this warning.
    Unsupported(String),
}

/// Decodes a body. On an error, which is a message, the review has the members before it.
pub fn decode(text: &str) -> (Review<'_>, Result<(), String>) {
    let mut review = Review::default();
    let mut reader = Reader::new(text);
    let end = review.fill(&mut reader).and_then(|()| reader.end());
    (review, end.map_err(|error| format!("the body is not an AdmissionReview in JSON: {}", error.message(text))))
}

impl<'a> Object<'a> for Review<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "apiVersion" => self.api_version = value.read()?,
            "kind" => self.kind = value.read()?,
            "request" if value.peek() == b'{' => {
                self.has_request = true;
                self.request.fill(value)?;
            }
            "request" => {
                self.has_request = false;
                self.request = Request::default();
                self.invalid_request = value.read()?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Request<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "uid" => self.uid = value.read()?,
            "kind" => self.kind = value.read()?,
            "subResource" => self.sub_resource = value.read()?,
            "name" => self.name = value.read()?,
            "namespace" => self.namespace = value.read()?,
            "operation" => self.operation = value.read()?,
            "dryRun" => self.dry_run = value.read()?,
            "userInfo" => self.user = value.read()?,
            "object" => self.object.fill(value)?,
            "oldObject" => self.old_object.fill(value)?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for GroupKind<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "group" => self.group = value.read()?,
            "version" => self.version = value.read()?,
            "kind" => self.kind = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl Review<'_> {
    /// Returns the target of the request. An error is a message that says why the review is invalid.
    pub fn target(&self) -> Result<Target<'_>, String> {
        if !self.kind.is_text("AdmissionReview") {
            return Err(format!("kind must be \"AdmissionReview\", and not {}", self.kind.quoted(SHOWN_MAX_CHARS)));
        }
        if !self.api_version.is_text("admission.k8s.io/v1") {
            return Err(format!(
                "apiVersion must be \"admission.k8s.io/v1\", and not {}: set admissionReviewVersions: [\"v1\"] in the \
                 registration of this webhook",
                self.api_version.quoted(SHOWN_MAX_CHARS)
            ));
        }
        match (self.has_request, self.invalid_request.is_absent()) {
            (true, _) => self.request.target(),
            (false, true) => Err(missing("request")),
            (false, false) => Err(wrong_type("request", self.invalid_request.json_type(), "an object")),
        }
    }
}

impl Request<'_> {
    /// Returns the uid, which every answer must have.
    pub fn uid(&self) -> Option<&str> {
        self.uid.string().value()
    }

    /// Returns the name of the object; empty if the request has none.
    pub fn name(&self) -> &str {
        text(&self.name)
    }

    /// Returns the namespace of the object; empty if the request has none.
    pub fn namespace(&self) -> &str {
        text(&self.namespace)
    }

    /// Returns the user who makes the request; empty if the request has none.
    pub fn user(&self) -> &str {
        self.user.present().map(User::name).unwrap_or_default()
    }

    /// Returns the groups of the user.
    pub fn groups(&self) -> Vec<String> {
        self.user.present().map(User::groups).unwrap_or_default()
    }

    /// Returns the number of conditions in both objects. The time that it takes to judge a review depends on it alone.
    pub fn condition_count(&self) -> usize {
        let objects = [&self.object, &self.old_object].into_iter().filter_map(Member::present);
        objects.filter_map(Scan::status).map(|status| status.conditions().len()).sum()
    }

    /// Replaces the metadata and spec of an update of the status subresource with the old ones, as the API server does
    /// when it stores the object.
    pub fn restore_metadata_and_spec(&mut self) {
        if let (Some(true), Member::Present(new), Member::Present(old)) =
            (self.is_status(), &mut self.object, &self.old_object)
        {
            new.metadata = old.metadata.clone();
            new.spec = old.spec.clone();
        }
    }

    /// Returns the operation as a label: one of the four operations of Kubernetes, or `other`.
    pub fn operation(&self) -> &'static str {
        let operations = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
        operations.into_iter().find(|operation| self.operation.is_text(operation)).unwrap_or("other")
    }

    /// Returns the resource and subresource as a label: those of a scan, or `other`.
    pub fn resource(&self) -> &'static str {
        match (self.scan_kind(), self.is_status()) {
            (Some(kind), Some(false)) => kind.plural(),
            (Some(Kind::SourceScan), Some(true)) => "sourcescans/status",
            (Some(Kind::ImageScan), Some(true)) => "imagescans/status",
            _ => "other",
        }
    }

    /// Returns the data of the request for log lines.
    pub fn info(&self) -> RequestInfo {
        let kind = self.kind.present();
        let of_kind = |json: fn(&GroupKind<'_>) -> String| kind.map(json).unwrap_or_default();
        RequestInfo {
            uid: text(&self.uid).to_owned(),
            group: of_kind(|kind| text(&kind.group).to_owned()),
            version: of_kind(|kind| text(&kind.version).to_owned()),
            kind: of_kind(|kind| text(&kind.kind).to_owned()),
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
            user: self.user().to_owned(),
        }
    }

    /// Returns the scan whose status the request updates; `None` for other requests and for a dry run.
    pub fn updated_scan(&self) -> Option<ScanReference> {
        let kind = self.scan_kind()?;
        let is_stored = self.dry_run.is_absent() || matches!(self.dry_run, Json::Other("false"));
        if !is_stored || self.is_status() != Some(true) || self.operation() != "UPDATE" {
            return None;
        }
        let uid = |object: &Container<'_, Scan<'_>>| Some(text(&object.present()?.metadata.present()?.uid).to_owned());
        let version = self.kind.present().map(|found| text(&found.version)).unwrap_or_default();
        Some(ScanReference {
            api_version: format!("{GROUP}/{version}"),
            kind: kind.name(),
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
            uid: uid(&self.object).or_else(|| uid(&self.old_object))?,
        })
    }

    fn scan_kind(&self) -> Option<Kind> {
        let found = self.kind.present().filter(|found| found.group.is_text(GROUP))?;
        Kind::ALL.into_iter().find(|kind| found.kind.is_text(kind.name()))
    }

    /// Returns whether the request is for the status subresource; `None` if it is for another subresource.
    fn is_status(&self) -> Option<bool> {
        match self.sub_resource.string() {
            Member::Absent => Some(false),
            Member::Present("status") => Some(true),
            _ => None,
        }
    }

    fn target(&self) -> Result<Target<'_>, String> {
        check_string("request.uid", &self.uid)?;
        let found = match &self.kind {
            Member::Present(found) if !found.kind.is_absent() => found,
            Member::Present(_) => return Err(missing("request.kind.kind")),
            Member::Absent => return Err(missing("request.kind")),
            Member::WrongType(found) => return Err(wrong_type("request.kind", found.json_type(), "an object")),
        };
        for (name, json) in [
            ("request.kind.group", &found.group),
            ("request.kind.version", &found.version),
            ("request.kind.kind", &found.kind),
            ("request.subResource", &self.sub_resource),
        ] {
            check_string(name, json)?;
        }
        let (Some(kind), Some(is_status)) = (self.scan_kind(), self.is_status()) else {
            let sub_resource = text(&self.sub_resource);
            let slash = if sub_resource.is_empty() { "" } else { "/" };
            let group = text(&found.group);
            // The core kinds of Kubernetes have no group.
            let dot = if group.is_empty() { "" } else { "." };
            let full_kind = format!("{}{dot}{group}{slash}{sub_resource}", text(&found.kind));
            return Ok(Target::Unsupported(format!(
                "{} was not judged: this webhook judges only SourceScan and ImageScan of {GROUP}; \
                 restrict its registration to them",
                printable(&full_kind, KIND_MAX_CHARS)
            )));
        };
        let operation = match self.operation() {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" | "CONNECT" => return Ok(Target::Ignored),
            _ if self.operation.is_absent() => return Err(missing("request.operation")),
            _ => {
                let operation = self.operation.quoted(SHOWN_MAX_CHARS);
                return Err(format!(
                    "request.operation must be CREATE, UPDATE, DELETE or CONNECT, and not {operation}"
                ));
            }
        };
        self.check_identity()?;
        let new = match &self.object {
            Member::Present(new) => new,
            Member::Absent => return Err(missing("request.object")),
            Member::WrongType(found) => return Err(wrong_type("request.object", found.json_type(), "an object")),
        };
        if let Member::WrongType(found) = &self.old_object {
            return Err(wrong_type("request.oldObject", found.json_type(), "an object"));
        }
        // A CREATE has no old object, even if the review has one.
        let old = self.old_object.present().filter(|_| operation == Operation::Update);
        Ok(Target::Scan { kind, operation, is_status, new, old })
    }

    /// Checks the types of the names and the user, on which modes and status writers depend.
    fn check_identity(&self) -> Result<(), String> {
        check_string("request.name", &self.name)?;
        check_string("request.namespace", &self.namespace)?;
        match &self.user {
            Member::Present(user) => {
                check_string("request.userInfo.username", &user.username)?;
                match user.group_list.json_type() {
                    _ if user.group_list.is_absent() => Ok(()),
                    JsonType::List => Ok(()),
                    found => Err(wrong_type("request.userInfo.groups", found, "a list")),
                }
            }
            Member::Absent => Ok(()),
            Member::WrongType(found) => Err(wrong_type("request.userInfo", found.json_type(), "an object")),
        }
    }
}

fn missing(name: &str) -> String {
    format!("{name} is missing")
}

fn wrong_type(name: &str, found: JsonType, expected: &str) -> String {
    format!("{name} must be {expected}, and not {found}")
}

fn check_string(name: &str, json: &Json<'_>) -> Result<(), String> {
    match json.string() {
        Member::WrongType(found) => Err(wrong_type(name, found, "a string")),
        _ => Ok(()),
    }
}

/// Returns the text of a string; empty if the value is absent or not a string.
fn text<'s>(json: &'s Json<'_>) -> &'s str {
    json.string().value().unwrap_or_default()
}
