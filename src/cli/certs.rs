//! Where the certificate of `serve` comes from, and who looks for the next one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use tokio::sync::watch;

#[cfg(feature = "cluster")]
use crate::cluster::keeper::{Keeper, Outlet, Report};
use crate::config::value::go_duration;
use crate::server::files::{NamedFile, SETTLED_LOOKS, Watched};
use crate::server::limits::{CERTS_POLL, CERTS_POLL_RANGE, DEVELOPMENT_LOOK};
use crate::server::renewal::{Look, follow};
use crate::server::{Server, development, pair};

/// Where development certificates live, in the folder the program is started in.
pub const DEVELOPMENT: &str = "certs";

#[derive(clap::Args)]
#[group(id = "certificates")]
pub struct Args {
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
    /// Within what time a change of these files, or of --client-ca, counts for new connections
    #[arg(long, env = "SCAN_ADMISSION_CERTS_POLL", value_name = "DURATION", default_value = CERTS_POLL, value_parser = parse_poll)]
    pub certs_poll: Duration,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    cluster: super::ca::Args,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Certs {
    /// A development CA and certificate, made under certs/
    Dev,
    /// The files of --tls-cert and --tls-key, read again when they change
    Files,
    /// A CA in a Secret that all replicas share, and caBundles that are kept in step with it
    #[cfg(feature = "cluster")]
    Cluster,
}

pub fn parse_poll(text: &str) -> Result<Duration, String> {
    go_duration(text).filter(|poll| CERTS_POLL_RANGE.contains(poll)).ok_or_else(|| {
        format!("not a duration from {:?} to {:?}, such as 1s", CERTS_POLL_RANGE.start(), CERTS_POLL_RANGE.end())
    })
}

/// A certificate to begin with, and how to come by newer ones.
pub struct Source {
    /// Proven already, except from the cluster.
    pub first: Option<CertifiedKey>,
    pub renewal: Renewal,
    pub is_development: bool,
}

pub enum Renewal {
    /// Looks again and again.
    Look(Look<CertifiedKey>, Duration),
    #[cfg(feature = "cluster")]
    Keep(Box<Keeper>),
}

impl Args {
    pub async fn source(&self) -> Result<Source, String> {
        let now = OffsetDateTime::now_utc();
        let makes_its_own = |source: &str| {
            Err(format!(
                "--certs {source} makes its own certificate: leave out --tls-cert and --tls-key, or say --certs files"
            ))
        };
        match (&self.tls_cert, &self.tls_key) {
            #[cfg(feature = "cluster")]
            (None, _) if self.certs == Some(Certs::Cluster) => {
                let keeper = Box::new(self.cluster.keeper().await?);
                Ok(Source { first: None, renewal: Renewal::Keep(keeper), is_development: false })
            }
            #[cfg(feature = "cluster")]
            _ if self.certs == Some(Certs::Cluster) => makes_its_own("cluster"),
            (Some(_), _) | (_, Some(_)) if self.certs == Some(Certs::Dev) => makes_its_own("dev"),
            (Some(certificate), Some(key)) => files(certificate, key, self.certs_poll, now),
            _ => dev(now).map_err(|error| {
                format!("--certs dev: {error}\nserve certificates of your own with --tls-cert FILE --tls-key FILE, or move the file away, or start in another folder")
            }),
        }
    }
}

fn files(certificate: &Path, key: &Path, poll: Duration, now: OffsetDateTime) -> Result<Source, String> {
    let files = [("--tls-cert", certificate), ("--tls-key", key)];
    let files = files.map(|(flag, path)| NamedFile { flag, path: path.to_owned() }).into();
    let (mut watched, first) = Watched::open(files, |contents, now| pair::prove(&contents[0], &contents[1], now), now)
        .map_err(|error| error.to_string())?;
    let look = Box::new(move |now| watched.look(now).map(|found| found.map_err(|error| error.to_string())));
    Ok(Source { first: Some(first), renewal: Renewal::Look(look, poll / SETTLED_LOOKS), is_development: false })
}

fn dev(now: OffsetDateTime) -> Result<Source, development::Error> {
    let first = development::certificate(Path::new(DEVELOPMENT), now)?;
    let look = development::look(DEVELOPMENT.into(), first.clone());
    Ok(Source { first: Some(first), renewal: Renewal::Look(look, DEVELOPMENT_LOOK), is_development: true })
}

impl Renewal {
    /// Begins, for as long as the runtime runs. `trusted` is told whether the API servers accept what is served.
    pub fn spawn(self, renew: watch::Sender<Option<Arc<CertifiedKey>>>, trusted: watch::Sender<bool>, server: &Server) {
        match self {
            Self::Look(look, every) => {
                // They were proven before they came here, and nobody knows more.
                trusted.send_replace(true);
                // The next handshake has it, open connections go on.
                let take = move |certificate| drop(renew.send_replace(Some(Arc::new(certificate))));
                let counts = server.renewal_counts();
                tokio::spawn(follow("certificate", look, every, OffsetDateTime::now_utc, take, counts));
            }
            #[cfg(feature = "cluster")]
            Self::Keep(keeper) => {
                let (ca_not_after, in_step, failures) = server.ca_metrics();
                let reloads = server.renewal_counts().reloads;
                let report = Report { ca_not_after, in_step, reloads, failures };
                tokio::spawn(keeper.keep(OffsetDateTime::now_utc, Outlet { renew, trusted, report }));
            }
        }
    }
}
