//! Diagnoses an installation without changing it.
//!
//! The cluster is read once, into a [`Snapshot`], and each replica is probed for its certificate and its answer to a
//! review. The checks are a table of functions of the snapshot, from which the docs and the tests are generated.

mod check;
mod checks;
mod configured;
pub mod dry_run;
pub mod endpoint;
pub mod expected;
pub mod lookup;
pub mod policies;
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

/// Runs every check on a snapshot.
pub fn examine(snapshot: &Snapshot) -> Vec<Diagnostic> {
    CHECKS.iter().copied().flatten().flat_map(|check| Diagnostics::of(check, snapshot)).collect()
}

/// Reads the cluster, probes its replicas and runs every check. With `is_probe`, also sends the dry run of a write.
pub async fn diagnose(
    client: &Client,
    expected: Expected,
    connection: &Connection,
    is_probe: bool,
) -> Result<Vec<Diagnostic>, DiagnoseError> {
    let mut snapshot = read(client, expected).await?;
    let mut probes = Vec::new();
    for target in &snapshot.targets {
        let calls = snapshot.webhooks().map(|ours| &ours.webhook.client_config);
        let mut paths: Vec<String> = calls
            .filter(|config| called_address(config).as_ref() == Some(&target.address))
            .filter_map(target::path)
            .collect();
        paths.sort();
        paths.dedup();
        for endpoint in target.endpoints().into_iter().take(ENDPOINTS_MAX) {
            probes.push(tokio::spawn(probe(target.address.host.clone(), endpoint, paths.clone(), connection.clone())));
        }
    }
    for probe in probes {
        snapshot.probes.push(probe.await.map_err(DiagnoseError::Panic)?);
    }
    if is_probe {
        snapshot.dry_run = Some(dry_run::dry_run(client).await);
    }
    Ok(examine(&snapshot))
}
