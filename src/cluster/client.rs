//! Connects to a cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{InClusterError, InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// An API server that accepts no connection in this time is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// It gives up on a request after 60 s itself.
const READ: Duration = Duration::from_secs(65);

/// Why no cluster can be reached. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("--kubeconfig {}: {error}", .path.display())]
    Kubeconfig { path: PathBuf, error: KubeconfigError },
    #[error("--context: {0}")]
    Context(KubeconfigError),
    #[error("no cluster: {0}\nname one with --kubeconfig FILE")]
    NotFound(InferConfigError),
    #[error(
        "this is no pod of a cluster: {in_cluster}\nno kubeconfig can be used: {kubeconfig}\nname a cluster with --kubeconfig FILE"
    )]
    NotInCluster { in_cluster: InClusterError, kubeconfig: KubeconfigError },
    #[error("no cluster: {0}")]
    Client(kube::Error),
}

/// Which cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
}

/// A client of the cluster that kubectl would use: of the options, KUBECONFIG, ~/.kube/config, or the one that this is a pod
/// of. Needs a runtime.
pub async fn client(options: &ClusterOptions) -> Result<Client, ClientError> {
    let kube_options = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    let mut config = match &options.kubeconfig {
        Some(path) => from_file(path, &kube_options).await?,
        None if options.context.is_some() => {
            Config::from_kubeconfig(&kube_options).await.map_err(ClientError::Context)?
        }
        None => Config::infer().await.map_err(ClientError::NotFound)?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    Client::try_from(config).map_err(ClientError::Client)
}

/// A client for `serve`: for the cluster of the option, else the one in which this is a pod, else that of KUBECONFIG or
/// ~/.kube/config. Needs a runtime.
pub async fn server_client(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let options = KubeConfigOptions::default();
    let config = match (kubeconfig, Config::incluster()) {
        (Some(path), _) => from_file(path, &options).await?,
        (None, Ok(config)) => config,
        // Also in a pod without a token, where a kubeconfig may be mounted instead.
        (None, Err(in_cluster)) => Config::from_kubeconfig(&options)
            .await
            .map_err(|kubeconfig| ClientError::NotInCluster { in_cluster, kubeconfig })?,
    };
    tracing::info!(cluster = %config.cluster_url, "asking this cluster");
    Client::try_from(config).map_err(ClientError::Client)
}

async fn from_file(path: &Path, options: &KubeConfigOptions) -> Result<Config, ClientError> {
    let failed = |error| ClientError::Kubeconfig { path: path.to_owned(), error };
    let file = Kubeconfig::read_from(path).map_err(failed)?;
    Config::from_custom_kubeconfig(file, options).await.map_err(failed)
}
