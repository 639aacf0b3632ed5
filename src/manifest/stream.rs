//! Splits a stream of concatenated JSON values in constant memory. A value may begin anywhere on a line and span
//! several lines.
//!
//! A value ends where its brackets close. A malformed value ends at the latest before a `{` at the start of a line
//! where JSON allows none, since the next value begins there. So a malformed value never hides the next one, and a
//! valid value is never split.

use std::io::{self, Read};

use memchr::memchr3;

use super::encoding::Utf8Reader;
use super::position::Position;

/// The number of bytes that are read at once: enough for few system calls, and little compared with the limit of a
/// review.
const CHUNK_BYTES: usize = 64 << 10;

/// The values of a stream, each truncated to `max_bytes`. The rest of a longer value is skipped, as the server does.
pub struct Values<R> {
    reader: Utf8Reader<R>,
    chunk: Box<[u8]>,
    /// The part of the chunk that is not consumed yet.
    start: usize,
    end: usize,
    value: Vec<u8>,
    max_bytes: usize,
    value_end: ValueEnd,
    /// The position after the consumed bytes.
    at: Position,
    /// The position at which the value begins.
    value_start: Position,
}

/// A value of a stream.
pub struct StreamedValue<'a> {
    pub bytes: &'a [u8],
    /// The position at which the value begins.
    pub start: Position,
}

impl<R: Read> Values<R> {
    pub fn new(reader: R, max_bytes: usize) -> Self {
        let chunk = vec![0; CHUNK_BYTES].into_boxed_slice();
        Values {
            reader: Utf8Reader::new(reader),
            chunk,
            start: 0,
            end: 0,
            value: Vec::new(),
            max_bytes,
            value_end: ValueEnd::default(),
            at: Position::START,
            value_start: Position::START,
        }
    }

    /// Returns the next value, or `None` at the end of the stream.
    pub fn next_value(&mut self) -> io::Result<Option<StreamedValue<'_>>> {
        self.value.clear();
        self.value_end = ValueEnd::default();
        loop {
            if self.start == self.end {
                self.start = 0;
                self.end = match self.reader.read(&mut self.chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read?,
                };
                if self.end == 0 {
                    return Ok((!self.value.is_empty()).then_some(self.value()));
                }
            }
            let unread = &self.chunk[self.start..self.end];
            let skipped = if self.value.is_empty() {
                unread.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
            } else {
                0
            };
            self.at = self.at.after(&unread[..skipped]);
            if self.value.is_empty() {
                self.value_start = self.at;
            }
            let unread = &unread[skipped..];
            let end = self.value_end.find(unread);
            let consumed = &unread[..end.unwrap_or(unread.len())];
            let room = self.max_bytes - self.value.len();
            self.value.extend_from_slice(&consumed[..consumed.len().min(room)]);
            self.at = self.at.after(consumed);
            self.start += skipped + consumed.len();
            if end.is_some() {
                return Ok(Some(self.value()));
            }
        }
    }

    fn value(&self) -> StreamedValue<'_> {
        StreamedValue { bytes: &self.value, start: self.value_start }
    }
}

/// Finds the end of a JSON value that arrives in pieces.
#[derive(Debug)]
pub struct ValueEnd {
    depth: usize,
    is_string: bool,
    is_escaped: bool,
    is_line_start: bool,
    /// The last byte that is not white space; 0 before the value begins.
    last: u8,
}

impl Default for ValueEnd {
    fn default() -> Self {
        ValueEnd { depth: 0, is_string: false, is_escaped: false, is_line_start: true, last: 0 }
    }
}

