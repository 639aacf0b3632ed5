//! A certificate and its key: from the contents of two PEM files to what can be served, or to what is wrong with them.

use std::fmt;

use rustls::InconsistentKeys;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use super::certificate::Facts;
use crate::scan::time::format;

/// Why a file cannot be used. Each reads on from `the file `.
#[derive(Debug)]
pub enum Fault {
    Empty,
    NoCertificate,
    BadCertificate(String),
    Ca,
    NoCa(String),
    NoHost,
    NotYetValid(OffsetDateTime, OffsetDateTime),
    Expired(OffsetDateTime, OffsetDateTime),
    NoKey,
    Encrypted,
    BadKey(String),
    OtherKey,
    Unsupported(rustls::Error),
}

/// What to do about it.
const KEYS: &str = "RSA of 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519 is needed";
const ORDER: &str = "put the server's own certificate first, then its chain";

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: &OffsetDateTime| format(*time).unwrap_or_default();
        match self {
            Self::Empty => out.write_str("is empty: a PEM file is needed"),
            Self::NoCertificate => {
                out.write_str("holds no certificate: give a PEM file with -----BEGIN CERTIFICATE-----")
            }
            Self::BadCertificate(why) => write!(out, "holds a certificate that does not parse: {why}"),
            Self::Ca => write!(out, "begins with the certificate of a CA, which not every client takes from a server: {ORDER}"),
            Self::NoCa(subject) => {
                write!(out, "holds the certificate of {subject:?}, which is no CA: give that of the CA that has signed the clients'")
            }
            Self::NoHost => out.write_str(
                "holds a certificate that is for no host: make one with the name that clients ask for in its subjectAltName, for a Service NAME.NAMESPACE.svc",
            ),
            Self::NotYetValid(from, now) => {
                let (from, now) = (time(from), time(now));
                write!(out, "holds a certificate that is not valid before {from}, and now it is {now}: ")?;
                out.write_str("set the clock right, or give one that is valid")
            }
            Self::Expired(end, now) => {
                let (end, now) = (time(end), time(now));
                write!(out, "holds a certificate that expired at {end}, and now it is {now}: ")?;
                out.write_str("renew it, or set the clock right")
            }
            Self::NoKey => out.write_str(
                "holds no private key: a PEM file with PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY is needed, not encrypted",
            ),
            Self::Encrypted => out.write_str(
                "holds a private key with a password, and nobody is here to type it: take it off with openssl pkey -in FILE -out NEW",
            ),
            Self::BadKey(why) => write!(out, "holds a private key that cannot be used: {why}: {KEYS}"),
            Self::OtherKey => write!(out, "is not the key of the first certificate: give the one that is, and {ORDER}"),
            Self::Unsupported(error) => write!(out, "cannot be served: {error}"),
        }
    }
}

/// The pair of two files, if it can be served now. Else what is wrong with which: 0 is the certificate, 1 the key.
pub fn prove(certificate: &[u8], key_text: &[u8], now: OffsetDateTime) -> Result<CertifiedKey, (usize, Fault)> {
    let of_certificate = |fault| (0, fault);
    let chain = chain(certificate).map_err(of_certificate)?;
    let facts = Facts::of(&chain[0]).map_err(|error| of_certificate(Fault::BadCertificate(error.to_string())))?;
    // Before the keys are compared: in a chain that begins at its other end the key is another one, too.
    if facts.is_ca {
        return Err(of_certificate(Fault::Ca));
    }
    let pair = key(key_text).and_then(|key| certified(chain, key)).map_err(|fault| (1, fault))?;
    if !facts.has_host {
        return Err(of_certificate(Fault::NoHost));
    }
    within_dates(&facts, now).map_err(of_certificate)?;
    Ok(pair)
}

pub fn within_dates(facts: &Facts, now: OffsetDateTime) -> Result<(), Fault> {
    if now < facts.not_before {
        return Err(Fault::NotYetValid(facts.not_before, now));
    }
    if now > facts.not_after {
        return Err(Fault::Expired(facts.not_after, now));
    }
    Ok(())
}

/// The certificates of a PEM file, each parsed: one at least.
pub fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    let chain = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|error| Fault::BadCertificate(words(error)))?;
    if chain.is_empty() {
        return Err(Fault::NoCertificate);
    }
    for certificate in &chain {
        Facts::of(certificate).map_err(|error| Fault::BadCertificate(error.to_string()))?;
    }
    Ok(chain)
}

/// The first private key of a PEM file: PKCS#8, PKCS#1 or SEC1.
pub fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    // Of both forms: `BEGIN ENCRYPTED PRIVATE KEY`, and `Proc-Type: 4,ENCRYPTED` in those of old.
    let is_encrypted = text.split(|byte| *byte == b'\n').any(|line| {
        let is_old = line.starts_with(b"Proc-Type:") && line.trim_ascii_end().ends_with(b",ENCRYPTED");
        is_old || line.starts_with(b"-----BEGIN ENCRYPTED ")
    });
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(_) if text.is_empty() => Err(Fault::Empty),
        Err(_) if is_encrypted => Err(Fault::Encrypted),
        Err(pem::Error::NoItemsFound) => Err(Fault::NoKey),
        Err(error) => Err(Fault::BadKey(words(error))),
    }
}

/// The library's own words show what it found as numbers.
fn words(error: pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its -----END line is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "its -----BEGIN line is not whole".to_owned(),
        error => error.to_string(),
    }
}

/// A chain and the key of its first certificate, together.
pub fn certified(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, Fault> {
    let key = ring::sign::any_supported_type(&key).map_err(|error| Fault::BadKey(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Fault::OtherKey),
        Err(error) => Err(Fault::Unsupported(error)),
    }
}
