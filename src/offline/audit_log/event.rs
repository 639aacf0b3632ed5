//! An event of an audit log, decoded in one pass and borrowed from its text. Members that a replay does not need, such as
//! requestObject, are skipped.

use ::time::OffsetDateTime;
use percent_encoding::percent_decode_str;

use crate::admission::user::User;
use crate::scan::reader::ReadError;
use crate::scan::{Container, GROUP, Json, Key, Kind, Member, Metadata, Object, Reader, Scan, time};

/// The annotation of an event whose objects were removed, as they exceed `--audit-log-truncate-max-event-size`.
const TRUNCATED: &str = "audit.k8s.io/truncated";

/// The apiVersion and kind of a record.
#[derive(Debug, Default)]
pub struct RecordHead<'a> {
    pub api_version: Json<'a>,
    pub kind: Json<'a>,
}

#[derive(Debug, Default)]
pub struct AuditEvent<'a> {
    pub level: Json<'a>,
    pub audit_id: Json<'a>,
    pub stage: Json<'a>,
    pub verb: Json<'a>,
    request_uri: Json<'a>,
    user_agent: Json<'a>,
    user: Container<'a, User<'a>>,
    impersonated_user: Container<'a, User<'a>>,
    object_ref: Container<'a, ObjectRef<'a>>,
    response_status: Container<'a, ResponseStatus<'a>>,
    request_object: Container<'a, RequestObject<'a>>,
    response_object: Container<'a, ResponseObject<'a>>,
    annotations: Container<'a, EventAnnotations<'a>>,
    request_received_timestamp: Json<'a>,
    stage_timestamp: Json<'a>,
}

/// The object of a request, by its names.
#[derive(Debug, Default)]
pub struct ObjectRef<'a> {
    pub resource: Json<'a>,
    pub namespace: Json<'a>,
    pub name: Json<'a>,
    api_group: Json<'a>,
    pub subresource: Json<'a>,
}

#[derive(Debug, Default)]
struct ResponseStatus<'a> {
    code: Json<'a>,
    details: Container<'a, StatusDetails<'a>>,
}

#[derive(Debug, Default)]
struct StatusDetails<'a> {
    uid: Json<'a>,
}

/// The object that a client sent. Only the options of a deletion are read.
#[derive(Debug, Default)]
struct RequestObject<'a> {
    dry_run: Json<'a>,
}

/// The object of a response: a scan, a list of scans, or another object.
#[derive(Debug, Default)]
pub struct ResponseObject<'a> {
    pub kind: Json<'a>,
    pub metadata: ResponseMetadata<'a>,
    pub scan: Scan<'a>,
    /// The JSON text of the spec; empty if there is none.
    pub spec_json: &'a str,
    /// The JSON text of the items of a list; empty if there is none.
    pub items_json: &'a str,
}

/// The metadata of the object of a response: the members that identify the object, and those that rules read.
#[derive(Debug, Default)]
pub struct ResponseMetadata<'a> {
    pub namespace: Json<'a>,
    pub name: Json<'a>,
    pub uid: Json<'a>,
    resource_version: Json<'a>,
    /// The JSON text of managedFields; empty if the log has none.
    pub managed_fields: &'a str,
    of_scan: Metadata<'a>,
}

#[derive(Debug, Default)]
struct EventAnnotations<'a> {
    truncated: Json<'a>,
}

