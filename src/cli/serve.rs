//! `serve`: from flags to a running server, and from signals to its end.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::admission::FaultPolicy;
use crate::law::RULES;
use crate::server::limits::Limits;
use crate::server::{self, BindError, Server, Settings, development, tls};

/// The ports where none are given, on this machine alone.
pub const REVIEWS_PORT: u16 = 8443;
pub const ADMIN_PORT: u16 = 8080;

/// Where development certificates live, in the folder the program is started in.
const CERTS: &str = "certs";
/// A review of the repository, for the line that shows how to ask.
const EXAMPLE: &str = "tests/fixtures/reviews/sourcescan-failed-5-completed.validate.json";

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
    /// Where the certificate comes from [default: files with --tls-cert, else dev]
    #[arg(long, env = "SCAN_ADMISSION_CERTS", value_enum)]
    certs: Option<Certs>,
    /// PEM file with the server's certificate, then its chain
    #[arg(
        long,
        env = "SCAN_ADMISSION_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key",
        required_if_eq("certs", "files")
    )]
    tls_cert: Option<PathBuf>,
    /// PEM file with the key of the certificate: PKCS#8, PKCS#1 or SEC1
    #[arg(long, env = "SCAN_ADMISSION_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// What the validating door does with a review it cannot judge: too big, too late, too busy, or a fault of its own
    #[arg(long, env = "SCAN_ADMISSION_FAULTS", value_enum, default_value = "refuse")]
    faults: Faults,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Certs {
    /// A development CA and certificate, made under certs/
    Dev,
    /// The files of --tls-cert and --tls-key
    Files,
}

#[derive(Clone, Copy, ValueEnum)]
enum Faults {
    /// Refuse it, with a verdict
    Refuse,
    /// Allow it, with a warning
    Allow,
    /// Answer 503, so that the registration's failurePolicy decides
    FailurePolicy,
}

impl From<Faults> for FaultPolicy {
    fn from(faults: Faults) -> Self {
        match faults {
            Faults::Refuse => Self::Refuse,
            Faults::Allow => Self::Allow,
            Faults::FailurePolicy => Self::FailurePolicy,
        }
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Serve {
    /// Serves until a signal ends it.
    pub fn run(self) -> io::Result<ExitCode> {
        log_to_stderr();
        certificate(&self).and_then(|certificate| start(&self, certificate)).map_err(io::Error::other)
    }
}

fn log_to_stderr() {
    let filter = std::env::var("SCAN_ADMISSION_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // A second one, in a test, changes nothing.
    let _ = tracing_subscriber::registry()
        .with(filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)))
        .with(lines)
        .try_init();
}

fn certificate(args: &Serve) -> Result<CertifiedKey, String> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(_), _) | (_, Some(_)) if args.certs == Some(Certs::Dev) => {
            Err("--certs dev makes its own certificate: leave out --tls-cert and --tls-key, or say --certs files".to_owned())
        }
        (Some(certificate), Some(key)) => {
            let chain = tls::chain(certificate).map_err(|error| about("--tls-cert", certificate, &error))?;
            tls::key(key).and_then(|key| tls::certified(chain, key)).map_err(|error| about("--tls-key", key, &error))
        }
        _ => development::certificate(Path::new(CERTS), OffsetDateTime::now_utc()).map_err(|error| {
            format!("--certs dev: {error}\nserve certificates of your own with --tls-cert FILE --tls-key FILE, or move the file away, or start in another folder")
        }),
    }
}

fn about(flag: &str, path: &Path, error: &dyn Display) -> String {
    format!("{flag} {}: the file {error}", path.display())
}

fn start(args: &Serve, certificate: CertifiedKey) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads to serve with: {error}"))?;
    runtime.block_on(async {
        // The sender is for whoever renews the certificate; the server goes on with the last one.
        let (_renew, certificate) = watch::channel(Arc::new(certificate));
        let settings = Settings {
            listen: args.listen,
            admin: args.admin,
            rules: RULES,
            faults: args.faults.into(),
            limits: Limits::default(),
        };
        let signals = Signals::new().map_err(|error| format!("cannot take signals: {error}"))?;
        let server = server::bind(settings, certificate).await.map_err(|error| match error {
            BindError::Tls(_) => error.to_string(),
            BindError::Listen(..) => format!("--listen: {error}\nchoose another with --listen ADDRESS, port 0 for any"),
            BindError::Admin(..) => format!("--admin: {error}\nchoose another with --admin ADDRESS, port 0 for any"),
        })?;
        server.take_panics();
        let is_development = args.tls_cert.is_none();
        announce(&server, is_development).map_err(|error| format!("no address: {error}"))?;
        Ok(until_signalled(server, signals).await)
    })
}

/// The ready line, and a line to try. Nobody may be reading: that is no error.
fn announce(server: &Server, is_development: bool) -> io::Result<()> {
    let (reviews, admin) = (server.reviews_address()?, server.admin_address()?);
    let mut lines =
        format!("ready: reviews on https://{reviews} (/validate, /mutate), health and metrics on http://{admin}\n");
    if is_development && Path::new(EXAMPLE).exists() {
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
    format!("curl --cacert {CERTS}/ca.crt -H 'Content-Type: application/json' --data-binary @{EXAMPLE} {to}\n")
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
async fn until_signalled(server: Server, mut signals: Signals) -> ExitCode {
    let (stop, stopped) = oneshot::channel::<()>();
    let both = async {
        signals.next().await;
        tracing::info!("stopping: finishing the reviews in flight");
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
