//! Decodes files to UTF-8 in constant memory. Editors and shells on Windows write byte order marks and UTF-16, so both
//! are supported. Bytes in other encodings are reported with their position.

use std::io::{self, BufRead, BufReader, Read};

use memchr::{memchr, memmem};

/// The byte order mark U+FEFF in UTF-8.
pub const BOM: &[u8] = "\u{FEFF}".as_bytes();

/// Replaces a lone surrogate of UTF-16. UTF-8 does not allow surrogates, so the decoded bytes are invalid exactly where
/// the file is.
const LONE_SURROGATE: &[u8] = b"\xED\xA0\x80";

/// The number of bytes that are read before the encoding is chosen: the length of the longest byte order mark.
const SNIFFED_BYTES: usize = 4;

/// The number of bytes at the start of a file that show whether it is UTF-16.
const SAMPLE_BYTES: usize = 64;

/// Decodes UTF-16 with a byte order mark to UTF-8. All other bytes are passed on unchanged; [`text`] reports those that
/// are not UTF-8.
///
/// A byte order mark at the start of any line is dropped, since each of several concatenated files may have one.
pub struct Utf8Reader<R> {
    reader: BufReader<R>,
    encoding: Option<Encoding>,
    is_end: bool,
    /// Bytes that were read but not yet decoded.
    raw: Vec<u8>,
    decoded: Vec<u8>,
    /// The number of bytes of `decoded` that were returned.
    returned: usize,
    /// The last byte before `decoded`.
    before: u8,
}

/// The encoding of a file.
#[derive(Clone, Copy)]
pub enum Encoding {
    /// Also used for files without a byte order mark.
    Utf8,
    /// With the function that reads a unit from its bytes.
    Utf16(fn([u8; 2]) -> u16),
}

impl<R: Read> Utf8Reader<R> {
    pub fn new(reader: R) -> Self {
        let (raw, decoded) = (Vec::new(), Vec::new());
        let reader = BufReader::new(reader);
        Utf8Reader { reader, encoding: None, is_end: false, raw, decoded, returned: 0, before: b'\n' }
    }

    /// Reads until there are decoded bytes to return, or the file ends.
    fn fill(&mut self) -> io::Result<()> {
        while self.returned == self.decoded.len() && !self.is_end {
            self.before = self.decoded.last().copied().unwrap_or(self.before);
            self.decoded.clear();
            self.returned = 0;
            let read = self.reader.fill_buf()?;
            let count = read.len();
            self.raw.extend_from_slice(read);
            self.reader.consume(count);
            self.is_end = count == 0;
            if self.encoding.is_none() && self.raw.len() < SNIFFED_BYTES && !self.is_end {
                continue;
            }
            match *self.encoding.get_or_insert(detect(&self.raw)) {
                Encoding::Utf8 => self.pass_utf8(),
                Encoding::Utf16(unit) => self.decode_utf16(unit),
            }
            self.drop_boms();
        }
        Ok(())
    }

    /// Passes on all bytes but an incomplete byte order mark at the end.
    fn pass_utf8(&mut self) {
        let partial = [2, 1].into_iter().find(|&count| self.raw.ends_with(&BOM[..count])).filter(|_| !self.is_end);
        let end = self.raw.len() - partial.unwrap_or(0);
        self.decoded.extend(self.raw.drain(..end));
    }

    /// Decodes all bytes but an incomplete character at the end.
    fn decode_utf16(&mut self, unit: fn([u8; 2]) -> u16) {
        let (pairs, odd) = self.raw.as_chunks::<2>();
        let mut units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        let mut left = odd.to_vec();
        if !self.is_end
            && let Some(0xD800..=0xDBFF) = units.last()
        {
            units.pop();
            left = self.raw[units.len() * 2..].to_vec();
        }
        for decoded in char::decode_utf16(units) {
            match decoded {
                Ok(character) => self.decoded.extend(character.encode_utf8(&mut [0; 4]).bytes()),
                Err(_) => self.decoded.extend(LONE_SURROGATE),
            }
        }
        if self.is_end && !left.is_empty() {
            self.decoded.extend(LONE_SURROGATE);
        }
        self.raw = left;
    }

    fn drop_boms(&mut self) {
        let is_at_start = |at: &usize| at.checked_sub(1).map_or(self.before, |before| self.decoded[before]) == b'\n';
        let boms: Vec<usize> = memmem::find_iter(&self.decoded, BOM).filter(is_at_start).collect();
        for at in boms.into_iter().rev() {
            self.decoded.drain(at..at + BOM.len());
        }
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let count = (&self.decoded[self.returned..]).read(into)?;
        self.returned += count;
        Ok(count)
    }
}

