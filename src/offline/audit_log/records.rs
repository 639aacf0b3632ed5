//! Splits an audit log into the texts of its events, in bounded memory.
//!
//! An API server writes one event per line. Such lines are found by their first bytes and split at line feeds, which is
//! as fast as memory. Everything else is split where its brackets close: JSON of any layout, and the items of an
//! EventList.

use std::io::{self, Read};
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3, memmem};

use super::starts::{EVENT_LINE, LIST_HEAD_BYTES, Starts, list_head};
use crate::admission::BODY_MAX_BYTES;
use crate::manifest::stream::ValueEnd;
use crate::scan::GROUP;

/// The longest event that is read: 8 MiB. It has the same two objects as a review, each at most 3 MiB. Only responses
/// with lists are longer, which are not needed.
pub const EVENT_MAX_BYTES: usize = BODY_MAX_BYTES;

/// The number of bytes that are read at once: what a pipe of Linux holds.
const CHUNK_BYTES: usize = 64 << 10;

/// The records of a log.
pub struct Records<R> {
    reader: R,
    buffer: Vec<u8>,
    /// The part of the buffer that is not consumed yet.
    start: usize,
    end: usize,
    /// The length of the current record, which begins at `start`.
    current: usize,
    /// The line of the byte at `start`.
    line: u64,
    is_end: bool,
    is_in_list: bool,
    /// Whether an item was read since the last comma of the list.
    is_after_item: bool,
    starts: Starts,
}

/// A part of a log that should be an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub form: RecordForm,
    /// The line on which it begins.
    pub line: u64,
    /// Whether its end was found. Otherwise the log ends with it, and perhaps within it.
    pub is_ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordForm {
    /// A line that begins with `EVENT_LINE`.
    Line,
    /// Another JSON value, or bytes that are not JSON.
    Value,
    /// An item of a list.
    Item,
    /// The log ends within a list. The record has no bytes.
    CutList,
    /// The record exceeds [`EVENT_MAX_BYTES`], and is skipped. `is_other` says whether it is an event that does not name
    /// the group of scans.
    TooLong { is_other: bool },
}

impl<R: Read> Records<R> {
    pub fn new(reader: R) -> Self {
        let buffer = vec![0; CHUNK_BYTES];
        let starts = Starts::default();
        Self {
            reader,
            buffer,
            start: 0,
            end: 0,
            current: 0,
            line: 1,
            is_end: false,
            is_in_list: false,
            is_after_item: false,
            starts,
        }
    }

