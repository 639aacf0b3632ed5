//! A webhook that allows everything and records the reviews that it gets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::crypto::ring;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio_rustls::TlsAcceptor;

use crate::controlplane::{Namespace, User};
use crate::only;

/// The reviews in the order of their arrival.
type Calls = Arc<Mutex<Vec<Call>>>;

/// One review and the request that carried it.
pub struct Call {
    pub webhook: String,
    pub body: String,
    pub head: Parts,
    /// The server name in the client's hello.
    pub server_name: Option<String>,
}

pub struct Recorder {
    calls: Calls,
    pub address: SocketAddr,
    ca: String,
    /// The server's tasks end when this value is dropped.
    _runtime: Runtime,
}

impl Recorder {
    /// Serves as 127.0.0.1 and as the Service `hook` in this namespace.
    pub fn start(namespace: &Namespace<'_>) -> Self {
        let names = ["127.0.0.1".to_owned(), format!("hook.{}.svc", namespace.name)];
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], signing_key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Calls::default();
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), calls.clone()));
        let ca = base64::engine::general_purpose::STANDARD.encode(cert.pem());
        Self { calls, address, ca, _runtime: runtime }
    }

    /// The client configuration by URL.
    pub fn url(&self) -> Value {
        json!({"url": format!("https://{}", self.address)})
    }

    /// Registers both webhooks for all operations on the scans of this namespace, by a URL or a Service.
    pub fn register(&self, namespace: &Namespace<'_>, client: &Value) {
        let configuration = |kind: &str, path: &str| {
            let mut client = client.clone();
            client["caBundle"] = json!(self.ca);
            match client.get("url").and_then(Value::as_str) {
                Some(url) => client["url"] = json!(format!("{url}/{path}")),
                None => client["service"]["path"] = json!(format!("/{path}")),
            }
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": namespace.name},
            "webhooks": [{
                "name": format!("{path}.recorder.scan-admission.dev"),
                "clientConfig": client,
                "rules": [{"apiGroups": ["scanning.apps.tanzu.vmware.com"], "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE", "DELETE"],
                    "resources": ["sourcescans", "imagescans", "sourcescans/status", "imagescans/status"]}],
                "namespaceSelector": only(namespace),
                "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
            }]})
        };
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            configuration("MutatingWebhookConfiguration", "mutate"),
            configuration("ValidatingWebhookConfiguration", "validate"),
        ]});
        namespace.kubectl(User::Admin).args(["apply", "-f", "-"]).input(list.to_string()).run().ok();
    }

    /// Returns the calls since the last one.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, calls: Calls) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, calls) = (tls.clone(), calls.clone());
        tokio::spawn(async move {
            let stream = tls.accept(stream).await.unwrap();
            let server_name = stream.get_ref().1.server_name().map(ToOwned::to_owned);
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = service_fn(move |request| record_call(request, server_name.clone(), calls.clone()));
            let stream = TokioIo::new(stream);
            // The API server may close connections at any time.
            let _ = match is_http2 {
                true => http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await,
                false => http1::Builder::new().serve_connection(stream, service).await,
            };
        });
    }
}

async fn record_call(
    request: Request<Incoming>,
    server_name: Option<String>,
    calls: Calls,
) -> hyper::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let webhook = head.uri.path().trim_start_matches('/').to_owned();
    let body = String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap();
    let review: Value = serde_json::from_str(&body).unwrap();
    let response = json!({"apiVersion": review["apiVersion"], "kind": review["kind"],
        "response": {"uid": review["request"]["uid"], "allowed": true}});
    calls.lock().unwrap().push(Call { webhook, body, head, server_name });
    Ok(Response::new(Full::from(response.to_string())))
}
