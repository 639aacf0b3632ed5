//! Webhooks that fail on purpose. Each call writes a scan of its own and returns what kubectl prints.

use std::cell::{Cell, RefCell};
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::{fs, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use scan_admission::config::Config;
use scan_admission::engine::{Change, Findings, Rule};
use scan_admission::rules::RULES;
use scan_admission::server::ServerSettings;
use scan_admission::server::limits::SHORT_CONDITIONS;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::controlplane::{ControlPlane, KubectlOutput, Namespace, User, eventually};
use crate::installed::{generate, install_kinds};
use crate::stand_in_webhook::{Answer, StandIn};
use crate::support::client::Client;
use crate::support::fixtures::fixture;
use crate::support::folder::Folder;
use crate::support::in_process::{Running, settings};
use crate::support::panicking_rule::PANICS;
use crate::support::pki::{Ca, Pair, leaf};
use crate::support::process::Process;
use crate::support::program;
use crate::support::waits::until_metric;
use crate::{only, scan};

pub const VALIDATING: &str = "ValidatingWebhookConfiguration";
pub const MUTATING: &str = "MutatingWebhookConfiguration";

/// The label of the configurations, by which they are deleted.
const LABEL: &str = "tests.scan-admission.dev/failing";

pub struct Setup<'a> {
    pub namespace: &'a Namespace<'a>,
    /// A namespace of an API server that resolves endpoints itself and presents no certificate to webhooks.
    other: Namespace<'a>,
    pub ca: Ca,
    folder: Folder,
    scans: Cell<u32>,
    stand_ins: RefCell<Vec<StandIn>>,
    servers: RefCell<Vec<Running>>,
    runtime: Runtime,
}

/// One write of a status, and the webhook that reviews it.
pub struct Write {
    pub kind: &'static str,
    /// The differences from the installed webhook.
    pub webhook: Value,
    /// The status before the write.
    pub before: Value,
    pub status: Value,
}

impl Default for Write {
    fn default() -> Self {
        Self { kind: VALIDATING, webhook: json!({}), before: Value::Null, status: json!({"phase": "Pending"}) }
    }
}

/// Starts a control plane with flags that clusters use whose API server is in another network than the pods.
pub fn other_control_plane() -> ControlPlane {
    let folder = Folder::new();
    let admission = folder.join("admission.yaml");
    fs::write(&admission, "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: []\n")
        .unwrap();
    let admission = format!("--admission-control-config-file={}", admission.display());
    let cluster = ControlPlane::start_with(&["--enable-aggregator-routing=true", &admission])
        .unwrap_or_else(|error| panic!("{error:?}"));
    generate(folder.path());
    install_kinds(&cluster, folder.path());
    cluster
}

impl<'a> Setup<'a> {
    pub fn new(namespace: &'a Namespace<'a>, other: &'a ControlPlane) -> Self {
        Self {
            namespace,
            other: other.namespace("messages", &json!({})),
            ca: Ca::new(),
            folder: Folder::new(),
            scans: Cell::new(0),
            stand_ins: RefCell::default(),
            servers: RefCell::default(),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// Returns what kubectl prints once this webhook is called.
    pub fn asked(&self, webhook: Value) -> String {
        self.writes(Write { webhook, ..Write::default() })
    }

    /// Like `asked`, but by the other API server.
    pub fn asked_elsewhere(&self, webhook: Value) -> String {
        self.writes_in(&self.other, Write { webhook, ..Write::default() })
    }

    pub fn writes(&self, write: Write) -> String {
        self.writes_in(self.namespace, write)
    }

    fn writes_in(&self, namespace: &Namespace<'_>, write: Write) -> String {
        let name = self.name();
        let admin = || namespace.kubectl(User::Admin);
        admin().args(["create", "-f", "-"]).input(scan(&name).to_string()).run().ok();
        let status = |status: &Value| {
            // The patch is passed as a file, since some are longer than an argument may be.
            let patch =
                ["patch", "sourcescan", &name, "--subresource=status", "--type=merge", "--patch-file=/dev/stdin"];
            admin().args(patch).input(json!({"status": status}).to_string()).run()
        };
        if !write.before.is_null() {
            status(&write.before).ok();
        }
        let configuration = self.configuration(namespace, &name, &write);
        message_once_asked(namespace, &configuration, || status(&write.status))
    }

    /// Returns what kubectl prints when an object of another kind is created, once this webhook is called.
    pub fn creates(&self, webhook: Value, mut object: Value) -> String {
        let name = self.name();
        object["metadata"] = json!({"name": name});
        let configuration = self.configuration(self.namespace, &name, &Write { webhook, ..Write::default() });
        message_once_asked(self.namespace, &configuration, || {
            let create = ["create", "--dry-run=server", "-f", "-"];
            self.namespace.kubectl(User::Admin).args(create).input(object.to_string()).run()
        })
    }

    /// Returns what kubectl prints when it applies a caBundle that a replica has written, too.
    pub fn applied_over_a_replica(&self) -> String {
        let name = self.name();
        let apply = |manager: &str, configuration: Value| {
            let apply = ["apply", "--server-side", "--field-manager", manager, "-f", "-"];
            self.namespace.kubectl(User::Admin).args(apply).input(configuration.to_string()).run()
        };
        let whole = |ca_bundle: Value| {
            let webhook = json!({"clientConfig": {"url": "https://localhost/", "caBundle": ca_bundle}});
            self.configuration(self.namespace, &name, &Write { webhook, ..Write::default() })
        };
        apply("kubectl", whole(Value::Null)).ok();
        let mut replica = whole(json!(self.ca_bundle()));
        replica["webhooks"] = json!([{"name": replica["webhooks"][0]["name"],
            "clientConfig": {"caBundle": self.ca_bundle()}}]);
        apply("scan-admission", replica).ok();
        apply("kubectl", whole(json!(STANDARD.encode(&Ca::new().pem)))).failed().to_owned()
    }

    fn name(&self) -> String {
        self.scans.set(self.scans.get() + 1);
        format!("messages-{}", self.scans.get())
    }

    fn configuration(&self, namespace: &Namespace<'_>, name: &str, write: &Write) -> Value {
        let mut webhook = json!({
            "name": "status.validate.scan-admission.dev",
            "clientConfig": {"caBundle": self.ca_bundle()},
            "rules": [{"apiGroups": ["scanning.apps.tanzu.vmware.com"], "apiVersions": ["*"], "operations": ["UPDATE"],
                "resources": ["sourcescans/status"]}],
            "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
            "namespaceSelector": only(namespace),
            "matchConditions": [{"name": "this-one", "expression": format!("object.metadata.name == '{name}'")}],
        });
        let conditions = webhook["matchConditions"].as_array().cloned().unwrap();
        json_patch::merge(&mut webhook, &write.webhook);
        if let Some(more) = write.webhook["matchConditions"].as_array() {
            webhook["matchConditions"] = [conditions.as_slice(), more].concat().into();
        }
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": write.kind,
            "metadata": {"name": name, "labels": {LABEL: ""}}, "webhooks": [webhook]})
    }

