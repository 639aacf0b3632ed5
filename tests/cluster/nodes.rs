//! Stands in for controllers, kubelets and kube-proxy, so that an installation by the manifests works as on a cluster
//! with nodes. While there is a Deployment, a replica runs with the configuration of the ConfigMap, the Service leads
//! to the replica, and the pods and the Deployment's status exist. A new image is rolled out. The pod of `helm test` runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};
use tokio::runtime::{self, Handle, Runtime};

use crate::controlplane::{ControlPlane, User, eventually};
use crate::forwarder::Forwarder;
use crate::installed::{program, replica};
use crate::replicas::{NAME, client, endpoint};
use crate::support::folder::Folder;
use crate::support::http::get;
use crate::support::process::Process;

/// All pods are the same process.
const PODS: [&str; 2] = ["scan-admission-1", "scan-admission-2"];

/// The pod of `helm test`.
const DOCTOR: &str = "scan-admission-doctor";

/// Kind, version, and whether the object is in our namespace.
type Kind = (&'static str, &'static str, bool);

const DEPLOYMENT: Kind = ("Deployment", "apps/v1", true);
const CONFIG_MAP: Kind = ("ConfigMap", "v1", true);
const SERVICE: Kind = ("Service", "v1", true);
const POD: Kind = ("Pod", "v1", true);
const HOOKS: [Kind; 2] = [
    ("ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1", false),
    ("MutatingWebhookConfiguration", "admissionregistration.k8s.io/v1", false),
];

pub struct Nodes {
    errors: PathBuf,
    stopped: Arc<AtomicBool>,
    quiet_rounds: Arc<AtomicUsize>,
    worker: Option<JoinHandle<()>>,
    pub cluster: Arc<ControlPlane>,
    /// The port that webhooks call.
    pub port: u16,
    pub runtime: Runtime,
}

impl Nodes {
    pub fn start(cluster: ControlPlane) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (cluster, stopped) = (Arc::new(cluster), Arc::new(AtomicBool::new(false)));
        let forwarder = Forwarder::start(runtime.handle(), Duration::ZERO);
        let port = forwarder.port;
        let client = client(&runtime, &cluster, User::Admin);
        let folder = Folder::new();
        let errors = folder.join("errors");
        let work = Work {
            runtime: runtime.handle().clone(),
            client,
            cluster: cluster.clone(),
            forwarder,
            folder,
            replica: None,
            image: Value::Null,
            is_called: false,
            is_quiet: false,
        };
        let (until, quiet_rounds) = (stopped.clone(), Arc::new(AtomicUsize::new(0)));
        let rounds = quiet_rounds.clone();
        let worker = Some(thread::spawn(move || work.run_rounds(&until, &rounds)));
        Self { errors, stopped, quiet_rounds, worker, cluster, port, runtime }
    }

    /// Returns when everything written before this call has been processed: after a whole round that changed nothing.
    pub fn settle(&self) {
        // The current round may have begun before this call.
        let until = self.quiet_rounds.load(Ordering::Relaxed) + 2;
        eventually("the nodes have settled", || (self.quiet_rounds.load(Ordering::Relaxed) >= until).then_some(()));
    }

    /// Returns the log of the replica.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

struct Work {
    runtime: Handle,
    client: Client,
    cluster: Arc<ControlPlane>,
    forwarder: Forwarder,
    folder: Folder,
    replica: Option<Process>,
    /// The image of the replica.
    image: Value,
    /// Whether both webhooks are called; a new configuration takes effect some milliseconds after it is written.
    is_called: bool,
    /// Whether this round has changed nothing so far.
    is_quiet: bool,
}

