//! Probes a replica: its certificate, which need not be valid, and its answer to a review.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, DATE, HOST, SERVER};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::target::Endpoint;
use crate::policies::release::Release;
use crate::scan::{GROUP, Kind};

/// The longest time to connect. Within a cluster it takes a millisecond, so an endpoint that takes longer is
/// unreachable.
const CONNECT: Duration = Duration::from_secs(3);
/// The longest time to answer: the timeoutSeconds of the validating webhooks.
const ANSWER: Duration = Duration::from_secs(5);
/// The longest answer that is read. An answer with one finding is about 500 bytes.
const ANSWER_MAX_BYTES: usize = 1 << 20;
/// The most endpoints of a Service that are probed. Replicas of one Deployment give the same answers.
pub const ENDPOINTS_MAX: usize = 32;

/// How to connect to endpoints.
#[derive(Clone, Default)]
pub struct Connection {
    /// Addresses to connect to in place of an endpoint's own, by its address with port.
    pub overrides: BTreeMap<String, SocketAddr>,
    /// The client certificate, for replicas that require one.
    pub identity: Option<Arc<ClientIdentity>>,
}

/// A client certificate with its chain and key.
pub struct ClientIdentity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// The probe of an endpoint.
pub struct Probe {
    /// The name that the API server calls.
    pub host: String,
    pub endpoint: Endpoint,
    pub outcome: Result<Served, HandshakeError>,
}

/// Why there is no TLS connection.
#[derive(Debug)]
pub enum HandshakeError {
    /// The endpoint cannot be reached from this machine. The API server may still reach it.
    Unreachable(String),
    /// The port is closed.
    Closed(String),
    /// The TLS handshake failed, or the endpoint does not speak HTTP/1.1.
    Handshake(String),
}

/// The certificate chain of an endpoint, and its answers.
pub struct Served {
    pub chain: Vec<CertificateDer<'static>>,
    pub answers: Vec<Answered>,
    pub clock: Option<ClockReading>,
    /// `None` if the endpoint does not say it.
    pub release: Option<Release>,
}

/// The result of a review at a path.
pub struct Answered {
    pub path: String,
    pub result: Result<(), AnswerError>,
}

/// The clock of a server and that of this machine, at the same time.
#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    pub theirs: OffsetDateTime,
    pub ours: OffsetDateTime,
}

impl ClockReading {
    /// Reads the clock of a server from the `Date` header of its response.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let theirs = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
        Some(Self { theirs: theirs.into(), ours: OffsetDateTime::now_utc() })
    }
}

/// Why a review got no valid answer.
#[derive(Debug)]
pub enum AnswerError {
    /// The replica rejects the client certificate. With TLS 1.3 its alert arrives after the handshake.
    ClientRejected(String),
    /// The connection was closed before there was an answer.
    Closed(String),
    /// The answer is wrong, or late.
    Wrong(String),
}

/// Probes an endpoint under the host name that the API server calls, at each path.
pub async fn probe(host: String, endpoint: Endpoint, paths: Vec<String>, connection: Connection) -> Probe {
    let outcome = ask(&host, &endpoint, &paths, &connection).await;
    Probe { host, endpoint, outcome }
}

async fn ask(
    host: &str,
    endpoint: &Endpoint,
    paths: &[String],
    options: &Connection,
) -> Result<Served, HandshakeError> {
    let Endpoint { address, port, .. } = endpoint;
    let stream = match options.overrides.get(&endpoint.authority()) {
        Some(instead) => timeout(CONNECT, TcpStream::connect(instead)).await,
        None => timeout(CONNECT, TcpStream::connect((address.as_str(), *port))).await,
    };
    let stream = match stream {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            return Err(HandshakeError::Closed(error.to_string()));
        }
        Ok(Err(error)) => return Err(HandshakeError::Unreachable(error.to_string())),
        Err(_) => return Err(HandshakeError::Unreachable(format!("no connection within {CONNECT:?}"))),
    };
    let failed = |error: &dyn std::fmt::Display| HandshakeError::Handshake(error.to_string());
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
    let connector = TlsConnector::from(Arc::new(config(options.identity.as_deref()).map_err(|error| failed(&error))?));
    let stream = timeout(ANSWER, connector.connect(name, stream)).await;
    let stream =
        stream.map_err(|_| failed(&format!("no handshake within {ANSWER:?}")))?.map_err(|error| failed(&error))?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
    let mut served = Served { chain, answers: Vec::new(), clock: None, release: None };
    let connected = timeout(ANSWER, http1::handshake(TokioIo::new(stream))).await;
    let Ok(Ok((mut send, connection))) = connected else {
        return Err(HandshakeError::Handshake("the endpoint does not speak HTTP/1.1".to_owned()));
    };
    let connection = tokio::spawn(connection);
    for path in paths {
        let answer = timeout(ANSWER, review(&mut send, host, path, &mut served.clock)).await;
        let result = answer.unwrap_or_else(|_| Err(AnswerError::Wrong(format!("no answer within {ANSWER:?}"))));
        served.answers.push(Answered { path: path.clone(), result });
    }
    served.release = timeout(ANSWER, release(&mut send, host)).await.ok().flatten();
    connection.abort();
    Ok(served)
}

