//! Replaces replicas under load, as a rollout does, and tests that no call is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::ca_rotation::scans;
use crate::controlplane::{Namespace, User, eventually};
use crate::replicas::{Fleet, client, endpoint};
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] = &[("a-rolling-restart-loses-no-call", a_rolling_restart_loses_no_call)];

const ROUNDS: usize = 50;
const WRITERS: usize = 4;
/// The time until the Service notices that a replica is not ready. The stop delay is longer, as in the manifests.
const LAG: Duration = Duration::from_millis(200);
const STOP_DELAY: &str = "--stop-delay=1s";

fn a_rolling_restart_loses_no_call(_: &Namespace<'_>) {
    let fleet = Fleet::with_lag(LAG);
    let start = || {
        let replica = fleet.start("60s", &[STOP_DELAY]);
        eventually("the new replica is ready", || fleet.is_ready(&replica).then_some(()));
        fleet.forwarder.add(endpoint(&replica));
        replica
    };
    let mut replicas: Vec<_> = (0..3).map(|_| start()).collect();
    let namespace = fleet.cluster.namespace("scans", &json!({}));
    let (is_over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let name = format!("scan-{writer}");
            namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan(&name).to_string()).run().ok();
            let scans = scans(client(&fleet.runtime, &fleet.cluster, User::ScanController));
            let (is_over, written) = (is_over.clone(), written.clone());
            fleet.runtime.spawn(async move {
                while !is_over.load(Relaxed) {
                    let number = written.fetch_add(1, Relaxed);
                    let status = json!({"status": {"phase": "Pending", "cveCount": {"critical": number, "total": 0}}});
                    let patch = scans.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await;
                    let total = patch.map_err(|error| error.to_string())?.data["status"]["cveCount"]["total"].clone();
                    if total != number {
                        return Err(format!("no webhook has mutated the total {total}"));
                    }
                }
                Ok(())
            })
        })
        .collect();
    for round in 0..ROUNDS {
        let new = start();
        let old = std::mem::replace(&mut replicas[round % 3], new);
        let gone = endpoint(&old);
        old.signal("TERM");
        let (status, _) = fleet.runtime.block_on(old.wait());
        fleet.forwarder.remove(gone);
        assert_eq!(status.code(), Some(0), "round {round}");
        assert!(writers.iter().all(|writer| !writer.is_finished()), "a call was lost in round {round}");
    }
    is_over.store(true, Relaxed);
    for writer in writers {
        assert_eq!(fleet.runtime.block_on(writer).unwrap(), Ok(()));
    }
    let written = written.load(Relaxed);
    assert!(written > ROUNDS * WRITERS, "only {written} writes");
    eprintln!("{ROUNDS} restarts, {written} writes, none lost");
}
