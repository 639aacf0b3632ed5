//! Measures what a write of a status costs with admission: the processor time of the API server and of the webhook, and the
//! time that the client waits longer. The API server is the real one, in the same process as its etcd.

mod setups;

use std::collections::BTreeMap;
use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::figures::Cell;
use crate::measure::{Contender, Server, Workspace, cpu};
use crate::plan::controller_runtime;
use crate::report::{self, machine, rate_name, versions};
use crate::results::{IdleRow, MemoryOfWrites, RateResults, Results, Spread, WriteResults, WriteRow, rounded};
use crate::support::controlplane::{ClusterError, ControlPlane, User};
use setups::{Installed, NONE, SCANS, scan_name, status};

/// The rates of writes, in writes a second. None: as many as eight clients can make.
const RATES: [Option<u64>; 3] = [Some(20), Some(200), None];

/// The number of clients that write as much as they can.
const CLIENTS: usize = 8;

/// How often a write is tried. The API server closes connections that were idle for 90 s, and a client may just have begun to use
/// one of them.
const WRITE_TRIES: usize = 3;

/// The number of writes of a day at 20 a second.
const DAY: u64 = 20 * 24 * 3600;

/// The writes of one setup at one rate in one round.
struct Sample {
    api_server_micros: f64,
    webhook_micros: f64,
    per_second: f64,
    p50_micros: f64,
    p99_micros: f64,
}

/// The samples by rate and setup, one for each round.
type Samples = BTreeMap<(usize, usize), Vec<Sample>>;

/// Measures all setups, and prints a table for each rate.
pub fn run(is_quick: bool) {
    let (rounds, time) = if is_quick { (1, Duration::from_secs(1)) } else { (5, Duration::from_secs(4)) };
    let begun = Instant::now();
    let log = |what: &str| eprintln!("{:4} s  {what}", begun.elapsed().as_secs());
    let controller_runtime = controller_runtime();
    if let Err(why) = &controller_runtime {
        log(&format!("without controller-runtime: {why}"));
    }
    let cluster = match ControlPlane::start_with(&[]) {
        Ok(cluster) => cluster,
        Err(ClusterError::MissingTools(why) | ClusterError::Broken(why)) => panic!("{why}"),
    };
    let workspace = Workspace::new();
    log("installing webhooks and policies");
    let all = setups::install(&cluster, &workspace, setups::all(controller_runtime.as_deref().ok()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let writer = Writer::new(&cluster).await;
        let idle = idle(&cluster, &all, if is_quick { 2 } else { 60 }).await;
        let mut samples = Samples::new();
        for round in 0..rounds {
            for (at, rate) in RATES.into_iter().enumerate() {
                log(&format!("round {} of {rounds}, {}", round + 1, rate_name(rate)));
                // The order changes, so that no setup always follows the same one.
                for index in (0..all.len()).map(|index| (index + round) % all.len()) {
                    let sample = writer.measure(&cluster, &all[index], rate, time).await;
                    samples.entry((at, index)).or_default().push(sample);
                }
            }
        }
        let rates = (0..RATES.len()).map(|at| rate_results(&all, &samples, at)).collect();
        let mut results = WriteResults { machine: machine(), versions: versions(), rates, idle, memory: None };
        if !is_quick {
            log("the writes of a day");
            results.memory = Some(memory(&workspace.start(&Contender::Ours)).await);
        }
        let mut text = String::new();
        report::writes(&results, &mut text);
        println!("{text}");
        if !is_quick {
            report::keep(&Results { writes: Some(results), ..Results::read() });
        }
    });
}

/// Measures the memory of a server after few reviews, and after those of a day.
async fn memory(server: &Server) -> MemoryOfWrites {
    const FIRST: u64 = 1_000;
    let body = Cell::Allowed6Kb.body();
    let first_bytes = server.resident_bytes_after(&body, FIRST).await;
    let last_bytes = server.resident_bytes_after(&body, 2 * DAY - FIRST).await;
    MemoryOfWrites { first_bytes, first_reviews: FIRST, last_bytes, last_reviews: 2 * DAY }
}

/// Writes scans, with its own numbers, so that each write changes something.
struct Writer {
    client: Client,
    next: AtomicU64,
}

