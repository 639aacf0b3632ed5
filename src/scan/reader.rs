//! A reader of JSON text that lends what is asked for and steps over the rest.
//!
//! Most of a review is what nobody judges: `managedFields` are nine tenths of a grown object. So stepping over a value is
//! what decides how long a review takes. It is checked to be JSON all the same, byte for byte as strictly as `serde_json`
//! does (a test compares them), in one loop without recursion, eight bytes of a string at a time.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Visitor};

/// Where a text is not what it should be, and what is due there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    at: usize,
    due: &'static str,
}

impl Fault {
    /// In words, for whoever sees the text.
    pub fn words(self, text: &str) -> String {
        let before = &text.as_bytes()[..self.at.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        let end = if self.at < text.len() { "" } else { " (the end)" };
        format!("line {line}, column {column}{end}: {} is due", self.due)
    }
}

pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// What a reader can read a value to.
pub trait Read<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Fault>;
}

/// A key of a JSON object, borrowed unless it is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'a>(Cow<'a, str>);

impl AsRef<str> for Key<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Reads a text that is one value.
pub fn read<'a, T: Read<'a>>(text: &'a str) -> Result<T, Fault> {
    let mut reader = Reader::new(text);
    let value = reader.read()?;
    reader.end()?;
    Ok(value)
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub fn read<T: Read<'a>>(&mut self) -> Result<T, Fault> {
        T::read(self)
    }

    /// The first byte of the next value, or of what is there in its place; 0 at the end.
    pub fn peek(&mut self) -> u8 {
        self.at = past_space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    /// Hands each member to `member`, which reads its value or skips it. A key that comes twice is handed over twice.
    pub fn object(&mut self, mut member: impl FnMut(Key<'a>, &mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.take(b'{', "an object")?;
        if self.peek() == b'}' {
            return self.take(b'}', "}");
        }
        loop {
            let key = self.key()?;
            member(key, self)?;
            match self.peek() {
                b',' => self.at += 1,
                _ => return self.take(b'}', "`,` or `}`"),
            }
        }
    }

    /// Has `entry` read each value of a list, or skip it.
    pub fn list(&mut self, mut entry: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.take(b'[', "a list")?;
        if self.peek() == b']' {
            return self.take(b']', "]");
        }
        loop {
            entry(self)?;
            match self.peek() {
                b',' => self.at += 1,
                _ => return self.take(b']', "`,` or `]`"),
            }
        }
    }

    /// The next value as it is written.
    pub fn raw(&mut self) -> Result<&'a str, Fault> {
        self.peek();
        let begin = self.at;
        self.skip()?;
        Ok(self.text.get(begin..self.at).unwrap_or_default())
    }

    /// Steps over the next value.
    pub fn skip(&mut self) -> Result<(), Fault> {
        self.at = past_value(self.text.as_bytes(), self.at)?;
        Ok(())
    }

    /// Nothing more may come.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fault("the end")) }
    }

    pub fn fault(&self, due: &'static str) -> Fault {
        Fault { at: self.at, due }
    }

    fn take(&mut self, byte: u8, due: &'static str) -> Result<(), Fault> {
        if self.peek() != byte {
            return Err(self.fault(due));
        }
        self.at += 1;
        Ok(())
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<Key<'a>, Fault> {
        self.take(b'"', KEY)?;
        let begin = self.at;
        self.at = past_string(self.text.as_bytes(), begin)?;
        let inner = self.text.get(begin..self.at - 1).unwrap_or_default();
        self.take(b':', COLON)?;
        Ok(if inner.contains('\\') { unescaped(inner) } else { Key(Cow::Borrowed(inner)) })
    }
}

const KEY: &str = "a key in quotes";
const COLON: &str = "`:`";
const VALUE: &str = "a value";

/// The lists and objects around a place: a bit each, 1 for an object. The innermost 64 are at hand.
#[derive(Default)]
struct Around {
    bits: u64,
    depth: usize,
    outer: Vec<u64>,
}

