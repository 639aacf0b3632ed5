//! `doctor`: diagnoses the installation on a cluster.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::UNUSABLE;
use super::flags::address::{AddressError, parse_connect};
use super::flags::cluster::{self, ClusterFlags};
use super::flags::{ServiceName, parse_service};
use crate::cluster::client::client;
use crate::doctor::endpoint::{ClientIdentity, Connection};
use crate::doctor::{Expected, Level, diagnose, report};
use crate::install::NAME;
use crate::report::Format;
use crate::tls::TlsFileError;
use crate::tls::files::{FileError, FileProblem};
use crate::tls::pem;

/// The exit code if there is a problem.
const PROBLEM: u8 = 1;

/// Diagnose the installation on a cluster: what is wrong, its effects, and what to do
#[derive(Args)]
#[command(after_help = "doctor changes nothing. With --probe it sends one write that must be denied, as a dry run.
docs/doctor.md lists the checks, and the rights that they need.

Examples:
  scan-admission doctor
  scan-admission doctor --probe -o json | jq -r '.diagnostics[].check'
  kubectl --namespace scan-admission port-forward pod/POD 9443:8443 &
  scan-admission doctor --connect-to 10.1.2.3:8443=127.0.0.1:9443

Exit codes:
  0  no problem was found
  1  a problem was found
  2  no problem was found, but not every check could be made")]
pub struct DoctorCommand {
    /// Output format: text, or one JSON document
    #[arg(short, long, value_enum, default_value_t = Format::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: Format,
    /// Service that the API server calls; the Deployment and the ServiceAccount have its name
    #[arg(long, env = "SCAN_ADMISSION_SERVICE", value_name = "NAMESPACE/NAME", default_value_t = ServiceName { namespace: NAME.to_owned(), name: NAME.to_owned() }, value_parser = parse_service)]
    service: ServiceName,
    /// Name of both webhook configurations
    #[arg(long, env = "SCAN_ADMISSION_WEBHOOK_CONFIGURATION", value_name = "NAME", default_value = NAME)]
    webhook_configuration: String,
    /// Send a write that must be denied through the API server, as a dry run
    #[arg(long, env = "SCAN_ADMISSION_PROBE", value_parser = BoolishValueParser::new())]
    probe: bool,
    /// Connect to ADDRESS, for example a forwarded port, in place of an endpoint; may be repeated
    #[arg(long, env = "SCAN_ADMISSION_CONNECT_TO", value_name = "ENDPOINT=ADDRESS", value_parser = parse_connect_to, value_delimiter = ',')]
    connect_to: Vec<ConnectTo>,
    /// PEM file with a client certificate and its chain, for replicas that require one
    #[arg(long, env = "SCAN_ADMISSION_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// PEM file with the private key of the client certificate
    #[arg(long, env = "SCAN_ADMISSION_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// An endpoint, and the address to connect to in its place.
#[derive(Clone)]
struct ConnectTo {
    endpoint: String,
    address: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
enum ConnectToError {
    #[error("must be two addresses with ports, such as 10.1.2.3:8443=127.0.0.1:9443")]
    Pair,
    #[error(transparent)]
    Address(#[from] AddressError),
}

fn parse_connect_to(text: &str) -> Result<ConnectTo, ConnectToError> {
    let both = text.split_once('=').filter(|(endpoint, _)| endpoint.contains(':'));
    let (endpoint, address) = both.ok_or(ConnectToError::Pair)?;
    Ok(ConnectTo { endpoint: endpoint.to_owned(), address: parse_connect(address)? })
}

impl DoctorCommand {
    pub fn run(self) -> io::Result<ExitCode> {
        let ServiceName { namespace, name } = &self.service;
        let expected = Expected::new(namespace, name, &self.webhook_configuration).map_err(io::Error::other)?;
        let identity = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => Some(Arc::new(identity(certificate, key)?)),
            _ => None,
        };
        let overrides = self.connect_to.into_iter().map(|one| (one.endpoint, one.address)).collect();
        let connection = Connection { overrides, identity };
        let options = self.cluster.options();
        let diagnostics = cluster::run(async {
            let client = client(&options).await.map_err(io::Error::other)?;
            diagnose(&client, expected, &connection, self.probe).await.map_err(io::Error::other)
        })??;
        report::write(self.output.stdout(), self.output, &diagnostics)?;
        let has = |level| diagnostics.iter().any(|diagnostic| diagnostic.level == level);
        Ok(ExitCode::from(match (has(Level::Problem), has(Level::Unknown)) {
            (true, _) => PROBLEM,
            (false, true) => UNUSABLE,
            (false, false) => 0,
        }))
    }
}

fn identity(certificate: &Path, key: &Path) -> io::Result<ClientIdentity> {
    let chain = read("--client-cert", certificate, pem::certificates)?;
    let key = read("--client-key", key, pem::private_key)?;
    Ok(ClientIdentity { chain, key })
}

fn read<T>(flag: &'static str, path: &Path, parse: fn(&[u8]) -> Result<T, TlsFileError>) -> io::Result<T> {
    let failed = |problem| io::Error::other(FileError { flag, path: path.to_owned(), problem });
    let text = std::fs::read(path).map_err(|error| failed(error.into()))?;
    parse(&text).map_err(|error| failed(FileProblem::Contents(error)))
}
