//! Tolerant, borrowed decoding: a value of the wrong type is kept, so that its rule can report it.

use std::borrow::Cow;
use std::fmt;

use super::reader::same::is_same_json;
use super::reader::{Key, Read, ReadError, Reader};

/// The type of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    Boolean,
    Number,
    String,
    List,
    Object,
}

impl JsonType {
    /// The type of the value that begins with this byte.
    fn of(first: u8) -> Self {
        match first {
            b'"' => JsonType::String,
            b'{' => JsonType::Object,
            b'[' => JsonType::List,
            b't' | b'f' => JsonType::Boolean,
            _ => JsonType::Number,
        }
    }
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JsonType::Boolean => "a boolean",
            JsonType::Number => "a number",
            JsonType::String => "a string",
            JsonType::List => "a list",
            JsonType::Object => "an object",
        })
    }
}

/// A field of a document: absent (or null), of the wrong JSON type, or present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Member<T, W = JsonType> {
    #[default]
    Absent,
    WrongType(W),
    Present(T),
}

/// An object or a list of a document. A value of another type is kept, since the ratchet compares it.
pub type Container<'a, T> = Member<T, Json<'a>>;

impl<T, W> Member<T, W> {
    pub fn present(&self) -> Option<&T> {
        match self {
            Member::Present(value) => Some(value),
            _ => None,
        }
    }

    pub fn present_mut(&mut self) -> Option<&mut T> {
        match self {
            Member::Present(value) => Some(value),
            _ => None,
        }
    }

    pub fn value(self) -> Option<T> {
        match self {
            Member::Present(value) => Some(value),
            _ => None,
        }
    }
}

/// An object whose judged members are read and whose other members are skipped.
pub trait Object<'a>: Default {
    /// Reads the value of `key`. This is called for every occurrence of a repeated key: the last value wins, as in Go.
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError>;

    /// Reads an object in place, so that the members before a syntax error remain known. Null leaves the object
    /// unchanged.
    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<(), ReadError> {
        if reader.peek() == b'n' {
            return reader.skip();
        }
        *self = Self::default();
        reader.object(|key, value| self.member(key, value))
    }
}

/// The number of entries of a list that are judged. The smallest well-formed condition has 84 bytes, so the 1.5 MiB
/// that etcd stores hold at most 18,724: a longer list of well-formed entries cannot be stored. One more entry is kept,
/// to show that the list is longer.
pub const ENTRIES_MAX: usize = 20_000;

/// Initial capacity of a list: a scan has four conditions.
const FEW_ENTRIES: usize = 4;

/// A type that a [`Container`] can hold: an object or a list. A value of the other shape is kept as JSON.
pub trait Shape<'a>: Sized {
    fn from_object(reader: &mut Reader<'a>) -> Result<Container<'a, Self>, ReadError> {
        Ok(Member::WrongType(reader.read()?))
    }

    fn from_list(reader: &mut Reader<'a>) -> Result<Container<'a, Self>, ReadError> {
        Ok(Member::WrongType(reader.read()?))
    }
}

impl<'a, T: Object<'a>> Shape<'a> for T {
    fn from_object(reader: &mut Reader<'a>) -> Result<Container<'a, Self>, ReadError> {
        let mut member = Member::Absent;
        member.fill(reader)?;
        Ok(member)
    }
}

impl<'a, T: Object<'a>> Container<'a, T> {
    /// Reads a value in place, since moving an object with many members takes time.
    pub fn fill(&mut self, reader: &mut Reader<'a>) -> Result<(), ReadError> {
        if reader.peek() != b'{' {
            *self = reader.read()?;
            return Ok(());
        }
        *self = Member::Present(T::default());
        let mut is_empty = true;
        if let Member::Present(object) = self {
            reader.object(|key, value| {
                is_empty = false;
                object.member(key, value)
            })?;
        }
        // An empty object counts as absent.
        if is_empty {
            *self = Member::Absent;
        }
        Ok(())
    }
}

impl<'a, T: Object<'a>> Shape<'a> for Vec<Container<'a, T>> {
    fn from_list(reader: &mut Reader<'a>) -> Result<Container<'a, Self>, ReadError> {
        let mut entries = Vec::new();
        reader.list(|entry| {
            if entries.len() > ENTRIES_MAX {
                return entry.skip();
            }
            // A long list grows by a quarter at a time: doubling could take twice the memory of the longest list.
            if entries.len() == entries.capacity() {
                entries.reserve_exact((entries.len() / 4).max(FEW_ENTRIES));
            }
            // An empty object counts as an entry of a list.
            entries.push(if entry.peek() == b'{' {
                let mut object = T::default();
                object.fill(entry)?;
                Member::Present(object)
            } else {
                entry.read()?
            });
            Ok(())
        })?;
        Ok(Member::Present(entries))
    }
}

impl<'a, T: Shape<'a>> Read<'a> for Container<'a, T> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        match reader.peek() {
            b'{' => T::from_object(reader),
            b'[' => T::from_list(reader),
            _ => Ok(match reader.read()? {
                Json::Null => Member::Absent,
                wrong => Member::WrongType(wrong),
            }),
        }
    }
}