impl Around {
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

/// The place after the value that begins at `at`.
fn past_value(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    let mut around = Around::default();
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
                    around.enter(is_object);
                    at = if is_object { past_key(bytes, inside)? } else { inside };
                    continue;
                }
            }
            b'-' | b'0'..=b'9' => past_number(bytes, at)?,
            b't' => past_word(bytes, at, b"true")?,
            b'f' => past_word(bytes, at, b"false")?,
            b'n' => past_word(bytes, at, b"null")?,
            _ => return Err(Fault { at, due: VALUE }),
        };
        // A value has ended: what is around it ends too, or goes on.
        loop {
            if around.depth == 0 {
                return Ok(at);
            }
            at = past_space(bytes, at);
            let is_object = around.is_object();
            match bytes.get(at) {
                Some(b',') if is_object => at = past_key(bytes, past_space(bytes, at + 1))?,
                Some(b',') => at += 1,
                Some(byte) if *byte == closing(is_object) => {
                    around.leave();
                    at += 1;
                    continue;
                }
                _ => return Err(Fault { at, due: if is_object { "`,` or `}`" } else { "`,` or `]`" } }),
            }
            break;
        }
    }
}

fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

/// The place after a key at `at` and its colon.
#[inline]
fn past_key(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    if bytes.get(at) != Some(&b'"') {
        return Err(Fault { at, due: KEY });
    }
    let at = past_space(bytes, past_string(bytes, at + 1)?);
    if bytes.get(at) == Some(&b':') { Ok(at + 1) } else { Err(Fault { at, due: COLON }) }
}

#[inline]
fn past_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// A byte in each of eight.
const fn eight(byte: u8) -> u64 {
    u64::MAX / 255 * byte as u64
}

/// The place after the quote that ends the string whose inside begins at `at`.
#[inline]
fn past_string(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        // Eight at a time, up to a quote, a backslash or a control character. In each byte of a difference the high bit is
        // set where the byte was less than what was taken from it, or was not ASCII; the first one set is always true.
        while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let chunk = u64::from_le_bytes(*chunk);
            let control = chunk.wrapping_sub(eight(b' '));
            let quote = (chunk ^ eight(b'"')).wrapping_sub(eight(1));
            let backslash = (chunk ^ eight(b'\\')).wrapping_sub(eight(1));
            let found = (control | quote | backslash) & !chunk & eight(0x80);
            if found != 0 {
                at += (found.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = past_escape(bytes, at)?,
            None | Some(0..0x20) => return Err(Fault { at, due: "the end of a string, or an escape" }),
            Some(_) => at += 1,
        }
    }
}

#[cold]
fn past_escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') if bytes.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => Ok(at + 6),
        _ => Err(Fault { at, due: "an escape of JSON" }),
    }
}

fn past_number(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    let past_digits = |begin: usize| {
        let count = bytes.iter().skip(begin).take_while(|byte| byte.is_ascii_digit()).count();
        if count > 0 { Ok(begin + count) } else { Err(Fault { at: begin, due: "a digit" }) }
    };
    at += usize::from(bytes.get(at) == Some(&b'-'));
    // No digit follows a zero: it would be due to be something else.
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

fn past_word(bytes: &[u8], at: usize, word: &'static [u8]) -> Result<usize, Fault> {
    let is_there = bytes.get(at..).is_some_and(|rest| rest.starts_with(word));
    if is_there { Ok(at + word.len()) } else { Err(Fault { at, due: VALUE }) }
}

/// What an escaped key says. Half a surrogate pair is no text and yet no fault: the key is one that nobody knows.
#[cold]
fn unescaped<'a>(inner: &str) -> Key<'a> {
    struct Lossy;
    impl Visitor<'_> for Lossy {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a key")
        }
        fn visit_bytes<E>(self, key: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(key).into_owned())
        }
    }
    let quoted = format!("\"{inner}\"");
    let key = serde_json::Deserializer::from_str(&quoted).deserialize_bytes(Lossy);
    Key(Cow::Owned(key.unwrap_or_else(|_| inner.to_owned())))
}
