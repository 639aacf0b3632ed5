//! Connections that tests write to and read from byte by byte, and a server inside the test process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use scan_admission::server::ServerSettings;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::client::{Client, connector, handshake};
use crate::support::http::tcp;
use crate::support::in_process::Running;
use crate::support::process::{Process, read_line};
use crate::support::waits::{WAIT_MAX, metric};

/// Opens a TLS connection.
pub async fn connect(ca: &Path, address: SocketAddr) -> TlsStream<TcpStream> {
    let stream = tcp(address).await;
    handshake(&connector(ca, "http/1.1", rustls::ALL_VERSIONS), stream).await
}

/// Sends all of `bytes`.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).await.unwrap();
    stream.flush().await.unwrap();
}

/// Reads until the server closes the connection, which it must do.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // The server may close without a TLS close_notify.
    let _ =
        tokio::time::timeout(WAIT_MAX, stream.read_to_end(&mut bytes)).await.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Client {
    /// Returns when the server has closed the connection or announced that it will.
    pub async fn closed(mut self) {
        loop {
            let is_closed = match &mut self {
                Self::Http1(send) => send.ready().await.is_err(),
                Self::Http2(send) => send.ready().await.is_err() || send.is_closed(),
            };
            if is_closed {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Waits until a sample is above a value.
pub async fn until_metric_above(admin: SocketAddr, name: &str, value: f64) {
    let waited = tokio::time::timeout(WAIT_MAX, async {
        while metric(admin, name).await.is_none_or(|now| now <= value) {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{name} did not rise above {value}");
}

/// Returns the certificate that a server presents, without verifying it.
pub async fn served(address: SocketAddr) -> CertificateDer<'static> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)));
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let stream = handshake(&connector, tcp(address).await).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    /// rustls would parse the certificate to verify this, which fails if it has an extension that only Go supports.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl Running {
    pub async fn new(settings: ServerSettings) -> Self {
        Self::with(settings, |_| {}).await
    }

    pub async fn client(&self, protocol: &str) -> Client {
        Client::new(&self.ca, self.address, protocol).await
    }
}

impl Process {
    pub fn line(&mut self) -> String {
        read_line(&mut self.child)
    }
}
