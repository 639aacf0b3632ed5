//! `serve`: starts the server, and stops it on a signal.

mod certificates;
mod client_auth;
#[cfg(feature = "cluster")]
mod cluster_ca;
mod config_reload;
#[cfg(feature = "cluster")]
mod events;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use prometheus_client::metrics::counter::Counter;
use time::OffsetDateTime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tracing_subscriber::filter::Targets;

use self::certificates::{CertificateFlags, CertificateSourceError, DEVELOPMENT};
use self::client_auth::ClientAuthFlags;
use self::config_reload::ConfigPollFlags;
#[cfg(feature = "cluster")]
use self::events::{EventFlags, EventsError};
use super::flags::address::parse_listen;
use super::flags::config::{ConfigFlags, LoadedConfig};
use super::flags::duration::parse_delay;
use crate::config::ConfigError;
use crate::rules::RULES;
use crate::server::handler::REVIEWS_PORT;
use crate::server::health::ADMIN_PORT;
use crate::server::log::{self, LogFormat};
use crate::server::{self, BindError, ServedCertificate, Server, ServerSettings};
use crate::tls::TlsFileError;
use crate::tls::files::FileError;

/// A review in the repository, for the example command.
const EXAMPLE: &str = "tests/fixtures/reviews/sourcescan-failed-5-completed.validate.json";

/// The default log filter. It omits the watches, which log each retry: the CA controller logs an error of the cluster
/// once.
const LOG: &str = "info,kube_runtime::watcher=off";

/// The exit code after a second signal: some answers may be unsent.
const EXIT_INTERRUPTED: u8 = 1;

/// Answer admission reviews over HTTPS. Without flags, create a development certificate under certs/
#[derive(Args)]
#[command(after_help = "Examples:
  scan-admission serve
  scan-admission serve --listen [::]:8443 --admin [::]:8080 --tls-cert tls.crt --tls-key tls.key

[::] listens on all IPv6 and IPv4 addresses, or on all IPv4 addresses if the system has no IPv6.")]
pub struct ServeCommand {
    /// Address for reviews: POST /validate and /mutate over HTTPS
    #[arg(long, env = "SCAN_ADMISSION_LISTEN", value_name = "ADDRESS", default_value_t = local(REVIEWS_PORT), value_parser = parse_listen)]
    listen: SocketAddr,
    /// Address for /livez, /readyz and /metrics over plain HTTP
    #[arg(long, env = "SCAN_ADMISSION_ADMIN", value_name = "ADDRESS", default_value_t = local(ADMIN_PORT), value_parser = parse_listen)]
    admin: SocketAddr,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    config_poll: ConfigPollFlags,
    /// How long to accept reviews after the signal to stop, until all nodes send them to other replicas
    #[arg(long, env = "SCAN_ADMISSION_STOP_DELAY", value_name = "DURATION", default_value = "0s", value_parser = parse_delay)]
    stop_delay: Duration,
    /// Level of the messages to log to stderr: error, warn, info, debug, trace, or a list of TARGET=LEVEL
    #[arg(long, env = "SCAN_ADMISSION_LOG", value_name = "FILTER", default_value = LOG)]
    log: Targets,
    /// Format of the log; auto is text on a terminal and JSON elsewhere
    #[arg(long, env = "SCAN_ADMISSION_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: LogFormat,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    events: EventFlags,
    #[command(flatten)]
    certs: CertificateFlags,
    #[command(flatten)]
    client_auth: ClientAuthFlags,
}

pub fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl ServeCommand {
    /// Serves until a signal ends it.
    pub fn run(self) -> io::Result<ExitCode> {
        let log_lines_lost = log::to_stderr(&self.log, self.log_format)?;
        start(&self, log_lines_lost).map_err(io::Error::other)
    }
}

