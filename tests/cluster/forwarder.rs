//! A Service in front of replicas, in place of kube-proxy: each new connection goes to one that is ready.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{RwLock, watch};
use tokio::time::timeout;

use crate::client::{FAR, get};

/// Where it takes reviews, and where it says that it is ready.
pub type Endpoint = (SocketAddr, SocketAddr);

#[derive(Clone)]
pub struct Forwarder {
    pub port: u16,
    endpoints: Arc<Mutex<Vec<Endpoint>>>,
    cut: watch::Sender<()>,
    /// Each open connection holds it for reading.
    open: Arc<RwLock<()>>,
}

impl Forwarder {
    pub fn start(runtime: &Handle) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let forwarder = Self { port, endpoints: Arc::default(), cut: watch::Sender::new(()), open: Arc::default() };
        runtime.spawn(forwarder.clone().accept(listener));
        forwarder
    }

    pub fn add(&self, endpoint: Endpoint) {
        self.endpoints.lock().unwrap().push(endpoint);
    }

    pub fn remove(&self, endpoint: Endpoint) {
        self.endpoints.lock().unwrap().retain(|other| *other != endpoint);
    }

    /// Ends all connections, which have to be idle, and returns when the API server knows: its next call begins with a
    /// handshake, and is not lost on a connection that is just closing.
    pub async fn cut(&self) {
        self.cut.send_replace(());
        drop(timeout(FAR, self.open.write()).await.expect("connections end"));
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

    /// To the next in turn that is ready.
    async fn connect(&self) -> Option<TcpStream> {
        let turn = {
            let mut endpoints = self.endpoints.lock().unwrap();
            let by = usize::from(endpoints.len() > 1);
            endpoints.rotate_left(by);
            endpoints.clone()
        };
        for (reviews, admin) in turn {
            if get(admin, "/readyz").await.code == 200 {
                return Some(TcpStream::connect(reviews).await.unwrap());
            }
        }
        None
    }
}