/// Returns a client that accepts any certificate: the checks report its faults, and the probe sends no secrets.
fn config(identity: Option<&ClientIdentity>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)));
    let mut config = match identity {
        Some(ClientIdentity { chain, key }) => config.with_client_auth_cert(chain.clone(), key.clone_key())?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A verifier that accepts any certificate.
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
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tolerate_unparsed(rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tolerate_unparsed(rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts a certificate that webpki cannot parse: Go may parse it, and the checks report its faults.
fn tolerate_unparsed(verified: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
    match verified {
        Err(Error::InvalidCertificate(CertificateError::Other(_))) => Ok(HandshakeSignatureValid::assertion()),
        verified => verified,
    }
}

/// The uid of the review.
const UID: &str = "5d0c7042-0000-4000-8000-000000000000";

/// Returns a review of a dry run that updates no status. It has an answer under every configuration.
fn sample_review() -> Value {
    let kind = Kind::SourceScan;
    let object = json!({"apiVersion": format!("{GROUP}/v1beta1"), "kind": kind.name(),
        "metadata": {"name": "doctor", "namespace": "default"}});
    let resource = json!({"group": GROUP, "version": "v1beta1", "resource": kind.plural()});
    let kind = json!({"group": GROUP, "version": "v1beta1", "kind": kind.name()});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": UID, "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
        "subResource": "status", "requestSubResource": "status", "name": "doctor", "namespace": "default",
        "operation": "UPDATE", "userInfo": {"username": "scan-admission doctor"},
        "object": object, "oldObject": object, "dryRun": true}})
}

/// Sends the review, and checks that the response is an answer to it.
async fn review(
    send: &mut http1::SendRequest<Full<Bytes>>,
    host: &str,
    path: &str,
    clock: &mut Option<ClockReading>,
) -> Result<(), AnswerError> {
    let wrong = |message: String| Err(AnswerError::Wrong(message));
    let request = Request::post(path)
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(sample_review().to_string()));
    let request = request.map_err(|error| AnswerError::Wrong(format!("the path is not valid: {error}")))?;
    send.ready().await.map_err(closed)?;
    let answer = send.send_request(request).await.map_err(closed)?;
    *clock = ClockReading::of(answer.headers());
    let code = answer.status();
    if code != StatusCode::OK {
        return wrong(format!("the answer is HTTP {code}"));
    }
    let body = Limited::new(answer.into_body(), ANSWER_MAX_BYTES).collect().await;
    let Ok(body) = body else {
        return wrong(format!("the answer ends early, or is longer than {ANSWER_MAX_BYTES} bytes"));
    };
    match serde_json::from_slice::<Value>(&body.to_bytes()) {
        Ok(answer) if answer["response"]["uid"] == UID && answer["response"]["allowed"].is_boolean() => Ok(()),
        _ => wrong("the response does not match the request".to_owned()),
    }
}

/// Asks an endpoint for its release, which its error responses name.
async fn release(send: &mut http1::SendRequest<Full<Bytes>>, host: &str) -> Option<Release> {
    send.ready().await.ok()?;
    let request = Request::get("/").header(HOST, host).body(Full::default()).ok()?;
    let response = send.send_request(request).await.ok()?;
    Release::parse(response.headers().get(SERVER)?.to_str().ok()?)
}

/// Returns why a connection was closed. A TLS alert is the reason that the replica gives.
fn closed(error: hyper::Error) -> AnswerError {
    let cause = std::error::Error::source(&error);
    let message = format!("{error}{}", cause.map(|cause| format!(": {cause}")).unwrap_or_default());
    let tls = cause.and_then(|cause| cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref());
    match tls {
        Some(Error::AlertReceived(_)) => AnswerError::ClientRejected(message),
        _ => AnswerError::Closed(message),
    }
}
