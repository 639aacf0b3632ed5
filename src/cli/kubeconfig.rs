//! Which cluster is looked at: found as kubectl finds it.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// An API server that takes no connection in this time is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// It gives up on a request after 60 s itself.
const READ: Duration = Duration::from_secs(65);

#[derive(clap::Args)]
#[group(id = "cluster")]
pub struct Args {
    /// The cluster [default: $KUBECONFIG, ~/.kube/config, or the one that this is a pod of]
    #[arg(long, env = "SCAN_ADMISSION_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Another context of the kubeconfig than the current one
    #[arg(long, env = "SCAN_ADMISSION_CONTEXT", value_name = "NAME")]
    context: Option<String>,
}

impl Args {
    /// Needs a runtime. An error says what to do.
    pub async fn client(&self) -> Result<Client, String> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match &self.kubeconfig {
            Some(path) => from_file(path, &options).await?,
            None if self.context.is_some() => {
                let found = Config::from_kubeconfig(&options).await;
                found.map_err(|error| format!("--context: {error}"))?
            }
            None => Config::infer()
                .await
                .map_err(|error| format!("no cluster: {error}\nname one with --kubeconfig FILE"))?,
        };
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(READ);
        Client::try_from(config).map_err(|error| format!("no cluster: {error}"))
    }
}

/// What the file of `--kubeconfig` says.
pub async fn from_file(path: &Path, options: &KubeConfigOptions) -> Result<Config, String> {
    let failed = |error: &dyn std::fmt::Display| format!("--kubeconfig {}: {error}", path.display());
    let file = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
    Config::from_custom_kubeconfig(file, options).await.map_err(|error| failed(&error))
}

/// Runs what waits for the cluster; nothing else is done meanwhile.
pub fn run<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(task))
}
