//! Splits a stream into its documents, holding one of them in memory at a time.
//!
//! YAML ends at a line that begins with `---` or `...`, which neither scalar nor comment may, so the split is that of YAML itself.
//! A document that begins with `{` and then a quote is JSON, as for kubectl: it ends where its braces close, and
//! another may follow at once. So a malformed document does not hide the next one. `{` and then a name is YAML.

use std::io::{self, BufRead, BufReader, Read};

use super::encoding::Utf8Reader;
use super::position::Position;
use super::stream::Cut;

/// The longest document: 64 MiB. The largest in practice is a dump of a whole cluster as one List: at some 4 KiB a scan these are
/// 16,000 scans. Converted to JSON, with positions, it may take ten times as much memory.
pub const DOCUMENT_MAX_BYTES: usize = 64 << 20;

/// The longest piece that is read at once: a line, or this much of a longer one.
const PIECE_MAX_BYTES: u64 = 64 << 10;

/// A document of the stream.
#[derive(Debug, PartialEq)]
pub struct Document<'a> {
    /// At most [`DOCUMENT_MAX_BYTES`].
    pub bytes: &'a [u8],
    /// The position at which it begins.
    pub start: Position,
    pub is_json: bool,
    /// Whether it is longer, so that its rest was dropped.
    pub is_cut: bool,
}

/// The documents of a stream.
pub struct Documents<R> {
    reader: BufReader<Utf8Reader<R>>,
    piece: Vec<u8>,
    /// How much of the piece was taken.
    taken: usize,
    /// The position after the bytes that were taken.
    at: Position,
    bytes: Vec<u8>,
    start: Position,
    is_cut: bool,
}

enum DocumentState {
    /// Only comments and directives so far.
    Before,
    /// Within a comment that is longer than a piece.
    Comment,
    /// Only `{` so far, which begins JSON, or YAML as `kubectl get -o kyaml` prints it.
    Brace,
    Yaml,
    Json(Cut),
}

impl<R: Read> Documents<R> {
    pub fn new(reader: R) -> Self {
        Documents {
            reader: BufReader::new(Utf8Reader::new(reader)),
            piece: Vec::new(),
            taken: 0,
            at: Position::START,
            bytes: Vec::new(),
            start: Position::START,
            is_cut: false,
        }
    }

    /// The next document, or none at the end of the stream.
    pub fn next_document(&mut self) -> io::Result<Option<Document<'_>>> {
        self.bytes.clear();
        self.is_cut = false;
        let mut state = DocumentState::Before;
        while self.fill()? {
            state = match state {
                DocumentState::Before => self.before(),
                DocumentState::Comment => {
                    let is_end = self.piece.ends_with(b"\n");
                    self.skip();
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
                DocumentState::Json(mut cut) => {
                    if self.marker() == Some(b"---") {
                        return Ok(Some(self.document(true)));
                    }
                    let end = cut.end(&self.piece[self.taken..]);
                    self.take(end.unwrap_or(usize::MAX));
                    if end.is_some() {
                        return Ok(Some(self.document(true)));
                    }
                    DocumentState::Json(cut)
                }
            };
        }
        let is_json = matches!(state, DocumentState::Json(_));
        Ok(if self.bytes.is_empty() { None } else { Some(self.document(is_json)) })
    }

