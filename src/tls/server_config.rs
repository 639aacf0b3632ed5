//! The TLS configuration of the server, with a certificate that may change.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};
use tokio::sync::watch;

use super::client_auth::ClientAuth;

/// TLS 1.3 and 1.2 with whatever certificate the channel holds when a client says hello: a reload is one `send`.
/// Any client is accepted unless `client_auth` says which.
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
    // No session is resumed: it would go on with the certificate, and the client, that were verified when it began. The API
    // server does not ask for it, and keeps its connections.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct CurrentCertificate(watch::Receiver<Option<Arc<CertifiedKey>>>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // None while there is none: the handshake fails, and the client is told so.
        self.0.borrow().clone()
    }
}
