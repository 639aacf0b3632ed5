//! Asks a replica for its certificate, which need not be valid, and for its answer to a review.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, DATE, HOST};
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
use crate::scan::{GROUP, Kind};

/// Within a cluster connecting takes a millisecond, so an endpoint that takes longer than this cannot be reached.
const CONNECT: Duration = Duration::from_secs(3);
/// The API server waits 5 s for a review of ours.
const ANSWER: Duration = Duration::from_secs(5);
/// An answer to a review of one finding is some 500 bytes.
const ANSWER_MAX_BYTES: usize = 1 << 20;
/// Replicas that are asked: more would answer the same.
pub const ENDPOINTS_MAX: usize = 32;

/// How endpoints are connected to.
#[derive(Clone, Default)]
pub struct Connection {
    /// Where an endpoint is reached from here, by its address with port, if elsewhere.
    pub instead: BTreeMap<String, SocketAddr>,
    /// For replicas that demand a client certificate.
    pub identity: Option<Arc<ClientIdentity>>,
}

pub struct ClientIdentity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// An endpoint of a target, and what came of asking it.
pub struct Probe {
    /// By which name.
    pub host: String,
    pub endpoint: Endpoint,
    pub outcome: Result<Served, HandshakeError>,
}

/// Why there was no handshake.
#[derive(Debug)]
pub enum HandshakeError {
    /// From here, which need not mean anything to the API server.
    Unreachable(String),
    /// The port is closed.
    Closed(String),
    Handshake(String),
}

pub struct Served {
    pub chain: Vec<CertificateDer<'static>>,
    pub answers: Vec<Answered>,
    pub clock: Option<ClockReading>,
}

/// What came of a review at a path.
pub struct Answered {
    pub path: String,
    pub result: Result<(), AnswerError>,
}

/// The clock of a replica, and ours at the same time.
#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    pub theirs: OffsetDateTime,
    pub ours: OffsetDateTime,
}

impl ClockReading {
    /// By the `Date` of an answer.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let theirs = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
        Some(Self { theirs: theirs.into(), ours: OffsetDateTime::now_utc() })
    }
}

#[derive(Debug)]
pub enum AnswerError {
    /// The replica does not accept the client: with TLS 1.3 it sends an alert after the handshake.
    ClientRejected(String),
    /// The connection was closed before anything was answered.
    Closed(String),
    Wrong(String),
}

/// Asks an endpoint by the name that the API server uses, at each path.
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
    let stream = match options.instead.get(&endpoint.authority()) {
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
    let mut served = Served { chain, answers: Vec::new(), clock: None };
    let connected = timeout(ANSWER, http1::handshake(TokioIo::new(stream))).await;
    let Ok(Ok((mut send, connection))) = connected else {
        return Err(HandshakeError::Handshake("it speaks no HTTP/1.1".to_owned()));
    };
    let connection = tokio::spawn(connection);
    for path in paths {
        let answer = timeout(ANSWER, review(&mut send, host, path, &mut served.clock)).await;
        let result = answer.unwrap_or_else(|_| Err(AnswerError::Wrong(format!("no answer within {ANSWER:?}"))));
        served.answers.push(Answered { path: path.clone(), result });
    }
    connection.abort();
    Ok(served)
}

/// Accepts any certificate: the checks report what is wrong with it. Nothing secret is sent.
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

/// Accepts a certificate that webpki cannot parse: Go may be able to, and the checks report what is wrong with it.
fn tolerate_unparsed(verified: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
    match verified {
        Err(Error::InvalidCertificate(CertificateError::Other(_))) => Ok(HandshakeSignatureValid::assertion()),
        verified => verified,
    }
}

/// Of the review, and no other's.
const UID: &str = "5d0c7042-0000-4000-8000-000000000000";

/// A dry run of a status update with nothing in it: whatever the rules are set to, it has an answer.
fn question() -> Value {
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
        .body(Full::from(question().to_string()));
    let request = request.map_err(|error| AnswerError::Wrong(format!("that is no path: {error}")))?;
    send.ready().await.map_err(closed)?;
    let answer = send.send_request(request).await.map_err(closed)?;
    *clock = ClockReading::of(answer.headers());
    let code = answer.status();
    if code != StatusCode::OK {
        return wrong(format!("it answers with HTTP {code}"));
    }
    let body = Limited::new(answer.into_body(), ANSWER_MAX_BYTES).collect().await;
    let Ok(body) = body else { return wrong("its answer breaks off, or has no end".to_owned()) };
    match serde_json::from_slice::<Value>(&body.to_bytes()) {
        Ok(answer) if answer["response"]["uid"] == UID && answer["response"]["allowed"].is_boolean() => Ok(()),
        _ => wrong("the response does not match the request".to_owned()),
    }
}

/// Why a connection was closed: an alert of TLS is the replica's own reason.
fn closed(error: hyper::Error) -> AnswerError {
    let cause = std::error::Error::source(&error);
    let message = format!("{error}{}", cause.map(|cause| format!(": {cause}")).unwrap_or_default());
    let tls = cause.and_then(|cause| cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref());
    match tls {
        Some(Error::AlertReceived(_)) => AnswerError::ClientRejected(message),
        _ => AnswerError::Closed(message),
    }
}