/// The value of a judged field. A string is decoded once, when it is read. Any other value is kept as JSON text.
#[derive(Clone, Default)]
pub enum Json<'a> {
    /// Absent or null.
    #[default]
    Null,
    String(Cow<'a, str>),
    /// An integer that a mutation writes.
    Integer(i64),
    /// The JSON text of a boolean, a number, a list or an object.
    Other(&'a str),
}

impl<'a> Read<'a> for Json<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        match reader.peek() {
            b'"' => Ok(Json::String(reader.string()?)),
            b'n' => reader.skip().map(|()| Json::Null),
            _ => Ok(Json::Other(reader.raw()?)),
        }
    }
}

/// Strings are compared after decoding, and other values as JSON.
impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Json::Null, Json::Null) => true,
            (Json::String(mine), Json::String(theirs)) => mine == theirs,
            (Json::Null | Json::String(_), _) | (_, Json::Null | Json::String(_)) => false,
            (mine, theirs) => is_same_json(&mine.to_json(), &theirs.to_json()),
        }
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

impl<'a> Json<'a> {
    /// A string with a copy of `text`.
    pub fn from_text(text: &str) -> Json<'static> {
        Json::String(Cow::Owned(text.to_owned()))
    }

    /// The JSON text. A string is encoded again, since the API server escapes `<`, `>` and `&`, which makes a message
    /// hard to read.
    pub fn to_json(&self) -> Cow<'_, str> {
        match self {
            Json::Null => Cow::Borrowed("null"),
            Json::String(text) => Cow::Owned(serde_json::Value::from(text.as_ref()).to_string()),
            Json::Integer(integer) => Cow::Owned(integer.to_string()),
            Json::Other(text) => Cow::Borrowed(text),
        }
    }

    /// The value as messages show it: its JSON, truncated to `max_chars` and without control characters, or `absent`. A
    /// truncated string ends in `…"`.
    pub fn quoted(&self, max_chars: usize) -> String {
        match self {
            Json::Null => "absent".to_owned(),
            Json::String(text) => {
                let beginning: String = text.chars().take(max_chars).collect();
                let json = printable(&Json::from_text(&beginning).to_json(), usize::MAX);
                if json.chars().count() <= max_chars {
                    return json;
                }
                json.chars().take(max_chars - 2).chain(['…', '"']).collect()
            }
            // No string of JSON has a line break, so lines are joined without changing one.
            other => printable(&other.to_json().lines().map(str::trim).collect::<String>(), max_chars),
        }
    }

    /// Whether the field is absent or null.
    pub fn is_absent(&self) -> bool {
        matches!(self, Json::Null)
    }

    pub fn json_type(&self) -> JsonType {
        match self {
            Json::String(_) => JsonType::String,
            Json::Null | Json::Integer(_) => JsonType::Number,
            Json::Other(text) => JsonType::of(text.as_bytes().first().copied().unwrap_or_default()),
        }
    }

    /// Reads a string. The empty string counts as absent.
    pub fn string(&self) -> Member<&str> {
        match self {
            Json::Null => Member::Absent,
            Json::String(text) if text.is_empty() => Member::Absent,
            Json::String(text) => Member::Present(text),
            Json::Integer(_) | Json::Other(_) => Member::WrongType(self.json_type()),
        }
    }

    /// Reads an integer that fits int64. `1.0` and `1e3` are numbers, but not JSON integers.
    pub fn integer(&self) -> Member<i64> {
        match self {
            Json::Null => Member::Absent,
            Json::String(_) => Member::WrongType(JsonType::String),
            Json::Integer(integer) => Member::Present(*integer),
            Json::Other(text) => text.parse().map_or(Member::WrongType(self.json_type()), Member::Present),
        }
    }

    /// Whether this is the string `text`.
    pub fn is_text(&self, text: &str) -> bool {
        matches!(self, Json::String(found) if found == text)
    }

    /// Whether both values are the same if a string is expected: the empty string counts as absent.
    pub fn is_same_text(&self, other: &Json<'_>) -> bool {
        self == other || (self.string() == Member::Absent && other.string() == Member::Absent)
    }
}

/// Makes untrusted text safe for one line of a terminal or log: truncates it to `max_chars`, and replaces control
/// characters and characters that hide or reorder text with `?`.
pub fn printable(text: &str, max_chars: usize) -> String {
    let is_replaced = |c: char| {
        c.is_control()
            || matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FFFE}'..='\u{FFFF}' | '\u{E0000}'..='\u{E007F}')
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(max_chars).map(|c| if is_replaced(c) { '?' } else { c }).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}