    /// The bytes of the current record, without the line feed.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.current]
    }

    /// The memory of the buffer beyond that of a log with short events.
    pub fn additional_bytes(&self) -> usize {
        self.buffer.len() - CHUNK_BYTES
    }

    /// Reads the next record, whose text is then in [`bytes`](Self::bytes); `None` at the end.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        self.consume(self.current);
        loop {
            let Some(first) = self.skip_space()? else {
                let is_cut = std::mem::take(&mut self.is_in_list);
                let line = self.line;
                return Ok(is_cut.then_some(Record { form: RecordForm::CutList, line, is_ended: false }));
            };
            match first {
                b',' if self.is_in_list => {
                    self.consume(1);
                    self.is_after_item = false;
                }
                b']' if self.is_in_list => self.end_list()?,
                b'{' if self.is_in_list => {
                    self.fill_to(LIST_HEAD_BYTES)?;
                    if self.is_after_item || list_head(self.unread()).is_some() {
                        // The list is cut, and this follows it.
                        self.is_in_list = false;
                        return Ok(Some(Record { form: RecordForm::CutList, line: self.line, is_ended: false }));
                    }
                    self.is_after_item = true;
                    return self.value(RecordForm::Item);
                }
                b'[' if self.is_in_list && !self.is_after_item => {
                    self.is_after_item = true;
                    return self.value(RecordForm::Item);
                }
                b'"' | b'-' | b'0'..=b'9' | b'a'..=b'z' if self.is_in_list && !self.is_after_item => {
                    self.is_after_item = true;
                    return self.record(RecordForm::Item, |bytes| memchr3(b',', b']', b'\n', bytes));
                }
                _ => {
                    self.is_in_list = false;
                    self.fill_to(LIST_HEAD_BYTES)?;
                    if self.unread().starts_with(EVENT_LINE) {
                        return self.line_record();
                    }
                    match list_head(self.unread()) {
                        Some(first_item) => {
                            self.consume(first_item);
                            self.is_in_list = true;
                            self.is_after_item = false;
                        }
                        None => return self.value(RecordForm::Value),
                    }
                }
            }
        }
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn consume(&mut self, count: usize) {
        let consumed = self.start..self.start + count;
        self.line += memchr_iter(b'\n', &self.buffer[consumed.clone()]).count() as u64;
        self.start = consumed.end;
        self.current = 0;
    }

    /// Reads more bytes, and returns whether there were any.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        // Room for a chunk beyond the record so far, which grows in steps of a quarter. Most of the room of a long record
        // is given back after it.
        let needed = self.end + CHUNK_BYTES;
        if needed > self.buffer.len() {
            let length = (self.end + self.end / 4).min(EVENT_MAX_BYTES).max(needed);
            self.buffer.reserve_exact(length - self.buffer.len());
            self.buffer.resize(length, 0);
        } else if 2 * needed < self.buffer.len() {
            self.buffer.truncate(needed);
            self.buffer.shrink_to_fit();
        }
        while !self.is_end {
            match self.reader.read(&mut self.buffer[self.end..needed]) {
                Ok(0) => self.is_end = true,
                Ok(count) => {
                    self.end += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Reads until at least `count` bytes are unread, or the log ends.
    fn fill_to(&mut self, count: usize) -> io::Result<()> {
        while self.unread().len() < count && self.fill()? {}
        Ok(())
    }

    /// Skips white space, byte order marks and the zeros that a crash can leave in a file, and returns the next byte.
    fn skip_space(&mut self) -> io::Result<Option<u8>> {
        loop {
            let is_space = |byte: &&u8| byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF | 0);
            let space = self.unread().iter().take_while(is_space).count();
            self.consume(space);
            match self.unread().first().copied() {
                Some(first) => return Ok(Some(first)),
                None if self.fill()? => {}
                None => return Ok(None),
            }
        }
    }

    /// Returns a record up to the next line feed.
    fn line_record(&mut self) -> io::Result<Option<Record>> {
        self.record(RecordForm::Line, |bytes| memchr(b'\n', bytes))
    }

    /// Returns a record up to the bracket that closes it.
    fn value(&mut self, form: RecordForm) -> io::Result<Option<Record>> {
        let mut value_end = ValueEnd::default();
        self.record(form, |bytes| value_end.find(bytes))
    }

    /// Returns a record up to the end that `find` returns for successive pieces of it.
    fn record(&mut self, form: RecordForm, mut find: impl FnMut(&[u8]) -> Option<usize>) -> io::Result<Option<Record>> {
        let line = self.line;
        let mut searched = 0;
        let mut too_long = None;
        loop {
            let end = find(&self.unread()[searched..]).map(|end| searched + end);
            let length = end.unwrap_or(self.unread().len());
            let end = self.starts.next(&self.unread()[..length], searched).or(end);
            let length = end.unwrap_or(length);
            if length > EVENT_MAX_BYTES || too_long.is_some() {
                let is_other = *too_long.get_or_insert_with(|| {
                    form != RecordForm::Value && memmem::find(&self.unread()[..length], GROUP.as_bytes()).is_none()
                });
                self.consume(length);
                if end.is_some() || !self.fill()? {
                    let form = RecordForm::TooLong { is_other };
                    return Ok(Some(Record { form, line, is_ended: end.is_some() }));
                }
                searched = 0;
                continue;
            }
            searched = length;
            if end.is_some() || !self.fill()? {
                self.current = length;
                return Ok(Some(Record { form, line, is_ended: end.is_some() }));
            }
        }
    }

    /// Skips the rest of a list after its items. If a value begins there, the list has no last bracket.
    fn end_list(&mut self) -> io::Result<()> {
        self.consume(1);
        self.is_in_list = false;
        if self.skip_space()? == Some(b'{') {
            return Ok(());
        }
        let mut value_end = ValueEnd::default();
        value_end.find(b"{");
        loop {
            let end = value_end.find(self.unread());
            self.consume(end.unwrap_or(self.unread().len()));
            if end.is_some() || !self.fill()? {
                return Ok(());
            }
        }
    }
}

/// Returns the range of the first JSON string after `key` and a colon, searched from the end.
pub fn last_string(bytes: &[u8], key: &str) -> Option<Range<usize>> {
    let at = memmem::rfind(bytes, key.as_bytes())? + key.len();
    let value = bytes[at..].iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b':')? + at;
    let begin = value + 1;
    (bytes[value] == b'"').then(|| memchr(b'"', &bytes[begin..]).map(|length| begin..begin + length))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::slow_reader::SlowReader;

    /// Returns each record with its line, and `…` where its end was not found.
    fn split(log: &str, step: usize) -> Vec<(String, u64)> {
        let mut records = Records::new(SlowReader(log.as_bytes(), step));
        let mut all = Vec::new();
        while let Some(record) = records.next_record().unwrap() {
            let text = match record.form {
                RecordForm::CutList => "cut list".to_owned(),
                RecordForm::TooLong { is_other } => format!("too long {is_other}"),
                _ => String::from_utf8(records.bytes().to_vec()).unwrap(),
            };
            all.push((text + if record.is_ended { "" } else { "…" }, record.line));
        }
        all
    }

    #[test]
    fn a_log_is_split_into_its_records() {
        let line = |name: &str| format!("{}\"a\":{name}}}", std::str::from_utf8(EVENT_LINE).unwrap());
        let (one, two) = (line("1"), line("\"}\\\"\""));
        let list =
            |items: &str| format!("{{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"items\":[{items}]}}");
        let sorted =
            "{\"apiVersion\":\"audit.k8s.io/v1\",\n\"items\":[\n{\"b\":1},\n{\"b\":\n2}\n],\n\"kind\":\"EventList\"}";
        for (log, expected) in [
            (String::new(), vec![]),
            (format!("{one}\n{two}\n"), vec![(one.clone(), 1), (two.clone(), 2)]),
            (format!("{one}\r\n\n{two}"), vec![(format!("{one}\r"), 1), (format!("{two}…"), 3)]),
            (format!("\u{FEFF}{one}\n"), vec![(one.clone(), 1)]),
            (format!("{}\n{two}\n", &one[..50]), vec![(one[..50].to_owned(), 1), (two.clone(), 2)]),
            (
                "{\"a\":1}{\n\"b\":[2]}\nno json\n{\"c\":3".to_owned(),
                vec![
                    ("{\"a\":1}".to_owned(), 1),
                    ("{\n\"b\":[2]}".to_owned(), 1),
                    ("no json".to_owned(), 3),
                    ("{\"c\":3…".to_owned(), 4),
                ],
            ),
            (list("{\"a\":[1]},{\"b\":2}"), vec![("{\"a\":[1]}".to_owned(), 1), ("{\"b\":2}".to_owned(), 1)]),
            (list("") + &one + "\n", vec![(one.clone(), 1)]),
            (
                format!("{sorted}\n{one}\n"),
                vec![("{\"b\":1}".to_owned(), 3), ("{\"b\":\n2}".to_owned(), 4), (one.clone(), 8)],
            ),
            (
                list("{\"a\":1},{\"b\":").trim_end_matches("]}").to_owned(),
                vec![("{\"a\":1}".to_owned(), 1), ("{\"b\":…".to_owned(), 1), ("cut list…".to_owned(), 1)],
            ),
            (list("{\"a\":1} x"), vec![("{\"a\":1}".to_owned(), 1), ("x]}…".to_owned(), 1)]),
            // A list of another kind is one value.
            (
                "{\"kind\":\"PodList\",\"items\":[{}]}".to_owned(),
                vec![("{\"kind\":\"PodList\",\"items\":[{}]}".to_owned(), 1)],
            ),
        ] {
            for step in [1, 2, 7, 1000, 1_000_000] {
                assert_eq!(split(&log, step), expected, "{log:?} by {step}");
            }
        }
    }

    #[test]
    fn a_record_longer_than_the_limit_is_skipped() {
        let start = std::str::from_utf8(EVENT_LINE).unwrap();
        let long = |member: &str, bytes: usize| format!("{start}{member}\"b\":\"{}\"}}", "x".repeat(bytes));
        let longest = long("", EVENT_MAX_BYTES - start.len() - "\"b\":\"\"}".len());
        assert_eq!(longest.len(), EVENT_MAX_BYTES);
        let group = format!("\"g\":\"{GROUP}\",");
        let log = [
            &longest,
            &long("", EVENT_MAX_BYTES),
            &long(&group, 3 * EVENT_MAX_BYTES),
            "{}",
            &long("", EVENT_MAX_BYTES),
        ]
        .join("\n");
        let (too_long, of_scans) = ("too long true".to_owned(), "too long false".to_owned());
        let expected =
            vec![(longest, 1), (too_long.clone(), 2), (of_scans, 3), ("{}".to_owned(), 4), (too_long + "…", 5)];
        let lengths =
            |all: Vec<(String, u64)>| all.into_iter().map(|(text, line)| (text.len(), line)).collect::<Vec<_>>();
        assert_eq!(lengths(split(&log, 1_000_000)), lengths(expected));
    }

    #[test]
    fn the_last_string_of_a_key_is_found() {
        for (text, found) in [
            (r#"{"t":"a","t":"b"}"#, Some("b")),
            (r#"{"t" : "a"}"#, Some("a")),
            (r#"{"t":1}"#, None),
            (r#"{"t":"a"#, None),
            (r#"{"t""#, None),
            ("{}", None),
        ] {
            assert_eq!(last_string(text.as_bytes(), "\"t\"").map(|range| &text[range]), found, "{text}");
        }
    }
}
