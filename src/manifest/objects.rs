//! Finds the objects of a document, including the items of Lists, and the positions of their fields.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::documents::{DOCUMENT_MAX_BYTES, Document};
use super::encoding;
use super::head::{ObjectHead, ScanManifest, ScanPart};
use super::kind::{Identity, IdentityError, identify};
use super::position::{Position, Positions, Region};
use super::yaml::{self, Mark, RepeatedKey, WrittenScalar, YamlError};
use super::{json, path};
use crate::scan::{JsonType, Kind, Member, reader};

/// The number of Lists, events and reviews that may be nested. kubectl nests none, and each level takes one more pass
/// over the text.
const LISTS_MAX: usize = 16;

/// A document as JSON text, and the position of each part of it.
pub struct Manifest<'a> {
    json: Cow<'a, str>,
    /// See [`yaml::ConvertedYaml::marks`]. `None` if the document itself is JSON.
    marks: Option<Vec<Mark>>,
    written: Vec<WrittenScalar>,
    repeated_keys: Vec<RepeatedKey>,
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
                    let (written, repeated_keys) = (Vec::new(), json::repeated_keys(text));
                    return Ok(Manifest { json: text.into(), marks: None, written, repeated_keys, positions });
                }
                Err(error) => Some(error),
            }
        } else {
            None
        };
        match yaml::to_json(text) {
            Ok(yaml::ConvertedYaml { text, marks, written, repeated_keys }) => {
                Ok(Manifest { json: text.into(), marks: Some(marks), written, repeated_keys, positions })
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
        let mut open = vec![Item { json: &self.json, default_kind: None, status_kind, lists: 0 }];
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

    /// Returns the position of a field of an object or, if the field is absent, of the innermost part around it.
    pub fn field(&self, object: &str, path: &str) -> Position {
        self.position(path::find(object, path))
    }

    /// Returns the region of the value of a field of an object or, if the field is absent, of the innermost value around
    /// it.
    ///
    /// The region of a string includes its quotes, the region of a block scalar its header. A list or mapping in block
    /// style is from its first dash or key to the end of its last value. The region of an alias is the alias, and an
    /// empty value has an empty region after its colon. Anchors, tags and comments after the value are not included.
    pub fn value_region(&self, object: &str, path: &str) -> Region {
        let Range { start, end } = self.span(path::innermost_value(object, path));
        Region { start: self.positions.at(start), end: self.positions.at(end) }
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
        let offset = self.offset(value);
        let at = self.written.binary_search_by_key(&offset, |scalar| scalar.json).ok()?;
        Some(&self.written[at].text)
    }

    /// Returns the repeated keys within a part of the JSON, in order: the JSON from the last occurrence on, whose value
    /// is used, the position of the last occurrence, and the position of the first one.
    pub fn repeated_keys(&self, part: &str) -> impl Iterator<Item = (&str, Position, Position)> {
        let (start, end) = (self.offset(part), self.offset(part) + part.len());
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

    /// The position of a part of the JSON text.
    fn position(&self, part: &str) -> Position {
        self.positions.at(self.mark(part).map_or_else(|| self.offset(part), |mark| mark.yaml as usize))
    }

    /// The bytes of a value of the JSON text in the document.
    fn span(&self, value: &str) -> Range<usize> {
        if let Some(Mark { value, .. }) = self.mark(value) {
            return value.start as usize..value.end as usize;
        }
        let start = self.offset(value.trim_ascii_start());
        start..start + value.trim_ascii().len()
    }

    /// The mark of a part of the JSON text, if the document is YAML.
    fn mark(&self, part: &str) -> Option<&Mark> {
        let (marks, offset) = (self.marks.as_ref()?, self.offset(part));
        let next = marks.partition_point(|mark| mark.json as usize <= offset);
        marks.get(next.checked_sub(1)?)
    }

    fn offset(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.json.as_ptr().addr()
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
        let nested = |json, default_kind| Item { json, default_kind, status_kind: None, lists: item.lists + 1 };
        if head.is_event_without_object() {
            return Ok(ItemContents::Object(FoundObject::Other(item.json)));
        }
        if let Some(object) = head.wrapped() {
            return if item.lists < LISTS_MAX {
                Ok(ItemContents::List(vec![nested(object, None)]))
            } else {
                Err(ObjectError::TooManyLists)
            };
        }
        let in_list = item.default_kind.map(|kind| (kind, ScanPart::Whole));
        let alone = item.status_kind.and_then(|kind| Some((kind, head.part()?)));
        if let Some((kind, part)) = in_list.or(alone).filter(|_| head.is_unnamed()) {
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
}

enum ItemContents<'a> {
    Object(FoundObject<'a>),
    List(Vec<Item<'a>>),
    Empty,
}

#[cfg(test)]
mod tests {
    use super::super::documents::Documents;
    use super::*;

    fn region(text: &str, path: &str) -> Region {
        let mut documents = Documents::new(text.as_bytes());
        let document = documents.next_document().unwrap().unwrap();
        let manifest = Manifest::read(&document).unwrap();
        manifest.value_region(manifest.json(), path)
    }

    /// Returns the text of a region.
    fn text(text: &str, Region { start, end }: Region) -> &str {
        let offset = |position: Position| {
            let line: usize = text.split_inclusive('\n').take(position.line - 1).map(str::len).sum();
            line + text[line..].chars().take(position.column - 1).map(char::len_utf8).sum::<usize>()
        };
        &text[offset(start)..offset(end)]
    }

    #[test]
    fn the_region_of_a_value_is_found() {
        for (document, path, expected) in [
            ("a: x # c\n", "a", "x"),
            ("# c\n\na : \"x # c\" # c\n", "a", "\"x # c\""),
            ("é: 'ü\n  it''s'\n", "é", "'ü\n  it''s'"),
            ("a: x\n  y\n  z # c\n# d\nb: 1", "a", "x\n  y\n  z"),
            ("a:\nb: 1\n", "a", ""),
            ("a: # c\nb: 1\n", "a", ""),
            ("a: ~\r\nb: 1\r\n", "a", "~"),
            ("x: &x 1\na: *x # c\n", "a", "*x"),
            ("x: &x {b: [1]}\na: *x\n", "a", "*x"),
            ("x: &x {b: [1]}\na: *x\n", "a.b", "[1]"),
            ("x: &x {b: [1]}\na:\n  <<: *x\n  c: 2\n", "a.b", "[1]"),
            ("x: &x {b: 1}\na:\n  <<: *x\n  b: 2 # c\n", "a", "<<: *x\n  b: 2"),
            ("a: 1\na: 2\n", "a", "2"),
            ("a: &x !!str 1\n", "a", "1"),
            ("a: {b: 1, c : [ x ] }\n", "a", "{b: 1, c : [ x ] }"),
            ("a: {b: 1, c : [ x ] }\n", "a.c", "[ x ]"),
            ("a: {b: 1, c : [ x ] }\n", "a.d", "{b: 1, c : [ x ] }"),
            ("a: {b: , c}\n", "a.b", ""),
            ("a: [b: 1, c]\n", "a[0]", "b: 1"),
            ("a: &x\n  # c\n  b: 1\n  c: # c\n    d: 'x'  # c\n\n# c\ne: 1\n", "a", "b: 1\n  c: # c\n    d: 'x'"),
            ("a:\n  b: 1\n  c:\n  # d\ne: 1\n", "a", "b: 1\n  c:"),
            ("a:\n  b: 1\n", "a.c.d", "b: 1"),
            ("a:\n  - b: 1\n    c: 2\n  -\n  # c\n  - d\n", "a", "- b: 1\n    c: 2\n  -\n  # c\n  - d"),
            ("a:\n  - b: 1\n    c: 2\n  -\n", "a[0]", "b: 1\n    c: 2"),
            ("a:\n  - b: 1\n  -\n", "a[1]", ""),
            ("a:\n  - b: 1\n  -\n", "a[2]", "- b: 1\n  -"),
            // Dashes as far to the left as the key.
            ("a: # -\n- # c\n  b: 1\n- c # c\nd: 1\n", "a", "- # c\n  b: 1\n- c"),
            ("a:\n-\n- b\n", "a", "-\n- b"),
            ("a:\n- - b\n  - c\n", "a", "- - b\n  - c"),
            ("a:\n- - b\n  - c\n", "a[0]", "- b\n  - c"),
            ("- é:\n  - 1\n", "[0].é", "- 1"),
            ("a: |\n  x\n\n   y \n\n# c\nb: 1\n", "a", "|\n  x\n\n   y "),
            ("a: &x # |\n  !!str\n  >- # > c\n\n  x\nb: 1\n", "a", ">- # > c\n\n  x"),
            ("a: |\nb: 1\n", "a", "|"),
            ("a:\n- # |\n  |+2 \n    x\r\n\r\n- |2\n   x", "a[0]", "|+2 \n    x"),
            ("a:\n- # |\n  |+2 \n    x\r\n\r\n- |2\n   x", "a[1]", "|2\n   x"),
            ("a:\n  b: |\n    x\n\nc: 1\n", "a", "b: |\n    x"),
            ("--- |\n x\n", "", "|\n x"),
            ("--- # c\n&x\na: 1 # c\n...\n", "", "a: 1"),
            ("{\"a\": {\"b\" : [1, \"x\"] , \"c\": null}}", "a.b", "[1, \"x\"]"),
            ("{\"a\": {\"b\" : [1, \"x\"] , \"c\": null}}", "a.c", "null"),
            ("{\"a\": {\"b\" : [1, \"x\"] , \"c\": null}}", "a.b[1]", "\"x\""),
            ("{ \"a\": 1, \"a\": 2 }\n", "a", "2"),
            (" { \"a\": 1 }\n", "b", "{ \"a\": 1 }"),
        ] {
            assert_eq!(text(document, region(document, path)), expected, "{path} in {document:?}");
        }
    }

    #[test]
    fn a_region_has_lines_and_columns_in_characters() {
        let stream = "# c\n%YAML 1.1\n# c\n---\n\u{1F600}: {é: 'ü',\n  b: }\n";
        for (path, start, end) in
            [("\u{1F600}", (5, 4), (6, 7)), ("\u{1F600}.é", (5, 8), (5, 11)), ("\u{1F600}.b", (6, 5), (6, 5))]
        {
            let Region { start: from, end: to } = region(stream, path);
            assert_eq!(((from.line, from.column), (to.line, to.column)), (start, end), "{path}");
        }
    }
}
