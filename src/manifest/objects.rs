//! The objects of a document, those of Lists too, and the positions of their fields.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::documents::{DOCUMENT_MAX_BYTES, Document};
use super::encoding;
use super::path;
use super::position::{Position, Positions};
use super::yaml::{self, DEPTH_MAX, Mark, YamlError};
use crate::scan::reader::ReadError;
use crate::scan::{Container, GROUP, Json, JsonType, Key, Kind, Member, Object, Reader, Scan, reader};

/// Lists within Lists that are taken apart. kubectl writes none; each level is one more pass over the text.
const LISTS_MAX: usize = 16;

/// A document as JSON text, and the position of each part of it.
pub struct Manifest<'a> {
    json: Cow<'a, str>,
    /// See [`yaml::ConvertedYaml::marks`]; none where the document is JSON itself.
    marks: Option<Vec<Mark>>,
    positions: Positions<'a>,
}

/// What is wrong with a document, and where.
#[derive(Debug, thiserror::Error)]
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
    #[error("this object cannot be read: {0}")]
    Unreadable(String),
    #[error("this is a List within {LISTS_MAX} Lists: take them apart")]
    TooManyLists,
    #[error("the items of this List are no list")]
    Items,
}

/// An object of a document.
pub enum FoundObject<'a> {
    Scan(ScanManifest<'a>),
    /// An object of another kind.
    Other,
    Error(ManifestError),
}

/// A scan: its JSON, and its name.
pub struct ScanManifest<'a> {
    pub kind: Kind,
    pub json: &'a str,
    pub namespace: String,
    pub name: String,
}

impl<'a> ScanManifest<'a> {
    pub fn scan(&self) -> Result<Scan<'a>, ReadError> {
        let scan = reader::read::<Container<'_, Scan<'_>>>(self.json)?;
        Ok(scan.value().unwrap_or_default())
    }
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
            match check_json(text) {
                Ok(()) => return Ok(Manifest { json: text.into(), marks: None, positions }),
                Err(error) => Some(error),
            }
        } else {
            None
        };
        match yaml::to_json(text) {
            Ok(json) => Ok(Manifest { json: json.text.into(), marks: Some(json.marks), positions }),
            // What began like JSON was likely meant to be it.
            Err(yaml) => Err(error_at(json_error.unwrap_or(yaml))),
        }
    }

    /// The objects, those of Lists each by itself, in their order.
    pub fn objects(&self) -> Vec<FoundObject<'_>> {
        let mut found = Vec::new();
        let mut open = vec![Item { json: &self.json, of: None, lists: 0 }];
        while let Some(item) = open.pop() {
            match self.object(&item) {
                Ok(ItemContents::Object(object)) => found.push(object),
                Ok(ItemContents::List(items)) => open.extend(items.into_iter().rev()),
                Ok(ItemContents::Nothing) => {}
                Err(error) => found.push(FoundObject::Error(self.error(item.json, error.to_string()))),
            }
        }
        found
    }

    /// The position of a field of an object, or of the nearest thing around it that is there.
    pub fn field(&self, object: &str, path: &str) -> Position {
        self.position(path::find(object, path))
    }

    /// An error at an object.
    pub fn error(&self, object: &str, message: String) -> ManifestError {
        ManifestError { position: self.position(object), message }
    }

    /// The position of a part of the JSON text.
    fn position(&self, part: &str) -> Position {
        let offset = part.as_ptr().addr() - self.json.as_ptr().addr();
        let Some(marks) = &self.marks else { return self.positions.at(offset) };
        let next = marks.partition_point(|mark| mark.json <= offset);
        self.positions.at(next.checked_sub(1).map_or(0, |at| marks[at].yaml))
    }

    fn object<'s>(&'s self, item: &Item<'s>) -> Result<ItemContents<'s>, ObjectError> {
        let head: ObjectHead<'s> = match reader::read(item.json) {
            Ok(Member::Present(head)) => head,
            // An empty document, or one of comments.
            Ok(Member::Absent) if item.lists == 0 => return Ok(ItemContents::Nothing),
            Ok(Member::Absent) => return Err(ObjectError::Empty),
            Ok(Member::WrongType(found)) => return Err(ObjectError::NoObject(found.json_type())),
            Err(error) => return Err(ObjectError::Unreadable(error.message(item.json))),
        };
        let Some(of) = head.list() else { return Ok(ItemContents::Object(head.found(item))) };
        if item.lists == LISTS_MAX {
            return Err(ObjectError::TooManyLists);
        }
        let items = head.items.map_or(Ok(Vec::new()), |items| {
            serde_json::from_str::<Option<Vec<&RawValue>>>(items).map(Option::unwrap_or_default)
        });
        let items = items.map_err(|_| ObjectError::Items)?;
        let below = |json: &'s RawValue| Item { json: json.get(), of, lists: item.lists + 1 };
        Ok(ItemContents::List(items.into_iter().map(below).collect()))
    }
}