    /// Reads a piece before the contents begin.
    fn before(&mut self) -> DocumentState {
        let marker = self.marker();
        let piece = &self.piece[self.taken..];
        let text = piece.trim_ascii_start();
        let rest = marker.map(|marker| piece[marker.len()..].trim_ascii_start());
        let is_bare = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'#')));
        let has_directives = !self.bytes.is_empty();
        match (marker, text.first()) {
            // Directives belong to the document after them.
            (Some(b"---"), _) if has_directives || !is_bare => self.contents(),
            (None, Some(b'%')) if self.at.column == 1 => {
                if !has_directives {
                    self.start = self.at;
                }
                self.take(usize::MAX);
                DocumentState::Before
            }
            (None, Some(b'#')) | (Some(_), _) if !piece.ends_with(b"\n") => {
                self.skip();
                DocumentState::Comment
            }
            (_, None | Some(b'#')) | (Some(_), _) => {
                self.skip();
                DocumentState::Before
            }
            (None, Some(b'{')) if !has_directives => match text[1..].trim_ascii_start().first() {
                Some(b'"' | b'}') => {
                    self.start = self.at;
                    DocumentState::Json(Cut::default())
                }
                Some(_) => self.contents(),
                None => {
                    self.contents();
                    DocumentState::Brace
                }
            },
            (None, Some(_)) => self.contents(),
        }
    }

    /// Reads a piece after a `{`.
    fn brace(&mut self) -> DocumentState {
        match self.piece[self.taken..].trim_ascii_start().first() {
            Some(b'"' | b'}') => {
                let mut cut = Cut::default();
                cut.end(&self.bytes);
                DocumentState::Json(cut)
            }
            // The document ends here, and is malformed.
            _ if self.marker().is_some() => DocumentState::Yaml,
            Some(_) => self.contents(),
            None => {
                self.contents();
                DocumentState::Brace
            }
        }
    }

    fn contents(&mut self) -> DocumentState {
        if self.bytes.is_empty() {
            self.start = self.at;
        }
        self.take(usize::MAX);
        DocumentState::Yaml
    }

    /// Reads the next piece where the last one was taken; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.taken < self.piece.len() {
            return Ok(true);
        }
        self.piece.clear();
        self.taken = 0;
        self.reader.by_ref().take(PIECE_MAX_BYTES).read_until(b'\n', &mut self.piece)?;
        Ok(!self.piece.is_empty())
    }

    /// `---` or `...`, if the piece is a line that begins with it as a word.
    fn marker(&self) -> Option<&'static [u8]> {
        if self.at.column != 1 {
            return None;
        }
        let markers: [&'static [u8]; 2] = [b"---", b"..."];
        markers.into_iter().find(|marker| {
            let rest = self.piece[self.taken..].strip_prefix(*marker);
            rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
        })
    }

    /// Moves up to `count` bytes of the piece to the document.
    fn take(&mut self, count: usize) {
        let piece = &self.piece[self.taken..];
        let piece = &piece[..count.min(piece.len())];
        let room = DOCUMENT_MAX_BYTES - self.bytes.len();
        self.is_cut |= piece.len() > room;
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        self.at = self.at.after(piece);
        self.taken += piece.len();
    }

    /// Drops the rest of the piece.
    fn skip(&mut self) {
        self.at = self.at.after(&self.piece[self.taken..]);
        self.taken = self.piece.len();
    }

    fn document(&self, is_json: bool) -> Document<'_> {
        Document { bytes: &self.bytes, start: self.start, is_json, is_cut: self.is_cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each document's text, line, column and whether it is JSON.
    fn cut(stream: &str) -> Vec<(String, usize, usize, bool)> {
        let mut documents = Documents::new(stream.as_bytes());
        let mut all = Vec::new();
        while let Some(document) = documents.next_document().unwrap() {
            assert!(!document.is_cut);
            let Position { line, column } = document.start;
            all.push((String::from_utf8(document.bytes.to_vec()).unwrap(), line, column, document.is_json));
        }
        all
    }

    #[test]
    fn documents_are_cut_where_they_end() {
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
                &[("%YAML 1.1\n---\na: 1\n", 1, 1, false), ("b: 2\n", 6, 1, false)],
            ),
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
            assert!(cut(stream) == expected, "{stream:?}: {:?}", cut(stream));
        }
    }

    #[test]
    fn a_document_is_dropped_beyond_the_limit() {
        let stream = io::repeat(b'x').take(DOCUMENT_MAX_BYTES as u64 + 7).chain(&b"\n---\na: 1\n"[..]);
        let mut documents = Documents::new(stream);
        let big = documents.next_document().unwrap().unwrap();
        assert!(big.is_cut && big.bytes.len() == DOCUMENT_MAX_BYTES);
        let small = documents.next_document().unwrap().unwrap();
        assert_eq!(
            small,
            Document { bytes: b"a: 1\n", start: Position { line: 3, column: 1 }, is_json: false, is_cut: false }
        );
    }
}
