//! A certificate and its key: from the contents of two PEM files to what can be served, or to what is wrong with them.

use rustls::InconsistentKeys;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use super::certificate::CertificateInfo;
use super::error::TlsFileError;
use super::files::ContentsError;
use super::pem;

/// Reads the two files and checks that they can be served now. Of the files, 0 is the certificate and 1
/// the key.
pub fn load(
    certificate: &[u8],
    key_text: &[u8],
    now: OffsetDateTime,
) -> Result<CertifiedKey, ContentsError<TlsFileError>> {
    let of_certificate = |error| ContentsError { file: 0, error };
    let chain = pem::certificates(certificate).map_err(of_certificate)?;
    let info = CertificateInfo::of(&chain[0])
        .map_err(|error| of_certificate(TlsFileError::BadCertificate(error.to_string())))?;
    // Before the keys are compared: in a chain that begins at its other end the key is another one, too.
    if info.is_ca {
        return Err(of_certificate(TlsFileError::Ca));
    }
    let pair = pem::private_key(key_text)
        .and_then(|key| certified(chain, key))
        .map_err(|error| ContentsError { file: 1, error })?;
    if !info.has_host {
        return Err(of_certificate(TlsFileError::NoHost));
    }
    check_dates(&info, now).map_err(of_certificate)?;
    Ok(pair)
}

/// Whether a certificate is within its dates.
pub fn check_dates(info: &CertificateInfo, now: OffsetDateTime) -> Result<(), TlsFileError> {
    if now < info.not_before {
        return Err(TlsFileError::NotYetValid { not_before: info.not_before, now });
    }
    if now > info.not_after {
        return Err(TlsFileError::Expired { not_after: info.not_after, now });
    }
    Ok(())
}

/// A chain and the key of its first certificate, together.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, TlsFileError> {
    let key = ring::sign::any_supported_type(&key).map_err(|error| TlsFileError::BadKey(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(TlsFileError::OtherKey),
        Err(error) => Err(TlsFileError::Unsupported(error)),
    }
}
