//! A proxy in front of the API server. It records requests, answers some of them itself, and can cut its connections.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

type Answer = Response<UnsyncBoxBody<Bytes, kube::Error>>;

/// Decides whether a request, by its method and URI, is answered by the proxy: with a code, and a body.
type Fault = Box<dyn Fn(&str, &str) -> Option<(u16, String)> + Send>;

#[derive(Clone)]
pub struct FaultyProxy {
    pub address: SocketAddr,
    client: Client,
    requests: Arc<Mutex<Vec<(Instant, String)>>>,
    fault: Arc<Mutex<Option<Fault>>>,
    cut: watch::Sender<()>,
    listening: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl FaultyProxy {
    /// Forwards with this client.
    pub fn start(runtime: &Handle, client: Client) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, fault, listening) = (Arc::default(), Arc::default(), Arc::default());
        let proxy = Self { address, client, requests, fault, cut: watch::Sender::new(()), listening };
        proxy.listen(runtime, listener);
        proxy
    }

    fn listen(&self, runtime: &Handle, listener: TcpListener) {
        let proxy = self.clone();
        let listening = runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (proxy, mut cut) = (proxy.clone(), proxy.cut.subscribe());
                tokio::spawn(async move {
                    let service = service_fn(|request| proxy.answer(request));
                    tokio::select! {
                        _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        *self.listening.lock().unwrap() = Some(listening);
    }

    /// Closes all connections, and accepts no more.
    pub fn stop(&self, runtime: &Handle) {
        let listening = self.listening.lock().unwrap().take().unwrap();
        listening.abort();
        // The listener is closed when its task has ended.
        let _ = runtime.block_on(listening);
        self.cut();
    }

    /// Accepts connections again, at the same address.
    pub fn resume(&self, runtime: &Handle) {
        self.listen(runtime, runtime.block_on(TcpListener::bind(self.address)).unwrap());
    }

    pub fn cut(&self) {
        self.cut.send_replace(());
    }

    /// Answers requests by `fault` from now on.
    pub fn set_fault(&self, fault: impl Fn(&str, &str) -> Option<(u16, String)> + Send + 'static) {
        *self.fault.lock().unwrap() = Some(Box::new(fault));
    }

    /// Returns the requests so far, each as its method and URI.
    pub fn requests(&self) -> Vec<(Instant, String)> {
        self.requests.lock().unwrap().clone()
    }

    /// Writes a kubeconfig for the proxy.
    pub fn write_kubeconfig(&self, path: &Path) {
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        });
        std::fs::write(path, kubeconfig.to_string()).unwrap();
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, kube::Error> {
        let (method, uri) = (request.method().clone(), request.uri().to_string());
        self.requests.lock().unwrap().push((Instant::now(), format!("{method} {uri}")));
        let fault = self.fault.lock().unwrap().as_ref().and_then(|fault| fault(method.as_str(), &uri));
        if let Some((code, body)) = fault {
            let body = Full::from(body).map_err(|never| match never {}).boxed_unsync();
            let answer = Response::builder().status(code).header(CONTENT_TYPE, "application/json");
            return Ok(answer.header("retry-after", "1").body(body).unwrap());
        }
        let mut forwarded = Request::builder().method(method).uri(uri);
        for name in [ACCEPT, CONTENT_TYPE] {
            if let Some(value) = request.headers().get(&name) {
                forwarded = forwarded.header(name, value);
            }
        }
        let body = request.into_body().collect().await.map_err(kube::Error::HyperError)?.to_bytes();
        let answer = self.client.send(forwarded.body(Body::from(body.to_vec())).unwrap()).await?;
        Ok(answer.map(|body| body.map_err(kube::Error::from).boxed_unsync()))
    }
}