/// Why the server could not be started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot start the threads of the server: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Config(#[from] FileError<ConfigError>),
    #[error(transparent)]
    ClientAuth(#[from] FileError<TlsFileError>),
    #[error(transparent)]
    Certificate(#[from] CertificateSourceError),
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Events(#[from] EventsError),
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    #[error("{}", bind_message(.0))]
    Bind(#[from] BindError),
    #[error("cannot read the address of the server: {0}")]
    Address(io::Error),
}

fn bind_message(error: &BindError) -> String {
    let flag = match error {
        BindError::Tls(_) => return error.to_string(),
        BindError::Listen { .. } => "--listen",
        BindError::Admin { .. } => "--admin",
    };
    format!("{flag}: {error}\nchoose another address with {flag} ADDRESS; port 0 selects a free port")
}

fn start(args: &ServeCommand, log_lines_lost: Counter) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
    let done = runtime.block_on(async {
        let LoadedConfig { config, file } = args.config.load()?;
        let (reload, config) = watch::channel(Arc::new(config));
        let client_auth = args.client_auth.load()?;
        let source = args.certs.source().await?;
        #[cfg(feature = "cluster")]
        let event_task = args.events.task(args.certs.kubeconfig()).await?;
        // The senders are for the task that renews the certificate. If it ends, the server keeps the last certificate.
        let (renew, current) = watch::channel(source.first.map(Arc::new));
        let (trusted, is_trusted) = watch::channel(false);
        let settings = ServerSettings {
            listen: args.listen,
            admin: args.admin,
            rules: RULES,
            config,
            client_auth: client_auth.as_ref().map(|loaded| loaded.client_auth.clone()),
            clock: OffsetDateTime::now_utc,
            stop_delay: args.stop_delay,
            log_lines_lost,
            #[cfg(feature = "cluster")]
            events: event_task.as_ref().map(|task| task.queue.clone()),
            #[cfg(not(feature = "cluster"))]
            events: None,
        };
        let signals = Signals::new().map_err(StartError::Signals)?;
        let server = server::bind(settings, ServedCertificate { current, is_trusted }).await?;
        server.install_panic_hook();
        source.renewal.spawn(renew, trusted, &server);
        #[cfg(feature = "cluster")]
        if let Some(task) = event_task {
            task.spawn();
        }
        if let Some(file) = file {
            args.config_poll.spawn(file, reload, &server);
        }
        let is_open = client_auth.is_none();
        if let Some(loaded) = client_auth {
            loaded.files.spawn(args.certs.certs_poll, &server);
        }
        announce(&server, source.is_development && is_open).map_err(StartError::Address)?;
        Ok(until_signalled(server, signals, args.stop_delay).await)
    });
    // Does not wait for polls of files, since a disk may hang.
    runtime.shutdown_background();
    done
}

/// Prints the ready line and, if it works from here, an example command. Errors are ignored, since stdout may be
/// closed.
fn announce(server: &Server, accepts_curl: bool) -> io::Result<()> {
    let (reviews, admin) = (server.reviews_address()?, server.admin_address());
    let mut lines =
        format!("ready: reviews on https://{reviews} (/validate, /mutate), health and metrics on http://{admin}\n");
    if accepts_curl && Path::new(EXAMPLE).exists() {
        lines += &curl(reviews);
    }
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
    Ok(())
}

/// Returns an example command that works for any address that the server listens on.
fn curl(address: SocketAddr) -> String {
    let port = address.port();
    let to = match address.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST | Ipv4Addr::UNSPECIFIED) => format!("https://127.0.0.1:{port}/validate"),
        // With localhost, curl tries IPv6 and IPv4.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => format!("https://localhost:{port}/validate"),
        // In quotes, since brackets are a pattern in a shell.
        IpAddr::V6(Ipv6Addr::LOCALHOST) => format!("'https://[::1]:{port}/validate'"),
        IpAddr::V4(ip) => format!("--resolve localhost:{port}:{ip} https://localhost:{port}/validate"),
        IpAddr::V6(ip) => format!("--resolve 'localhost:{port}:[{ip}]' https://localhost:{port}/validate"),
    };
    format!("curl --cacert {DEVELOPMENT}/ca.crt -H 'Content-Type: application/json' --data-binary @{EXAMPLE} {to}\n")
}

/// The signals that stop the program.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until a signal. The first signal stops the server gracefully, and a second one at once.
async fn until_signalled(server: Server, mut signals: Signals, delay: Duration) -> ExitCode {
    let (stop, stopped) = oneshot::channel::<()>();
    let both = async {
        signals.next().await;
        tracing::info!(?delay, "stopping: reporting not ready for the delay, then finishing the reviews in flight");
        drop(stop);
        signals.next().await;
    };
    let stopped = async {
        let _ = stopped.await;
    };
    tokio::select! {
        () = server.serve(stopped) => ExitCode::SUCCESS,
        () = both => {
            tracing::warn!("received a second signal; stopping at once");
            ExitCode::from(EXIT_INTERRUPTED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curl_line_names_an_address_that_is_in_the_certificate() {
        let url = |address: &str| {
            let line = curl(address.parse().expect("an address"));
            line.split_once(".json ").expect("an example").1.trim_end().to_owned()
        };
        assert_eq!(url("127.0.0.1:8443"), "https://127.0.0.1:8443/validate");
        assert_eq!(url("0.0.0.0:9"), "https://127.0.0.1:9/validate");
        assert_eq!(url("[::1]:8443"), "'https://[::1]:8443/validate'");
        assert_eq!(url("[::]:8443"), "https://localhost:8443/validate");
        assert_eq!(url("10.1.2.3:7"), "--resolve localhost:7:10.1.2.3 https://localhost:7/validate");
    }
}
