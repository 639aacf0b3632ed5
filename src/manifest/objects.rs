//! Finds the objects of a document, including the items of Lists, and the positions of their fields.

mod location;

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::documents::{DOCUMENT_MAX_BYTES, Document};
use super::encoding;
use super::head::{ObjectHead, ScanManifest, ScanPart};
use super::kind::{Identity, IdentityError, identify};
use super::position::{Position, Positions};
use super::yaml::{self, Mark, RepeatedKey, Sharing, WrittenScalar, YamlError};
use super::{json, path};
use crate::scan::{JsonType, Kind, Member, reader};

/// The number of Lists, events and reviews that may be nested. kubectl nests none, and each level takes one more pass
/// over the text.
const LISTS_MAX: usize = 16;

/// A document as JSON text, and the position of each part of it.
pub struct Manifest<'a> {
    text: &'a str,
    json: Cow<'a, str>,
    /// See [`yaml::ConvertedYaml::marks`]. `None` if the document itself is JSON.
    marks: Option<Vec<Mark>>,
    written: Vec<WrittenScalar>,
    repeated_keys: Vec<RepeatedKey>,
    sharing: Sharing,
    positions: Positions<'a>,
}

/// An error in a document and its position.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ManifestError {
    pub position: Position,
    pub message: String,
}

/// The reason why an object of a document cannot be checked.
#[derive(Debug, thiserror::Error)]
enum ObjectError {
    #[error("the entry is empty: remove it")]
    Empty,
    #[error("expected a Kubernetes object with apiVersion and kind, found {0}")]
    NotAnObject(JsonType),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    #[error("Lists must not be nested more than {LISTS_MAX} levels deep")]
    TooManyLists,
    #[error("items must be a list")]
    Items,
    #[error("missing field \"items\": write `items: []` for an empty List")]
    NoItems,
}