impl<'a> Object<'a> for RecordHead<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "apiVersion" => self.api_version = value.read()?,
            "kind" => self.kind = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for AuditEvent<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "level" => self.level = value.read()?,
            "auditID" => self.audit_id = value.read()?,
            "stage" => self.stage = value.read()?,
            "requestURI" => self.request_uri = value.read()?,
            "userAgent" => self.user_agent = value.read()?,
            "verb" => self.verb = value.read()?,
            "user" => self.user = value.read()?,
            "impersonatedUser" => self.impersonated_user = value.read()?,
            "objectRef" => self.object_ref = value.read()?,
            "responseStatus" => self.response_status = value.read()?,
            "requestObject" => self.request_object = value.read()?,
            "responseObject" => self.response_object.fill(value)?,
            "requestReceivedTimestamp" => self.request_received_timestamp = value.read()?,
            "stageTimestamp" => self.stage_timestamp = value.read()?,
            "annotations" => self.annotations = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for ObjectRef<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "resource" => self.resource = value.read()?,
            "namespace" => self.namespace = value.read()?,
            "name" => self.name = value.read()?,
            "apiGroup" => self.api_group = value.read()?,
            "subresource" => self.subresource = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for ResponseStatus<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "code" => self.code = value.read()?,
            "details" => self.details = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for StatusDetails<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "uid" => self.uid = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for RequestObject<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "dryRun" => self.dry_run = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for ResponseObject<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "kind" => self.kind = value.read()?,
            "metadata" => {
                let metadata: Container<'a, ResponseMetadata<'a>> = value.read()?;
                self.metadata = metadata.value().unwrap_or_default();
                self.scan.metadata = Member::Present(self.metadata.of_scan.clone());
            }
            "spec" => self.spec_json = value.with_text(|value| self.scan.spec.fill(value))?.1,
            "items" => self.items_json = value.raw()?,
            _ => self.scan.member(key, value)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for ResponseMetadata<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "namespace" => self.namespace = value.read()?,
            "name" => self.name = value.read()?,
            "uid" => self.uid = value.read()?,
            "resourceVersion" => self.resource_version = value.read()?,
            "managedFields" => self.managed_fields = value.with_text(|value| value.skip_repeated())?.1,
            _ => self.of_scan.member(key, value)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for EventAnnotations<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            TRUNCATED => self.truncated = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> AuditEvent<'a> {
    /// Returns the kind and the names of the scan that the request is for; `None` if it is for another resource.
    pub fn scan_ref(&self) -> Option<(Kind, &ObjectRef<'a>)> {
        let object_ref = self.object_ref.present().filter(|found| found.api_group.is_text(GROUP))?;
        let kind = Kind::ALL.into_iter().find(|kind| object_ref.resource.is_text(kind.plural()))?;
        Some((kind, object_ref))
    }

    /// Returns the user whose rights count: the impersonated one, if there is one.
    pub fn user(&self) -> Option<&User<'a>> {
        self.impersonated_user.present().or(self.user.present())
    }

    /// Returns the code of the response.
    pub fn code(&self) -> Option<i64> {
        self.response_status.present()?.code.integer().value()
    }

    /// Returns whether nothing was stored, as the client asked for.
    pub fn is_dry_run(&self) -> bool {
        let is_in_query = self.parameter("dryRun").is_some_and(|value| !value.is_empty());
        // The body of a deletion has its options. That of another request is an object or a patch.
        let options = self.request_object.present().filter(|_| self.verb.is_text("delete"));
        is_in_query || options.is_some_and(|options| !options.dry_run.is_absent())
    }

    /// Returns the manager of the fields that the request has written, as the API server names it: by the parameter
    /// `fieldManager`, else by the beginning of the User-Agent.
    pub fn field_manager(&self) -> String {
        let named =
            self.parameter("fieldManager").map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned());
        let program = || text(&self.user_agent).split('/').next().unwrap_or_default().to_owned();
        named.filter(|name| !name.is_empty()).unwrap_or_else(program)
    }

    /// Returns the value of a parameter of the URI, still encoded.
    fn parameter(&self, wanted: &str) -> Option<&str> {
        let (_, query) = text(&self.request_uri).split_once('?')?;
        let mut parameters = query.split('&').filter_map(|part| part.split_once('='));
        parameters.find(|(name, _)| percent_decode_str(name).eq(wanted.bytes())).map(|(_, value)| value)
    }

    pub fn is_truncated(&self) -> bool {
        self.annotations.present().is_some_and(|annotations| annotations.truncated.is_text("true"))
    }

    /// Returns the time at which the API server received the request, which is when its webhooks are called.
    pub fn request_received_timestamp(&self) -> Option<OffsetDateTime> {
        time::parse(self.request_received_timestamp.string().value()?)
    }

    /// Returns the time at which the request was done.
    pub fn stage_timestamp(&self) -> Option<OffsetDateTime> {
        time::parse(self.stage_timestamp.string().value()?)
    }

    /// Returns the scan of the response.
    pub fn response_scan(&self, kind: Kind) -> Option<&ResponseObject<'a>> {
        self.response_object.present().filter(|object| object.kind.is_text(kind.name()))
    }

    /// Returns the JSON text of the scans of the response, which is a list.
    pub fn response_items(&self, kind: Kind) -> Option<&'a str> {
        let is_list = |list: &&ResponseObject<'a>| {
            list.kind.string().value().and_then(|name| name.strip_suffix("List")) == Some(kind.name())
        };
        let items_json = self.response_object.present().filter(is_list)?.items_json;
        items_json.starts_with('[').then_some(items_json)
    }

    /// Returns the uid of the object that the request has deleted.
    pub fn deleted_uid(&self) -> Option<&str> {
        self.response_status.present()?.details.present()?.uid.string().value()
    }
}

impl ResponseObject<'_> {
    /// Returns the resourceVersion as a number, which grows with every write to the cluster.
    pub fn resource_version(&self) -> Option<u64> {
        self.metadata.resource_version.string().value()?.parse().ok()
    }
}

/// Returns the text of a string; empty if the value is absent or not a string.
pub fn text<'s>(json: &'s Json<'_>) -> &'s str {
    json.string().value().unwrap_or_default()
}
