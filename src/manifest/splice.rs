//! Makes edits in a text, and in a file of any encoding that is read.

use std::borrow::Cow;
use std::ops::Range;

use super::encoding::{self, BOM, Encoding};

/// A change of a text: these bytes are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub range: Range<usize>,
    pub text: String,
}

/// Returns the text with the edits made. `None` if they are not in order, overlap, or are outside of the text.
pub fn splice(text: &[u8], edits: &[Edit]) -> Option<Vec<u8>> {
    replace(text, edits.iter().map(|edit| (edit.range.clone(), edit.text.as_bytes().into())))
}

/// Returns the bytes with these ranges replaced. `None` if the ranges are not in order, overlap, or are outside of the bytes.
fn replace<'e>(bytes: &[u8], ranges: impl Iterator<Item = (Range<usize>, Cow<'e, [u8]>)>) -> Option<Vec<u8>> {
    let mut result = Vec::with_capacity(bytes.len());
    let mut end = 0;
    for (range, new) in ranges {
        result.extend(bytes.get(end..range.start)?);
        result.extend(&*new);
        end = range.end;
    }
    result.extend(bytes.get(end..)?);
    Some(result)
}

/// Returns the file with edits of its decoded text made. All other bytes stay, byte order marks included. `None` if the
/// result would not be decoded to the edited text.
pub fn splice_file(file: &[u8], edits: &[Edit]) -> Option<Vec<u8>> {
    let mut at = FileOffset { file, encoding: encoding::detect(file), offset: 0, decoded: 0 };
    let in_file = edits.iter().map(|edit| {
        let range = at.advance(edit.range.start)..at.advance(edit.range.end);
        (range, encode(&edit.text, at.encoding))
    });
    let result = replace(file, in_file)?;
    let expected = splice(&encoding::decode(file), edits)?;
    (encoding::decode(&result) == expected).then_some(result)
}

fn encode(text: &str, encoding: Encoding) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::Utf8 => text.as_bytes().into(),
        Encoding::Utf16(unit) => {
            // The function that reads a unit from its bytes writes them too: it keeps or swaps them.
            text.encode_utf16().flat_map(|it| unit(it.to_ne_bytes()).to_ne_bytes()).collect()
        }
    }
}

/// An offset in a file and in its decoded text.
struct FileOffset<'a> {
    file: &'a [u8],
    encoding: Encoding,
    offset: usize,
    decoded: usize,
}

impl FileOffset<'_> {
    /// Moves forward to an offset of the decoded text, and returns the offset in the file. A byte order mark, which is not
    /// decoded, is before it.
    fn advance(&mut self, decoded: usize) -> usize {
        while self.offset < self.file.len() {
            let (bytes, decoded_bytes) = self.next();
            if self.decoded + decoded_bytes > decoded {
                break;
            }
            self.offset += bytes;
            self.decoded += decoded_bytes;
        }
        self.offset
    }

    /// The number of bytes of the next character in the file and in the decoded text.
    fn next(&self) -> (usize, usize) {
        let rest = &self.file[self.offset..];
        match self.encoding {
            Encoding::Utf8 => {
                let is_line_start = self.offset == 0 || self.file[self.offset - 1] == b'\n';
                if is_line_start && rest.starts_with(BOM) { (BOM.len(), 0) } else { (1, 1) }
            }
            Encoding::Utf16(unit) => {
                let at = |index: usize| Some(unit(*rest.get(index * 2..)?.first_chunk()?));
                let before = self.offset.checked_sub(2).and_then(|before| self.file[before..].first_chunk());
                let is_line_start = before.is_none_or(|before| unit(*before) == u16::from(b'\n'));
                match (at(0), at(1)) {
                    (Some(0xFEFF), _) if is_line_start => (2, 0),
                    (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (4, 4),
                    (Some(..=0x7F), _) => (2, 1),
                    (Some(..=0x7FF), _) => (2, 2),
                    _ => (2, 3),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_changes_no_other_byte_of_a_file() {
        let edit = |range, text: &str| Edit { range, text: text.to_owned() };
        let text = "\u{FEFF}a: é\r\n\u{FEFF}b: \u{1F600}\n\u{FEFF}\nc: \u{FEFF}x";
        let edited = "\u{FEFF}a: ü\r\n\u{FEFF}b: \u{1F600}\nd: 1\n\u{FEFF}\n!c: \u{FEFF}xyz";
        // Offsets in the text without byte order marks at the start of lines.
        let edits = [edit(3..5, "ü"), edit(14..14, "\nd: 1"), edit(16..16, "!"), edit(22..23, "xyz")];
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        for (file, expected) in [
            (text.as_bytes().to_vec(), edited.as_bytes().to_vec()),
            (utf16(text, u16::to_le_bytes), utf16(edited, u16::to_le_bytes)),
            (utf16(text, u16::to_be_bytes), utf16(edited, u16::to_be_bytes)),
        ] {
            assert_eq!(splice_file(&file, &edits), Some(expected));
            assert_eq!(splice_file(&file, &[]), Some(file));
        }
        assert_eq!(splice_file(b"abc", &[edit(2..3, ""), edit(1..2, "")]), None);
        assert_eq!(splice_file(b"abc", &[edit(2..4, "")]), None);
        // Half a character before the edit stays.
        let half = [utf16("\u{FEFF}a", u16::to_le_bytes), vec![0, 0xD8], utf16("b", u16::to_le_bytes)].concat();
        let expected = [&half[..6], b"c\0"].concat();
        assert_eq!(splice_file(&half, &[edit(4..5, "c")]), Some(expected));
    }
}
