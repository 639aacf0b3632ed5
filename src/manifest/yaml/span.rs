//! The bytes of values. The parser has them for scalars on one line and in quotes, aliases and brackets. This file finds
//! those of the others.

use std::ops::Range;

/// A range of bytes in a document. Documents have at most 64 MiB, so four bytes are enough for an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSpan {
    pub start: u32,
    pub end: u32,
}

impl From<Range<usize>> for ByteSpan {
    fn from(range: Range<usize>) -> Self {
        ByteSpan { start: offset(range.start), end: offset(range.end) }
    }
}

/// Returns an offset in a document, or in its JSON, in four bytes. The JSON is at most six times as long as the document.
pub fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Returns the bytes of a block scalar: from its header to the end of its last line with text, or of its last line if it
/// keeps empty lines (`|+`). `contents` are the bytes of the contents, and only white space, comments and properties are
/// between `from` and the header.
pub fn of_block_scalar(yaml: &str, from: usize, contents: Range<usize>) -> Range<usize> {
    let start = header(yaml, from).unwrap_or(contents.start);
    let text = yaml.get(start..contents.end).unwrap_or_default();
    let indicators = text.split([' ', '\t', '\r', '\n']).next().unwrap_or_default();
    if indicators.contains('+') {
        // The parser's end may be after the indentation of the next line.
        let text = Some(text.trim_end_matches(' ')).filter(|lines| lines.ends_with('\n')).unwrap_or(text);
        let text = text.strip_suffix('\n').unwrap_or(text);
        return start..start + text.strip_suffix('\r').unwrap_or(text).len();
    }
    let text = text.trim_end();
    // The white space at the end of the last line is part of the contents.
    let end = start + text.len();
    let rest = yaml.get(end..contents.end).unwrap_or_default();
    start..end + rest.find(['\r', '\n']).unwrap_or(rest.len())
}

/// Returns the offset of the header of a block scalar.
fn header(yaml: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = yaml.get(at..)?;
        let token = rest.trim_start();
        at += rest.len() - token.len();
        at += match token.as_bytes().first()? {
            b'|' | b'>' => return Some(at),
            b'#' => token.find('\n')?,
            b'&' | b'!' => token.find(char::is_whitespace)?,
            b':' | b'-' | b'?' => 1,
            _ => return None,
        };
    }
}

/// Returns the bytes of a scalar without text. The parser's offset may be before the colon of its key.
pub fn of_empty_scalar(yaml: &str, at: usize) -> Range<usize> {
    let rest = &yaml[at..];
    let token = rest.trim_start_matches([' ', '\t']);
    let at = if token.starts_with(':') { at + rest.len() - token.len() + 1 } else { at };
    at..at
}

/// Returns the bytes of a value without text and properties, whose key ends at `key_end`: after the colon or, if there is
/// none, after the key.
pub fn of_empty_value(yaml: &str, key_end: usize) -> Range<usize> {
    let at = colon(yaml, key_end).map_or(key_end, |colon| colon + 1);
    at..at
}

/// Returns the offset of the colon after a key.
fn colon(yaml: &str, key_end: usize) -> Option<usize> {
    let at = next_token(yaml, key_end);
    yaml[at..].starts_with(':').then_some(at)
}

/// Whether a key and its colon are on several lines although there is no `?` before the key. Only white space, comments,
/// indicators and properties are between `from` and the key.
pub fn is_implicit_key_on_lines(yaml: &str, from: usize, key: &Range<usize>) -> bool {
    let Some(colon) = colon(yaml, key.end) else { return false };
    let (mut start, mut is_explicit) = (next_token(yaml, from), false);
    while start < key.start && yaml[start..].starts_with([',', ':', '-', '?']) {
        is_explicit = yaml[start..].starts_with('?');
        start = next_token(yaml, start + 1);
    }
    !is_explicit && yaml[start.min(key.start)..colon].contains(['\n', '\r'])
}

/// Returns the offset of the first byte from `at` on that is neither white space nor part of a comment.
fn next_token(yaml: &str, mut at: usize) -> usize {
    loop {
        let rest = &yaml[at..];
        let token = rest.trim_ascii_start();
        at += rest.len() - token.len();
        if !token.starts_with('#') {
            return at;
        }
        at += token.find('\n').unwrap_or(token.len());
    }
}

/// Returns the offset of the first dash of a block sequence that is a value of the mapping at `map`. The dashes may be as
/// far to the left as the keys of the mapping; the parser's offset is then the one of the first value.
pub fn start_of_block_sequence(yaml: &str, map: usize, at: usize) -> usize {
    let line = line_start(yaml, at);
    let indent = yaml[line..at].len() - yaml[line..at].trim_start_matches(' ').len();
    let is_dash = yaml[line + indent..at].starts_with('-');
    if is_dash && indent == map - line_start(yaml, map) { line + indent } else { at }
}

/// Returns the offset of the first byte of the line.
pub fn line_start(yaml: &str, at: usize) -> usize {
    yaml[..at].rfind('\n').map_or(0, |line_feed| line_feed + 1)
}
