//! What the fuzz target `pem` checks of an input: any bytes as a file of certificates, of a key or of both, and as a
//! caBundle.

use std::fmt::Display;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureScheme};
use scan_admission::admission::Webhook;
use scan_admission::tls::{bundle, client_auth, key_pair, pem};
use time::OffsetDateTime;

use super::review_context::context;

/// The most characters of an error.
const ERROR_MAX_CHARS: usize = 1_000;
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Any bytes as a PEM file.
pub fn check_pem(bytes: &[u8]) {
    let now = context(Webhook::Validating).now;
    check_certificates(bytes, now);
    match (pem::private_key(bytes), PrivateKeyDer::from_pem_slice(&without_marks(bytes))) {
        (Ok(key), by_library) => {
            assert_eq!(Some(key.secret_der()), by_library.ok().as_ref().map(|key| key.secret_der()))
        }
        (Err(error), _) => check_error(&error),
    }
    match key_pair::load(bytes, bytes, now) {
        Ok(pair) => check_pair(&pair),
        Err(error) => {
            assert!(error.file < 2);
            check_error(&error.error);
        }
    }
    check_bundle(bytes);
}

/// Expects that no certificate is skipped, and that the certificates are those of the library.
fn check_certificates(bytes: &[u8], now: OffsetDateTime) {
    let accepted = pem::certificates(bytes);
    let authorities = client_auth::load(&[bytes.to_vec()], now);
    let chain = match accepted {
        Ok(chain) => chain,
        Err(error) => {
            check_error(&error);
            return check_error(&authorities.expect_err("no certificates").error);
        }
    };
    let text = without_marks(bytes);
    let by_library: Vec<_> = CertificateDer::pem_slice_iter(&text).map(Result::unwrap).collect();
    assert_eq!(chain, by_library);
    assert_eq!(count(&text, b"-----BEGIN CERTIFICATE-----"), chain.len());
    assert_eq!(pem::certificates(pem::encode(&chain).as_bytes()).unwrap(), chain);
    match authorities {
        Ok(roots) => assert_eq!(roots.len(), chain.len()),
        Err(error) => check_error(&error.error),
    }
}

/// Expects that rustls can use a pair. It may not be able to parse the certificate, but does not find another key in it.
fn check_pair(pair: &CertifiedKey) {
    let is_other = matches!(pair.keys_match(), Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)));
    assert!(!is_other);
    let schemes: Vec<SignatureScheme> = ring::default_provider().signature_verification_algorithms.supported_schemes();
    let signer = pair.key.choose_scheme(&schemes).expect("a scheme that clients support");
    signer.sign(b"message").expect("a signature");
}

/// Expects that each block is accepted or reported, and that an accepted one is written so that it is accepted again.
fn check_bundle(bytes: &[u8]) {
    let parsed = bundle::parse(bytes);
    assert_eq!(parsed.certificates.len() + parsed.skipped.len(), count(bytes, pem::BEGIN));
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for skipped in &parsed.skipped {
        assert!(count(lines[skipped.line - 1], pem::BEGIN) > 0);
        check_error(&skipped.reason);
    }
    assert!(parsed.skipped.is_sorted_by_key(|skipped| skipped.line));
    assert_eq!(bundle::certificates(pem::encode(&parsed.certificates).as_bytes()), parsed.certificates);
}

fn check_error(error: &impl Display) {
    let text = error.to_string();
    assert!(text.chars().count() <= ERROR_MAX_CHARS, "{} characters: {text}", text.chars().count());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

fn without_marks(bytes: &[u8]) -> Vec<u8> {
    let mark = BYTE_ORDER_MARK.as_bytes();
    let (mut rest, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(mark) {
            at += mark.len();
        } else {
            rest.push(bytes[at]);
            at += 1;
        }
    }
    rest
}

/// Returns how often a text occurs.
fn count(bytes: &[u8], text: &[u8]) -> usize {
    bytes.windows(text.len()).filter(|window| *window == text).count()
}