impl Work {
    fn run_rounds(mut self, until: &AtomicBool, quiet_rounds: &AtomicUsize) {
        while !until.load(Ordering::Relaxed) {
            self.is_quiet = true;
            match (self.get(DEPLOYMENT, NAME), self.get(CONFIG_MAP, NAME)) {
                (Some(deployment), Some(config)) => {
                    self.mount(&config);
                    self.serve(&deployment);
                    self.route_service();
                    self.report_status(&deployment);
                }
                (None, _) => self.remove_replica(),
                (Some(_), None) => {}
            }
            self.run_doctor();
            if self.is_quiet && self.is_called == self.replica.is_some() {
                quiet_rounds.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Writes the file of the ConfigMap and renames it into place, as a kubelet does.
    fn mount(&self, config: &Value) {
        let (path, new) = (self.folder.join("config.yaml"), self.folder.join("new.yaml"));
        let text = config["data"]["config.yaml"].as_str().unwrap_or_default();
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            fs::write(&new, text).unwrap();
            fs::rename(new, path).unwrap();
        }
    }

    /// Starts a replica with the image of the Deployment. As in a rollout, it is ready before the old one stops, and no new
    /// connection leads to the old one while it stops.
    fn serve(&mut self, deployment: &Value) {
        let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
        if self.replica.is_some() && self.image == *image {
            return;
        }
        self.is_quiet = false;
        let mut command = replica(&self.cluster, &self.folder, "60s");
        command.args(["--config=config.yaml", "--stop-delay=1s"]);
        let errors = self.folder.join("errors");
        let log = File::options().create(true).append(true).open(&errors).unwrap();
        let new = Process::start_with(command, log, errors);
        self.image = image.clone();
        if self.replica.is_some() {
            eventually("the new replica is ready", || (self.readiness(&new) == 200).then_some(()));
        }
        self.forwarder.add(endpoint(&new));
        if let Some(old) = self.replica.replace(new) {
            self.forwarder.remove(endpoint(&old));
            old.signal("TERM");
            self.runtime.block_on(old.wait());
        }
    }

    fn readiness(&self, replica: &Process) -> u16 {
        self.runtime.block_on(get(replica.admin, "/readyz")).code
    }

    /// Runs the pod of `helm test` with the rights of its ServiceAccount.
    fn run_doctor(&mut self) {
        let Some(pod) = self.get(POD, DOCTOR) else { return };
        if ["Succeeded", "Failed"].iter().any(|phase| pod["status"]["phase"] == *phase) {
            return;
        }
        let arguments = pod["spec"]["containers"][0]["args"].as_array().unwrap();
        let arguments: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
        let kubeconfig = self.cluster.kubeconfig(User::Doctor);
        let output = program(&arguments).env("KUBECONFIG", kubeconfig).output().unwrap();
        eprintln!("doctor: {output:?}");
        let phase = if output.status.success() { "Succeeded" } else { "Failed" };
        self.change(POD, DOCTOR, true, |pod| pod["status"]["phase"] = json!(phase));
    }

    /// Makes the Service a name for this machine, since there is no kube-proxy, and the webhooks call the port of the
    /// forwarder. The ports of the Service stay, so that it can be applied again.
    fn route_service(&mut self) {
        let port = self.forwarder.port;
        self.change(SERVICE, NAME, false, |service| {
            let spec = service["spec"].as_object_mut().unwrap();
            ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]
                .iter()
                .for_each(|key| drop(spec.remove(*key)));
            spec.insert("type".to_owned(), json!("ExternalName"));
            spec.insert("externalName".to_owned(), json!("localhost"));
        });
        for hooks in HOOKS {
            let is_changed = self.change(hooks, NAME, false, |hooks| {
                for hook in hooks["webhooks"].as_array_mut().into_iter().flatten() {
                    hook["clientConfig"]["service"]["port"] = json!(port);
                }
            });
            self.is_called &= !is_changed;
        }
    }

    fn is_ready(&self) -> bool {
        self.replica.as_ref().is_some_and(|replica| self.readiness(replica) == 200)
    }

    /// Writes the pods and the Deployment's status once the API server calls the webhooks.
    fn report_status(&mut self, deployment: &Value) {
        if !self.is_called {
            let bad = json!({"apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": "SourceScan",
                "metadata": {"name": "bad", "namespace": "default"}, "status": {"phase": "Completed"}});
            let create = self.cluster.kubectl(User::Admin).args(["create", "--dry-run=server", "-f", "-"]);
            let output = create.input(bad.to_string()).run().stderr;
            self.is_called = output.contains("[scan-target]") && output.contains("[status-on-create]");
            // In mode audit no finding is visible, so the readiness of the replica decides.
            let config = fs::read_to_string(self.folder.join("config.yaml")).unwrap_or_default();
            self.is_called |= config.contains(": audit") && self.is_ready();
            // It also decides without a registration.
            let is_registered = HOOKS.iter().any(|hooks| self.get(*hooks, NAME).is_some());
            self.is_called |= !is_registered && self.is_ready();
            if !self.is_called {
                return;
            }
        }
        let template = &deployment["spec"]["template"];
        for name in PODS {
            if self
                .get(POD, name)
                .is_some_and(|pod| pod["spec"]["containers"][0]["image"] != template["spec"]["containers"][0]["image"])
            {
                self.delete(POD, name);
            }
            self.create(
                POD,
                name,
                json!({"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]}),
            );
        }
        let count = &deployment["spec"]["replicas"];
        let condition = |kind: &str, reason: &str| {
            let time = "2026-01-01T00:00:00Z";
            json!({"type": kind, "status": "True", "reason": reason, "lastUpdateTime": time, "lastTransitionTime": time})
        };
        let conditions =
            [condition("Progressing", "NewReplicaSetAvailable"), condition("Available", "MinimumReplicasAvailable")];
        let status = json!({"observedGeneration": deployment["metadata"]["generation"], "replicas": count,
            "updatedReplicas": count, "readyReplicas": count, "availableReplicas": count, "conditions": conditions});
        self.change(DEPLOYMENT, NAME, true, |deployment| deployment["status"] = status.clone());
    }

    fn remove_replica(&mut self) {
        if let Some(replica) = self.replica.take() {
            self.forwarder.remove(endpoint(&replica));
            self.is_called = false;
            PODS.iter().for_each(|pod| self.delete(POD, pod));
        }
    }

    fn api(&self, (kind, version, is_ours): Kind) -> Api<DynamicObject> {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        if is_ours {
            Api::namespaced_with(self.client.clone(), NAME, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    fn get(&self, kind: Kind, name: &str) -> Option<Value> {
        let found = self.runtime.block_on(self.api(kind).get_opt(name)).unwrap();
        found.map(|found| serde_json::to_value(found).unwrap())
    }

    /// Ignores a failed write, since others also write and delete; the next round retries it. Returns whether there was
    /// a change.
    fn change(&mut self, kind: Kind, name: &str, is_status: bool, change: impl Fn(&mut Value)) -> bool {
        let Some(before) = self.get(kind, name) else { return false };
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return false;
        }
        self.is_quiet = false;
        let (api, after) = (self.api(kind), serde_json::from_value(after).unwrap());
        let params = PostParams::default();
        let _ = if is_status {
            self.runtime.block_on(api.replace_status(name, &params, &after))
        } else {
            self.runtime.block_on(api.replace(name, &params, &after))
        };
        true
    }

    /// Creates an object unless it exists.
    fn create(&self, (kind, version, is_ours): Kind, name: &str, value: Value) {
        if self.get((kind, version, is_ours), name).is_some() {
            return;
        }
        let mut whole = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
        json_patch::merge(&mut whole, &value);
        let whole = serde_json::from_value(whole).unwrap();
        let _ = self.runtime.block_on(self.api((kind, version, is_ours)).create(&PostParams::default(), &whole));
    }

    fn delete(&self, kind: Kind, name: &str) {
        let _ = self.runtime.block_on(self.api(kind).delete(name, &DeleteParams::default()));
    }
}
