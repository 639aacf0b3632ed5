//! A stand-in for a Service and kube-proxy: forwards each new connection to a replica that is ready.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{RwLock, watch};
use tokio::time::timeout;

use crate::support::http::get;
use crate::support::waits::WAIT_MAX;

/// The addresses of a replica: of its reviews and of its readiness.
pub type Endpoint = (SocketAddr, SocketAddr);

#[derive(Clone)]
pub struct Forwarder {
    pub port: u16,
    /// How long an endpoint still gets connections after it is no longer ready, as on nodes that have not been notified
    /// yet.
    lag: Duration,
    /// When each endpoint was last ready.
    ready: Arc<Mutex<BTreeMap<Endpoint, Instant>>>,
    endpoints: Arc<Mutex<Vec<Endpoint>>>,
    cut: watch::Sender<()>,
    /// Each open connection holds a read lock.
    open: Arc<RwLock<()>>,
}

impl Forwarder {
    pub fn start(runtime: &Handle, lag: Duration) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (endpoints, ready, open) = (Arc::default(), Arc::default(), Arc::default());
        let forwarder = Self { port, lag, ready, endpoints, cut: watch::Sender::new(()), open };
        runtime.spawn(forwarder.clone().accept(listener));
        forwarder
    }

    pub fn add(&self, endpoint: Endpoint) {
        self.endpoints.lock().unwrap().push(endpoint);
    }

    pub fn remove(&self, endpoint: Endpoint) {
        self.endpoints.lock().unwrap().retain(|other| *other != endpoint);
    }

    /// Closes all connections, which must be idle, and returns when the API server has noticed. Its next call then
    /// begins with a handshake, and is not lost on a connection that is being closed.
    pub async fn cut(&self) {
        self.cut.send_replace(());
        drop(timeout(WAIT_MAX, self.open.write()).await.expect("the connections end"));
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let open = self.open.clone().read_owned().await;
            let mut cut = self.cut.subscribe();
            let forwarder = self.clone();
            tokio::spawn(async move {
                if let Some(mut server) = forwarder.connect().await {
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = cut.changed() => {}
                    }
                }
                let _ = client.shutdown().await;
                let _ = client.read_to_end(&mut Vec::new()).await;
                drop(open);
            });
        }
    }

    /// Connects to the next ready endpoint, in turn.
    async fn connect(&self) -> Option<TcpStream> {
        let turn = {
            let mut endpoints = self.endpoints.lock().unwrap();
            let by = usize::from(endpoints.len() > 1);
            endpoints.rotate_left(by);
            endpoints.clone()
        };
        for endpoint in turn {
            if self.is_sent_to(endpoint).await {
                return Some(TcpStream::connect(endpoint.0).await.unwrap());
            }
        }
        None
    }

    async fn is_sent_to(&self, endpoint: Endpoint) -> bool {
        let is_ready = get(endpoint.1, "/readyz").await.code == 200;
        let mut ready = self.ready.lock().unwrap();
        if is_ready {
            ready.insert(endpoint, Instant::now());
        }
        is_ready || ready.get(&endpoint).is_some_and(|last| last.elapsed() < self.lag)
    }
}
