//! Finds the objects of a document, also those of Lists, and the positions of their fields.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::documents::{DOCUMENT_MAX_BYTES, Document};
use super::encoding;
use super::head::{ObjectHead, ScanManifest, ScanPart};
use super::kind::{Identity, IdentityError, identify};
use super::position::{Position, Positions};
use super::yaml::{self, DoubledName, Mark, WrittenScalar, YamlError};
use super::{json, path};
use crate::scan::{JsonType, Kind, Member, reader};

/// How deeply Lists within Lists are read. kubectl writes none; each level is one more pass over the text.
const LISTS_MAX: usize = 16;

/// A document as JSON text, and the position of each part of it.
pub struct Manifest<'a> {
    json: Cow<'a, str>,
    /// See [`yaml::ConvertedYaml::marks`]; none where the document is JSON itself.
    marks: Option<Vec<Mark>>,
    written: Vec<WrittenScalar>,
    doubled: Vec<DoubledName>,
    positions: Positions<'a>,
}

/// What is wrong with a document, and where.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ManifestError {
    pub position: Position,
    pub message: String,
}

/// Why an object of a document cannot be checked.
#[derive(Debug, thiserror::Error)]
enum ObjectError {
    #[error("this entry is empty: remove it")]
    Empty,
    #[error("this is {0} and no object of Kubernetes: those have apiVersion and kind")]
    NoObject(JsonType),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("this object cannot be read: {0}")]
    Unreadable(String),
    #[error("this is a List within {LISTS_MAX} Lists: take them apart")]
    TooManyLists,
    #[error("the items of this List are no list")]
    Items,
    #[error("this List has no items: an empty one says items: []")]
    NoItems,
}

