//! `serve`: from flags to a running server, and from signals to its end.

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

use super::callers;
use super::certs::{self, DEVELOPMENT};
use super::config;
use super::log;
use crate::config::value::go_duration;
use crate::law::RULES;
use crate::server::{self, BindError, Certificate, Server, Settings};

/// The ports where none are given, on this machine alone.
pub const REVIEWS_PORT: u16 = 8443;
pub const ADMIN_PORT: u16 = 8080;

/// A review of the repository, for the line that shows how to ask.
const EXAMPLE: &str = "tests/fixtures/reviews/sourcescan-failed-5-completed.validate.json";

/// Watches tell each of their tries; what is wrong with the cluster is told once, by those who look at it.
const LOG: &str = "info,kube_runtime::watcher=off";

/// Ended by a second signal, with answers unsent.
const CUT_SHORT: u8 = 1;

/// Answers admission reviews over HTTPS. With no flags it makes a certificate for development under certs/
#[derive(Args)]
#[command(after_help = "Examples:
  scan-admission serve
  scan-admission serve --listen 0.0.0.0:8443 --admin 0.0.0.0:8080 --tls-cert tls.crt --tls-key tls.key")]
pub struct Serve {
    /// Where reviews are taken: POST /validate and /mutate over HTTPS
    #[arg(long, env = "SCAN_ADMISSION_LISTEN", value_name = "ADDRESS", default_value_t = local(REVIEWS_PORT))]
    listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are, over plain HTTP
    #[arg(long, env = "SCAN_ADMISSION_ADMIN", value_name = "ADDRESS", default_value_t = local(ADMIN_PORT))]
    admin: SocketAddr,
    #[command(flatten)]
    config: config::Args,
    #[command(flatten)]
    config_poll: config::Poll,
    /// How long reviews are still taken after the signal to stop, until every node has heard that this replica is going
    #[arg(long, env = "SCAN_ADMISSION_STOP_DELAY", value_name = "DURATION", default_value = "0s", value_parser = parse_delay)]
    stop_delay: Duration,
    /// What is logged to stderr: error, warn, info, debug, trace, or a list of TARGET=LEVEL
    #[arg(long, env = "SCAN_ADMISSION_LOG", value_name = "FILTER", default_value = LOG)]
    log: Targets,
    /// How: text on a terminal and JSON elsewhere, or always one of them
    #[arg(long, env = "SCAN_ADMISSION_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: log::Format,
    #[command(flatten)]
    certs: certs::Args,
    #[command(flatten)]
    callers: callers::Args,
}

fn parse_delay(text: &str) -> Result<Duration, String> {
    // Nobody waits for longer: a node kills a pod after terminationGracePeriodSeconds, 30 by default.
    let range = Duration::ZERO..=Duration::from_secs(600);
    go_duration(text)
        .filter(|delay| range.contains(delay))
        .ok_or_else(|| "not a duration from 0s to 10m, such as 5s".to_owned())
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Serve {
    /// Serves until a signal ends it.
    pub fn run(self) -> io::Result<ExitCode> {
        let log_lines_lost = log::to_stderr(&self.log, self.log_format)?;
        start(&self, log_lines_lost).map_err(io::Error::other)
    }
}

fn start(args: &Serve, log_lines_lost: Counter) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads to serve with: {error}"))?;
    let done = runtime.block_on(async {
        let (config, config_source) = args.config.load()?;
        let (reload, config) = watch::channel(Arc::new(config));
        let (callers, callers_source) = args.callers.open()?.unzip();
        let source = args.certs.source().await?;
        // The senders are for whoever renews the certificate; the server goes on with the last one.
        let (renew, current) = watch::channel(source.first.map(Arc::new));
        let (trusted, is_trusted) = watch::channel(false);
        let (listen, admin, stop_delay) = (args.listen, args.admin, args.stop_delay);
        let settings = Settings {
            listen,
            admin,
            rules: RULES,
            config,
            callers,
            clock: OffsetDateTime::now_utc,
            stop_delay,
            log_lines_lost,
        };
        let signals = Signals::new().map_err(|error| format!("cannot take signals: {error}"))?;
        let server =
            server::bind(settings, Certificate { current, is_trusted }).await.map_err(|error| match error {
                BindError::Tls(_) => error.to_string(),
                BindError::Listen(..) => {
                    format!("--listen: {error}\nchoose another with --listen ADDRESS, port 0 for any")
                }
                BindError::Admin(..) => {
                    format!("--admin: {error}\nchoose another with --admin ADDRESS, port 0 for any")
                }
            })?;
        server.take_panics();
        source.renewal.spawn(renew, trusted, &server);
        config_source.spawn(&args.config_poll, reload, &server);
        let is_for_anybody = callers_source.is_none();
        if let Some(callers_source) = callers_source {
            callers_source.spawn(args.certs.certs_poll, &server);
        }
        announce(&server, source.is_development && is_for_anybody).map_err(|error| format!("no address: {error}"))?;
        Ok(until_signalled(server, signals, args.stop_delay).await)
    });
    // Waits for no look at the files: their disk may hang.
    runtime.shutdown_background();
    done
}

/// The ready line, and a line to try. Nobody may be reading: that is no error.
fn announce(server: &Server, takes_curl: bool) -> io::Result<()> {
    let (reviews, admin) = (server.reviews_address()?, server.admin_address()?);
    let mut lines =
        format!("ready: reviews on https://{reviews} (/validate, /mutate), health and metrics on http://{admin}\n");
    if takes_curl && Path::new(EXAMPLE).exists() {
        lines += &curl(reviews);
    }
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
    Ok(())
}

/// A command that works as it stands, for any address that is listened on.
fn curl(address: SocketAddr) -> String {
    let port = address.port();
    let to = match address.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST | Ipv4Addr::UNSPECIFIED) => format!("https://127.0.0.1:{port}/validate"),
        // Quoted: brackets are a pattern to a shell.
        IpAddr::V6(Ipv6Addr::LOCALHOST | Ipv6Addr::UNSPECIFIED) => format!("'https://[::1]:{port}/validate'"),
        IpAddr::V4(ip) => format!("--resolve localhost:{port}:{ip} https://localhost:{port}/validate"),
        IpAddr::V6(ip) => format!("--resolve 'localhost:{port}:[{ip}]' https://localhost:{port}/validate"),
    };
    format!("curl --cacert {DEVELOPMENT}/ca.crt -H 'Content-Type: application/json' --data-binary @{EXAMPLE} {to}\n")
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The first signal stops the server, a second one ends it.
async fn until_signalled(server: Server, mut signals: Signals, delay: Duration) -> ExitCode {
    let (stop, stopped) = oneshot::channel::<()>();
    let both = async {
        signals.next().await;
        tracing::info!(delay = ?delay, "stopping: not ready, and then finishing the reviews in flight");
        drop(stop);
        signals.next().await;
    };
    let stopped = async {
        let _ = stopped.await;
    };
    tokio::select! {
        () = server.serve(stopped) => ExitCode::SUCCESS,
        () = both => {
            tracing::warn!("a second signal: ending at once");
            ExitCode::from(CUT_SHORT)
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
        assert_eq!(url("[::]:8443"), "'https://[::1]:8443/validate'");
        assert_eq!(url("10.1.2.3:7"), "--resolve localhost:7:10.1.2.3 https://localhost:7/validate");
    }
}
