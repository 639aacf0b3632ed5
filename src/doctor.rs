//! Diagnoses an installation without changing it.
//!
//! The cluster is read once, into a [`Snapshot`]; the replicas are asked for their certificate and an answer. A check is a
//! value over that, in a table from which the docs and the tests follow.

mod check;
mod checks;
mod configured;
pub mod dry_run;
pub mod endpoint;
pub mod expected;
pub mod lookup;
mod read;
pub mod report;
pub mod snapshot;
pub mod target;

use kube::Client;

pub use check::{Check, Diagnostic, Diagnostics, Level};
pub use checks::CHECKS;
pub use expected::Expected;
pub use snapshot::Snapshot;

use crate::cluster::ca_bundle::called_address;
use endpoint::{Connection, ENDPOINTS_MAX, probe};
use read::{DiagnoseError, read};

/// Runs every check.
pub fn examine(snapshot: &Snapshot) -> Vec<Diagnostic> {
    CHECKS.iter().copied().flatten().flat_map(|check| Diagnostics::of(check, snapshot)).collect()
}

/// Reads the cluster and asks its replicas; `is_probe` allows the dry run of a write.
pub async fn diagnose(
    client: &Client,
    expected: Expected,
    connection: &Connection,
    is_probe: bool,
) -> Result<Vec<Diagnostic>, DiagnoseError> {
    let mut snapshot = read(client, expected).await?;
    let mut asked = Vec::new();
    for target in &snapshot.targets {
        let calls = snapshot.webhooks().map(|ours| &ours.webhook.client_config);
        let mut paths: Vec<String> = calls
            .filter(|config| called_address(config).as_ref() == Some(&target.address))
            .filter_map(target::path)
            .collect();
        paths.sort();
        paths.dedup();
        for endpoint in target.endpoints().into_iter().take(ENDPOINTS_MAX) {
            asked.push(tokio::spawn(probe(target.address.host.clone(), endpoint, paths.clone(), connection.clone())));
        }
    }
    for probed in asked {
        snapshot.probes.push(probed.await.map_err(DiagnoseError::Panic)?);
    }
    if is_probe {
        snapshot.dry_run = Some(dry_run::dry_run(client).await);
    }
    Ok(examine(&snapshot))
}
