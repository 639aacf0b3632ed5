//! The source of the serving certificate, and its renewal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use tokio::sync::watch;

#[cfg(feature = "cluster")]
use super::cluster_ca::{ClusterCaError, ClusterCaFlags};
use crate::cli::flags::duration::parse_poll;
#[cfg(feature = "cluster")]
use crate::cluster::ca_controller::{CaController, CaOutputs};
use crate::server::Server;
use crate::server::limits::{CERTS_POLL, DEVELOPMENT_POLL};
use crate::server::reload::poll_and_apply;
use crate::tls::development::{self, DevelopmentError};
use crate::tls::files::{FileError, NamedFile, Poll, SETTLED_POLLS, WatchedFiles};
use crate::tls::{TlsFileError, key_pair};

/// The folder of development certificates, in the working directory.
pub const DEVELOPMENT: &str = "certs";

#[derive(clap::Args)]
#[group(id = "certificates")]
pub struct CertificateFlags {
    /// Source of the serving certificate [default: files with --tls-cert, otherwise dev]
    #[arg(long, env = "SCAN_ADMISSION_CERTS", value_enum)]
    certs: Option<Certs>,
    /// PEM file with the serving certificate, followed by its chain
    #[arg(
        long,
        env = "SCAN_ADMISSION_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key",
        required_if_eq("certs", "files")
    )]
    tls_cert: Option<PathBuf>,
    /// PEM file with the unencrypted key of the certificate: PKCS#8, PKCS#1 or SEC1
    #[arg(long, env = "SCAN_ADMISSION_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Time within which changes of these files and of --client-ca apply to new connections
    #[arg(long, env = "SCAN_ADMISSION_CERTS_POLL", value_name = "DURATION", default_value = CERTS_POLL, value_parser = parse_poll)]
    pub certs_poll: Duration,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    cluster: ClusterCaFlags,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Certs {
    /// A development CA and certificate, created under certs/
    Dev,
    /// The files of --tls-cert and --tls-key, reloaded when they change
    Files,
    /// A CA in a Secret that all replicas share, and that is written to the caBundles
    #[cfg(feature = "cluster")]
    Cluster,
}

/// Why there is no certificate at the start.
#[derive(Debug, thiserror::Error)]
pub enum CertificateSourceError {
    #[error("--certs {0} creates its own certificate: omit --tls-cert and --tls-key, or use --certs files")]
    ConflictingFiles(&'static str),
    #[error(transparent)]
    Files(#[from] FileError<TlsFileError>),
    #[error(
        "--certs dev: {0}\nuse your own certificate with --tls-cert FILE --tls-key FILE, move the file to another \
         folder, or start the server in another folder"
    )]
    Development(#[from] DevelopmentError),
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Cluster(#[from] ClusterCaError),
}

/// The first certificate, and its renewal.
pub struct CertificateSource {
    /// Already verified. `None` if the certificate comes from the cluster.
    pub first: Option<CertifiedKey>,
    pub renewal: Renewal,
    pub is_development: bool,
}

pub enum Renewal {
    Poll {
        poll: Poll<CertifiedKey>,
        every: Duration,
    },
    #[cfg(feature = "cluster")]
    Controller(Box<CaController>),
}

impl CertificateFlags {
    /// Returns the kubeconfig, which is also that of `--events`.
    #[cfg(feature = "cluster")]
    pub fn kubeconfig(&self) -> Option<&Path> {
        self.cluster.kubeconfig.as_deref()
    }

    pub async fn source(&self) -> Result<CertificateSource, CertificateSourceError> {
        let now = OffsetDateTime::now_utc();
        match (&self.tls_cert, &self.tls_key) {
            #[cfg(feature = "cluster")]
            (None, _) if self.certs == Some(Certs::Cluster) => {
                let renewal = Renewal::Controller(Box::new(self.cluster.controller().await?));
                Ok(CertificateSource { first: None, renewal, is_development: false })
            }
            #[cfg(feature = "cluster")]
            _ if self.certs == Some(Certs::Cluster) => Err(CertificateSourceError::ConflictingFiles("cluster")),
            (Some(_), _) | (_, Some(_)) if self.certs == Some(Certs::Dev) => {
                Err(CertificateSourceError::ConflictingFiles("dev"))
            }
            (Some(certificate), Some(key)) => Ok(files(certificate, key, self.certs_poll, now)?),
            _ => Ok(dev(now)?),
        }
    }
}

fn files(
    certificate: &Path,
    key: &Path,
    poll: Duration,
    now: OffsetDateTime,
) -> Result<CertificateSource, FileError<TlsFileError>> {
    let files = [("--tls-cert", certificate), ("--tls-key", key)];
    let files = files.map(|(flag, path)| NamedFile { flag, path: path.to_owned() }).into();
    let load = |contents: &[Vec<u8>], now| key_pair::load(&contents[0], &contents[1], now);
    let (watched, first) = WatchedFiles::open(files, load, now)?;
    let renewal = Renewal::Poll { poll: watched.into_poll(), every: poll / SETTLED_POLLS };
    Ok(CertificateSource { first: Some(first), renewal, is_development: false })
}

fn dev(now: OffsetDateTime) -> Result<CertificateSource, DevelopmentError> {
    let first = development::certificate(Path::new(DEVELOPMENT), now)?;
    let poll = development::poll(DEVELOPMENT.into(), first.clone());
    let renewal = Renewal::Poll { poll, every: DEVELOPMENT_POLL };
    Ok(CertificateSource { first: Some(first), renewal, is_development: true })
}

impl Renewal {
    /// Renews the certificate for as long as the runtime runs. `trusted` receives whether the API servers accept it.
    pub fn spawn(
        self,
        certificate: watch::Sender<Option<Arc<CertifiedKey>>>,
        trusted: watch::Sender<bool>,
        server: &Server,
    ) {
        let counts = server.certificate_counts();
        match self {
            Self::Poll { poll, every } => {
                // The certificate was verified, and the caBundles are not known here.
                trusted.send_replace(true);
                // The new certificate applies to new handshakes. Open connections are not affected.
                let apply = move |newer| drop(certificate.send_replace(Some(Arc::new(newer))));
                tokio::spawn(poll_and_apply("certificate", poll, every, OffsetDateTime::now_utc, apply, counts));
            }
            #[cfg(feature = "cluster")]
            Self::Controller(controller) => {
                let metrics = server.ca_metrics();
                let outputs = CaOutputs { certificate, trusted, metrics, counts };
                tokio::spawn(controller.run(OffsetDateTime::now_utc, outputs));
            }
        }
    }
}
