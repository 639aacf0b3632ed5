//! The servers that ours is compared with. Each runs in a process of its own: this program, started as `contender NAME
//! CERT KEY`.

use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use memchr::memmem;
use scan_admission::tls::key_pair;
use scan_admission::tls::server_config::server_config;
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

pub const FLOOR: &str = "floor";
pub const KUBE: &str = "kube";

/// The constant answer of the floor. It is as long as our answer to an allowed review.
pub const CONSTANT: &str = concat!(
    r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"00000000-0000-0000-0000-"#,
    r#"000000000000","allowed":true,"auditAnnotations":{"decision":"allow"}}}"#
);

/// The path of the floor that answers with the uid of the request, as API servers require.
pub const ECHO: &str = "/echo";
/// The same, and closes the connection after the answer.
pub const CLOSE: &str = "/close";

/// Serves until it is killed, with as many threads and the same TLS settings as ours.
pub fn serve(name: &str, certificate: &Path, key: &Path) {
    let router = match name {
        FLOOR => Router::new()
            .route("/validate", post(async |_: Bytes| json(CONSTANT.into())))
            .route(ECHO, post(async |body: Bytes| json(with_uid_of(&body))))
            .route(CLOSE, post(async |body: Bytes| ([(CONNECTION, "close")], json(with_uid_of(&body))))),
        KUBE => Router::new().route("/validate", post(review)),
        _ => panic!("unknown contender {name}: must be floor or kube"),
    };
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let proven = key_pair::load(&read(certificate), &read(key), OffsetDateTime::now_utc()).expect("a pair");
    // The certificate stays available when the sender is dropped.
    let (_, current) = watch::channel(Some(Arc::new(proven)));
    let tls = TlsAcceptor::from(Arc::new(server_config(current, None).expect("TLS")));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    runtime.block_on(accept(router, tls));
}

async fn accept(router: Router, tls: TlsAcceptor) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    println!("ready: reviews on https://{address} (/validate), nothing on http://{address}");
    std::io::stdout().flush().expect("stdout is open");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        tokio::spawn(connection(stream, tls.clone(), router.clone()));
    }
}

/// Serves one connection. Errors are ignored, since clients may close it in any way.
async fn connection(stream: TcpStream, tls: TlsAcceptor, router: Router) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(|request| router.clone().oneshot(request));
    let io = TokioIo::new(stream);
    if is_http2 {
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(io, service).await;
    }
}

/// A typical webhook with kube-rs: decodes both objects and performs one of our checks.
async fn review(body: Bytes) -> Response {
    let review: AdmissionReview<DynamicObject> = match serde_json::from_slice(&body) {
        Ok(review) => review,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let request: AdmissionRequest<DynamicObject> = match review.try_into() {
        Ok(request) => request,
        Err(error) => return json(serde_json::to_vec(&AdmissionResponse::invalid(error).into_review()).expect("JSON")),
    };
    let mut response = AdmissionResponse::from(&request);
    if let Some(object) = &request.object {
        let counts = &object.data["status"]["cveCount"];
        let count = |name: &str| counts[name].as_i64().unwrap_or_default();
        let sum: i64 = ["critical", "high", "medium", "low", "unknown"].into_iter().map(count).sum();
        if count("total") != sum {
            let found = count("total");
            response = response.deny(format!("status.cveCount.total is {found}, but the severities add up to {sum}"));
        }
    }
    json(serde_json::to_vec(&response.into_review()).expect("JSON"))
}

/// Returns the constant answer with the uid of a request, which is its first member of that name.
fn with_uid_of(body: &[u8]) -> Vec<u8> {
    const MEMBER: &[u8] = b"\"uid\":\"";
    const LEN: usize = 36;
    let mut answer = CONSTANT.as_bytes().to_vec();
    let value = |text: &[u8]| memmem::find(text, MEMBER).map(|at| at + MEMBER.len()..at + MEMBER.len() + LEN);
    if let (Some(from), Some(to)) = (value(body), value(&answer)) {
        answer[to].copy_from_slice(&body[from]);
    }
    answer
}

fn json(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
