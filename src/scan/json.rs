//! Tolerant, borrowed decoding: what a field holds is told apart from what it should hold.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The JSON type that was found where another was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    Boolean,
    Number,
    String,
    List,
    Object,
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
    Wrong(JsonType),
    Is(T),
}

impl<T> Member<T> {
    pub fn is(&self) -> Option<&T> {
        match self {
            Member::Is(value) => Some(value),
            _ => None,
        }
    }

    pub fn is_mut(&mut self) -> Option<&mut T> {
        match self {
            Member::Is(value) => Some(value),
            _ => None,
        }
    }

    pub fn value(self) -> Option<T> {
        match self {
            Member::Is(value) => Some(value),
            _ => None,
        }
    }
}

/// A key of a JSON object, borrowed unless it is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'a>(Cow<'a, str>);

impl AsRef<str> for Key<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_bytes<E>(self, key: &'de [u8]) -> Result<Key<'de>, E> {
                Ok(Key(String::from_utf8_lossy(key)))
            }
            fn visit_bytes<E>(self, key: &[u8]) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(String::from_utf8_lossy(key).into_owned())))
            }
        }
        // As bytes, since half a surrogate pair is no text and yet no fault: the key is one that we do not know.
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

/// An object whose judged members are read into place and whose others are skipped.
pub trait Object<'de>: Default {
    /// Reads the value of `key` from `map`. A key that comes twice is read twice: the last wins, as in Go.
    fn member<A: MapAccess<'de>>(&mut self, key: Key<'de>, map: &mut A) -> Result<(), A::Error>;
}

/// Entries of a list that are judged. The smallest well-formed condition has 84 bytes, so the 1.5 MiB that etcd stores
/// have room for 18,724: a list that is longer cannot be stored whole and sound. One entry more is kept, to show it.
pub const ENTRIES_MAX: usize = 20_000;

/// What a [`Member`] can be decoded to: an object or a list. The other shape is skipped and told by its type.
pub trait Shape<'de>: Sized {
    fn from_object<A: MapAccess<'de>>(mut map: A) -> Result<Member<Self>, A::Error> {
        while map.next_entry::<Key<'_>, IgnoredAny>()?.is_some() {}
        Ok(Member::Wrong(JsonType::Object))
    }

    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Member<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Wrong(JsonType::List))
    }
}

impl<'de, T: Object<'de>> Shape<'de> for T {
    fn from_object<A: MapAccess<'de>>(mut map: A) -> Result<Member<Self>, A::Error> {
        let mut object = T::default();
        let mut is_empty = true;
        while let Some(key) = map.next_key()? {
            object.member(key, &mut map)?;
            is_empty = false;
        }
        // An empty object says nothing: it counts as absent.
        Ok(if is_empty { Member::Absent } else { Member::Is(object) })
    }
}

impl<'de, T: Object<'de>> Shape<'de> for Vec<Member<T>> {
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Member<Self>, A::Error> {
        let mut entries = Vec::new();
        while entries.len() <= ENTRIES_MAX {
            let Some(entry) = list.next_element()? else { return Ok(Member::Is(entries)) };
            entries.push(entry);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Is(entries))
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor(PhantomData))
    }
}

struct MemberVisitor<T>(PhantomData<T>);

impl<'de, T: Shape<'de>> Visitor<'de> for MemberVisitor<T> {
    type Value = Member<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Member<T>, E> {
        Ok(Member::Absent)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Member<T>, E> {
        Ok(Member::Wrong(JsonType::Boolean))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Member<T>, E> {
        Ok(Member::Wrong(JsonType::Number))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Member<T>, E> {
        Ok(Member::Wrong(JsonType::Number))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Member<T>, E> {
        Ok(Member::Wrong(JsonType::Number))
    }
    fn visit_str<E>(self, _: &str) -> Result<Member<T>, E> {
        Ok(Member::Wrong(JsonType::String))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Member<T>, A::Error> {
        T::from_object(map)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Member<T>, A::Error> {
        T::from_list(list)
    }
}

/// A judged leaf, kept as the JSON text that was found: exact, borrowed, read when a rule asks.
#[derive(Clone)]
pub struct Json<'a>(Cow<'a, str>);

impl Default for Json<'_> {
    fn default() -> Self {
        Json(Cow::Borrowed("null"))
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Json(Cow::Borrowed(<&RawValue>::deserialize(deserializer)?.get())))
    }
}

/// Strings are equal when they say the same, however they are escaped; all else when it is written the same.
impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
            || matches!((self.string(), other.string()), (Member::Is(mine), Member::Is(theirs)) if mine == theirs)
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> Json<'a> {
    /// The JSON of a string that we write ourselves.
    pub fn from_text(text: &str) -> Json<'static> {
        Json(Cow::Owned(serde_json::Value::from(text).to_string()))
    }

    /// The JSON of an integer that we write ourselves.
    pub fn from_integer(integer: i64) -> Json<'static> {
        Json(Cow::Owned(integer.to_string()))
    }

    pub fn into_owned(self) -> Json<'static> {
        Json(Cow::Owned(self.0.into_owned()))
    }

    /// The JSON text as found.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the field is absent or null.
    pub fn is_absent(&self) -> bool {
        self.0 == "null"
    }

    pub fn json_type(&self) -> JsonType {
        match self.0.as_bytes().first() {
            Some(b'"') => JsonType::String,
            Some(b'{') => JsonType::Object,
            Some(b'[') => JsonType::List,
            Some(b't' | b'f') => JsonType::Boolean,
            _ => JsonType::Number,
        }
    }

    /// Reads a string. The empty string counts as absent.
    pub fn string(&self) -> Member<Cow<'_, str>> {
        if self.is_absent() || self.0 == "\"\"" {
            return Member::Absent;
        }
        let Some(inner) = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Member::Wrong(self.json_type());
        };
        if !inner.contains('\\') {
            return Member::Is(Cow::Borrowed(inner));
        }
        // What does not decode (half a surrogate pair) is no text: it is kept as written, so no row can match it.
        Member::Is(Cow::Owned(serde_json::from_str(&self.0).unwrap_or_else(|_| inner.to_owned())))
    }

    /// Reads an integer that fits int64. `1.0` and `1e3` are numbers, but not JSON integers.
    pub fn integer(&self) -> Member<i64> {
        if self.is_absent() {
            return Member::Absent;
        }
        self.0.parse().map_or(Member::Wrong(self.json_type()), Member::Is)
    }

    /// Whether this is the string `text`.
    pub fn is_text(&self, text: &str) -> bool {
        matches!(self.string(), Member::Is(found) if found == text)
    }
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
