//! Client authentication: a client needs a certificate of a CA of `--client-ca`, for a name of `--client-name`.
//!
//! Any other client is rejected in the handshake: no byte of HTTP is read from it, and none sent.

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use time::OffsetDateTime;
use tokio::sync::watch;
use webpki::EndEntityCert;

use super::certificate::CertificateInfo;
use super::error::TlsFileError;
use super::files::ContentsError;
use super::key_pair::check_dates;
use super::pem;
use super::usage::Usage;

/// The CAs of the clients that are accepted.
pub type ClientCas = Arc<RootCertStore>;

/// The clients that are accepted: the CAs may change, the names do not.
#[derive(Debug)]
pub struct ClientAuth {
    /// The next handshake is verified by the current ones.
    pub cas: watch::Receiver<ClientCas>,
    /// One of them has to be in the certificate, as its common name or a subjectAltName; without any, each will do.
    pub names: Vec<String>,
}

/// Reads the CAs of PEM files.
///
/// A CA out of its dates is no error beside one that is within them: a file may carry the last one, and the next one.
pub fn load(files: &[Vec<u8>], now: OffsetDateTime) -> Result<ClientCas, ContentsError<TlsFileError>> {
    let mut roots = RootCertStore::empty();
    for (index, file) in files.iter().enumerate() {
        add(&mut roots, file, now).map_err(|error| ContentsError { file: index, error })?;
    }
    Ok(roots.into())
}

fn add(roots: &mut RootCertStore, file: &[u8], now: OffsetDateTime) -> Result<(), TlsFileError> {
    let bad = |error: &dyn Display| TlsFileError::BadCertificate(error.to_string());
    let mut dates = Err(TlsFileError::NoCertificate);
    for certificate in pem::certificates(file)? {
        let info = CertificateInfo::of(&certificate).map_err(|error| bad(&error))?;
        if !info.may_sign {
            return Err(TlsFileError::NoCa(info.subject));
        }
        dates = dates.or_else(|_| check_dates(&info, now));
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    dates
}

impl ClientCertVerifier for ClientAuth {
    /// Gives clients no hints which CAs are accepted: they would be borrowed from the CAs, which may change. Without hints a
    /// client sends the certificate that it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let cas = self.cas.borrow().clone();
        let all = algorithms().all;
        let parsed = EndEntityCert::try_from(certificate).map_err(rejected)?;
        parsed.verify_for_usage(all, &cas.roots, chain, now, Usage::CLIENT, None, None).map_err(rejected)?;
        let names = CertificateInfo::of(certificate).map_err(|_| CertificateError::BadEncoding)?.names;
        if self.names.is_empty() || names.iter().any(|name| self.names.contains(name)) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(OtherName(names)))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    ring::default_provider().signature_verification_algorithms
}

/// Converts an error of webpki to the error of rustls that determines the alert for the client.
fn rejected(error: webpki::Error) -> Error {
    use webpki::Error as E;
    let error = match error {
        E::CertExpired { time, not_after } => CertificateError::ExpiredContext { time, not_after },
        E::CertNotValidYet { time, not_before } => CertificateError::NotValidYetContext { time, not_before },
        E::UnknownIssuer => CertificateError::UnknownIssuer,
        E::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        E::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        error => CertificateError::Other(OtherError(Arc::new(error))),
    };
    error.into()
}

/// The certificate is of a trusted CA, but for other names than `--client-name`.
#[derive(Debug, thiserror::Error)]
#[error("its certificate is for {0:?}, and none of them is a --client-name")]
struct OtherName(Vec<String>);

/// Why the client was rejected, where client authentication is what failed a handshake.
pub fn rejection(failed: &io::Error) -> Option<String> {
    match failed.get_ref()?.downcast_ref()? {
        Error::NoCertificatesPresented => Some("it has shown no certificate".to_owned()),
        Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => Some(why.to_string()),
        // Only clients are asked for one.
        Error::InvalidCertificate(error) => Some(match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is not of --client-ca".to_owned()
            }
            CertificateError::InvalidPurpose => {
                "its certificate, or one above it, is not for clients: its extendedKeyUsage has no clientAuth"
                    .to_owned()
            }
            error => format!("its certificate is not accepted: {error}"),
        }),
        _ => None,
    }
}
