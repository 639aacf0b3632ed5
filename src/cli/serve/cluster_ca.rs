//! The flags of `--certs cluster`.

use std::path::PathBuf;

use time::Duration;

use crate::cli::flags::duration::parse_life;
use crate::cli::flags::{ServiceName, parse_service};
use crate::cluster::ca_controller::CaController;
use crate::cluster::client::{ClientError, server_client};
use crate::cluster::shared_ca::CaTimes;
use crate::install::NAME;

#[derive(clap::Args)]
#[command(next_help_heading = "With --certs cluster")]
#[group(id = "ca")]
pub struct ClusterCaFlags {
    /// kubeconfig of the cluster, also for --events [default: the cluster of this pod, otherwise $KUBECONFIG or ~/.kube/config]
    #[arg(long, env = "SCAN_ADMISSION_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Service that the API server calls
    #[arg(long, env = "SCAN_ADMISSION_SERVICE", value_name = "NAMESPACE/NAME", default_value_t = ServiceName { namespace: NAME.to_owned(), name: NAME.to_owned() }, value_parser = parse_service)]
    service: ServiceName,
    /// Secret with the CA, in the namespace of the Service
    #[arg(long, env = "SCAN_ADMISSION_CA_SECRET", value_name = "NAME", default_value_t = format!("{NAME}-ca"))]
    ca_secret: String,
    /// ValidatingWebhookConfiguration and MutatingWebhookConfiguration whose caBundles are written
    #[arg(long, env = "SCAN_ADMISSION_WEBHOOK_CONFIGURATION", value_name = "NAME", default_value = NAME)]
    webhook_configuration: String,
    /// How long a CA is valid; the next CA is announced at two thirds of this time
    #[arg(long, env = "SCAN_ADMISSION_CA_LIFE", value_name = "DURATION", default_value = "2160h", value_parser = parse_life)]
    ca_life: Duration,
    /// How long a certificate is valid; it is renewed at two thirds of this time or earlier
    #[arg(long, env = "SCAN_ADMISSION_CERT_LIFE", value_name = "DURATION", default_value = "168h", value_parser = parse_life)]
    cert_life: Duration,
    /// How long API servers may take to learn of a CA after it is written to the caBundles
    #[arg(long, env = "SCAN_ADMISSION_CA_SETTLE", value_name = "DURATION", default_value = "60s", value_parser = parse_life)]
    ca_settle: Duration,
}

/// Why the CA controller cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum ClusterCaError {
    #[error("--ca-life is too short: a third of it must be at least the sum of --cert-life and --ca-settle")]
    LifeTooShort,
    #[error("--certs cluster: {0}")]
    Client(ClientError),
}

impl ClusterCaFlags {
    /// Returns the controller. Must be called within a Tokio runtime.
    pub async fn controller(&self) -> Result<CaController, ClusterCaError> {
        let times = CaTimes { ca: self.ca_life, leaf: self.cert_life, settle: self.ca_settle };
        // The replacement of a CA begins at two thirds of its life, and the certificates that it has signed must expire
        // before it does.
        if times.ca / 3 < times.leaf + times.settle {
            return Err(ClusterCaError::LifeTooShort);
        }
        Ok(CaController {
            client: server_client(self.kubeconfig.as_deref()).await.map_err(ClusterCaError::Client)?,
            namespace: self.service.namespace.clone(),
            service: self.service.name.clone(),
            secret: self.ca_secret.clone(),
            configuration: self.webhook_configuration.clone(),
            times,
        })
    }
}