impl ValueEnd {
    /// Returns the offset in `bytes`, the next piece, at which the value ends, if it ends there.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.is_string {
                at += self.skip_string(&bytes[at..]);
                continue;
            }
            let byte = bytes[at];
            match byte {
                // A value that is neither an object nor a list ends with its line.
                b'\n' if self.depth == 0 && self.last != 0 => return Some(at),
                b'{' if self.is_line_start && self.last != 0 && !matches!(self.last, b'[' | b',' | b':') => {
                    return Some(at);
                }
                b'{' | b'[' => self.depth += 1,
                b'"' if self.depth > 0 => self.is_string = true,
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            self.is_line_start = byte == b'\n';
            if !byte.is_ascii_whitespace() {
                self.last = byte;
            }
            at += 1;
        }
        None
    }

    /// Skips a string, or as much of it as `bytes` has, and returns the number of bytes. A string of JSON has no line
    /// feed, so a line feed ends it.
    fn skip_string(&mut self, bytes: &[u8]) -> usize {
        if self.is_escaped {
            self.is_escaped = false;
            return 1;
        }
        let Some(at) = memchr3(b'"', b'\\', b'\n', bytes) else { return bytes.len() };
        match bytes[at] {
            b'\\' => {
                self.is_escaped = true;
                at + 1
            }
            b'"' => {
                self.is_string = false;
                self.last = b'"';
                at + 1
            }
            _ => {
                self.is_string = false;
                self.last = b'"';
                at
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slow_reader::SlowReader;
    use super::*;

    fn split(stream: &str, step: usize, max_bytes: usize) -> Vec<String> {
        let mut values = Values::new(SlowReader(stream.as_bytes(), step), max_bytes);
        let mut all = Vec::new();
        while let Some(value) = values.next_value().unwrap() {
            all.push(String::from_utf8(value.bytes.to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn values_are_split_at_their_ends() {
        for (stream, expected) in [
            ("", &[][..]),
            (" \n\t ", &[]),
            ("{}{}", &["{}", "{}"]),
            ("{\"a\":[1,{}]}\n {\"b\":\"}{\"}", &["{\"a\":[1,{}]}", "{\"b\":\"}{\"}"]),
            ("{\"a\":\"\\\"}\"}{}", &["{\"a\":\"\\\"}\"}", "{}"]),
            ("{\n\"a\":\n{\n\"b\":[\n{},\n{}\n]\n}\n}{}", &["{\n\"a\":\n{\n\"b\":[\n{},\n{}\n]\n}\n}", "{}"]),
            ("no json\n{}", &["no json", "{}"]),
            ("} ] \"a\n{}", &["} ] \"a", "{}"]),
            ("{\"uid\":\"1\"\n{\"uid\":\"2\"}\n{}", &["{\"uid\":\"1\"\n", "{\"uid\":\"2\"}", "{}"]),
            ("{\"uid\":\"1\n{\"uid\":\"2\"}", &["{\"uid\":\"1\n", "{\"uid\":\"2\"}"]),
            ("{\"a\":{", &["{\"a\":{"]),
        ] {
            for step in [1, 2, 3, 7, 1000] {
                assert_eq!(split(stream, step, 1000), expected, "{stream:?} by {step}");
            }
        }
    }

    #[test]
    fn a_value_is_truncated_at_the_limit() {
        assert_eq!(split("{\"a\":\"bcdefg\"}{}", 5, 4), ["{\"a\"", "{}"]);
    }

    proptest::proptest! {
        /// The values of a valid stream are returned whole, however the stream is formatted and read.
        #[test]
        fn a_valid_value_is_never_split(texts in proptest::collection::vec("[\\PC\n\t]{0,12}", 1..6), step in 1_usize..40, style in 0..3) {
            let value = texts.iter().fold(serde_json::json!([]), |inner, text| serde_json::json!({ text: [inner, {text: text}, 1] }));
            let written = match style {
                0 => value.to_string(),
                1 => serde_json::to_string_pretty(&value).unwrap(),
                _ => serde_json::to_string_pretty(&value).unwrap().replace("\n ", "\n").replace("\n ", "\n"),
            };
            let stream = format!("{written}\n{written}{written}");
            for found in split(&stream, step, usize::MAX) {
                proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&found).unwrap(), value.clone());
            }
        }
    }
}
