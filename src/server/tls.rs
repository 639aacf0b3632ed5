//! TLS, with a certificate that may change under it.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};
use tokio::sync::watch;

use super::callers::Callers;

/// TLS 1.3 and 1.2 with whatever certificate the channel holds when a client says hello: a reload is one `send`.
/// Anybody may call unless `callers` says who.
pub fn config(
    certificate: watch::Receiver<Option<Arc<CertifiedKey>>>,
    callers: Option<Arc<Callers>>,
) -> Result<ServerConfig, Error> {
    let callers: Arc<dyn ClientCertVerifier> = match callers {
        Some(callers) => callers,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(callers)
        .with_cert_resolver(Arc::new(Current(certificate)));
    // No session is resumed: it would go on with the certificate, and the client, that were proven when it began. The API
    // server does not ask for it, and keeps its connections.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct Current(watch::Receiver<Option<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // None while there is none: the handshake fails, and the client is told so.
        self.0.borrow().clone()
    }
}
