//! Tolerant, borrowed decoding: what a field holds is kept apart from what it should hold.

use std::borrow::Cow;
use std::fmt;

use super::reader::{Key, RawText, Read, ReadError, Reader};

/// The JSON type that was found where another was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    Boolean,
    Number,
    String,
    List,
    Object,
}

impl JsonType {
    /// By the first byte of a value.
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

/// A field as it was found: absent (or null), of the wrong JSON type, or there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Member<T> {
    #[default]
    Absent,
    WrongType(JsonType),
    Present(T),
}

impl<T> Member<T> {
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

/// An object whose judged members are read into place and whose others are skipped.
pub trait Object<'a>: Default {
    /// Reads the value of `key`. A key that comes twice is read twice: the last wins, as in Go.
    fn member(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), ReadError>;

    /// Reads an object into place, so that its members outlive an error further on. Null is left as it is.
    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<(), ReadError> {
        if reader.peek() == b'n' {
            return reader.skip();
        }
        *self = Self::default();
        reader.object(|key, value| self.member(key, value))
    }
}

/// Entries of a list that are judged. The smallest well-formed condition has 84 bytes, so the 1.5 MiB that etcd stores
/// have room for 18,724: a list that is longer cannot be stored whole and sound. One entry more is kept, to show it.
pub const ENTRIES_MAX: usize = 20_000;

/// What a [`Member`] can be decoded to: an object or a list. The other shape is skipped; its type is reported.
pub trait Shape<'a>: Sized {
    fn from_object(reader: &mut Reader<'a>) -> Result<Member<Self>, ReadError> {
        reader.skip()?;
        Ok(Member::WrongType(JsonType::Object))
    }

    fn from_list(reader: &mut Reader<'a>) -> Result<Member<Self>, ReadError> {
        reader.skip()?;
        Ok(Member::WrongType(JsonType::List))
    }
}

impl<'a, T: Object<'a>> Shape<'a> for T {
    fn from_object(reader: &mut Reader<'a>) -> Result<Member<Self>, ReadError> {
        let mut member = Member::Absent;
        member.fill(reader)?;
        Ok(member)
    }
}

impl<'a, T: Object<'a>> Member<T> {
    /// Reads it in place: an object with many members is long to move.
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
        // An empty object says nothing: it counts as absent.
        if is_empty {
            *self = Member::Absent;
        }
        Ok(())
    }
}

impl<'a, T: Object<'a>> Shape<'a> for Vec<Member<T>> {
    fn from_list(reader: &mut Reader<'a>) -> Result<Member<Self>, ReadError> {
        let mut entries = Vec::new();
        reader.list(|entry| {
            if entries.len() > ENTRIES_MAX {
                return entry.skip();
            }
            entries.push(entry.read()?);
            Ok(())
        })?;
        Ok(Member::Present(entries))
    }
}

impl<'a, T: Shape<'a>> Read<'a> for Member<T> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        let wrong = match reader.peek() {
            b'{' => return T::from_object(reader),
            b'[' => return T::from_list(reader),
            b'n' => Member::Absent,
            first => Member::WrongType(JsonType::of(first)),
        };
        reader.skip()?;
        Ok(wrong)
    }
}

/// A judged leaf, kept as the JSON text that was found: exact, borrowed, read when a rule asks.
#[derive(Clone)]
pub struct Json<'a>(JsonText<'a>);

#[derive(Clone)]
enum JsonText<'a> {
    /// A string without escapes, in its quotes. Rules read it often.
    Plain(&'a str),
    Other(Cow<'a, str>),
}

impl Default for Json<'_> {
    fn default() -> Self {
        Json(JsonText::Other(Cow::Borrowed("null")))
    }
}

impl<'a> Read<'a> for Json<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        let RawText { text, is_plain } = reader.leaf()?;
        Ok(Json(if is_plain { JsonText::Plain(text) } else { JsonText::Other(Cow::Borrowed(text)) }))
    }
}

/// Strings are equal when they say the same, however they are escaped; all else when it is written the same.
impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
            || matches!((self.string(), other.string()), (Member::Present(mine), Member::Present(theirs)) if mine == theirs)
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'a> Json<'a> {
    /// The JSON of a string that we write ourselves.
    pub fn from_text(text: &str) -> Json<'static> {
        Json::owned(serde_json::Value::from(text).to_string())
    }

    /// The JSON of an integer that we write ourselves.
    pub fn from_integer(integer: i64) -> Json<'static> {
        Json::owned(integer.to_string())
    }

    pub fn into_owned(self) -> Json<'static> {
        Json::owned(match self.0 {
            JsonText::Plain(text) => text.to_owned(),
            JsonText::Other(text) => text.into_owned(),
        })
    }

    fn owned(text: String) -> Json<'static> {
        Json(JsonText::Other(Cow::Owned(text)))
    }

    /// The JSON text as found.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            JsonText::Plain(text) => text,
            JsonText::Other(text) => text,
        }
    }

    /// Whether the field is absent or null.
    pub fn is_absent(&self) -> bool {
        matches!(&self.0, JsonText::Other(text) if text == "null")
    }

    pub fn json_type(&self) -> JsonType {
        JsonType::of(self.as_str().as_bytes().first().copied().unwrap_or_default())
    }

    /// Reads a string. The empty string counts as absent.
    pub fn string(&self) -> Member<Cow<'_, str>> {
        let text = match &self.0 {
            JsonText::Plain(text) => Cow::Borrowed(inside(text)),
            JsonText::Other(text) if text == "null" => return Member::Absent,
            JsonText::Other(text) if !text.starts_with('"') => return Member::WrongType(self.json_type()),
            JsonText::Other(text) if !text.contains('\\') => Cow::Borrowed(inside(text)),
            // What does not decode (half a surrogate pair) is no text: it is kept as written, so no row can match it.
            JsonText::Other(text) => Cow::Owned(serde_json::from_str(text).unwrap_or_else(|_| inside(text).to_owned())),
        };
        if text.is_empty() { Member::Absent } else { Member::Present(text) }
    }

    /// Reads an integer that fits int64. `1.0` and `1e3` are numbers, but not JSON integers.
    pub fn integer(&self) -> Member<i64> {
        if self.is_absent() {
            return Member::Absent;
        }
        self.as_str().parse().map_or(Member::WrongType(self.json_type()), Member::Present)
    }

    /// Whether this is the string `text`.
    pub fn is_text(&self, text: &str) -> bool {
        matches!(self.string(), Member::Present(found) if found == text)
    }
}

/// What is between the quotes.
fn inside(quoted: &str) -> &str {
    quoted.get(1..quoted.len() - 1).unwrap_or_default()
}

/// Text from outside, made fit for one line of a terminal or log: cut to `max_chars`, with `?` for control characters
/// and for those that hide or reorder text.
pub fn printable(text: &str, max_chars: usize) -> String {
    let is_unfit = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(max_chars).map(|c| if is_unfit(c) { '?' } else { c }).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}
