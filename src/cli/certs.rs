//! Where the certificate of `serve` comes from, and who looks for the next one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use crate::server::body::go_duration;
use crate::server::files::{NamedFile, SETTLED_LOOKS, Watched};
use crate::server::limits::{CERTS_POLL, CERTS_POLL_RANGE, DEVELOPMENT_LOOK};
use crate::server::renewal::Look;
use crate::server::{development, pair};

/// Where development certificates live, in the folder the program is started in.
pub const DEVELOPMENT: &str = "certs";

#[derive(clap::Args)]
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
    /// Within what time a change of both files is served
    #[arg(long, env = "SCAN_ADMISSION_CERTS_POLL", value_name = "DURATION", default_value = CERTS_POLL, value_parser = parse_poll)]
    certs_poll: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Certs {
    /// A development CA and certificate, made under certs/
    Dev,
    /// The files of --tls-cert and --tls-key, read again when they change
    Files,
}

fn parse_poll(text: &str) -> Result<Duration, String> {
    go_duration(text).filter(|poll| CERTS_POLL_RANGE.contains(poll)).ok_or_else(|| {
        format!("not a duration from {:?} to {:?}, such as 1s", CERTS_POLL_RANGE.start(), CERTS_POLL_RANGE.end())
    })
}

/// A certificate to begin with, and how to come by newer ones.
pub struct Source {
    pub first: CertifiedKey,
    pub look: Look,
    pub every: Duration,
    pub is_development: bool,
}

impl Args {
    pub fn source(&self) -> Result<Source, String> {
        let now = OffsetDateTime::now_utc();
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), _) | (_, Some(_)) if self.certs == Some(Certs::Dev) => {
                Err("--certs dev makes its own certificate: leave out --tls-cert and --tls-key, or say --certs files".to_owned())
            }
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
    Ok(Source { first, look, every: poll / SETTLED_LOOKS, is_development: false })
}

fn dev(now: OffsetDateTime) -> Result<Source, development::Error> {
    let first = development::certificate(Path::new(DEVELOPMENT), now)?;
    let look = development::look(DEVELOPMENT.into(), first.clone());
    Ok(Source { first, look, every: DEVELOPMENT_LOOK, is_development: true })
}
