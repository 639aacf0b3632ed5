//! Certificates and TLS. What is read here is proven before a port opens.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::sync::watch;

/// Why a certificate or a key cannot be served.
#[derive(Debug)]
pub enum Error {
    Unreadable(std::io::Error),
    NoCertificate,
    BadCertificate(String),
    NoKey,
    BadKey(String),
    OtherKey,
    Unsupported(rustls::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(out, "cannot be read: {error}"),
            Self::NoCertificate => write!(
                out,
                "holds no certificate: a PEM file with -----BEGIN CERTIFICATE----- is needed, the server's own first, then its chain"
            ),
            Self::BadCertificate(why) => write!(out, "holds a certificate that does not parse: {why}"),
            Self::NoKey => write!(
                out,
                "holds no private key: a PEM file with PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY is needed, not encrypted"
            ),
            Self::BadKey(why) => write!(out, "holds a private key that cannot be used: {why}"),
            Self::OtherKey => write!(
                out,
                "is not the key of the first certificate: give the key that belongs to it, and put the server's own certificate first, then its chain"
            ),
            Self::Unsupported(error) => write!(out, "cannot be served: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// The certificates of a PEM file, each parsed.
pub fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = std::fs::read(path).map_err(Error::Unreadable)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|error| Error::BadCertificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(Error::NoCertificate);
    }
    for certificate in &chain {
        ParsedCertificate::try_from(certificate).map_err(|error| Error::BadCertificate(error.to_string()))?;
    }
    Ok(chain)
}

/// The first private key of a PEM file: PKCS#8, PKCS#1 or SEC1.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = std::fs::read(path).map_err(Error::Unreadable)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(Error::NoKey),
        Err(error) => Err(Error::BadKey(error.to_string())),
    }
}

/// A chain and the key of its first certificate, together.
pub fn certified(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, Error> {
    let key = ring::sign::any_supported_type(&key).map_err(|error| Error::BadKey(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Error::OtherKey),
        Err(error) => Err(Error::Unsupported(error)),
    }
}

/// TLS 1.3 and 1.2 with whatever certificate the channel holds when a client says hello: a reload is one `send`.
pub fn config(certificate: watch::Receiver<Arc<CertifiedKey>>) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::Unsupported)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Current(certificate)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct Current(watch::Receiver<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.borrow().clone())
    }
}
