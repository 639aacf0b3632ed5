//! Clients of the API server, for `serve` and for the other commands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{InClusterError, InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// The longest time to connect: an API server that accepts no connection in this time is treated as unavailable.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest time between two reads of a response. The API server itself ends a request after 60 s.
const READ: Duration = Duration::from_secs(65);
/// The longest time between two reads of a watch. The API server sends a bookmark at least every 75 s.
const WATCH_READ: Duration = Duration::from_secs(90);

/// Why no client can be made. Each message names the flag, or says which one to use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("--kubeconfig {}: {error}", .path.display())]
    Kubeconfig { path: PathBuf, error: KubeconfigError },
    #[error("--context: {0}")]
    Context(KubeconfigError),
    #[error("no cluster is configured: {0}\nname one with --kubeconfig FILE")]
    NotFound(InferConfigError),
    #[error(
        "not running in a pod of a cluster: {in_cluster}\nno usable kubeconfig: {kubeconfig}\nname a cluster with \
         --kubeconfig FILE"
    )]
    NotInCluster { in_cluster: InClusterError, kubeconfig: KubeconfigError },
    #[error("no client for the cluster could be made: {0}")]
    Client(kube::Error),
}

/// The flags that choose the cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
}

/// Returns a client of the cluster that kubectl would use: that of the options, else of `KUBECONFIG`, else of
/// ~/.kube/config, else the cluster that this process runs in. Must be called within a Tokio runtime.
pub async fn client(options: &ClusterOptions) -> Result<Client, ClientError> {
    client_with(options, READ).await
}

/// Returns a client like [`client`] whose connections may be silent for as long as a watch is.
pub async fn watch_client(options: &ClusterOptions) -> Result<Client, ClientError> {
    client_with(options, WATCH_READ).await
}

/// The client repeats requests that are answered with 429, 503 or 504, after the time that Retry-After names.
async fn client_with(options: &ClusterOptions, read: Duration) -> Result<Client, ClientError> {
    let kube_options = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    let mut config = match &options.kubeconfig {
        Some(path) => from_file(path, &kube_options).await?,
        None if options.context.is_some() => {
            Config::from_kubeconfig(&kube_options).await.map_err(ClientError::Context)?
        }
        None => Config::infer().await.map_err(ClientError::NotFound)?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(read);
    Client::try_from(config).map_err(ClientError::Client)
}

/// Returns a client for `serve`: of the cluster of `--kubeconfig`, else the cluster that this process runs in, else
/// that of `KUBECONFIG` or ~/.kube/config. Must be called within a Tokio runtime.
pub async fn server_client(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let config = server_config(kubeconfig).await?;
    tracing::info!(cluster = %config.cluster_url, "using this API server");
    Client::try_from(config).map_err(ClientError::Client)
}

/// Returns a client like [`server_client`], which does not retry. It is for Events, whose writes are limited.
pub async fn event_client(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let mut config = server_config(kubeconfig).await?;
    config.default_retry = false;
    tracing::info!(cluster = %config.cluster_url, "writing Events to this API server");
    Client::try_from(config).map_err(ClientError::Client)
}

async fn server_config(kubeconfig: Option<&Path>) -> Result<Config, ClientError> {
    let options = KubeConfigOptions::default();
    match (kubeconfig, Config::incluster()) {
        (Some(path), _) => from_file(path, &options).await,
        (None, Ok(config)) => Ok(config),
        // A pod without a token is no error yet: a kubeconfig may be mounted instead.
        (None, Err(in_cluster)) => Config::from_kubeconfig(&options)
            .await
            .map_err(|kubeconfig| ClientError::NotInCluster { in_cluster, kubeconfig }),
    }
}

async fn from_file(path: &Path, options: &KubeConfigOptions) -> Result<Config, ClientError> {
    let failed = |error| ClientError::Kubeconfig { path: path.to_owned(), error };
    let file = Kubeconfig::read_from(path).map_err(failed)?;
    Config::from_custom_kubeconfig(file, options).await.map_err(failed)
}
