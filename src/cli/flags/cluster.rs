//! `--kubeconfig` and `--context`: the cluster of a command, found as kubectl finds it.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use crate::cluster::client::ClusterOptions;

#[derive(clap::Args)]
#[group(id = "cluster")]
pub struct ClusterFlags {
    /// Kubeconfig of the cluster [default: $KUBECONFIG, ~/.kube/config, or the cluster of this pod]
    #[arg(long, env = "SCAN_ADMISSION_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use [default: its current context]
    #[arg(long, env = "SCAN_ADMISSION_CONTEXT", value_name = "NAME")]
    context: Option<String>,
}

impl ClusterFlags {
    /// Returns the options for the client.
    pub fn options(self) -> ClusterOptions {
        ClusterOptions { kubeconfig: self.kubeconfig, context: self.context }
    }
}

/// Runs a task on a single-threaded runtime, and waits for it to finish.
pub fn run<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(task))
}