/// Detects the encoding by the byte order mark.
pub fn detect(bytes: &[u8]) -> Encoding {
    match bytes {
        // UTF-32, which is not supported: `text` reports it.
        [0xFF, 0xFE, 0, 0, ..] => Encoding::Utf8,
        [0xFF, 0xFE, ..] => Encoding::Utf16(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => Encoding::Utf16(u16::from_be_bytes),
        _ => Encoding::Utf8,
    }
}

/// Decodes a whole file as [`Utf8Reader`] does.
pub fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    // Reading from memory cannot fail.
    let _ = Utf8Reader::new(bytes).read_to_end(&mut decoded);
    decoded
}

/// The reason why bytes are not text, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    #[error("unsupported encoding UTF-32: save the file as UTF-8")]
    Utf32,
    #[error("not a text, or UTF-16 without a byte order mark: save the file as UTF-8")]
    Unmarked,
    #[error("invalid UTF-16, half of a character is missing: save the file as UTF-8")]
    HalfCharacter,
    #[error("unexpected NUL byte: remove it, or save the file as UTF-8")]
    Nul,
    #[error("invalid UTF-8 (byte {0:#04X}): save the file as UTF-8")]
    Byte(u8),
}

/// Returns decoded bytes as text, or the offset of the first byte that is not text, and the reason.
pub fn text(bytes: &[u8]) -> Result<&str, (usize, EncodingError)> {
    let (text, invalid) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, bytes.len()),
        Err(error) => ("", error.valid_up_to()),
    };
    let nul = memchr(0, &bytes[..invalid]);
    let is_utf32 = matches!(bytes, [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..]);
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let nuls = sample.iter().filter(|byte| **byte == 0).count();
    match (nul, bytes.get(invalid)) {
        _ if is_utf32 => Err((0, EncodingError::Utf32)),
        // In UTF-16, every other byte of an ASCII text is 0.
        _ if nuls * 3 > sample.len() => Err((0, EncodingError::Unmarked)),
        (Some(nul), _) => Err((nul, EncodingError::Nul)),
        (None, None) => Ok(text),
        (None, Some(_)) if bytes[invalid..].starts_with(LONE_SURROGATE) => Err((invalid, EncodingError::HalfCharacter)),
        (None, Some(byte)) => Err((invalid, EncodingError::Byte(*byte))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::slow_reader::SlowReader;
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn text_is_decoded_regardless_of_how_reads_split_it() {
        let text = "a: é\r\nb: \u{1F600}\nc: \u{2028}x\n";
        let marked = format!("\u{FEFF}{text}");
        let twice = format!("{marked}{marked}");
        for (bytes, expected) in [
            (text.into(), text.to_owned()),
            (marked.clone().into_bytes(), text.to_owned()),
            (utf16(&marked, u16::to_le_bytes), text.to_owned()),
            (utf16(&marked, u16::to_be_bytes), text.to_owned()),
            (twice.clone().into_bytes(), text.repeat(2)),
            (utf16(&twice, u16::to_le_bytes), text.repeat(2)),
            // Within a line, U+FEFF is a character of the text.
            ("a\u{FEFF}b".into(), "a\u{FEFF}b".to_owned()),
            (Vec::new(), String::new()),
            (BOM.into(), String::new()),
            (b"\xEF\xBB".to_vec(), "\u{FFFD}".to_owned()),
        ] {
            for step in [1, 2, 3, 5, 1000] {
                let mut decoded = Vec::new();
                Utf8Reader::new(SlowReader(&bytes, step)).read_to_end(&mut decoded).unwrap();
                assert_eq!(String::from_utf8_lossy(&decoded), expected, "{bytes:?} by {step}");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_reported() {
        let lone =
            [utf16("\u{FEFF}a", u16::to_le_bytes), 0xD800_u16.to_le_bytes().into(), utf16("b", u16::to_le_bytes)];
        let odd = [utf16("\u{FEFF}abc", u16::to_be_bytes), vec![0]];
        let utf32: Vec<u8> = "\u{FEFF}ab".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        for (bytes, at, error) in [
            (lone.concat(), 1, EncodingError::HalfCharacter),
            (odd.concat(), 3, EncodingError::HalfCharacter),
            (utf32, 0, EncodingError::Utf32),
            (utf16("a: 1", u16::to_le_bytes), 0, EncodingError::Unmarked),
            (utf16("a: 1", u16::to_be_bytes), 0, EncodingError::Unmarked),
            (b"name: a\0b, and more".to_vec(), 7, EncodingError::Nul),
            (b"name: caf\xE9".to_vec(), 9, EncodingError::Byte(0xE9)),
        ] {
            for step in [1, 2, 3, 1000] {
                let mut decoded = Vec::new();
                Utf8Reader::new(SlowReader(&bytes, step)).read_to_end(&mut decoded).unwrap();
                assert_eq!(text(&decoded), Err((at, error)), "{bytes:?} by {step}");
            }
        }
    }
}