    /// Returns the API server's response to a registration with these changes.
    pub fn registered(&self, webhook: Value) -> KubectlOutput {
        let write = Write { webhook, ..Write::default() };
        let configuration = self.configuration(self.namespace, &self.name(), &write).to_string();
        self.namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(configuration).run()
    }

    pub fn ca_bundle(&self) -> String {
        STANDARD.encode(&self.ca.pem)
    }

    pub fn url(&self, address: impl ToString) -> Value {
        json!({"clientConfig": {"url": format!("https://{}/validate", address.to_string())}})
    }

    /// Returns the client configuration of a Service of this namespace at this port.
    pub fn service(&self, name: &str, port: u16) -> Value {
        json!({"clientConfig": {"service": {"namespace": self.namespace.name, "name": name, "path": "/validate", "port": port}}})
    }

    /// Creates a Service of this name in both clusters.
    pub fn make_service(&self, name: &str) {
        for namespace in [self.namespace, &self.other] {
            let create = ["create", "service", "clusterip", name, "--tcp=443"];
            namespace.kubectl(User::Admin).args(create).run().ok();
        }
    }

    /// Returns the client configuration for a server with this certificate at this host.
    fn stand_in(&self, host: &str, pair: &Pair, answer: Answer) -> Value {
        let server = StandIn::start(self.runtime.handle(), pair, answer);
        let url = self.url(format!("{host}:{}", server.address.port()));
        self.stand_ins.borrow_mut().push(server);
        url
    }

    pub fn answers(&self, answer: Answer) -> Value {
        self.stand_in("localhost", &self.ca.pair(1), answer)
    }

    /// Returns a server whose certificate has these changes. Its CA is trusted.
    pub fn certified(&self, host: &str, change: fn(&mut CertificateParams)) -> Value {
        let mut params = leaf();
        change(&mut params);
        self.stand_in(host, &self.ca.sign(&params, &KeyPair::generate().unwrap()), Answer::Good)
    }

    /// Returns a server whose certificate this CA signs. The CA is not trusted.
    pub fn certified_by(&self, ca: &Ca) -> Value {
        self.stand_in("localhost", &ca.pair(1), Answer::Good)
    }

