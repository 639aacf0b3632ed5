//! Changes the CA under load while replicas are killed. A seed, which is printed, decides which replica is killed and
//! when.
//! Run `ROTATION_SEED=N cargo test --test cluster ten-ca-changes` to repeat the kills of seed N.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use scan_admission::tls::certificate::CertificateInfo;
use serde_json::json;
use tokio::sync::Mutex;

use crate::controlplane::{Namespace, User, eventually};
use crate::forwarder::Forwarder;
use crate::replicas::{Fleet, client, endpoint};
use crate::support::process::Process;
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] = &[("ten-ca-changes-lose-no-call", ten_ca_changes_lose_no_call)];

const CHANGES: usize = 10;
/// The shortest lifetimes that the flags allow and at which a busy machine still renews certificates in time.
const LIFETIMES: [&str; 2] = ["--ca-life=11s", "--cert-life=2s"];
const SETTLE: &str = "1s";
/// The time between two changes: two thirds of a CA's lifetime, plus the time for the next CA to settle.
const PERIOD: Duration = Duration::from_millis(7000);

/// Writes statuses one after another, each over new connections.
///
/// A call fails when its replica is killed, since the API server does not retry. A pod that is stopped has time to
/// finish; after SIGKILL it has none. The lock therefore keeps kills out of calls, and does nothing else: each call
/// finds the Secret, the caBundles and the other replicas in the state that the killed replica left.
struct Writer {
    scans: Api<DynamicObject>,
    forwarder: Forwarder,
    call: Arc<Mutex<()>>,
    written: Arc<AtomicUsize>,
}

impl Writer {
    /// The write fails unless the validating webhook answers; the total shows that the mutating webhook answered, too.
    async fn write(&self, number: usize) -> Result<(), String> {
        let status = json!({"status": {"phase": "Pending", "cveCount": {"critical": number, "total": 0}}});
        let patch = self.scans.patch_status("one", &PatchParams::default(), &Patch::Merge(status)).await;
        let total = patch.map_err(|error| error.to_string())?.data["status"]["cveCount"]["total"].clone();
        if total == number { Ok(()) } else { Err(format!("the total is {total}: no webhook has mutated it")) }
    }

    async fn run(self) -> String {
        for number in 1.. {
            let _call = self.call.lock().await;
            if let Err(error) = self.write(number).await {
                return format!("write {number}: {error}");
            }
            self.forwarder.cut().await;
            self.written.store(number, Ordering::Relaxed);
        }
        String::new()
    }
}

pub fn scans(client: Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("scanning.apps.tanzu.vmware.com", "v1beta1", "SourceScan");
    Api::namespaced_with(client, "scans", &ApiResource::from_gvk(&kind))
}

const STEPS: [&str; 4] = ["announced", "carried", "signs", "dropped"];

/// Returns the step of the CA change that the Secret is in.
fn stage(fleet: &Fleet) -> &'static str {
    let secret = fleet.secret();
    match ["next.crt", "announced-at", "old.crt"].map(|name| secret.contains_key(name)) {
        [true, false, _] => "announced",
        [true, true, _] => "carried",
        [false, _, true] => "signs",
        [false, _, false] => "dropped",
    }
}

fn ten_ca_changes_lose_no_call(_: &Namespace<'_>) {
    let seed = env::var("ROTATION_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("ROTATION_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let fleet = Fleet::new();
    let start = || {
        let replica = fleet.start(SETTLE, &LIFETIMES);
        fleet.forwarder.add(endpoint(&replica));
        replica
    };
    let mut replicas: Vec<Process> = (0..3).map(|_| start()).collect();
    eventually("all replicas are ready", || replicas.iter().all(|replica| fleet.is_ready(replica)).then_some(()));

    let namespace = fleet.cluster.namespace("scans", &json!({}));
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
    let call = Arc::new(Mutex::new(()));
    let written = Arc::new(AtomicUsize::new(0));
    let writer = || Writer {
        scans: scans(client(&fleet.runtime, &fleet.cluster, User::ScanController)),
        forwarder: fleet.forwarder.clone(),
        call: call.clone(),
        written: written.clone(),
    };
    // A new configuration takes effect some milliseconds after it is written.
    let first = writer();
    eventually("both webhooks answer", || fleet.runtime.block_on(first.write(1)).ok());
    fleet.runtime.block_on(fleet.forwarder.cut());
    let writing = fleet.runtime.spawn(writer().run());

    let until = |what: &str, is_reached: &dyn Fn() -> bool| {
        let late = Instant::now() + 3 * PERIOD;
        // A writer whose write fails ends, so there is no need to wait for it.
        while !is_reached() && !writing.is_finished() {
            assert!(Instant::now() < late, "timed out: {what}");
            thread::sleep(Duration::from_millis(10));
        }
    };
    let begin = Instant::now();
    let mut stages = Vec::new();
    for change in 0..CHANGES {
        let signs = fleet.secret()["ca.crt"].clone();
        // Kills at each step in turn, immediately or a little later.
        let step = STEPS[change % STEPS.len()];
        until(step, &|| stage(&fleet) == step);
        thread::sleep(Duration::from_millis(random.u64(0..150)));
        let dead = replicas.remove(random.usize(0..replicas.len()));
        {
            let _call = call.blocking_lock();
            fleet.forwarder.remove(endpoint(&dead));
            stages.push(stage(&fleet));
            drop(dead); // SIGKILL
            fleet.runtime.block_on(fleet.forwarder.cut());
        }
        replicas.push(start());
        until("another CA signs", &|| fleet.secret()["ca.crt"] != signs);
    }
    assert!(!writing.is_finished(), "the writer ended: {:?}", fleet.runtime.block_on(writing));
    writing.abort();
    let written = written.load(Ordering::Relaxed);
    eprintln!("{CHANGES} changes in {:.0?}, {written} writes, killed when {stages:?}", begin.elapsed());
    assert!(written > 20 * CHANGES, "only {written} writes");
    assert_ca_change_is_complete(&fleet, &replicas);
}

/// The state between two changes.
fn assert_ca_change_is_complete(fleet: &Fleet, replicas: &[Process]) {
    eventually("one CA is left, and every caBundle holds it", || fleet.is_in_step(1).then_some(()));
    for replica in replicas {
        eventually("the metrics show the CA that signs", || {
            let ends = CertificateInfo::of(&fleet.cas()[0]).unwrap().not_after.unix_timestamp() as f64;
            let is_in_step = fleet.metric(replica, "ca_bundle_synced") == Some(1.0);
            (is_in_step && fleet.metric(replica, "ca_not_after_timestamp_seconds") == Some(ends)).then_some(())
        });
        assert!(fleet.metric(replica, "certificate_reloads_total") > Some(0.0));
        assert_eq!(fleet.metric(replica, "ca_failures_total"), Some(0.0), "{}", replica.errors());
        let log = replica.errors();
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    }
    crate::events::write_series(&fleet.runtime, &fleet.cluster);
    let rights = fleet.cluster.rights(User::Webhook);
    assert!(rights.denied.is_empty() && rights.unused.is_empty(), "{rights:?}");
}
