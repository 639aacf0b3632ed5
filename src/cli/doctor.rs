//! `doctor`: whether the webhook on a cluster is installed as it should be, and answers.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

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

/// There is a problem.
const PROBLEM: u8 = 1;

/// Diagnoses an installation on a cluster: what is wrong, what it causes and what to do
#[derive(Args)]
#[command(
    after_help = "Nothing is changed, and nothing is written but with --probe, which allows the dry run of one write that has to
be denied. docs/doctor.md has every check, and which rights they take.

Examples:
  scan-admission doctor
  scan-admission doctor --probe -o json | jq -r '.diagnostics[].check'
  kubectl --namespace scan-admission port-forward pod/POD 9443:8443 &
  scan-admission doctor --connect-to 10.1.2.3:8443=127.0.0.1:9443

Exit: 0 no problem, 1 a problem, 2 not everything could be looked up."
)]
pub struct DoctorCommand {
    /// For people, or one JSON document
    #[arg(short, long, value_enum, default_value_t = Format::Text, env = "SCAN_ADMISSION_OUTPUT")]
    output: Format,
    /// The Service that the API server calls; the Deployment and the ServiceAccount have its name
    #[arg(long, env = "SCAN_ADMISSION_SERVICE", value_name = "NAMESPACE/NAME", default_value_t = ServiceName { namespace: NAME.to_owned(), name: NAME.to_owned() }, value_parser = parse_service)]
    service: ServiceName,
    /// The name of both webhook configurations
    #[arg(long, env = "SCAN_ADMISSION_WEBHOOK_CONFIGURATION", value_name = "NAME", default_value = NAME)]
    webhook_configuration: String,
    /// Try a write that has to be denied, by a dry run through the API server
    #[arg(long, env = "SCAN_ADMISSION_PROBE")]
    probe: bool,
    /// Where an endpoint is reached from here, as by a port that is forwarded
    #[arg(long, env = "SCAN_ADMISSION_CONNECT_TO", value_name = "ENDPOINT=ADDRESS", value_parser = parse_connect_to, value_delimiter = ',')]
    connect_to: Vec<ConnectTo>,
    /// PEM file with a client certificate and its chain, for replicas that demand one
    #[arg(long, env = "SCAN_ADMISSION_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// PEM file with its key
    #[arg(long, env = "SCAN_ADMISSION_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// An endpoint, and the address that is asked in its place.
#[derive(Clone)]
struct ConnectTo {
    endpoint: String,
    address: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
enum ConnectToError {
    #[error("not two addresses with ports, such as 10.1.2.3:8443=127.0.0.1:9443")]
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
