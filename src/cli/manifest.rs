//! The objects of a document, Lists taken apart, and where in the file their fields are.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::documents::{DOCUMENT_MAX_BYTES, Document};
use super::path;
use super::place::{Place, Places};
use super::yaml::{self, DEPTH_MAX, Fault};
use crate::scan::{GROUP, Json, Key, Kind, Member, Object, Reader, reader};

/// Lists within Lists that are taken apart. kubectl writes none; each level is one more pass over the text.
const LISTS_MAX: usize = 16;

/// A document as JSON text, and where each part of it stands.
pub struct Manifest<'a> {
    json: Cow<'a, str>,
    /// See [`yaml::Json::marks`]; none where the document is JSON itself.
    marks: Option<Vec<(usize, usize)>>,
    places: Places<'a>,
}

/// What is at fault with a document, and where.
#[derive(Debug)]
pub struct Misfit {
    pub place: Place,
    pub words: String,
}

/// An object of a document.
pub enum Found<'a> {
    Scan(Subject<'a>),
    /// An object of another kind.
    Other,
    Fault(Misfit),
}

/// A scan: its JSON, and what it is called.
pub struct Subject<'a> {
    pub kind: Kind,
    pub json: &'a str,
    pub namespace: String,
    pub name: String,
}

impl<'a> Manifest<'a> {
    /// Reads a document as the API server would see it.
    pub fn read(document: &Document<'a>) -> Result<Self, Misfit> {
        let places = Places::new(document.bytes, document.start);
        let misfit = |fault: Fault| Misfit { place: places.at(fault.offset), words: fault.words };
        if document.is_cut {
            let limit = DOCUMENT_MAX_BYTES >> 20;
            return Err(misfit(Fault::new(0, format!("this document exceeds {limit} MiB: split it"))));
        }
        let text = std::str::from_utf8(document.bytes).map_err(|error| {
            misfit(Fault::new(error.valid_up_to(), "this is not UTF-8: save the file in that encoding"))
        })?;
        let fault = if document.is_json {
            match check_json(text) {
                Ok(()) => return Ok(Manifest { json: text.into(), marks: None, places }),
                Err(fault) => Some(fault),
            }
        } else {
            None
        };
        match yaml::to_json(text) {
            Ok(json) => Ok(Manifest { json: json.text.into(), marks: Some(json.marks), places }),
            // What began like JSON was likely meant to be it.
            Err(yaml) => Err(misfit(fault.unwrap_or(yaml))),
        }
    }

    /// The objects, those of Lists each by itself, in their order.
    pub fn objects(&self) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        let mut open = vec![Part { json: &self.json, of: None, lists: 0 }];
        while let Some(part) = open.pop() {
            match self.object(&part) {
                Ok(One::Object(object)) => found.push(object),
                Ok(One::List(parts)) => open.extend(parts.into_iter().rev()),
                Ok(One::Nothing) => {}
                Err(words) => found.push(Found::Fault(Misfit { place: self.place(part.json), words })),
            }
        }
        found
    }

    /// The place of a field of an object, or of the nearest thing around it that is there.
    pub fn field(&self, object: &str, path: &str) -> Place {
        self.place(path::find(object, path))
    }

    /// The place of a part of the JSON text.
    fn place(&self, part: &str) -> Place {
        let offset = part.as_ptr().addr() - self.json.as_ptr().addr();
        let Some(marks) = &self.marks else { return self.places.at(offset) };
        let next = marks.partition_point(|(json, _)| *json <= offset);
        self.places.at(next.checked_sub(1).map_or(0, |at| marks[at].1))
    }

    fn object<'s>(&'s self, part: &Part<'s>) -> Result<One<'s>, String> {
        let head: Head<'s> = match reader::read(part.json) {
            Ok(Member::Is(head)) => head,
            // An empty document, or one of comments.
            Ok(Member::Absent) if part.lists == 0 => return Ok(One::Nothing),
            Ok(Member::Absent) => return Err("this entry is empty: remove it".to_owned()),
            Ok(Member::Wrong(json_type)) => {
                return Err(format!("this is {json_type} and no object of Kubernetes: those have apiVersion and kind"));
            }
            Err(fault) => return Err(format!("this object cannot be read: {}", fault.words(part.json))),
        };
        let Some(of) = head.list() else { return Ok(One::Object(head.found(part))) };
        if part.lists == LISTS_MAX {
            return Err(format!("this is a List within {LISTS_MAX} Lists: take them apart"));
        }
        let items = head.items.map_or(Ok(Vec::new()), |items| {
            serde_json::from_str::<Option<Vec<&RawValue>>>(items).map(Option::unwrap_or_default)
        });
        let items = items.map_err(|_| "the items of this List are no list".to_owned())?;
        Ok(One::List(items.into_iter().map(|item| Part { json: item.get(), of, lists: part.lists + 1 }).collect()))
    }
}

/// A part of a document that is an object, or should be.
struct Part<'a> {
    json: &'a str,
    /// The kind of an entry that does not say it, as in a typed list.
    of: Option<Kind>,
    /// The Lists around it.
    lists: usize,
}

enum One<'a> {
    Object(Found<'a>),
    List(Vec<Part<'a>>),
    Nothing,
}

/// What tells one object from another.
#[derive(Default)]
struct Head<'a> {
    api_version: Json<'a>,
    kind: Json<'a>,
    metadata: Member<Names<'a>>,
    items: Option<&'a str>,
}

impl<'a> Object<'a> for Head<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), reader::Fault> {
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
struct Names<'a> {
    namespace: Json<'a>,
    name: Json<'a>,
}

impl<'a> Object<'a> for Names<'a> {
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), reader::Fault> {
        match key.as_ref() {
            "namespace" => self.namespace = value.read()?,
            "name" => self.name = value.read()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Head<'a> {
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

    fn found(&self, part: &Part<'a>) -> Found<'a> {
        let kind = if self.kind.is_absent() && self.api_version.is_absent() {
            part.of
        } else {
            Kind::ALL.into_iter().find(|kind| self.kind.is_text(kind.name())).filter(|_| self.is_of_group())
        };
        let Some(kind) = kind else { return Found::Other };
        let text = |json: &Json<'_>| json.string().value().unwrap_or_default().into_owned();
        let (namespace, name) =
            self.metadata.is().map(|names| (text(&names.namespace), text(&names.name))).unwrap_or_default();
        Found::Scan(Subject { kind, json: part.json, namespace, name })
    }
}

/// Whether a text is JSON, no deeper than [`DEPTH_MAX`].
fn check_json(text: &str) -> Result<(), Fault> {
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
        Fault::new(
            line + error.column().saturating_sub(1),
            format!("this is no JSON: {}; mend it here or just before", words(&error)),
        )
    })
}

/// The error without its place, which is told otherwise.
fn words(error: &serde_json::Error) -> String {
    let words = error.to_string();
    words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words).to_owned()
}
