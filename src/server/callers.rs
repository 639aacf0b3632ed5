//! Who may call: clients with a certificate of a CA of `--client-ca`, for a name of `--client-name`.
//!
//! A stranger is refused in the handshake: no byte of HTTP is read of it, and none sent.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::certificate::Facts;
use super::pair::{self, Fault};

/// What proves that a certificate was signed by one of the CAs.
pub type Chains = Arc<dyn ClientCertVerifier>;

/// CAs that may change under it, and the names that never do.
#[derive(Debug)]
pub struct Callers {
    /// The next handshake has what this holds.
    pub chains: watch::Receiver<Chains>,
    /// One of them has to be in the certificate, as its common name or a subjectAltName; without any, each will do.
    pub names: Vec<String>,
}

/// What the CAs of some PEM files have signed. Else what is wrong with which file.
///
/// A CA out of its dates is no fault beside one that is not: files carry the last one, and the next one.
pub fn prove(files: &[Vec<u8>], now: OffsetDateTime) -> Result<Chains, (usize, Fault)> {
    let mut roots = RootCertStore::empty();
    for (index, file) in files.iter().enumerate() {
        take(&mut roots, file, now).map_err(|fault| (index, fault))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), ring::default_provider().into());
    builder.build().map_err(|error| (0, Fault::BadCertificate(error.to_string())))
}

fn take(roots: &mut RootCertStore, file: &[u8], now: OffsetDateTime) -> Result<(), Fault> {
    let bad = |error: &dyn fmt::Display| Fault::BadCertificate(error.to_string());
    let mut dates = Err(Fault::NoCertificate);
    for certificate in pair::chain(file)? {
        let facts = Facts::of(&certificate).map_err(|error| bad(&error))?;
        if !facts.is_ca {
            return Err(Fault::NoCa(facts.subject));
        }
        dates = dates.or_else(|_| pair::within_dates(&facts, now));
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    dates
}

impl Callers {
    fn chains(&self) -> Chains {
        self.chains.borrow().clone()
    }
}

impl ClientCertVerifier for Callers {
    /// No hints: they would be lent, and the CAs change. A client without them sends what it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chains().verify_client_cert(certificate, chain, now)?;
        let names = Facts::of(certificate).map_err(|_| CertificateError::BadEncoding)?.names;
        if self.names.is_empty() || names.iter().any(|name| self.names.contains(name)) {
            return Ok(verified);
        }
        Err(CertificateError::Other(OtherError(Arc::new(Stranger(names)))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains().verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains().verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains().supported_verify_schemes()
    }
}

/// A client of a CA that is trusted, for none of the names: those that it is for.
#[derive(Debug)]
struct Stranger(Vec<String>);

impl fmt::Display for Stranger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "its certificate is for {:?}, and none of them is a --client-name", self.0)
    }
}

impl std::error::Error for Stranger {}

/// Why the client was refused, if it was for who it is that a handshake has failed.
pub fn refusal(failed: &io::Error) -> Option<String> {
    match failed.get_ref()?.downcast_ref()? {
        Error::NoCertificatesPresented => Some("it has shown no certificate".to_owned()),
        Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => Some(why.to_string()),
        // Only clients are asked for one.
        Error::InvalidCertificate(error) => Some(format!("its certificate is not of --client-ca: {error}")),
        _ => None,
    }
}
