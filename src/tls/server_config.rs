//! The TLS configuration of the server, with a certificate that can be replaced.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};
use tokio::sync::watch;

use super::client_auth::ClientAuth;

/// Returns a configuration for TLS 1.3 and 1.2. Each handshake presents the certificate that the channel contains at
/// that time. Without `client_auth`, any client is accepted.
pub fn server_config(
    certificate: watch::Receiver<Option<Arc<CertifiedKey>>>,
    client_auth: Option<Arc<ClientAuth>>,
) -> Result<ServerConfig, Error> {
    let verifier: Arc<dyn ClientCertVerifier> = match client_auth {
        Some(client_auth) => client_auth,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(CurrentCertificate(certificate)));
    // Disables session resumption: a resumed session would skip the verification of the current certificate and of the
    // client. The API server does not use it, and keeps its connections open.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct CurrentCertificate(watch::Receiver<Option<Arc<CertifiedKey>>>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // While there is no certificate, the handshake fails with an alert.
        self.0.borrow().clone()
    }
}
