//! The HTTPS server: bind, then serve. It turns connections into bodies for [`crate::admission`] and its answers into
//! responses, and keeps every limit of [`limits`].
//!
//! Invariants: no port opens before its certificate is verified; a request that holds a review's uid gets an answer with
//! that uid; nothing a client does ends more than its own connection.

pub mod accept;
pub mod admin;
pub mod body;
pub mod clock;
pub mod connection;
#[cfg(target_os = "linux")]
pub mod descriptors;
pub mod expiry;
pub mod exposition;
pub mod frame_limiter;
pub mod handler;
pub mod health;
pub mod limits;
pub mod listen;
pub mod log;
pub mod log_limiter;
pub mod memory;
pub mod metrics;
#[cfg(target_os = "linux")]
pub mod process;
pub mod reload;
pub mod review;
pub mod timeouts;

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, interval, sleep};
use tokio_rustls::TlsAcceptor;

use self::accept::{accept, drain};
use self::admin::AdminServer;
use self::clock::Clock;
use self::connection::{ConnectionContext, StopStage, serve_tls};
use self::expiry::Readiness;
use self::limits::{LONG_REVIEWS, READ_BYTES, TICK};
use self::log_limiter::LogLimiter;
use self::memory::SharedMemory;
use self::metrics::{CaMetrics, ConfigMetrics, Metrics};
use crate::config::Config;
use crate::engine::Rule;
use crate::tls::client_auth::ClientAuth;
use crate::tls::server_config::server_config;

/// What a server is started with.
#[derive(Clone)]
pub struct ServerSettings {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub rules: &'static [Rule],
    /// The next review and the next connection have what this holds; connections and memory are bound once.
    pub config: watch::Receiver<Arc<Config>>,
    /// Which clients are accepted; none: any.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// The time that reviews are judged at, and certificates are current.
    pub clock: fn() -> OffsetDateTime,
    /// From the signal to stop to when no more reviews are taken. Meanwhile the server says that it is not ready.
    pub stop_delay: Duration,
    /// Counted by the log, and shown with the metrics.
    pub log_lines_lost: Counter,
}

/// What handshakes are answered with.
#[derive(Clone)]
pub struct ServedCertificate {
    /// None while there is none yet.
    pub current: watch::Receiver<Option<Arc<CertifiedKey>>>,
    /// Whether those who call are known to accept it; until then the server is not ready.
    pub is_trusted: watch::Receiver<bool>,
}

/// What all connections share.
pub struct Shared {
    rules: &'static [Rule],
    config: watch::Receiver<Arc<Config>>,
    pub memory: Arc<SharedMemory>,
    /// A permit for each that is judged at a time.
    long_reviews: Arc<Semaphore>,
    clock: Clock,
    pub metrics: Metrics,
    log_limiter: LogLimiter,
}

impl Shared {
    pub fn new(
        rules: &'static [Rule],
        config: watch::Receiver<Arc<Config>>,
        clock: fn() -> OffsetDateTime,
        log_lines_lost: Counter,
    ) -> Self {
        let bodies_bytes = config.borrow().limits.bodies_bytes;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let memory = SharedMemory::new(bodies_bytes);
        let metrics = Metrics::new(rules, &memory, log_lines_lost);
        Self {
            rules,
            config,
            memory,
            long_reviews: Arc::new(Semaphore::new(cores.min(LONG_REVIEWS))),
            clock: Clock::new(clock, metrics.clock_jumps.clone()),
            metrics,
            log_limiter: LogLimiter::new(Instant::now()),
        }
    }

    fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }
}

/// Both addresses are bound, nothing is served yet.
pub struct Server {
    reviews: TcpListener,
    admin: AdminServer,
    connections: usize,
    tls: TlsAcceptor,
    certificate: ServedCertificate,
    wall_clock: fn() -> OffsetDateTime,
    stop_delay: Duration,
    shared: Arc<Shared>,
}

/// Why a server could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
    #[error("cannot take reviews on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("cannot serve health and metrics on {address}: {error}")]
    Admin { address: SocketAddr, error: io::Error },
}