/// An object of a document.
pub enum FoundObject<'a> {
    Scan(ScanManifest<'a>),
    /// The JSON of an object of another kind.
    Other(&'a str),
    /// A List without entries.
    EmptyList,
    /// A value that may be something other than a Kubernetes object, such as the values of a chart, with the error in
    /// case it is meant as one.
    Unidentified(ManifestError),
    Error(ManifestError),
}

impl<'a> Manifest<'a> {
    /// Reads a document as the API server would see it.
    pub fn read(document: &Document<'a>) -> Result<Self, ManifestError> {
        let positions = Positions::new(document.bytes, document.start);
        let error_at =
            |error: YamlError| ManifestError { position: positions.at(error.offset), message: error.message };
        if document.is_truncated {
            let limit = DOCUMENT_MAX_BYTES >> 20;
            return Err(error_at(YamlError::new(
                0,
                format!("Too long: may not be more than {limit} MiB; split the document"),
            )));
        }
        let text = encoding::text(document.bytes)
            .map_err(|(offset, error)| error_at(YamlError::new(offset, error.to_string())))?;
        let json_error = if document.is_json {
            match json::check(text) {
                Ok(()) => {
                    let (written, repeated_keys, sharing) = (Vec::new(), json::repeated_keys(text), Sharing::default());
                    let json = text.into();
                    return Ok(Manifest { text, json, marks: None, written, repeated_keys, sharing, positions });
                }
                Err(error) => Some(error),
            }
        } else {
            None
        };
        match yaml::to_json(text) {
            Ok(yaml::ConvertedYaml { text: json, marks, written, repeated_keys, sharing }) => {
                let (json, marks) = (json.into(), Some(marks));
                Ok(Manifest { text, json, marks, written, repeated_keys, sharing, positions })
            }
            // A document that begins like JSON is probably meant to be JSON, so the error of JSON helps more.
            Err(yaml) => Err(error_at(json_error.unwrap_or(yaml))),
        }
    }

    /// Returns the objects in order. The items of Lists and the objects of watch events and reviews are returned one by
    /// one. With `status_kind`, an object without apiVersion and kind that resembles a status is the status of a scan
    /// of this kind.
    pub fn objects(&self, status_kind: Option<Kind>) -> Vec<FoundObject<'_>> {
        let mut found = Vec::new();
        let mut open = vec![Item { json: &self.json, default_kind: None, status_kind, lists: 0, is_wrapped: false }];
        while let Some(item) = open.pop() {
            match self.object(&item) {
                Ok(ItemContents::Object(object)) => found.push(object),
                Ok(ItemContents::List(items)) if items.is_empty() => found.push(FoundObject::EmptyList),
                Ok(ItemContents::List(items)) => open.extend(items.into_iter().rev()),
                Ok(ItemContents::Empty) => {}
                Err(error) => {
                    let may_be_unrelated = item.lists == 0
                        && match &error {
                            ObjectError::NotAnObject(_) => true,
                            ObjectError::Identity(error) => error.may_be_unrelated(),
                            _ => false,
                        };
                    let part = if let ObjectError::Identity(error) = &error {
                        path::find(item.json, error.member())
                    } else {
                        item.json
                    };
                    let error = self.error(part, error.to_string());
                    found.push(if may_be_unrelated {
                        FoundObject::Unidentified(error)
                    } else {
                        FoundObject::Error(error)
                    });
                }
            }
        }
        found
    }

    /// The text of the document.
    pub fn text(&self) -> &str {
        self.text
    }

    /// The whole document as JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether the document is YAML, in which strings need no quotes.
    pub fn is_yaml(&self) -> bool {
        self.marks.is_some()
    }

    /// Returns the text of a value in the YAML if it differs from the JSON.
    pub fn written(&self, value: &str) -> Option<&str> {
        let offset = self.json_offset(value);
        let at = self.written.binary_search_by_key(&offset, |scalar| scalar.json).ok()?;
        Some(&self.written[at].text)
    }

    /// Returns the repeated keys within a part of the JSON, in order: the JSON from the last occurrence on, whose value
    /// is used, the position of the last occurrence, and the position of the first one.
    pub fn repeated_keys(&self, part: &str) -> impl Iterator<Item = (&str, Position, Position)> {
        let (start, end) = (self.json_offset(part), self.json_offset(part) + part.len());
        let from = self.repeated_keys.partition_point(|key| key.json < start);
        let within = self.repeated_keys[from..].iter().take_while(move |key| key.json < end);
        within.map(|key| {
            let json = &self.json[key.json..];
            (json, self.position(json), self.positions.at(key.first))
        })
    }

    /// Returns an error at the position of an object.
    pub fn error(&self, object: &str, message: String) -> ManifestError {
        ManifestError { position: self.position(object), message }
    }

    fn object<'s>(&'s self, item: &Item<'s>) -> Result<ItemContents<'s>, ObjectError> {
        let head: ObjectHead<'s> = match reader::read(item.json) {
            Ok(Member::Present(head)) => head,
            Ok(Member::Absent) if item.lists > 0 => return Err(ObjectError::Empty),
            // The document is empty or has only comments.
            Ok(Member::Absent) if item.json == "null" => return Ok(ItemContents::Empty),
            Ok(Member::Absent) => ObjectHead::default(),
            Ok(Member::WrongType(found)) => return Err(ObjectError::NotAnObject(found.json_type())),
            Err(error) => return Err(ObjectError::Unreadable(error.message(item.json))),
        };
        let Item { is_wrapped, .. } = *item;
        let nested =
            |json, default_kind| Item { json, default_kind, status_kind: None, lists: item.lists + 1, is_wrapped };
        if head.is_event_without_object() {
            return Ok(ItemContents::Object(FoundObject::Other(item.json)));
        }
        if let Some(object) = head.wrapped() {
            return if item.lists < LISTS_MAX {
                Ok(ItemContents::List(vec![Item { is_wrapped: true, ..nested(object, None) }]))
            } else {
                Err(ObjectError::TooManyLists)
            };
        }
        let in_list = item.default_kind.map(|kind| (kind, ScanPart::Whole));
        let alone = item.status_kind.and_then(|kind| Some((kind, head.part()?)));
        if let Some((kind, part)) = in_list.or(alone).filter(|_| head.is_unnamed()) {
            return Ok(ItemContents::Object(FoundObject::Scan(head.scan(item.json, kind, part, is_wrapped))));
        }
        match identify(&head.api_version, &head.kind)? {
            Identity::Scan(kind) => {
                Ok(ItemContents::Object(FoundObject::Scan(head.scan(item.json, kind, ScanPart::Whole, is_wrapped))))
            }
            Identity::Other => Ok(ItemContents::Object(FoundObject::Other(item.json))),
            Identity::List(_) if item.lists == LISTS_MAX => Err(ObjectError::TooManyLists),
            Identity::List(of) => {
                let items = head.items.ok_or(ObjectError::NoItems)?;
                // Go encodes an empty list as null.
                let items: Option<Vec<&RawValue>> = serde_json::from_str(items).map_err(|_| ObjectError::Items)?;
                let items = items.unwrap_or_default().into_iter();
                Ok(ItemContents::List(items.map(|json| nested(json.get(), of)).collect()))
            }
        }
    }
}

/// A part of a document that is expected to be an object.
struct Item<'a> {
    json: &'a str,
    /// The kind of an entry without a kind, as in a typed list.
    default_kind: Option<Kind>,
    /// The kind of scan whose status the part is, if it is a status alone.
    status_kind: Option<Kind>,
    /// The number of Lists, events and reviews around the part.
    lists: usize,
    is_wrapped: bool,
}

enum ItemContents<'a> {
    Object(FoundObject<'a>),
    List(Vec<Item<'a>>),
    Empty,
}
