//! Reads certificates and keys from PEM, and writes certificates.
//!
//! The library skips blocks with an unknown label, and blocks that do not begin at the start of a line: of two blocks
//! that are joined on one line, it returns only the first. So this module checks the lines before the library reads
//! them.

use std::borrow::Cow;

use memchr::memmem;
use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use rustls::pki_types::pem::{self as pem_reader, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::CertificateInfo;
use super::error::TlsFileError;

pub const BEGIN: &[u8] = b"-----BEGIN ";
pub const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Editors on Windows write this at the start of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Labels of blocks that hold a certificate in a form that is not supported.
const OTHER_CERTIFICATES: [&str; 4] = ["TRUSTED CERTIFICATE", "X509 CERTIFICATE", "PKCS7", "CMS"];

/// Returns the certificates of a PEM file. There is at least one, and all can be parsed.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let text = without_byte_order_marks(text);
    for Block { line, label } in blocks(&text)? {
        if let Some(label) = OTHER_CERTIFICATES.into_iter().find(|other| other.as_bytes() == label) {
            return Err(TlsFileError::OtherCertificate { line, label });
        }
    }
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, pem_reader::Error>>()
        .map_err(|error| TlsFileError::BadCertificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsFileError::NoCertificate);
    }
    for certificate in &chain {
        CertificateInfo::of(certificate).map_err(|error| TlsFileError::BadCertificate(error.to_string()))?;
    }
    Ok(chain)
}

/// Returns the first private key of a PEM file, in the format PKCS#8, PKCS#1 or SEC1.
pub fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let text = without_byte_order_marks(text);
    let blocks = blocks(&text)?;
    // An encrypted key has the label `ENCRYPTED PRIVATE KEY` or, in older formats, the header `Proc-Type: 4,ENCRYPTED`.
    let is_encrypted = blocks.iter().any(|block| block.label == b"ENCRYPTED PRIVATE KEY")
        || text
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(b"Proc-Type:") && line.trim_ascii_end().ends_with(b",ENCRYPTED"));
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(_) if is_encrypted => Err(TlsFileError::Encrypted),
        Err(pem_reader::Error::NoItemsFound) => Err(TlsFileError::NoKey),
        Err(error) => Err(TlsFileError::BadKey(error.to_string())),
    }
}

/// Returns the text without byte order marks. Joined files have them not only at the start.
fn without_byte_order_marks(text: &[u8]) -> Cow<'_, [u8]> {
    let mut marks = memmem::find_iter(text, BYTE_ORDER_MARK).peekable();
    if marks.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut rest = Vec::with_capacity(text.len());
    let mut start = 0;
    for mark in marks {
        rest.extend_from_slice(&text[start..mark]);
        start = mark + BYTE_ORDER_MARK.len();
    }
    rest.extend_from_slice(&text[start..]);
    Cow::Owned(rest)
}

/// A block, with the number of its first line, counted from 1.
struct Block<'t> {
    line: usize,
    label: &'t [u8],
}

/// Returns the blocks of a text, or an error if a block does not begin and end on lines of its own.
fn blocks(text: &[u8]) -> Result<Vec<Block<'_>>, TlsFileError> {
    if text.is_empty() {
        return Err(TlsFileError::Empty);
    }
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut is_open = false;
    let unended = |block: &Block<'_>| TlsFileError::UnendedBlock { line: block.line };
    let lines = text.split(|byte| *byte == b'\n').zip(1..);
    for (text, line) in
        lines.flat_map(|(line, number)| line.split(|byte| *byte == b'\r').map(move |part| (part, number)))
    {
        let [has_begin, has_end] = [BEGIN, END].map(|marker| memmem::find(text, marker).is_some());
        if !has_begin && !has_end {
            continue;
        }
        let marker = if text.starts_with(BEGIN) { BEGIN } else { END };
        let label = text.trim_ascii_end().strip_prefix(marker).and_then(|rest| rest.strip_suffix(DASHES));
        let Some(label) = label.filter(|label| memmem::find(label, DASHES).is_none()) else {
            return Err(TlsFileError::JoinedBlocks { line });
        };
        let open = blocks.last().filter(|_| is_open);
        match open {
            Some(open) if marker == BEGIN || open.label != label => return Err(unended(open)),
            None if marker == END => return Err(TlsFileError::UnbegunBlock { line }),
            _ => {}
        }
        is_open = marker == BEGIN;
        if is_open {
            blocks.push(Block { line, label });
        }
    }
    blocks.last().filter(|_| is_open).map_or(Ok(()), |open| Err(unended(open)))?;
    Ok(blocks)
}

/// Encodes certificates as PEM, in this order.
pub fn encode<'a>(certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let block = |certificate: &CertificateDer<'_>| encode_config(&Pem::new("CERTIFICATE", certificate.as_ref()), lines);
    certificates.into_iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "-----BEGIN A-----\nAAAA\n-----END A-----\n";

    fn found(text: &str) -> Result<Vec<(usize, String)>, String> {
        let found = blocks(text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(found.iter().map(|block| (block.line, String::from_utf8_lossy(block.label).into_owned())).collect())
    }

    #[test]
    fn blocks_are_found_by_their_lines() {
        let a = |line: usize| (line, "A".to_owned());
        for (text, expected) in [
            (A.to_owned(), vec![a(1)]),
            (format!("subject=x\n{A}\n\n{A}"), vec![a(2), a(7)]),
            (A.replace('\n', "\r\n") + A, vec![a(1), a(4)]),
            (A.replace('\n', "\r"), vec![a(1)]),
            (A.replace("-----\n", "----- \t\n"), vec![a(1)]),
            (A.trim_end().to_owned(), vec![a(1)]),
            ("nothing\n".to_owned(), vec![]),
        ] {
            assert_eq!(found(&text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_block_that_the_library_would_skip_is_an_error_with_its_line() {
        let end = A.trim_end();
        for (text, expected) in [
            (format!("{end}{A}"), "has an error on line 3: put each"),
            (format!("{end} {A}"), "has an error on line 3: put each"),
            (format!("{A}  {A}"), "has an error on line 4: put each"),
            (format!("{A}# {A}"), "has an error on line 4: put each"),
            (A.replace('\n', ""), "has an error on line 1: put each"),
            (A.replace('\n', "\\n"), "has an error on line 1: put each"),
            (format!("{end} end\n{A}"), "has an error on line 3: put each"),
            (format!("{A}-----BEGIN A---\n"), "has an error on line 4: put each"),
            (format!("{A}-----BEGIN A-----\nAAAA\n"), "has an error on line 4: the block has no matching -----END"),
            (format!("-----BEGIN A-----\nAAAA\n{A}"), "has an error on line 1: the block has no matching -----END"),
            (A.replace("END A", "END B"), "has an error on line 1: the block has no matching -----END"),
            (format!("{A}\n-----END A-----\n"), "has an error on line 5: the -----END line has no matching -----BEGIN"),
        ] {
            let error = found(&text).expect_err("an error");
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn byte_order_marks_are_ignored_wherever_files_were_joined() {
        assert_eq!(*without_byte_order_marks("\u{feff}a\n\u{feff}b\u{feff}".as_bytes()), *b"a\nb");
        assert!(matches!(without_byte_order_marks(b"a"), Cow::Borrowed(b"a")));
    }
}