impl Writer {
    async fn new(cluster: &ControlPlane) -> Self {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig(User::ScanController)).expect("a kubeconfig");
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a cluster");
        Writer { client: Client::try_from(config).expect("a client"), next: AtomicU64::new(2) }
    }

    async fn measure(
        &self,
        cluster: &ControlPlane,
        installed: &Installed,
        rate: Option<u64>,
        time: Duration,
    ) -> Sample {
        let processes: Vec<u32> =
            iter::once(cluster.pid()).chain(installed.server.as_ref().map(|server| server.pid())).collect();
        self.at_rate(installed.setup.name, rate, time / 10).await;
        let before: Vec<Duration> = processes.iter().map(|pid| cpu(*pid)).collect();
        let begun = Instant::now();
        let latencies = self.at_rate(installed.setup.name, rate, time).await;
        let count = latencies.len() as f64;
        let per_second = count / begun.elapsed().as_secs_f64();
        let mut used = processes.iter().zip(before).map(|(pid, before)| cpu(*pid).saturating_sub(before));
        let mut micros = || used.next().unwrap_or_default().as_secs_f64() * 1e6 / count;
        Sample {
            api_server_micros: micros(),
            webhook_micros: micros(),
            per_second,
            p50_micros: latencies.value_at_quantile(0.5) as f64,
            p99_micros: latencies.value_at_quantile(0.99) as f64,
        }
    }

    /// Writes for this time, and returns the latencies in microseconds.
    async fn at_rate(&self, namespace: &str, rate: Option<u64>, time: Duration) -> Histogram<u64> {
        let mut latencies = Histogram::new(3).expect("a histogram");
        let mut writes = JoinSet::new();
        let begun = Instant::now();
        match rate {
            // Each write has a time at which it is due, whether or not the writes before it are done.
            Some(rate) => {
                let period = Duration::from_secs(1) / u32::try_from(rate).expect("a small rate");
                let mut due = begun;
                while due < begun + time {
                    sleep_until(due).await;
                    let write = self.write(namespace);
                    writes.spawn(async move {
                        write.await;
                        vec![due.elapsed()]
                    });
                    due += period;
                }
            }
            None => {
                for _ in 0..CLIENTS {
                    // Each client writes its own scans.
                    let (client, next) =
                        (self.client.clone(), self.next.fetch_add(1_000_000 * SCANS + 1, Ordering::Relaxed));
                    let namespace = namespace.to_owned();
                    writes.spawn(async move {
                        let mut all = Vec::new();
                        while begun.elapsed() < time {
                            let start = Instant::now();
                            write(&client, &namespace, next + SCANS * all.len() as u64).await;
                            all.push(start.elapsed());
                        }
                        all
                    });
                }
            }
        }
        while let Some(taken) = writes.join_next().await {
            for latency in taken.expect("a write") {
                latencies.record(u64::try_from(latency.as_micros()).expect("a short time")).expect("in range");
            }
        }
        latencies
    }

    fn write(&self, namespace: &str) -> impl Future<Output = ()> + use<> {
        let (client, number) = (self.client.clone(), self.next.fetch_add(1, Ordering::Relaxed));
        let namespace = namespace.to_owned();
        async move { write(&client, &namespace, number).await }
    }
}

async fn write(client: &Client, namespace: &str, number: u64) {
    let kind = GroupVersionKind::gvk("scanning.apps.tanzu.vmware.com", "v1beta1", "SourceScan");
    let scans: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind));
    let patch = Patch::Merge(json!({"status": status(number)}));
    for _ in 0..WRITE_TRIES {
        match scans.patch_status(&scan_name(number), &PatchParams::default(), &patch).await {
            Ok(_) => return,
            Err(kube::Error::Api(denied)) => panic!("the write is denied: {denied}"),
            Err(error) => eprintln!("a write is repeated: {error}"),
        }
    }
    panic!("the API server does not answer");
}

/// Returns the processor time that each server takes in an hour without writes, in seconds; first the API server's.
async fn idle(cluster: &ControlPlane, all: &[Installed], seconds: u64) -> Vec<IdleRow> {
    let servers = all.iter().filter_map(|installed| Some((installed.setup.title, installed.server.as_ref()?.pid())));
    let processes: Vec<(&str, u32)> = iter::once(("API server", cluster.pid())).chain(servers).collect();
    let before: Vec<Duration> = processes.iter().map(|(_, pid)| cpu(*pid)).collect();
    sleep(Duration::from_secs(seconds)).await;
    let used = processes.into_iter().zip(before).map(|((name, pid), before)| (name, cpu(pid).saturating_sub(before)));
    let row = |(name, used): (&str, Duration)| IdleRow {
        server: name.to_owned(),
        seconds_an_hour: rounded(used.as_secs_f64() * 3600.0 / seconds as f64),
    };
    used.map(row).collect()
}

/// Returns the results of a rate. Values of the same round are compared.
fn rate_results(all: &[Installed], samples: &Samples, at: usize) -> RateResults {
    let rows = all.iter().enumerate().map(|(index, Installed { setup, .. })| {
        let own = &samples[&(at, index)];
        let compared = |other: usize, of: &dyn Fn(&Sample, &Sample) -> f64| {
            let pairs = own.iter().zip(&samples[&(at, other)]);
            Spread::of(pairs.map(|(own, other)| of(own, other))).expect("a round")
        };
        let alone = |of: fn(&Sample) -> f64| compared(index, &|own, _| of(own));
        let added = |of: fn(&Sample) -> f64| compared(NONE, &|own, none| of(own) - of(none));
        let floor = (setup.calls() > 0).then_some(setup.calls());
        WriteRow {
            setup: setup.title.to_owned(),
            api_server_micros: alone(|own| own.api_server_micros),
            added_micros: added(|own| own.api_server_micros),
            webhook_micros: floor.map(|_| alone(|own| own.webhook_micros)),
            times_floor: floor.map(|floor| compared(floor, &|own, floor| own.webhook_micros / floor.webhook_micros)),
            per_second: alone(|own| own.per_second),
            p50_millis: alone(|own| own.p50_micros / 1e3),
            p99_millis: alone(|own| own.p99_micros / 1e3),
            added_p50_millis: added(|own| own.p50_micros / 1e3),
            added_p99_millis: added(|own| own.p99_micros / 1e3),
        }
    });
    RateResults { rate: RATES[at], rows: rows.collect() }
}
