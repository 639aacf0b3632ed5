//! The server of the admin address. It has its own thread and runtime, so that health checks and metrics never wait for
//! reviews.

use std::net::SocketAddr;
use std::sync::Arc;
use std::{io, thread};

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};

use super::Shared;
use super::accept::{accept, drain};
use super::connection::{ConnectionContext, StopStage, serve};
use super::limits::ADMIN_CONNECTIONS;
use super::listen::listen;
use super::timeouts::Protocol;

/// An admin server whose address is bound. [`AdminServer::serve`] starts serving.
pub struct AdminServer {
    address: SocketAddr,
    start: oneshot::Sender<Job>,
}

struct Job {
    shared: Arc<Shared>,
    router: Router,
    stop: watch::Receiver<StopStage>,
    ended: oneshot::Sender<()>,
}

impl AdminServer {
    /// Starts the thread and binds the address.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let (bound_sender, bound) = oneshot::channel();
        let (start, job) = oneshot::channel();
        thread::Builder::new().name("admin".to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                // Sending fails only if the receiver was dropped. It then needs no answer, here and below.
                Err(error) => return drop(bound_sender.send(Err(error))),
            };
            runtime.block_on(async {
                let listener = listen(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
                let (address, listener) = match listener {
                    Ok(listening) => listening,
                    Err(error) => return drop(bound_sender.send(Err(error))),
                };
                let _ = bound_sender.send(Ok(address));
                if let Ok(job) = job.await {
                    run(listener, job).await;
                }
            });
        })?;
        let address = bound.await.map_err(io::Error::other)??;
        Ok(Self { address, start })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` reaches [`StopStage::Stopping`] and the connections have ended. Dropping the future stops
    /// the server at once.
    pub async fn serve(self, shared: Arc<Shared>, router: Router, stop: watch::Receiver<StopStage>) {
        let (ended, has_ended) = oneshot::channel();
        // An error means that the thread has ended.
        let _ = self.start.send(Job { shared, router, stop, ended });
        let _ = has_ended.await;
    }
}

async fn run(listener: TcpListener, job: Job) {
    let Job { shared, router, stop, mut ended } = job;
    let limits = shared.config().limits;
    let port = &shared.metrics.admin_port;
    let connections = accept(listener, ADMIN_CONNECTIONS, limits.head, stop.clone(), port, |stream, peer, activity| {
        let connection = ConnectionContext { peer, activity, memory: shared.memory.connection() };
        let (shared, router, stop) = (shared.clone(), router.clone(), stop.clone());
        async move { serve(stream, connection, Protocol::Http1, &shared.config().limits, stop, router).await }
    });
    tokio::select! {
        () = async { drain(connections.await, &limits, "admin").await } => {}
        () = ended.closed() => {}
    }
}
