//! Whether a client that has a list of CAs accepts a server, as the API server does.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};
use time::OffsetDateTime;

use super::certificate::CertificateInfo;

/// Whether a certificate is one of a CA that may sign now.
pub fn is_valid_ca(certificate: &CertificateDer<'_>, now: OffsetDateTime) -> bool {
    CertificateInfo::of(certificate).is_ok_and(|info| info.is_valid_ca(now))
}

/// Verifies a server for `host` that shows `chain`, its own certificate first. CAs that are not valid now do not count.
pub fn verify(
    cas: &[CertificateDer<'static>],
    chain: &[CertificateDer<'_>],
    host: &str,
    now: OffsetDateTime,
) -> Result<(), Distrust> {
    let (leaf, more) = chain.split_first().ok_or_else(|| Distrust::Other("no certificate is served".to_owned()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(cas.iter().filter(|ca| is_valid_ca(ca, now)).cloned());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
        .build()
        .map_err(|_| Distrust::NoCa)?;
    let host = ServerName::try_from(host).map_err(|error| Distrust::Other(error.to_string()))?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.unix_timestamp().try_into().unwrap_or(0)));
    let verified = verifier.verify_server_cert(leaf, more, &host, &[], now);
    verified.map(drop).map_err(|error| match error {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Distrust::Expired
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Distrust::UnknownIssuer,
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Distrust::Name,
        error => Distrust::Other(error.to_string()),
    })
}

/// Why the API server does not accept a server's certificate. The messages of rustls change with its releases.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("its caBundle holds no CA that is within its dates")]
    NoCa,
    #[error("the certificate that is served has expired")]
    Expired,
    #[error("its caBundle does not hold the CA of the certificate that is served")]
    UnknownIssuer,
    #[error("the certificate that is served is for another name, that of --service")]
    Name,
    #[error("{0}")]
    Other(String),
}
