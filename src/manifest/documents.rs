//! Splits a stream into documents. One document is in memory at a time.
//!
//! A YAML document ends at a line that begins with `---` or `...`. Lines of scalars and comments never begin with these
//! markers, so the stream is split as YAML defines it. A document that begins with `{` and a quote is JSON, as for
//! kubectl. It ends where its braces close, and another document may follow immediately. A document that begins with
//! `{` and a plain key is YAML. Where YAML begins like JSON, a brace in a comment or in a string in single quotes counts
//! too, which kubectl reads; here it is an error. A malformed document does not hide the next one.

use std::io::{self, BufRead, BufReader, Read};

use super::encoding::Utf8Reader;
use super::position::Position;
use super::stream::ValueEnd;

/// The longest document: 64 MiB. The largest documents in practice are dumps of a whole cluster as one List: at 4 KiB a
/// scan, the limit allows 16,000 scans. A document that is converted to JSON, with positions, may need ten times as
/// much memory.
pub const DOCUMENT_MAX_BYTES: usize = 64 << 20;

/// The longest piece that is read at once: a line, or this many bytes of a longer line.
const PIECE_MAX_BYTES: u64 = 64 << 10;

/// A document of the stream.
#[derive(Debug, PartialEq)]
pub struct Document<'a> {
    /// A contiguous part of the decoded stream, of at most [`DOCUMENT_MAX_BYTES`].
    pub bytes: &'a [u8],
    /// The offset in the decoded stream at which the document begins.
    pub offset: u64,
    /// The position at which the document begins.
    pub start: Position,
    pub is_json: bool,
    /// Whether the document exceeds the limit, so that its rest was dropped.
    pub is_truncated: bool,
}

/// The documents of a stream.
pub struct Documents<R> {
    reader: BufReader<Utf8Reader<R>>,
    piece: Vec<u8>,
    /// The number of bytes of the piece that were consumed.
    consumed: usize,
    /// The position after the consumed bytes, and their number in the stream.
    at: Position,
    at_offset: u64,
    bytes: Vec<u8>,
    start: Position,
    start_offset: u64,
    is_truncated: bool,
}

enum DocumentState {
    /// Nothing but comments and directives has been read.
    Before,
    /// The position is within a comment that is longer than a piece.
    Comment,
    /// Only `{` has been read, which begins JSON, or YAML as `kubectl get -o kyaml` prints it.
    Brace,
    Yaml,
    Json(ValueEnd),
}

impl<R: Read> Documents<R> {
    pub fn new(reader: R) -> Self {
        Documents {
            reader: BufReader::new(Utf8Reader::new(reader)),
            piece: Vec::new(),
            consumed: 0,
            at: Position::START,
            at_offset: 0,
            bytes: Vec::new(),
            start: Position::START,
            start_offset: 0,
            is_truncated: false,
        }
    }

