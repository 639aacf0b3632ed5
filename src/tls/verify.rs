//! Whether a client that has a list of CAs accepts a server, as the API server does.

use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, Error};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use super::certificate::CertificateInfo;
use super::usage::Usage;

/// The longest chain that is gone through; two CAs are usual, three are rare.
const CHAIN_MAX: usize = 8;

/// Whether a certificate is one of a CA that may sign now.
pub fn is_valid_ca(certificate: &CertificateDer<'_>, now: OffsetDateTime) -> bool {
    CertificateInfo::of(certificate).is_ok_and(|info| info.is_valid_ca(now))
}

/// Verifies a server for `host` that shows `chain`, its own certificate first. CAs that are not valid now do not count.
///
/// webpki accepts no certificate with the CA flag from a server, and none that signs itself. Go, and so the API server, does:
/// the first where a CA of the list has signed it, and either where it is in the list itself.
pub fn verify(
    cas: &[CertificateDer<'static>],
    chain: &[CertificateDer<'_>],
    host: &str,
    now: OffsetDateTime,
) -> Result<(), Distrust> {
    let (leaf, more) = chain.split_first().ok_or_else(|| Distrust::Other("no certificate is served".to_owned()))?;
    let other = |error: &dyn std::fmt::Display| Distrust::Other(error.to_string());
    let info = CertificateInfo::of(leaf).map_err(|error| other(&error))?;
    let parsed = EndEntityCert::try_from(leaf).map_err(distrust)?;
    let is_listed = cas.contains(leaf);
    if !is_listed && !cas.iter().any(|ca| is_valid_ca(ca, now)) {
        return Err(Distrust::NoCa);
    }
    if is_listed || info.is_ca {
        if !info.is_current(now) {
            return Err(Distrust::Expired);
        }
        if !info.is_for_servers() {
            return Err(Distrust::Usage);
        }
        if !is_listed && !is_signed_by(leaf, cas, more, now, CHAIN_MAX) {
            return Err(Distrust::UnknownIssuer);
        }
    } else {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(cas.iter().filter(|ca| is_valid_ca(ca, now)).cloned());
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now.unix_timestamp().try_into().unwrap_or(0)));
        parsed.verify_for_usage(algorithms, &roots.roots, more, at, Usage::SERVER, None, None).map_err(distrust)?;
    }
    let host = ServerName::try_from(host).map_err(|error| other(&error))?;
    parsed.verify_is_valid_for_subject_name(&host).map_err(distrust)
}

fn distrust(error: Error) -> Distrust {
    match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => Distrust::Expired,
        Error::UnknownIssuer => Distrust::UnknownIssuer,
        Error::CertNotValidForName(_) => Distrust::Name,
        Error::RequiredEkuNotFoundContext(_) => Distrust::Usage,
        error => Distrust::Other(error.to_string()),
    }
}

/// Whether one of the CAs has signed a certificate, itself or by some of `more`.
fn is_signed_by(
    certificate: &CertificateDer<'_>,
    cas: &[CertificateDer<'static>],
    more: &[CertificateDer<'_>],
    now: OffsetDateTime,
    left: usize,
) -> bool {
    let signs = |ca: &CertificateDer<'_>| is_valid_ca(ca, now) && has_signed(ca, certificate);
    cas.iter().any(signs) || (left > 0 && more.iter().any(|ca| signs(ca) && is_signed_by(ca, cas, more, now, left - 1)))
}

/// Whether the key of `ca` has made the signature of a certificate that names it as its issuer.
fn has_signed(ca: &CertificateDer<'_>, certificate: &CertificateDer<'_>) -> bool {
    let (Ok(issuer), Ok(signed), Ok(key)) =
        (Certificate::from_der(ca), Certificate::from_der(certificate), EndEntityCert::try_from(ca))
    else {
        return false;
    };
    let (Ok(contents), Some(signature)) = (signed.tbs_certificate().to_der(), signed.signature().as_bytes()) else {
        return false;
    };
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let verifies = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        key.verify_signature(*algorithm, &contents, signature).is_ok()
    };
    issuer.tbs_certificate().subject() == signed.tbs_certificate().issuer() && algorithms.iter().any(verifies)
}
/// Why the API server does not accept a server's certificate. The messages of rustls change with its releases.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("its caBundle holds no CA that is within its dates")]
    NoCa,
    #[error("the certificate that is served has expired, or is not valid yet")]
    Expired,
    #[error(
        "the certificate that is served, or one above it, is not for servers: its extendedKeyUsage has no serverAuth"
    )]
    Usage,
    #[error("its caBundle does not hold the CA of the certificate that is served")]
    UnknownIssuer,
    #[error("the certificate that is served is for another name, that of --service")]
    Name,
    #[error("{0}")]
    Other(String),
}
