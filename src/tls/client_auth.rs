//! Client authentication: a client needs a certificate that is signed by a CA of `--client-ca`, with a name of
//! `--client-name`.
//!
//! Any other client is rejected in the handshake, before HTTP is read or sent.

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
use super::error::{TlsFileError, shown};
use super::files::ContentsError;
use super::key_pair::check_dates;
use super::pem;
use super::usage::Usage;

/// The CAs of the clients that are accepted.
pub type ClientCas = Arc<RootCertStore>;

/// The clients that are accepted. The CAs can be reloaded, the names cannot.
#[derive(Debug)]
pub struct ClientAuth {
    /// Each handshake is verified with the current CAs.
    pub cas: watch::Receiver<ClientCas>,
    /// The accepted common names and subjectAltNames. If there are none, any name is accepted.
    pub names: Vec<String>,
}

/// Loads the CAs of PEM files.
///
/// A CA that has expired or is not valid yet is an error only if its file has no valid one: a file may contain the
/// previous and the next CA.
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
    /// Sends clients no hints about the accepted CAs. Hints would be borrowed from the CAs, which may be reloaded.
    /// Without hints, a client sends the certificate that it has.
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

/// The error for a certificate that is signed by a trusted CA, but has no name of `--client-name`.
#[derive(Debug, thiserror::Error)]
#[error("none of the names of its certificate is a --client-name: {}", shown_names(.0))]
struct OtherName(Vec<String>);

fn shown_names(names: &[String]) -> String {
    shown(&format!("{names:?}"))
}

/// Returns why the client was rejected, if a handshake failed because of client authentication.
pub fn rejection(failed: &io::Error) -> Option<String> {
    match failed.get_ref()?.downcast_ref()? {
        Error::NoCertificatesPresented => Some("it presented no certificate".to_owned()),
        Error::InvalidCertificate(CertificateError::Other(OtherError(error))) => Some(error.to_string()),
        // The server verifies no certificates except those of clients.
        Error::InvalidCertificate(error) => Some(match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is not signed by a CA of --client-ca".to_owned()
            }
            CertificateError::InvalidPurpose => {
                "its certificate, or a CA above it, is not for clients: its extendedKeyUsage has no clientAuth"
                    .to_owned()
            }
            error => format!("its certificate is not accepted: {error}"),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_only_the_beginning_of_many_names() {
        let error = OtherName(vec!["name".to_owned(); 1_000]).to_string();
        assert!(error.ends_with('…') && error.len() < 500, "{error}");
    }
}
