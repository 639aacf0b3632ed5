//! A server that answers in place of a replica, with any certificate and with wrong answers.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{DATE, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc2822;
use time::{Duration, OffsetDateTime};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::pki::Pair;

#[derive(Clone, Copy)]
pub enum Answer {
    Good,
    /// Right, but with a clock that is ten minutes slow.
    SlowClock,
    /// Right, but of another release.
    OtherRelease,
    NotFound,
    OtherUid,
    /// This code and body, in which UID is replaced by the uid of the request.
    Replies(u16, &'static str),
    Never,
}

pub struct StandIn {
    pub address: SocketAddr,
    listening: JoinHandle<()>,
}

impl StandIn {
    /// Serves this certificate.
    pub fn start(runtime: &Handle, pair: &Pair, answer: Answer) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config(pair)));
        let listening = runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let service = service_fn(move |request| reply(request, answer));
                // The API server keeps a connection open, and may open another one.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, listening }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn config(pair: &Pair) -> ServerConfig {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    config.with_single_cert(vec![pair.der.clone()], key).unwrap()
}

async fn reply(request: Request<hyper::body::Incoming>, answer: Answer) -> Result<Response<Full<Bytes>>, hyper::Error> {
    use http_body_util::BodyExt as _;
    let body = request.into_body().collect().await?.to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let uid = match answer {
        Answer::OtherUid => json!("another"),
        _ => review["request"]["uid"].clone(),
    };
    match answer {
        Answer::Never => std::future::pending().await,
        Answer::Replies(code, body) => {
            let body = body.replace("UID", uid.as_str().unwrap_or_default());
            return Ok(Response::builder().status(code).body(Full::from(body)).unwrap());
        }
        _ => {}
    }
    let behind = if matches!(answer, Answer::SlowClock) { Duration::minutes(10) } else { Duration::ZERO };
    let date = (OffsetDateTime::now_utc() - behind).format(&Rfc2822).unwrap().replace("+0000", "GMT");
    let code = if matches!(answer, Answer::NotFound) { 404 } else { 200 };
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": uid, "allowed": true}});
    let mut response = Response::builder().status(code).header(DATE, date);
    if matches!(answer, Answer::OtherRelease) {
        response = response.header(SERVER, "scan-admission/0.0.1 (commit 0123456; rules 0123456789ab)");
    }
    Ok(response.body(Full::from(body.to_string())).unwrap())
}
