//! Parses a caBundle as an API server does: finds the blocks that Go's `encoding/pem` and `CertPool.AppendCertsFromPEM`
//! accept, and those that they silently skip.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use rustls::pki_types::CertificateDer;

use super::certificate::CertificateInfo;
use super::error::shown;
use super::pem::{BEGIN, END};

/// Decodes base64 as Go does: with padding, and ignoring unused bits at the end.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// A block that an API server skips, and the line on which it begins.
#[derive(Debug, PartialEq, Eq)]
pub struct SkippedBlock {
    pub line: usize,
    pub reason: SkipReason,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    #[error("its -----BEGIN and -----END are not on lines of their own, or do not match")]
    Lines,
    #[error("it is a {}, not a CERTIFICATE", shown(.0))]
    Label(String),
    #[error("it has headers")]
    Headers,
    #[error("it is not base64")]
    Base64,
    #[error("it is not a certificate: {}", shown(.0))]
    Certificate(String),
}

/// The blocks of a caBundle that an API server accepts, and those that it skips.
#[derive(Debug, Default)]
pub struct ParsedBundle {
    pub certificates: Vec<CertificateDer<'static>>,
    pub skipped: Vec<SkippedBlock>,
}

/// Returns the certificates that an API server accepts from a caBundle.
pub fn certificates(text: &[u8]) -> Vec<CertificateDer<'static>> {
    parse(text).certificates
}

pub fn parse(text: &[u8]) -> ParsedBundle {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let mut parsed = ParsedBundle::default();
    let mut is_found = vec![false; lines.len()];
    let mut start = 0;
    for end in (1..lines.len()).filter(|end| lines[*end].starts_with(END)) {
        // The block begins at the last BEGIN before its END. An earlier block without an END is skipped.
        let begin = (start..end).rev().find(|line| memmem::find(lines[*line], BEGIN).is_some());
        start = end + 1;
        let Some((begin, label)) = begin.and_then(|begin| Some((begin, label(lines[begin], lines[end])?))) else {
            continue;
        };
        is_found[begin] = true;
        match certificate(label, &lines[begin + 1..end]) {
            Ok(certificate) => parsed.certificates.push(certificate),
            Err(reason) => parsed.skipped.push(SkippedBlock { line: begin + 1, reason }),
        }
    }
    for (line, text) in lines.iter().enumerate() {
        let begins = memmem::find_iter(text, BEGIN).count();
        let skipped = begins - usize::from(is_found[line]);
        parsed.skipped.extend((0..skipped).map(|_| SkippedBlock { line: line + 1, reason: SkipReason::Lines }));
    }
    parsed.skipped.sort_by_key(|skipped| skipped.line);
    parsed
}

/// Returns the label of a block with this first and this last line, or `None` if the lines have other contents or do
/// not match.
fn label<'t>(begin: &'t [u8], end: &[u8]) -> Option<&'t [u8]> {
    if memmem::rfind(begin, BEGIN) != Some(0) {
        return None;
    }
    let label = trimmed(begin).strip_prefix(BEGIN)?.strip_suffix(b"-----")?;
    let of_end = trimmed(end).strip_prefix(END)?.strip_suffix(b"-----")?;
    (label == of_end).then_some(label)
}

/// Returns a line without its line break and the spaces before that.
fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
    let end = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
    &line[..end]
}

fn certificate(label: &[u8], body: &[&[u8]]) -> Result<CertificateDer<'static>, SkipReason> {
    if label != b"CERTIFICATE" {
        return Err(SkipReason::Label(String::from_utf8_lossy(label).into_owned()));
    }
    if body.first().is_some_and(|line| line.contains(&b':')) {
        return Err(SkipReason::Headers);
    }
    let mut text = body.concat();
    text.retain(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    let der = BASE64.decode(text).map_err(|_| SkipReason::Base64)?;
    let certificate = CertificateDer::from(der);
    CertificateInfo::of(&certificate).map_err(|error| SkipReason::Certificate(error.to_string()))?;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::pem;

    /// Each case has a bundle, the certificates that `AppendCertsFromPEM` of Go 1.26 returns for it, and the lines of
    /// the blocks that it skips.
    #[test]
    fn a_bundle_is_parsed_as_go_does() {
        let one = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate").cert;
        let (a, b) = (one("a"), one("b"));
        let [a_pem, b_pem] = [&a, &b].map(|one| pem::encode([one.der()]));
        let joined = format!("{}{b_pem}", a_pem.trim_end());
        let second = a_pem.lines().count() + 1;
        let lines =
            |line: usize| format!("{line}: its -----BEGIN and -----END are not on lines of their own, or do not match");
        let both = vec![a.der(), b.der()];
        let cases: Vec<(String, Vec<_>, Vec<String>)> = vec![
            (format!("{a_pem}{b_pem}"), both.clone(), vec![]),
            (format!("# a\n{a_pem}\n# b\n{b_pem}").replace('\n', "\r\n"), both.clone(), vec![]),
            (joined.replace("----------", "-----\n-----"), both, vec![]),
            (joined, vec![], vec![lines(1), lines(second - 1)]),
            (format!("\u{feff}{a_pem}{b_pem}"), vec![b.der()], vec![lines(1)]),
            (format!("{a_pem}  {b_pem}"), vec![a.der()], vec![lines(second)]),
            (format!("-----BEGIN CERTIFICATE-----\n{a_pem}"), vec![a.der()], vec![lines(1)]),
            (a_pem.replace("END ", "END A "), vec![], vec![lines(1)]),
            (a_pem.replace('\n', "\r"), vec![], vec![lines(1)]),
            (
                a_pem.replace(" CERTIFICATE", " TRUSTED CERTIFICATE") + &b_pem,
                vec![b.der()],
                vec!["1: it is a TRUSTED CERTIFICATE, not a CERTIFICATE".to_owned()],
            ),
            (a_pem.replacen("-----\n", "-----\nName: a\n\n", 1), vec![], vec!["1: it has headers".to_owned()]),
            (a_pem.replace("MII", "M*I"), vec![], vec!["1: it is not base64".to_owned()]),
            (String::new(), vec![], vec![]),
        ];
        for (text, expected, skipped) in cases {
            let parsed = parse(text.as_bytes());
            assert_eq!(parsed.certificates.iter().collect::<Vec<_>>(), expected, "{text}");
            let found: Vec<_> = parsed.skipped.iter().map(|one| format!("{}: {}", one.line, one.reason)).collect();
            assert_eq!(found, skipped, "{text}");
        }
        let long = format!("-----BEGIN {0}-----\n-----END {0}-----\n", "A".repeat(5_000));
        assert!(parse(long.as_bytes()).skipped[0].reason.to_string().len() < 400);
        let no_certificate = parse(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(matches!(no_certificate.skipped[..], [SkippedBlock { line: 1, reason: SkipReason::Certificate(_) }]));
    }
}
