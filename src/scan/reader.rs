//! A JSON reader that borrows the requested values and skips the rest.
//!
//! Most of a review is not judged: `managedFields` are nine tenths of an object that was updated often. Skipping values
//! therefore takes most of the time of a review. Skipped values are still validated, as strictly as by `serde_json` (a
//! test compares the two), in one loop without recursion, sixteen bytes of a string at a time.

mod error;
mod repeated;
pub mod same;
mod unescape;

use std::borrow::Cow;

pub use error::{ExpectedJson, ReadError};
use repeated::RepeatedList;
use unescape::unescaped;

pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    repeated: Option<RepeatedList>,
}

/// A type that a reader can read a value into.
pub trait Read<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError>;
}

/// A key of a JSON object. It is borrowed unless it has escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'a>(Cow<'a, str>);

impl AsRef<str> for Key<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Reads a text that holds exactly one value.
pub fn read<'a, T: Read<'a>>(text: &'a str) -> Result<T, ReadError> {
    let mut reader = Reader::new(text);
    let value = reader.read()?;
    reader.end()?;
    Ok(value)
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, repeated: None }
    }

    pub fn read<T: Read<'a>>(&mut self) -> Result<T, ReadError> {
        T::read(self)
    }

    /// Skips white space and returns the next byte, which it does not consume; 0 at the end of the text.
    pub fn peek(&mut self) -> u8 {
        self.at = past_space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    /// The offset of the next byte.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Reads an object. Calls `member` for every key, including repeated ones; it must read or skip the value.
    pub fn object(
        &mut self,
        mut member: impl FnMut(Key<'a>, &mut Self) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        self.expect_byte(b'{', ExpectedJson::Object)?;
        if self.peek() == b'}' {
            return self.expect_byte(b'}', ExpectedJson::ObjectEnd);
        }
        loop {
            let key = self.key()?;
            member(key, self)?;
            match self.peek() {
                b',' => self.at += 1,
                _ => return self.expect_byte(b'}', ExpectedJson::ObjectEnd),
            }
        }
    }

    /// Reads a list. Calls `entry` for every value, which it must read or skip.
    pub fn list(&mut self, mut entry: impl FnMut(&mut Self) -> Result<(), ReadError>) -> Result<(), ReadError> {
        self.expect_byte(b'[', ExpectedJson::List)?;
        if self.peek() == b']' {
            return self.expect_byte(b']', ExpectedJson::ListEnd);
        }
        loop {
            entry(self)?;
            match self.peek() {
                b',' => self.at += 1,
                _ => return self.expect_byte(b']', ExpectedJson::ListEnd),
            }
        }
    }

    /// Returns the JSON text of the next value.
    pub fn raw(&mut self) -> Result<&'a str, ReadError> {
        Ok(self.with_text(Self::skip)?.1)
    }

    /// Reads the next value with `read`, and returns it with its JSON text.
    pub fn with_text<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ReadError>,
    ) -> Result<(T, &'a str), ReadError> {
        self.peek();
        let begin = self.at;
        let value = read(self)?;
        Ok((value, self.text.get(begin..self.at).unwrap_or_default()))
    }

    /// Reads a string. It is borrowed unless it has escapes.
    pub fn string(&mut self) -> Result<Cow<'a, str>, ReadError> {
        self.quoted(ExpectedJson::Value)
    }

    /// Skips the next value.
    pub fn skip(&mut self) -> Result<(), ReadError> {
        self.at = past_value(self.text.as_bytes(), self.at)?;
        Ok(())
    }

    /// Checks that nothing but white space follows.
    pub fn end(&mut self) -> Result<(), ReadError> {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { Err(self.error(ExpectedJson::End)) }
    }

    fn error(&self, expected: ExpectedJson) -> ReadError {
        ReadError::new(self.at, expected)
    }

    fn expect_byte(&mut self, byte: u8, expected: ExpectedJson) -> Result<(), ReadError> {
        if self.peek() != byte {
            return Err(self.error(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Result<Key<'a>, ReadError> {
        let key = self.quoted(ExpectedJson::Key)?;
        self.expect_byte(b':', ExpectedJson::Colon)?;
        Ok(Key(key))
    }

    fn quoted(&mut self, expected: ExpectedJson) -> Result<Cow<'a, str>, ReadError> {
        self.expect_byte(b'"', expected)?;
        let begin = self.at;
        let StringEnd { end, is_plain } = past_quoted(self.text.as_bytes(), begin)?;
        self.at = end;
        let inner = self.text.get(begin..end - 1).unwrap_or_default();
        Ok(if is_plain { Cow::Borrowed(inner) } else { Cow::Owned(unescaped(inner)) })
    }
}

/// The lists and objects around an offset, as one bit each: 1 for an object. `bits` has the innermost 64.
#[derive(Default)]
struct Nesting {
    bits: u64,
    depth: usize,
    outer: Vec<u64>,
}

impl Nesting {
    fn enter(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn leave(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    fn is_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

/// Returns the offset after the value at `at`.
fn past_value(bytes: &[u8], mut at: usize) -> Result<usize, ReadError> {
    let mut nesting = Nesting::default();
    loop {
        at = past_space(bytes, at);
        let first = bytes.get(at).copied().unwrap_or_default();
        at = match first {
            b'"' => past_string(bytes, at + 1)?,
            b'{' | b'[' => {
                let inside = past_space(bytes, at + 1);
                let is_object = first == b'{';
                if bytes.get(inside) == Some(&closing(is_object)) {
                    inside + 1
                } else {
                    nesting.enter(is_object);
                    at = if is_object { past_key(bytes, inside)? } else { inside };
                    continue;
                }
            }
            b'-' | b'0'..=b'9' => past_number(bytes, at)?,
            b't' => past_literal(bytes, at, b"true")?,
            b'f' => past_literal(bytes, at, b"false")?,
            b'n' => past_literal(bytes, at, b"null")?,
            _ => return Err(ReadError::new(at, ExpectedJson::Value)),
        };
        // A value has ended. Leave the lists and objects that end with it, and find the next value.
        loop {
            if nesting.depth == 0 {
                return Ok(at);
            }
            at = past_space(bytes, at);
            let is_object = nesting.is_object();
            match bytes.get(at) {
                Some(b',') if is_object => at = past_key(bytes, past_space(bytes, at + 1))?,
                Some(b',') => at += 1,
                Some(byte) if *byte == closing(is_object) => {
                    nesting.leave();
                    at += 1;
                    continue;
                }
                _ => {
                    return Err(ReadError::new(
                        at,
                        if is_object { ExpectedJson::ObjectEnd } else { ExpectedJson::ListEnd },
                    ));
                }
            }
            break;
        }
    }
}

fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

/// Returns the offset after the key at `at` and its colon. Members with the value `{}` before that key are skipped.
#[inline]
fn past_key(bytes: &[u8], mut at: usize) -> Result<usize, ReadError> {
    loop {
        if bytes.get(at) != Some(&b'"') {
            return Err(ReadError::new(at, ExpectedJson::Key));
        }
        at = past_string(bytes, at + 1)?;
        // Fast path: `managedFields` are trees of names whose leaves are `{}`.
        if bytes.get(at..at + 4) == Some(b":{},") {
            at = past_space(bytes, at + 4);
            continue;
        }
        at = past_space(bytes, at);
        return if bytes.get(at) == Some(&b':') { Ok(at + 1) } else { Err(ReadError::new(at, ExpectedJson::Colon)) };
    }
}

#[inline(always)]
fn past_space(bytes: &[u8], mut at: usize) -> usize {
    // The API server writes no white space between tokens.
    while let Some(0..=b' ') = bytes.get(at) {
        if !matches!(bytes[at], b' ' | b'\n' | b'\t' | b'\r') {
            break;
        }
        at += 1;
    }
    at
}

/// The end of a string.
struct StringEnd {
    /// The offset after the closing quote.
    end: usize,
    /// Whether the string has no escapes.
    is_plain: bool,
}

/// Returns the end of the string whose contents begin at `at`.
#[inline]
fn past_quoted(bytes: &[u8], at: usize) -> Result<StringEnd, ReadError> {
    let plain = past_plain(bytes, at);
    let is_plain = bytes.get(plain) == Some(&b'"');
    Ok(StringEnd { end: if is_plain { plain + 1 } else { past_string(bytes, plain)? }, is_plain })
}

/// Returns the offset after the closing quote of the string whose contents begin at `at`.
#[inline(always)]
fn past_string(bytes: &[u8], mut at: usize) -> Result<usize, ReadError> {
    loop {
        at = past_plain(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = past_escape(bytes, at)?,
            _ => return Err(ReadError::new(at, ExpectedJson::StringEnd)),
        }
    }
}

/// Returns sixteen copies of a byte.
const fn splat(byte: u8) -> u128 {
    u128::MAX / 255 * byte as u128
}

/// Returns the offset of the next quote, backslash or control character, or of the end.
#[inline(always)]
fn past_plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let special = first_special(u128::from_le_bytes(*chunk));
        at += special;
        if special < 16 {
            return at;
        }
    }
    at + bytes.iter().skip(at).take_while(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\')).count()
}

/// Returns the index of the first quote, backslash or control character in sixteen bytes; 16 if there is none.
#[inline(always)]
fn first_special(chunk: u128) -> usize {
    // XOR turns quotes and backslashes into 0. A subtraction sets the high bit of an ASCII byte that is less than the
    // byte subtracted from it; `!chunk` excludes bytes that are not ASCII. The borrow of a subtraction may set high bits
    // of later bytes wrongly, so only the first high bit counts.
    let control = chunk.wrapping_sub(splat(b' '));
    let quote = (chunk ^ splat(b'"')).wrapping_sub(splat(1));
    let backslash = (chunk ^ splat(b'\\')).wrapping_sub(splat(1));
    let found = (control | quote | backslash) & !chunk & splat(0x80);
    (found.trailing_zeros() / 8) as usize
}

#[cold]
fn past_escape(bytes: &[u8], at: usize) -> Result<usize, ReadError> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') if bytes.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => Ok(at + 6),
        _ => Err(ReadError::new(at, ExpectedJson::Escape)),
    }
}

fn past_number(bytes: &[u8], mut at: usize) -> Result<usize, ReadError> {
    let past_digits = |begin: usize| {
        let count = bytes.iter().skip(begin).take_while(|byte| byte.is_ascii_digit()).count();
        if count > 0 { Ok(begin + count) } else { Err(ReadError::new(begin, ExpectedJson::Digit)) }
    };
    at += usize::from(bytes.get(at) == Some(&b'-'));
    // After a leading zero no digit may follow; the caller rejects it as an unexpected byte.
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { past_digits(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = past_digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let has_sign = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
        at = past_digits(at + 1 + usize::from(has_sign))?;
    }
    Ok(at)
}

fn past_literal(bytes: &[u8], at: usize, literal: &'static [u8]) -> Result<usize, ReadError> {
    let is_there = bytes.get(at..).is_some_and(|rest| rest.starts_with(literal));
    if is_there { Ok(at + literal.len()) } else { Err(ReadError::new(at, ExpectedJson::Value)) }
}