    /// Returns the next document, or `None` at the end of the stream.
    pub fn next_document(&mut self) -> io::Result<Option<Document<'_>>> {
        self.bytes.clear();
        self.is_truncated = false;
        let mut state = DocumentState::Before;
        while self.fill()? {
            state = match state {
                DocumentState::Before => self.before(),
                DocumentState::Comment => {
                    let is_end = self.piece.ends_with(b"\n");
                    self.skip_or_take();
                    if is_end { DocumentState::Before } else { DocumentState::Comment }
                }
                DocumentState::Brace => self.brace(),
                DocumentState::Yaml => match self.marker() {
                    Some(b"---") => return Ok(Some(self.document(false))),
                    Some(_) => {
                        self.skip();
                        return Ok(Some(self.document(false)));
                    }
                    None => {
                        self.take(usize::MAX);
                        DocumentState::Yaml
                    }
                },
                DocumentState::Json(mut value_end) => {
                    if self.marker() == Some(b"---") {
                        return Ok(Some(self.document(true)));
                    }
                    let end = value_end.find(&self.piece[self.consumed..]);
                    self.take(end.unwrap_or(usize::MAX));
                    if end.is_some() {
                        return Ok(Some(self.document(true)));
                    }
                    DocumentState::Json(value_end)
                }
            };
        }
        let is_json = matches!(state, DocumentState::Json(_));
        Ok(if self.bytes.is_empty() { None } else { Some(self.document(is_json)) })
    }

    /// Consumes a piece before the contents begin.
    fn before(&mut self) -> DocumentState {
        let marker = self.marker();
        let piece = &self.piece[self.consumed..];
        let text = piece.trim_ascii_start();
        let rest = marker.map(|marker| piece[marker.len()..].trim_ascii_start());
        let is_bare = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'#')));
        let has_directives = !self.bytes.is_empty();
        match (marker, text.first()) {
            // Directives belong to the next document.
            (Some(b"---"), _) if has_directives || !is_bare => self.contents(),
            (None, Some(b'%')) if self.at.column == 1 => {
                self.take(usize::MAX);
                DocumentState::Before
            }
            (None, Some(b'#')) | (Some(_), _) if !piece.ends_with(b"\n") => {
                self.skip_or_take();
                DocumentState::Comment
            }
            (_, None | Some(b'#')) | (Some(_), _) => {
                self.skip_or_take();
                DocumentState::Before
            }
            (None, Some(b'{')) if !has_directives => match text[1..].trim_ascii_start().first() {
                Some(b'"' | b'}') => DocumentState::Json(ValueEnd::default()),
                Some(_) => self.contents(),
                None => {
                    self.contents();
                    DocumentState::Brace
                }
            },
            (None, Some(_)) => self.contents(),
        }
    }

    /// Consumes a piece after a `{`.
    fn brace(&mut self) -> DocumentState {
        match self.piece[self.consumed..].trim_ascii_start().first() {
            Some(b'"' | b'}') => {
                let mut value_end = ValueEnd::default();
                value_end.find(&self.bytes);
                DocumentState::Json(value_end)
            }
            // The document ends here and is malformed.
            _ if self.marker().is_some() => DocumentState::Yaml,
            Some(_) => self.contents(),
            None => {
                self.contents();
                DocumentState::Brace
            }
        }
    }

    fn contents(&mut self) -> DocumentState {
        self.take(usize::MAX);
        DocumentState::Yaml
    }

    /// Reads the next piece if the last one was consumed. Returns false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.consumed < self.piece.len() {
            return Ok(true);
        }
        self.piece.clear();
        self.consumed = 0;
        self.reader.by_ref().take(PIECE_MAX_BYTES).read_until(b'\n', &mut self.piece)?;
        Ok(!self.piece.is_empty())
    }

    /// Returns `---` or `...` if the piece begins a line, and begins with this marker and white space or the end.
    fn marker(&self) -> Option<&'static [u8]> {
        if self.at.column != 1 {
            return None;
        }
        let markers: [&'static [u8]; 2] = [b"---", b"..."];
        markers.into_iter().find(|marker| {
            let rest = self.piece[self.consumed..].strip_prefix(*marker);
            rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
        })
    }

    /// Moves up to `count` bytes of the piece to the document, as far as the limit allows.
    fn take(&mut self, count: usize) {
        let piece = &self.piece[self.consumed..];
        let piece = &piece[..count.min(piece.len())];
        if self.bytes.is_empty() {
            (self.start, self.start_offset) = (self.at, self.at_offset);
        }
        let room = DOCUMENT_MAX_BYTES - self.bytes.len();
        self.is_truncated |= piece.len() > room;
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        self.at = self.at.after(piece);
        self.at_offset += piece.len() as u64;
        self.consumed += piece.len();
    }

    /// Skips the rest of the piece.
    fn skip(&mut self) {
        let piece = &self.piece[self.consumed..];
        self.at = self.at.after(piece);
        self.at_offset += piece.len() as u64;
        self.consumed = self.piece.len();
    }

    /// Skips the rest of the piece. After a directive it is part of the document, which is contiguous.
    fn skip_or_take(&mut self) {
        if self.bytes.is_empty() { self.skip() } else { self.take(usize::MAX) }
    }

    fn document(&self, is_json: bool) -> Document<'_> {
        let Documents { ref bytes, start_offset: offset, start, is_truncated, .. } = *self;
        Document { bytes, offset, start, is_json, is_truncated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text, line and column of each document, and whether it is JSON.
    fn split(stream: &str) -> Vec<(String, usize, usize, bool)> {
        let mut documents = Documents::new(stream.as_bytes());
        let decoded = stream.trim_start_matches('\u{FEFF}');
        let mut all = Vec::new();
        while let Some(document) = documents.next_document().unwrap() {
            assert!(!document.is_truncated);
            assert!(decoded.as_bytes()[document.offset as usize..].starts_with(document.bytes));
            let Position { line, column } = document.start;
            all.push((String::from_utf8(document.bytes.to_vec()).unwrap(), line, column, document.is_json));
        }
        all
    }

    #[test]
    fn documents_are_split_at_their_ends() {
        let long = format!("#{}\n", "x".repeat(200_000));
        for (stream, expected) in [
            ("", &[][..]),
            ("\n# c\n---\n...\n--- # c\n", &[]),
            ("a: 1\n", &[("a: 1\n", 1, 1, false)]),
            ("\u{FEFF}a: 1", &[("a: 1", 1, 1, false)]),
            (
                "a: 1\n---\nb: 2\r\n---\r\nc: 3",
                &[("a: 1\n", 1, 1, false), ("b: 2\r\n", 3, 1, false), ("c: 3", 5, 1, false)],
            ),
            (
                "a: |\n  ---\n ---\n---x\n--- x\n",
                &[("a: |\n  ---\n ---\n---x\n", 1, 1, false), ("--- x\n", 5, 1, false)],
            ),
            (
                "%YAML 1.1\n# c\n---\na: 1\n...\nb: 2\n",
                &[("%YAML 1.1\n# c\n---\na: 1\n", 1, 1, false), ("b: 2\n", 6, 1, false)],
            ),
            (&format!("# c\n%YAML 1.1\n\n{long}---\n"), &[(&format!("%YAML 1.1\n\n{long}---\n"), 2, 1, false)]),
            ("{}{\"a\":\"}\"} {}", &[("{}", 1, 1, true), ("{\"a\":\"}\"}", 1, 3, true), (" {}", 1, 12, true)]),
            ("{\n\"é\":1}# c\n \n[]", &[("{\n\"é\":1}", 1, 1, true), ("[]", 4, 1, false)]),
            (
                "---\n{\n  # }\n\n  a: \"x\",\n}\n---\n{\n\n  \"b\": 1\n}{\n}\n---\n{\n---\n",
                &[
                    ("{\n  # }\n\n  a: \"x\",\n}\n", 2, 1, false),
                    ("{\n\n  \"b\": 1\n}", 8, 1, true),
                    ("{\n}", 11, 2, true),
                    ("{\n", 14, 1, false),
                ],
            ),
            ("{a: 1}\n{b: 2}\n", &[("{a: 1}\n{b: 2}\n", 1, 1, false)]),
            (
                "{\"a\":1\n{\"b\":2}\n---\n{\"c\":\n---\nd: 1",
                &[
                    ("{\"a\":1\n", 1, 1, true),
                    ("{\"b\":2}", 2, 1, true),
                    ("{\"c\":\n", 4, 1, true),
                    ("d: 1", 6, 1, false),
                ],
            ),
            (&format!("{long}a: 1\n{long}"), &[(&format!("a: 1\n{long}"), 2, 1, false)]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(text, line, column, json)| ((*text).to_owned(), *line, *column, *json)).collect();
            assert!(split(stream) == expected, "{stream:?}: {:?}", split(stream));
        }
    }

    #[test]
    fn a_document_is_truncated_at_the_limit() {
        let stream = io::repeat(b'x').take(DOCUMENT_MAX_BYTES as u64 + 7).chain(&b"\n---\na: 1\n"[..]);
        let mut documents = Documents::new(stream);
        let big = documents.next_document().unwrap().unwrap();
        assert!(big.is_truncated && big.bytes.len() == DOCUMENT_MAX_BYTES);
        let small = documents.next_document().unwrap().unwrap();
        assert_eq!((small.bytes, small.start), (&b"a: 1\n"[..], Position { line: 3, column: 1 }));
        assert_eq!((small.offset, small.is_truncated), (DOCUMENT_MAX_BYTES as u64 + 12, false));
    }
}