/// An object of a document.
pub enum FoundObject<'a> {
    Scan(ScanManifest<'a>),
    /// An object of another kind.
    Other(&'a str),
    /// A List without entries.
    EmptyList,
    /// A value that may well not be meant as an object of Kubernetes, such as the values of a chart, and the error if it is.
    Nothing(ManifestError),
    Error(ManifestError),
}

impl<'a> Manifest<'a> {
    /// Reads a document as the API server would see it.
    pub fn read(document: &Document<'a>) -> Result<Self, ManifestError> {
        let positions = Positions::new(document.bytes, document.start);
        let error_at =
            |error: YamlError| ManifestError { position: positions.at(error.offset), message: error.message };
        if document.is_cut {
            let limit = DOCUMENT_MAX_BYTES >> 20;
            return Err(error_at(YamlError::new(0, format!("this document exceeds {limit} MiB: split it"))));
        }
        let text = encoding::text(document.bytes)
            .map_err(|(offset, error)| error_at(YamlError::new(offset, error.to_string())))?;
        let json_error = if document.is_json {
            match json::check(text) {
                Ok(()) => {
                    let (written, doubled) = (Vec::new(), json::doubled(text));
                    return Ok(Manifest { json: text.into(), marks: None, written, doubled, positions });
                }
                Err(error) => Some(error),
            }
        } else {
            None
        };
        match yaml::to_json(text) {
            Ok(yaml::ConvertedYaml { text, marks, written, doubled }) => {
                Ok(Manifest { json: text.into(), marks: Some(marks), written, doubled, positions })
            }
            // A document that begins like JSON is likely meant to be JSON, so that error helps more.
            Err(yaml) => Err(error_at(json_error.unwrap_or(yaml))),
        }
    }

    /// The objects in their order, with those of Lists, watch events and reviews each by itself. An object without apiVersion and
    /// kind that looks like a status is judged as that of a scan of the kind `status_of`.
    pub fn objects(&self, status_of: Option<Kind>) -> Vec<FoundObject<'_>> {
        let mut found = Vec::new();
        let mut open = vec![Item { json: &self.json, of: None, status_of, lists: 0 }];
        while let Some(item) = open.pop() {
            match self.object(&item) {
                Ok(ItemContents::Object(object)) => found.push(object),
                Ok(ItemContents::List(items)) if items.is_empty() => found.push(FoundObject::EmptyList),
                Ok(ItemContents::List(items)) => open.extend(items.into_iter().rev()),
                Ok(ItemContents::Nothing) => {}
                Err(error) => {
                    let is_no_object = item.lists == 0
                        && match &error {
                            ObjectError::NoObject(_) => true,
                            ObjectError::Identity(error) => error.is_no_object(),
                            _ => false,
                        };
                    let part = if let ObjectError::Identity(error) = &error {
                        path::find(item.json, error.member())
                    } else {
                        item.json
                    };
                    let error = self.error(part, error.to_string());
                    found.push(if is_no_object { FoundObject::Nothing(error) } else { FoundObject::Error(error) });
                }
            }
        }
        found
    }

    /// The position of a field of an object; where it is absent, that of the nearest part around it.
    pub fn field(&self, object: &str, path: &str) -> Position {
        self.position(path::find(object, path))
    }

    /// The whole document as JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether it is in YAML, where text need not be in quotes.
    pub fn is_yaml(&self) -> bool {
        self.marks.is_some()
    }

    /// The text of a value in the YAML, where it differs from the JSON.
    pub fn written(&self, value: &str) -> Option<&str> {
        let offset = self.offset(value);
        let at = self.written.binary_search_by_key(&offset, |scalar| scalar.json).ok()?;
        Some(&self.written[at].text)
    }

    /// The names within a part of the JSON that an object has twice, in their order: the JSON from the last one on, which counts,
    /// the position of that one, and the position of the first one.
    pub fn doubled(&self, part: &str) -> impl Iterator<Item = (&str, Position, Position)> {
        let (start, end) = (self.offset(part), self.offset(part) + part.len());
        let from = self.doubled.partition_point(|name| name.json < start);
        let within = self.doubled[from..].iter().take_while(move |name| name.json < end);
        within.map(|name| {
            let json = &self.json[name.json..];
            (json, self.position(json), self.positions.at(name.first))
        })
    }

    /// An error at an object.
    pub fn error(&self, object: &str, message: String) -> ManifestError {
        ManifestError { position: self.position(object), message }
    }

    /// The position of a part of the JSON text.
    fn position(&self, part: &str) -> Position {
        let offset = self.offset(part);
        let Some(marks) = &self.marks else { return self.positions.at(offset) };
        let next = marks.partition_point(|mark| mark.json <= offset);
        self.positions.at(next.checked_sub(1).map_or(0, |at| marks[at].yaml))
    }

    fn offset(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.json.as_ptr().addr()
    }

    fn object<'s>(&'s self, item: &Item<'s>) -> Result<ItemContents<'s>, ObjectError> {
        let head: ObjectHead<'s> = match reader::read(item.json) {
            Ok(Member::Present(head)) => head,
            Ok(Member::Absent) if item.lists > 0 => return Err(ObjectError::Empty),
            // An empty document, or one of comments.
            Ok(Member::Absent) if item.json == "null" => return Ok(ItemContents::Nothing),
            Ok(Member::Absent) => ObjectHead::default(),
            Ok(Member::WrongType(found)) => return Err(ObjectError::NoObject(found.json_type())),
            Err(error) => return Err(ObjectError::Unreadable(error.message(item.json))),
        };
        let below = |json, of| Item { json, of, status_of: None, lists: item.lists + 1 };
        if head.is_bookmark() {
            return Ok(ItemContents::Object(FoundObject::Other(item.json)));
        }
        if let Some(object) = head.wrapped() {
            return if item.lists < LISTS_MAX {
                Ok(ItemContents::List(vec![below(object, None)]))
            } else {
                Err(ObjectError::TooManyLists)
            };
        }
        let of_a_list = item.of.map(|kind| (kind, ScanPart::Whole));
        let alone = item.status_of.and_then(|kind| Some((kind, head.part()?)));
        if let Some((kind, part)) = of_a_list.or(alone).filter(|_| head.is_unnamed()) {
            return Ok(ItemContents::Object(FoundObject::Scan(head.scan(item.json, kind, part))));
        }
        match identify(&head.api_version, &head.kind)? {
            Identity::Scan(kind) => {
                Ok(ItemContents::Object(FoundObject::Scan(head.scan(item.json, kind, ScanPart::Whole))))
            }
            Identity::Other => Ok(ItemContents::Object(FoundObject::Other(item.json))),
            Identity::List(_) if item.lists == LISTS_MAX => Err(ObjectError::TooManyLists),
            Identity::List(of) => {
                let items = head.items.ok_or(ObjectError::NoItems)?;
                // Go writes null for a list without entries.
                let items: Option<Vec<&RawValue>> = serde_json::from_str(items).map_err(|_| ObjectError::Items)?;
                let items = items.unwrap_or_default().into_iter();
                Ok(ItemContents::List(items.map(|json| below(json.get(), of)).collect()))
            }
        }
    }
}

/// A part of a document that should be an object.
struct Item<'a> {
    json: &'a str,
    /// The kind of an entry that does not name its own, as in a typed list.
    of: Option<Kind>,
    /// The kind of scan whose status it is, if it is one alone.
    status_of: Option<Kind>,
    /// How many Lists, events and reviews are around it.
    lists: usize,
}

enum ItemContents<'a> {
    Object(FoundObject<'a>),
    List(Vec<Item<'a>>),
    Nothing,
}
