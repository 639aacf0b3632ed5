//! Cuts a stream of concatenated JSON values, whatever is between and within their lines, in constant memory.
//!
//! A value ends where its brackets close. One that is damaged ends at the latest where the next begins: a `{` at the
//! start of a line which JSON allows at no such place. So one bad value never swallows the others, and a good one is
//! never cut.

use std::io::{self, Read};

use memchr::memchr3;

use super::encoding::Utf8Reader;
use super::position::Position;

/// What is read at once: enough to make the calls cheap, small beside one review's limit.
const CHUNK_BYTES: usize = 64 << 10;

/// The values of a stream, each cut to `max_bytes`: what is beyond is dropped, as a server drops it.
pub struct Values<R> {
    reader: Utf8Reader<R>,
    chunk: Box<[u8]>,
    /// The part of the chunk that is not looked at yet.
    start: usize,
    end: usize,
    value: Vec<u8>,
    max_bytes: usize,
    cut: Cut,
    /// Behind what is looked at, and where the value begins.
    at: Position,
    value_start: Position,
}

/// A value of a stream.
pub struct StreamedValue<'a> {
    pub bytes: &'a [u8],
    /// Where it begins.
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
            cut: Cut::default(),
            at: Position::START,
            value_start: Position::START,
        }
    }

    /// The next value, or none at the end of the stream.
    pub fn next_value(&mut self) -> io::Result<Option<StreamedValue<'_>>> {
        self.value.clear();
        self.cut = Cut::default();
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
            let end = self.cut.end(unread);
            let taken = &unread[..end.unwrap_or(unread.len())];
            let room = self.max_bytes - self.value.len();
            self.value.extend_from_slice(&taken[..taken.len().min(room)]);
            self.at = self.at.after(taken);
            self.start += skipped + taken.len();
            if end.is_some() {
                return Ok(Some(self.value()));
            }
        }
    }

    fn value(&self) -> StreamedValue<'_> {
        StreamedValue { bytes: &self.value, start: self.value_start }
    }
}

/// Where in a value the bytes are.
#[derive(Debug)]
pub struct Cut {
    depth: usize,
    is_string: bool,
    is_escaped: bool,
    is_line_start: bool,
    /// The last byte that is no white space; 0 before the value begins.
    before: u8,
}

impl Default for Cut {
    fn default() -> Self {
        Cut { depth: 0, is_string: false, is_escaped: false, is_line_start: true, before: 0 }
    }
}

impl Cut {
    /// Where in `bytes` the value ends, if it does.
    pub fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.is_string {
                at += self.string(&bytes[at..]);
                continue;
            }
            let byte = bytes[at];
            match byte {
                // Words that are no JSON object end with their line.
                b'\n' if self.depth == 0 && self.before != 0 => return Some(at),
                b'{' if self.is_line_start && self.before != 0 && !matches!(self.before, b'[' | b',' | b':') => {
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
                self.before = byte;
            }
            at += 1;
        }
        None
    }

    /// Passes over a string and returns how many bytes that were. A line's end is no part of one, so it ends it.
    fn string(&mut self, bytes: &[u8]) -> usize {
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
                self.before = b'"';
                at + 1
            }
            _ => {
                self.is_string = false;
                self.before = b'"';
                at
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slow_reader::SlowReader;
    use super::*;

    fn cut(stream: &str, step: usize, max_bytes: usize) -> Vec<String> {
        let mut values = Values::new(SlowReader(stream.as_bytes(), step), max_bytes);
        let mut all = Vec::new();
        while let Some(value) = values.next_value().unwrap() {
            all.push(String::from_utf8(value.bytes.to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn values_are_cut_where_they_end() {
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
                assert_eq!(cut(stream, step, 1000), expected, "{stream:?} by {step}");
            }
        }
    }

    #[test]
    fn a_value_is_dropped_beyond_the_limit() {
        assert_eq!(cut("{\"a\":\"bcdefg\"}{}", 5, 4), ["{\"a\"", "{}"]);
    }

    proptest::proptest! {
        /// However a sound stream is written and read, its values come out whole.
        #[test]
        fn a_sound_value_is_never_cut(texts in proptest::collection::vec("[\\PC\n\t]{0,12}", 1..6), step in 1_usize..40, style in 0..3) {
            let value = texts.iter().fold(serde_json::json!([]), |inner, text| serde_json::json!({ text: [inner, {text: text}, 1] }));
            let written = match style {
                0 => value.to_string(),
                1 => serde_json::to_string_pretty(&value).unwrap(),
                _ => serde_json::to_string_pretty(&value).unwrap().replace("\n ", "\n").replace("\n ", "\n"),
            };
            let stream = format!("{written}\n{written}{written}");
            for cut in cut(&stream, step, usize::MAX) {
                proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&cut).unwrap(), value.clone());
            }
        }
    }
}
