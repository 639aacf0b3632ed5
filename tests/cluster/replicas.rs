//! Replicas of the webhook on a cluster of their own, with their real names and the rights of the manifests.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use scan_admission::cluster::ca_bundle::{WebhookConfiguration, kinds};
use scan_admission::cluster::shared_ca::Bundle;
use scan_admission::tls::bundle;
use tokio::runtime::{self, Runtime};

use crate::controlplane::{ControlPlane, User};
use crate::forwarder::{Endpoint, Forwarder};
use crate::installed::{install, replica};
use crate::support::folder::Folder;
use crate::support::http::get;
use crate::support::process::Process;

pub const NAME: &str = "scan-admission";
pub const SECRET: &str = "scan-admission-ca";

pub struct Fleet {
    pub cluster: ControlPlane,
    pub folder: Folder,
    pub forwarder: Forwarder,
    /// A client of the admin.
    pub client: Client,
    pub runtime: Runtime,
    started: Cell<usize>,
}

impl Fleet {
    /// Applies everything, and starts no replica yet.
    pub fn new() -> Self {
        Self::with_lag(Duration::ZERO)
    }

    /// Like `new`, behind a Service that forwards to a replica for this long after it stops being ready.
    pub fn with_lag(lag: Duration) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let cluster = ControlPlane::start().unwrap_or_else(|error| panic!("{error:?}"));
        let folder = Folder::new();
        let forwarder = Forwarder::start(runtime.handle(), lag);
        install(&cluster, &folder, forwarder.port).unwrap_or_else(|error| panic!("{error:?}"));
        let client = client(&runtime, &cluster, User::Admin);
        Self { cluster, folder, forwarder, client, runtime, started: Cell::new(0) }
    }

    /// Starts a replica with these settings and a log file of its own.
    pub fn start(&self, settle: &str, lifetimes: &[&str]) -> Process {
        let number = self.started.replace(self.started.get() + 1);
        let mut command = replica(&self.cluster, &self.folder, settle);
        command.args(lifetimes);
        Process::start(command, self.folder.join(&format!("errors-{number}")))
    }

    /// Returns the data of the Secret, which is empty if there is none.
    pub fn secret(&self) -> BTreeMap<String, Vec<u8>> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAME);
        let secret = self.runtime.block_on(secrets.get_opt(SECRET)).unwrap();
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        data.into_iter().map(|(name, value)| (name, value.0)).collect()
    }

    /// Returns the CAs in the Secret.
    pub fn cas(&self) -> Bundle {
        let secret = self.secret();
        ["ca.crt", "next.crt", "old.crt"]
            .iter()
            .filter_map(|name| secret.get(*name))
            .flat_map(|text| bundle::certificates(text))
            .collect()
    }

    /// Returns the caBundle of each registered webhook.
    pub fn bundles(&self) -> Vec<Bundle> {
        let read = |kind| self.runtime.block_on(WebhookConfiguration::read(&self.client, kind, NAME)).unwrap();
        kinds()
            .into_iter()
            .filter_map(read)
            .flat_map(|configuration| configuration.bundles().collect::<Vec<_>>())
            .collect()
    }

    /// Whether all four webhooks hold the CAs of the Secret, and there are this many.
    pub fn is_in_step(&self, cas: usize) -> bool {
        let (wanted, bundles) = (self.cas(), self.bundles());
        let is_same = |bundle: Bundle| bundle.len() == cas && wanted.iter().all(|ca| bundle.contains(ca));
        wanted.len() == cas && bundles.len() == 4 && bundles.into_iter().all(is_same)
    }

    pub fn is_ready(&self, replica: &Process) -> bool {
        self.runtime.block_on(get(replica.admin, "/readyz")).code == 200
    }

    pub fn metric(&self, replica: &Process, name: &str) -> Option<f64> {
        self.runtime.block_on(crate::support::waits::metric(replica.admin, &format!("scan_admission_{name}")))
    }
}

pub fn endpoint(replica: &Process) -> Endpoint {
    (replica.address, replica.admin)
}

pub fn client(runtime: &Runtime, cluster: &ControlPlane, user: User) -> Client {
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig(user)).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        Client::try_from(config.unwrap()).unwrap()
    })
}
