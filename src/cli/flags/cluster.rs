//! Which cluster: found as kubectl finds it.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use crate::cluster::client::ClusterOptions;

#[derive(clap::Args)]
#[group(id = "cluster")]
pub struct ClusterFlags {
    /// The cluster [default: $KUBECONFIG, ~/.kube/config, or the one that this is a pod of]
    #[arg(long, env = "SCAN_ADMISSION_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Another context of the kubeconfig than the current one
    #[arg(long, env = "SCAN_ADMISSION_CONTEXT", value_name = "NAME")]
    context: Option<String>,
}

impl ClusterFlags {
    pub fn options(self) -> ClusterOptions {
        ClusterOptions { kubeconfig: self.kubeconfig, context: self.context }
    }
}

/// Runs a task that waits for the cluster, and nothing else meanwhile.
pub fn run<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(task))
}
