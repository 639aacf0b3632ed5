//! A TLS client: HTTP/1.1, HTTP/2, or bytes.

#![allow(dead_code, reason = "each test crate that includes this module uses a part of it")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// For waits that only a broken server makes long.
pub const FAR: Duration = Duration::from_secs(60);

pub enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

#[derive(Debug)]
pub struct Reply {
    pub code: u16,
    pub headers: hyper::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub fn connector(ca: &Path, protocol: &str, versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
    connector_as(None, ca, protocol, versions)
}

/// With the PEM of a certificate and its key, for a server that asks who is calling.
pub fn connector_as(
    client: Option<(&str, &str)>,
    ca: &Path,
    protocol: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// A connection to write bytes to.
pub async fn connect(ca: &Path, address: SocketAddr) -> TlsStream<TcpStream> {
    let stream = tcp(address).await;
    shake(&connector(ca, "http/1.1", rustls::ALL_VERSIONS), stream).await
}

/// As Go's clients do it: else the end of a request waits for the acknowledgement of its beginning, for 40 ms.
async fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub async fn shake<I: AsyncRead + AsyncWrite + Unpin>(connector: &TlsConnector, io: I) -> TlsStream<I> {
    connector.connect(ServerName::try_from("localhost").unwrap(), io).await.unwrap()
}

impl Client {
    pub async fn new(ca: &Path, address: SocketAddr, protocol: &str) -> Self {
        let connector = connector(ca, protocol, rustls::ALL_VERSIONS);
        Self::over(shake(&connector, tcp(address).await).await).await
    }

    pub async fn over<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: TlsStream<I>) -> Self {
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => {
                let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Self::Http2(send)
            }
            _ => {
                let (send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Self::Http1(send)
            }
        }
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Reply {
        let response = match self {
            Self::Http1(send) => {
                send.ready().await.unwrap();
                send.send_request(request).await
            }
            Self::Http2(send) => send.send_request(request).await,
        };
        Reply::of(response.unwrap()).await
    }

    /// Returns when the server has said that it takes no more.
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

    /// As the API server does it.
    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.send(request(Method::POST, path, Some("application/json"), body)).await
    }
}

impl Reply {
    async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Self { code: head.status.as_u16(), headers: head.headers, body }
    }
}

pub fn request(method: Method, path: &str, content_type: Option<&str>, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request =
        Request::builder().method(method).uri(format!("https://localhost{path}")).header("host", "localhost");
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    request.body(Full::from(body.into())).unwrap()
}

/// The head of a POST, for a body that is written by hand.
pub fn head(path: &str, length_bytes: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length_bytes}\r\n\r\n"
    )
}

/// What the server still sends until it closes, which it has to.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // That the peer closes without a TLS goodbye is all the same here.
    let _ = tokio::time::timeout(FAR, stream.read_to_end(&mut bytes)).await.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A GET over plain HTTP, on a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> Reply {
    get_as(address, path, &[]).await
}

/// The same with these headers.
pub async fn get_as(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Reply {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = request(Method::GET, path, None, "");
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    Reply::of(send.send_request(request).await.unwrap()).await
}

/// The value of a sample of /metrics, by its whole name with labels.
pub async fn metric(admin: SocketAddr, name: &str) -> Option<f64> {
    let reply = get(admin, "/metrics").await;
    let text = String::from_utf8(reply.body).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until a sample has a value.
pub async fn until_metric(admin: SocketAddr, name: &str, value: f64) {
    let waited = tokio::time::timeout(FAR, async {
        while metric(admin, name).await != Some(value) {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{name} never became {value}");
}

/// Waits until a sample is above a value.
pub async fn until_metric_above(admin: SocketAddr, name: &str, value: f64) {
    let waited = tokio::time::timeout(FAR, async {
        while metric(admin, name).await.is_none_or(|now| now <= value) {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{name} never came above {value}");
}

/// The certificate that a server shows, whatever it is worth.
pub async fn served(address: SocketAddr) -> CertificateDer<'static> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)));
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let stream = shake(&connector, tcp(address).await).await;
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

    /// rustls reads the certificate for it, which fails where only Go knows an extension.
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

/// Sends all of `bytes`.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).await.unwrap();
    stream.flush().await.unwrap();
}
