//! The HTTPS server. It reads reviews from connections, passes them to [`crate::admission`], and sends the answers,
//! within the limits of [`limits`].
//!
//! Invariants: no port opens before its certificate is verified; a request that contains the uid of a review is
//! answered with that uid; malformed input closes at most the connection that it arrived on.

pub mod accept;
pub mod admin;
pub mod body;
pub mod clock;
pub mod connection;
#[cfg(target_os = "linux")]
pub mod descriptors;
pub mod events;
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
use self::events::EventQueue;
use self::expiry::Readiness;
use self::limits::{LONG_REVIEWS, READ_BYTES, TICK};
use self::log_limiter::LogLimiter;
use self::memory::SharedMemory;
use self::metrics::{CaMetrics, ConfigMetrics, Metrics};
use crate::config::Config;
use crate::engine::Rule;
use crate::tls::client_auth::ClientAuth;
use crate::tls::server_config::server_config;

/// The settings of a server.
#[derive(Clone)]
pub struct ServerSettings {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub rules: &'static [Rule],
    /// Each new review and each new connection uses the current value. The limits of connections and memory are read
    /// once, when the server is bound.
    pub config: watch::Receiver<Arc<Config>>,
    /// Which clients are accepted. `None` accepts any client.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// The wall clock, by which reviews and the dates of certificates are judged.
    pub clock: fn() -> OffsetDateTime,
    /// How long reviews are still accepted after the signal to stop. During this time the server reports that it is not
    /// ready.
    pub stop_delay: Duration,
    /// The number of log lines that were lost: incremented by the log, and exported with the metrics.
    pub log_lines_lost: Counter,
    /// Receives an Event for each review that has one. `None` makes no Events.
    pub events: Option<Arc<EventQueue>>,
}

/// The certificate that the server presents to clients.
#[derive(Clone)]
pub struct ServedCertificate {
    /// `None` until there is a first certificate.
    pub current: watch::Receiver<Option<Arc<CertifiedKey>>>,
    /// Whether the API servers are known to accept the certificate. Until then the server is not ready.
    pub is_trusted: watch::Receiver<bool>,
}

/// The state that all connections share.
pub struct Shared {
    rules: &'static [Rule],
    config: watch::Receiver<Arc<Config>>,
    pub memory: Arc<SharedMemory>,
    /// Limits how many long reviews are judged at the same time.
    long_reviews: Arc<Semaphore>,
    clock: Clock,
    pub metrics: Metrics,
    log_limiter: LogLimiter,
    events: Option<Arc<EventQueue>>,
}

impl Shared {
    pub fn new(
        rules: &'static [Rule],
        config: watch::Receiver<Arc<Config>>,
        clock: fn() -> OffsetDateTime,
        log_lines_lost: Counter,
        events: Option<Arc<EventQueue>>,
    ) -> Self {
        let bodies_bytes = config.borrow().limits.bodies_bytes;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let memory = SharedMemory::new(bodies_bytes);
        let event_metrics = events.as_ref().map(|queue| queue.metrics.clone()).unwrap_or_default();
        let metrics = Metrics::new(rules, &memory, log_lines_lost, event_metrics);
        Self {
            rules,
            config,
            memory,
            long_reviews: Arc::new(Semaphore::new(cores.min(LONG_REVIEWS))),
            clock: Clock::new(clock, metrics.clock_jumps.clone()),
            metrics,
            log_limiter: LogLimiter::new(Instant::now()),
            events,
        }
    }

    fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }
}

/// A server whose two addresses are bound. [`Server::serve`] starts serving.
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
    #[error("cannot set up TLS: {0}")]
    Tls(rustls::Error),
    #[error("cannot listen for reviews on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("cannot listen for health checks and metrics on {address}: {error}")]
    Admin { address: SocketAddr, error: io::Error },
}

/// Binds both addresses. Each handshake presents the certificate that `certificate` contains at that time.
pub async fn bind(settings: ServerSettings, certificate: ServedCertificate) -> Result<Server, BindError> {
    let ServerSettings { listen, admin, rules, config, client_auth, clock, stop_delay, log_lines_lost, events } =
        settings;
    let connections = config.borrow().limits.connections;
    #[cfg(target_os = "linux")]
    let connections = descriptors::limit_connections(connections);
    let tls = server_config(certificate.current.clone(), client_auth).map_err(BindError::Tls)?;
    Ok(Server {
        reviews: listen::listen(listen).map_err(|error| BindError::Listen { address: listen, error })?,
        admin: AdminServer::bind(admin).await.map_err(|error| BindError::Admin { address: admin, error })?,
        connections,
        tls: TlsAcceptor::from(Arc::new(tls)),
        certificate,
        wall_clock: clock,
        stop_delay,
        shared: Arc::new(Shared::new(rules, config, clock, log_lines_lost, events)),
    })
}

impl Server {
    pub fn reviews_address(&self) -> io::Result<SocketAddr> {
        self.reviews.local_addr()
    }

    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The counters for the task that renews the certificate.
    pub fn certificate_counts(&self) -> reload::ReloadCounts {
        self.shared.metrics.certificate.clone()
    }

    /// The counters for the task that reloads the CAs of clients.
    pub fn client_ca_counts(&self) -> reload::ReloadCounts {
        self.shared.metrics.client_ca.clone()
    }

    /// The metrics for the task that reloads the configuration.
    pub fn config_metrics(&self) -> ConfigMetrics {
        self.shared.metrics.config.clone()
    }

    /// The metrics for the CA controller.
    pub fn ca_metrics(&self) -> CaMetrics {
        self.shared.metrics.ca.clone()
    }

    /// Installs a panic hook for the whole process. The hook counts each panic and logs its location. It does not log
    /// the message of the panic, which may contain parts of an object.
    pub fn install_panic_hook(&self) {
        let shared = self.shared.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let count = shared.metrics.panics.inc() + 1;
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(location, count, "panic");
        }));
    }

    /// Serves until `stop` completes, the stop delay has passed, and the answers in flight are sent. Dropping the
    /// future stops the server at once.
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
        // Runs until the reviews are drained, so that /readyz can report that the server is stopping.
        let serve_admin = admin.serve(shared.clone(), admin_router, is_admin_stopping);
        let stop_both = async {
            stop.await;
            reviews_stage.send_replace(StopStage::StopRequested);
            // A sleep of zero would last until the next tick of the timer, and connections would be accepted meanwhile.
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

/// Keeps a timer armed that ends sooner than those of a review. Arming a timer earlier than all others costs a system
/// call, since it wakes the thread that waits for the sockets.
async fn tick() {
    let mut tick = interval(TICK);
    loop {
        tick.tick().await;
    }
}
