//! A TLS client for HTTP/1.1 and HTTP/2.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

pub struct Reply {
    pub code: u16,
    pub headers: hyper::HeaderMap,
    pub body: Vec<u8>,
}

/// Shows the body as text in failed assertions.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.code, self.headers, String::from_utf8_lossy(&self.body))
    }
}

pub fn connector(ca: &Path, protocol: &str, versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
    connector_as(None, ca, protocol, versions)
}

/// Returns a connector with a client certificate and its key in PEM, for a server that authenticates clients.
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

/// Completes a TLS handshake with localhost.
pub async fn handshake<I: AsyncRead + AsyncWrite + Unpin>(connector: &TlsConnector, io: I) -> TlsStream<I> {
    connector.connect(ServerName::try_from("localhost").unwrap(), io).await.unwrap()
}

impl Client {
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

    /// Posts JSON, as the API server does.
    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.send(request(Method::POST, path, Some("application/json"), body)).await
    }
}

impl Reply {
    pub async fn of(response: Response<Incoming>) -> Self {
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
