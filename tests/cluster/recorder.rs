//! A webhook that allows everything and keeps what it was sent.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::crypto::ring;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio_rustls::TlsAcceptor;

use crate::controlplane::{Namespace, User};
use crate::only;

/// Door and body, in the order in which they came.
type Reviews = Arc<Mutex<Vec<(String, String)>>>;

pub struct Recorder {
    reviews: Reviews,
    address: String,
    ca: String,
    /// Ends what runs on it with this value.
    _runtime: Runtime,
}

impl Recorder {
    pub fn start() -> Self {
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], signing_key.into())
            .unwrap();
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let reviews = Reviews::default();
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), reviews.clone()));
        let ca = base64::engine::general_purpose::STANDARD.encode(cert.pem());
        Self { reviews, address, ca, _runtime: runtime }
    }

    /// Sends it everything that happens to the scans of this namespace, at both doors.
    pub fn register(&self, namespace: &Namespace<'_>) {
        let configuration = |kind: &str, path: &str| {
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": namespace.name},
            "webhooks": [{
                "name": format!("{path}.recorder.scan-admission.dev"),
                "clientConfig": {"url": format!("https://{}/{path}", self.address), "caBundle": self.ca},
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
        namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(list.to_string()).run().ok();
    }

    /// What came since the last time.
    pub fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.reviews.lock().unwrap())
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, reviews: Reviews) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, reviews) = (tls.clone(), reviews.clone());
        tokio::spawn(async move {
            let stream = TokioIo::new(tls.accept(stream).await.unwrap());
            let service = service_fn(|request| keep(request, &reviews));
            // The API server closes connections as it likes.
            let _ = http1::Builder::new().serve_connection(stream, service).await;
        });
    }
}

async fn keep(request: Request<Incoming>, reviews: &Reviews) -> hyper::Result<Response<Full<Bytes>>> {
    let door = request.uri().path().trim_start_matches('/').to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let review: Value = serde_json::from_str(&body).unwrap();
    let response = json!({"apiVersion": review["apiVersion"], "kind": review["kind"],
        "response": {"uid": review["request"]["uid"], "allowed": true}});
    reviews.lock().unwrap().push((door, body));
    Ok(Response::new(Full::from(response.to_string())))
}