/// Opens both ports. The certificate of the next handshake is whatever `certificate` then holds.
pub async fn bind(settings: ServerSettings, certificate: ServedCertificate) -> Result<Server, BindError> {
    let ServerSettings { listen, admin, rules, config, client_auth, clock, stop_delay, log_lines_lost } = settings;
    let connections = config.borrow().limits.connections;
    #[cfg(target_os = "linux")]
    let connections = descriptors::fit(connections);
    let tls = server_config(certificate.current.clone(), client_auth).map_err(BindError::Tls)?;
    Ok(Server {
        reviews: listen::listen(listen).map_err(|error| BindError::Listen { address: listen, error })?,
        admin: AdminServer::bind(admin).await.map_err(|error| BindError::Admin { address: admin, error })?,
        connections,
        tls: TlsAcceptor::from(Arc::new(tls)),
        certificate,
        wall_clock: clock,
        stop_delay,
        shared: Arc::new(Shared::new(rules, config, clock, log_lines_lost)),
    })
}

impl Server {
    pub fn reviews_address(&self) -> io::Result<SocketAddr> {
        self.reviews.local_addr()
    }

    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// For the task that renews the certificate.
    pub fn certificate_counts(&self) -> reload::ReloadCounts {
        self.shared.metrics.certificate.clone()
    }

    /// For the task that reloads the CAs of clients.
    pub fn client_ca_counts(&self) -> reload::ReloadCounts {
        self.shared.metrics.client_ca.clone()
    }

    /// For the task that reloads the configuration.
    pub fn config_metrics(&self) -> ConfigMetrics {
        self.shared.metrics.config.clone()
    }

    /// For the CA controller.
    pub fn ca_metrics(&self) -> CaMetrics {
        self.shared.metrics.ca.clone()
    }

    /// From here on a panic is one line with its place and the count of panics, and never the message: it may hold
    /// contents of an object. For the whole process, so the program decides.
    pub fn install_panic_hook(&self) {
        let shared = self.shared.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let count = shared.metrics.panics.inc() + 1;
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(location, count, "panic");
        }));
    }

    /// Serves until `stop` completes, the delay has passed and the answers in flight are sent. Dropped, it ends at once.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { reviews, admin, connections, tls, certificate, wall_clock, stop_delay, shared } = self;
        let (reviews_stage, is_stopping) = watch::channel(StopStage::Serving);
        let (admin_stage, is_admin_stopping) = watch::channel(StopStage::Serving);

        let reviews_router = handler::router(shared.clone());
        let port = &shared.metrics.reviews_port;
        let slow = shared.config().limits.head;
        let serve_reviews = accept(reviews, connections, slow, is_stopping.clone(), port, |stream, peer, activity| {
            let connection = ConnectionContext { peer, activity, memory: shared.memory.connection() };
            let (shared, tls, router) = (shared.clone(), tls.clone(), reviews_router.clone());
            let stop = is_stopping.clone();
            let stream = BufReader::with_capacity(READ_BYTES, stream);
            async move { serve_tls(stream, connection, tls, &shared, stop, router).await }
        });
        let admin_router =
            health::router(shared.clone(), Readiness::new(certificate.clone(), wall_clock), is_stopping.clone());
        // Stays until the reviews are drained: that it is not ready is still to be seen.
        let serve_admin = admin.serve(shared.clone(), admin_router, is_admin_stopping);
        let stop_both = async {
            stop.await;
            reviews_stage.send_replace(StopStage::Leaving);
            // Even no time would be a tick of the clock, in which a review is answered without `Connection: close`.
            if !stop_delay.is_zero() {
                sleep(stop_delay).await;
            }
            reviews_stage.send_replace(StopStage::Stopping);
        };
        let drain_reviews = async {
            drain(serve_reviews.await, &shared.config().limits, "reviews").await;
            admin_stage.send_replace(StopStage::Stopping);
        };
        let watch_expiry = expiry::watch(certificate.current, &shared.metrics.certificate_not_after, wall_clock);
        tokio::select! {
            _ = async { tokio::join!(stop_both, drain_reviews, serve_admin) } => {}
            () = watch_expiry => {}
            () = tick() => {}
        }
    }
}

/// Arming a timer earlier than all others costs a system call, since the thread that waits for the sockets has to be woken.
/// With this one there is always a timer that ends sooner than those of a review.
async fn tick() {
    let mut tick = interval(TICK);
    loop {
        tick.tick().await;
    }
}