/// A part of a document that is an object, or should be.
struct Item<'a> {
    json: &'a str,
    /// The kind of an entry that does not say it, as in a typed list.
    of: Option<Kind>,
    /// The Lists around it.
    lists: usize,
}

enum ItemContents<'a> {
    Object(FoundObject<'a>),
    List(Vec<Item<'a>>),
    Nothing,
}

/// What tells one object from another.
#[derive(Default)]
struct ObjectHead<'a> {
    api_version: Json<'a>,
    kind: Json<'a>,
    metadata: Container<'a, ObjectNames<'a>>,
    items: Option<&'a str>,
}

impl<'a> Object<'a> for ObjectHead<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError> {
        match key.as_ref() {
            "apiVersion" => self.api_version = value.read()?,
            "kind" => self.kind = value.read()?,
            "metadata" => self.metadata = value.read()?,
            "items" => self.items = Some(value.raw()?),
            _ => value.skip()?,
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

impl<'a> ObjectHead<'a> {
    fn is_of_group(&self) -> bool {
        let version = self.api_version.string().value();
        version.is_some_and(|version| version.split_once('/').is_some_and(|(group, _)| group == GROUP))
    }

    /// If this is a list: the kind of its entries, where the list tells it.
    fn list(&self) -> Option<Option<Kind>> {
        if self.kind.is_text("List") && self.api_version.is_text("v1") {
            return Some(None);
        }
        let kind = self.kind.string().value()?;
        let of = Kind::ALL.into_iter().find(|of| kind.strip_suffix("List") == Some(of.name()))?;
        self.is_of_group().then_some(Some(of))
    }

    fn found(&self, item: &Item<'a>) -> FoundObject<'a> {
        let kind = if self.kind.is_absent() && self.api_version.is_absent() {
            item.of
        } else {
            Kind::ALL.into_iter().find(|kind| self.kind.is_text(kind.name())).filter(|_| self.is_of_group())
        };
        let Some(kind) = kind else { return FoundObject::Other };
        let text = |json: &Json<'_>| json.string().value().unwrap_or_default().to_owned();
        let (namespace, name) =
            self.metadata.present().map(|names| (text(&names.namespace), text(&names.name))).unwrap_or_default();
        FoundObject::Scan(ScanManifest { kind, json: item.json, namespace, name })
    }
}

/// Whether a text is JSON, no deeper than [`DEPTH_MAX`].
fn check_json(text: &str) -> Result<(), YamlError> {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'{' | b'[' if !is_string => depth += 1,
            b'}' | b']' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(yaml::too_deep(offset));
        }
    }
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|error| {
        let line: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        YamlError::new(
            line + error.column().saturating_sub(1),
            format!("this is no JSON: {}; correct it here or just before", message(&error)),
        )
    })
}

/// The error without its position, which is shown separately.
fn message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned()
}
