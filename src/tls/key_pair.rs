//! Loads a certificate and its key from two PEM files, and checks that a server can use them.

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use super::certificate::CertificateInfo;
use super::error::TlsFileError;
use super::files::ContentsError;
use super::pem;

/// Loads a certificate and its key, which may be in the same file, and checks that a server can use them now. In an
/// error, file 0 is that of the certificate, and file 1 that of the key.
pub fn load(
    certificate: &[u8],
    key_text: &[u8],
    now: OffsetDateTime,
) -> Result<CertifiedKey, ContentsError<TlsFileError>> {
    let of_certificate = |error| ContentsError { file: 0, error };
    let chain = pem::certificates(certificate).map_err(of_certificate)?;
    let info = info(&chain[0]).map_err(of_certificate)?;
    let pair = pem::private_key(key_text).and_then(|key| certified(chain, key)).map_err(|error| {
        let file = if matches!(error, TlsFileError::Order) { 0 } else { 1 };
        ContentsError { file, error }
    })?;
    check_server(&info, now).map_err(of_certificate)?;
    Ok(pair)
}

fn info(certificate: &CertificateDer<'_>) -> Result<CertificateInfo, TlsFileError> {
    CertificateInfo::of(certificate).map_err(|error| TlsFileError::BadCertificate(error.to_string()))
}

/// Checks that the API server accepts the certificate from a server. The API server ignores the CA flag.
fn check_server(info: &CertificateInfo, now: OffsetDateTime) -> Result<(), TlsFileError> {
    if !info.has_host {
        return Err(TlsFileError::NoHost);
    }
    if !info.is_for_servers() {
        return Err(TlsFileError::NotForServers(info.usages.join(", ")));
    }
    if let Some(extension) = &info.unknown_critical {
        return Err(TlsFileError::CriticalExtension(extension.clone()));
    }
    check_dates(info, now)
}

/// Checks that a certificate is valid at this time.
pub fn check_dates(info: &CertificateInfo, now: OffsetDateTime) -> Result<(), TlsFileError> {
    if now < info.not_before {
        return Err(TlsFileError::NotYetValid { not_before: info.not_before, now });
    }
    if now > info.not_after {
        return Err(TlsFileError::Expired { not_after: info.not_after, now });
    }
    Ok(())
}

/// Combines a chain with the key of its first certificate.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, TlsFileError> {
    let key = ring::sign::any_supported_type(&key).map_err(|error| TlsFileError::BadKey(error.to_string()))?;
    // `keys_match` is not used, since it parses the certificate with webpki, which supports fewer extensions than Go.
    let public_key = key.public_key().ok_or_else(|| TlsFileError::BadKey("its public key is not known".to_owned()))?;
    let is_of_key =
        |certificate: &CertificateDer<'_>| info(certificate).is_ok_and(|info| info.public_key == public_key.as_ref());
    match chain.iter().position(is_of_key) {
        Some(0) => Ok(CertifiedKey::new(chain, key)),
        Some(_) => Err(TlsFileError::Order),
        None => Err(TlsFileError::OtherKey),
    }
}
