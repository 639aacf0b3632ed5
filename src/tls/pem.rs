//! PEM: certificates and keys in, certificates out.

use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use rustls::pki_types::pem::{self as pem_reader, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::CertificateInfo;
use super::error::TlsFileError;

/// The certificates of a PEM file, each parsed: one at least.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    if text.is_empty() {
        return Err(TlsFileError::Empty);
    }
    let chain = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, pem_reader::Error>>()
        .map_err(|error| TlsFileError::BadCertificate(reason(error)))?;
    if chain.is_empty() {
        return Err(TlsFileError::NoCertificate);
    }
    for certificate in &chain {
        CertificateInfo::of(certificate).map_err(|error| TlsFileError::BadCertificate(error.to_string()))?;
    }
    Ok(chain)
}

/// The certificates of a caBundle. A block that is none is left out: the API server has accepted the others.
pub fn bundle(text: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(text).filter_map(Result::ok).collect()
}

/// The first private key of a PEM file: PKCS#8, PKCS#1 or SEC1.
pub fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    // Of both forms: `BEGIN ENCRYPTED PRIVATE KEY`, and `Proc-Type: 4,ENCRYPTED` of the older formats.
    let is_encrypted = text.split(|byte| *byte == b'\n').any(|line| {
        let is_old = line.starts_with(b"Proc-Type:") && line.trim_ascii_end().ends_with(b",ENCRYPTED");
        is_old || line.starts_with(b"-----BEGIN ENCRYPTED ")
    });
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(_) if text.is_empty() => Err(TlsFileError::Empty),
        Err(_) if is_encrypted => Err(TlsFileError::Encrypted),
        Err(pem_reader::Error::NoItemsFound) => Err(TlsFileError::NoKey),
        Err(error) => Err(TlsFileError::BadKey(reason(error))),
    }
}

/// The library shows what it found as numbers.
fn reason(error: pem_reader::Error) -> String {
    match error {
        pem_reader::Error::MissingSectionEnd { .. } => "its -----END line is missing".to_owned(),
        pem_reader::Error::IllegalSectionStart { .. } => "its -----BEGIN line is not whole".to_owned(),
        error => error.to_string(),
    }
}

/// The certificates as PEM, in this order.
pub fn encode<'a>(certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let block = |certificate: &CertificateDer<'_>| encode_config(&Pem::new("CERTIFICATE", certificate.as_ref()), lines);
    certificates.into_iter().map(block).collect()
}