    /// Returns a port that stays reserved and that no process listens on.
    pub fn closed_port(&self) -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    /// Returns a server that closes the connection after it has read the first bytes, or while they are unread.
    pub fn hangs_up(&self, reads: bool) -> Value {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // The thread ends with the process, since nothing tells when the API server has called for the last time.
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut words = [0; 64 << 10];
                let _ = if reads { stream.read(&mut words) } else { stream.peek(&mut words) };
            }
        });
        self.url(address)
    }

    /// Starts our program with these arguments, and returns it with its client configuration.
    pub fn program(&self, arguments: &[&str]) -> (Process, Value) {
        let server = Process::start(program::command(self.folder.path(), arguments), self.folder.join("errors"));
        let mut webhook = self.url(server.address);
        webhook["clientConfig"]["caBundle"] =
            STANDARD.encode(fs::read(self.folder.join("certs/ca.crt")).unwrap()).into();
        (server, webhook)
    }

    /// Writes a file into the folder of this setup.
    pub fn file(&self, name: &str, contents: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, contents).unwrap();
        path.display().to_string()
    }

    /// Returns our server with this configuration.
    pub fn ours(&self, config: &str) -> Value {
        self.ruled_by(RULES, config)
    }

    /// Returns our server with only these rules.
    pub fn ruled_by(&self, rules: &'static [Rule], config: &str) -> Value {
        let (server, webhook) = self.serve(rules, config);
        self.servers.borrow_mut().push(server);
        webhook
    }

    /// Like `ours`, at the mutating webhook.
    pub fn mutating(&self, config: &str) -> Value {
        at("/mutate", self.ours(config))
    }

    fn serve(&self, rules: &'static [Rule], config: &str) -> (Running, Value) {
        let config = watch::channel(Arc::new(Config::read(config.as_bytes()).unwrap())).1;
        let server = self.runtime.block_on(Running::with(ServerSettings { rules, config, ..settings() }, |_| ()));
        let mut webhook = self.url(server.address);
        webhook["clientConfig"]["caBundle"] = STANDARD.encode(fs::read(&server.ca).unwrap()).into();
        (server, webhook)
    }

    /// Calls our server while a rule does not return.
    pub fn call_past_the_deadline(&self) -> String {
        let _held = LOCK.lock().unwrap();
        let mut webhook = self.ruled_by(&SLOW, "");
        webhook["timeoutSeconds"] = json!(3);
        self.writes(Write { webhook, status: long_to_judge(), ..Write::default() })
    }

    /// Calls our server while all permits for reviews are taken.
    pub fn call_at_the_limit(&self, kind: &'static str) -> String {
        let _held = LOCK.lock().unwrap();
        let (server, webhook) = self.serve(&SLOW, "limits: {reviews: 1, body: 1h}");
        let mut review: Value =
            serde_json::from_slice(&fixture("sourcescan-failed-5-completed.validate.json")).unwrap();
        json_patch::merge(&mut review["request"]["object"]["status"], &long_to_judge());
        let mut client = self.runtime.block_on(Client::new(&server.ca, server.address, "http/1.1"));
        self.runtime.spawn(async move { client.post("/validate", review.to_string()).await });
        self.runtime.block_on(until_metric(server.admin, "scan_admission_reviews_in_flight", 1.0));
        let webhook = if kind == MUTATING { at("/mutate", webhook) } else { webhook };
        // A short review is judged on the thread that reads it and needs no permit, so this one is long.
        self.writes(Write { kind, webhook, status: long_to_judge(), ..Write::default() })
    }
}

/// Returns what kubectl prints once this configuration takes effect, some milliseconds after it is written.
fn message_once_asked(namespace: &Namespace<'_>, configuration: &Value, call: impl Fn() -> KubectlOutput) -> String {
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(configuration.to_string()).run().ok();
    eventually("the webhook is called", || Some(call()).filter(|output| !output.stderr.is_empty())).stderr
}

impl Drop for Setup<'_> {
    fn drop(&mut self) {
        let kinds = format!("{VALIDATING},{MUTATING}");
        self.namespace.kubectl(User::Admin).args(["delete", &kinds, "--selector", LABEL]).run().ok();
        for server in self.servers.take() {
            self.runtime.block_on(async { server.stop().await });
        }
    }
}

/// Returns the webhook at another path of its server.
pub fn at(path: &str, mut webhook: Value) -> Value {
    let url = webhook["clientConfig"]["url"].as_str().unwrap().replace("/validate", path);
    webhook["clientConfig"]["url"] = url.into();
    webhook
}

/// Returns a status of this length. It is longer in the encoding of Go.
pub fn long(length: usize) -> Value {
    json!({"phase": "Pending", "long": "<".repeat(length)})
}

/// Returns a status that is judged on a thread of its own, so that a waiting rule blocks no connection.
fn long_to_judge() -> Value {
    let condition = |index| {
        json!({"type": format!("Stage{index}"), "status": "True", "reason": "StageFinished", "message": "",
            "lastTransitionTime": "2026-11-20T08:00:00Z"})
    };
    json!({"phase": "Pending", "conditions": (0..=SHORT_CONDITIONS).map(condition).collect::<Vec<_>>()})
}

static LOCK: Mutex<()> = Mutex::new(());

/// Waits until the lock is free.
fn wait(_: &Change<'_>, _: &mut Findings<'_>) {
    drop(LOCK.lock());
}

static SLOW: [Rule; 1] = [Rule { check: |change, findings| wait(change, findings), mutate: None, ..PANICS }];
pub static PANICKING: [Rule; 1] = [PANICS];
