//! Webhooks that go wrong on purpose, one scan each: what kubectl prints then.

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

/// Of the configurations, to delete them by.
const LABEL: &str = "tests.scan-admission.dev/trouble";

pub struct Scene<'a> {
    pub namespace: &'a Namespace<'a>,
    /// Of an API server that looks up endpoints itself, and shows webhooks no certificate.
    other: Namespace<'a>,
    pub ca: Ca,
    folder: Folder,
    scans: Cell<u32>,
    stand_ins: RefCell<Vec<StandIn>>,
    servers: RefCell<Vec<Running>>,
    runtime: Runtime,
}

/// One write of a status, and the webhook that is asked.
pub struct Write {
    pub kind: &'static str,
    /// What differs from the webhook that is installed.
    pub webhook: Value,
    /// The status that is there already.
    pub before: Value,
    pub status: Value,
}

impl Default for Write {
    fn default() -> Self {
        Self { kind: VALIDATING, webhook: json!({}), before: Value::Null, status: json!({"phase": "Pending"}) }
    }
}

/// A control plane as clusters have it whose API server is in another network than the pods: not by ours' defaults.
pub fn other_control_plane() -> ControlPlane {
    let folder = Folder::new();
    let admission = folder.join("admission.yaml");
    fs::write(&admission, "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: []\n")
        .unwrap();
    let admission = format!("--admission-control-config-file={}", admission.display());
    let cluster = ControlPlane::start_with(&["--enable-aggregator-routing=true", &admission])
        .unwrap_or_else(|absent| panic!("{absent:?}"));
    generate(folder.path());
    install_kinds(&cluster, folder.path());
    cluster
}

impl<'a> Scene<'a> {
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

    /// What kubectl says as soon as this webhook is asked.
    pub fn asked(&self, webhook: Value) -> String {
        self.writes(Write { webhook, ..Write::default() })
    }

    /// Likewise by the other API server.
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
            // A file: some are longer than an argument may be.
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

    /// What kubectl says when an object of another kind is created, as soon as this webhook is asked.
    pub fn creates(&self, webhook: Value, mut object: Value) -> String {
        let name = self.name();
        object["metadata"] = json!({"name": name});
        let configuration = self.configuration(self.namespace, &name, &Write { webhook, ..Write::default() });
        message_once_asked(self.namespace, &configuration, || {
            let create = ["create", "--dry-run=server", "-f", "-"];
            self.namespace.kubectl(User::Admin).args(create).input(object.to_string()).run()
        })
    }

    /// What kubectl says when it applies a caBundle, and a replica has written one.
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

    /// What the API server says to a registration with these changes.
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

    /// A Service of this namespace, called at this port.
    pub fn service(&self, name: &str, port: u16) -> Value {
        json!({"clientConfig": {"service": {"namespace": self.namespace.name, "name": name, "path": "/validate", "port": port}}})
    }

    /// Makes such a Service, in both clusters.
    pub fn make_service(&self, name: &str) {
        for namespace in [self.namespace, &self.other] {
            let create = ["create", "service", "clusterip", name, "--tcp=443"];
            namespace.kubectl(User::Admin).args(create).run().ok();
        }
    }

    /// As `url` of a server with this certificate, called by this name.
    fn stand_in(&self, host: &str, pair: &Pair, answer: Answer) -> Value {
        let server = StandIn::start(self.runtime.handle(), pair, answer);
        let url = self.url(format!("{host}:{}", server.address.port()));
        self.stand_ins.borrow_mut().push(server);
        url
    }

    pub fn answers(&self, answer: Answer) -> Value {
        self.stand_in("localhost", &self.ca.pair(1), answer)
    }

    /// A server whose certificate these changes make wrong; its CA is trusted.
    pub fn certified(&self, host: &str, change: fn(&mut CertificateParams)) -> Value {
        let mut params = leaf();
        change(&mut params);
        self.stand_in(host, &self.ca.sign(&params, &KeyPair::generate().unwrap()), Answer::Good)
    }

    /// A server whose CA has this certificate.
    pub fn certified_by(&self, ca: &Ca) -> Value {
        self.stand_in("localhost", &ca.pair(1), Answer::Good)
    }

    /// A port that stays taken, at which nobody listens.
    pub fn nobody(&self) -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    /// Somebody who hangs up: after the first words were read, or while they are unread.
    pub fn hangs_up(&self, reads: bool) -> Value {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It ends with the process: nothing says when the API server comes for the last time.
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut words = [0; 64 << 10];
                let _ = if reads { stream.read(&mut words) } else { stream.peek(&mut words) };
            }
        });
        self.url(address)
    }

    /// Our program, with these arguments, and how it is called.
    pub fn program(&self, arguments: &[&str]) -> (Process, Value) {
        let server = Process::start(program::command(self.folder.path(), arguments), self.folder.join("errors"));
        let mut webhook = self.url(server.address);
        webhook["clientConfig"]["caBundle"] =
            STANDARD.encode(fs::read(self.folder.join("certs/ca.crt")).unwrap()).into();
        (server, webhook)
    }

    /// A file of this scene.
    pub fn file(&self, name: &str, contents: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, contents).unwrap();
        path.display().to_string()
    }

    /// Our server with this configuration.
    pub fn ours(&self, config: &str) -> Value {
        self.ruled_by(RULES, config)
    }

    /// Our server with this rule only.
    pub fn ruled_by(&self, rules: &'static [Rule], config: &str) -> Value {
        let (server, webhook) = self.serve(rules, config);
        self.servers.borrow_mut().push(server);
        webhook
    }

    /// Likewise, at the webhook that mutates.
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

    /// Our server while a rule does not come to an end.
    pub fn late(&self) -> String {
        let _held = HELD.lock().unwrap();
        let mut webhook = self.ruled_by(&SLOW, "");
        webhook["timeoutSeconds"] = json!(3);
        self.writes(Write { webhook, status: much(), ..Write::default() })
    }

    /// Our server while all places for reviews are taken.
    pub fn busy(&self, kind: &'static str) -> String {
        let _held = HELD.lock().unwrap();
        let (server, webhook) = self.serve(&SLOW, "limits: {reviews: 1, body: 1h}");
        let mut review: Value =
            serde_json::from_slice(&fixture("sourcescan-failed-5-completed.validate.json")).unwrap();
        json_patch::merge(&mut review["request"]["object"]["status"], &much());
        let mut client = self.runtime.block_on(Client::new(&server.ca, server.address, "http/1.1"));
        self.runtime.spawn(async move { client.post("/validate", review.to_string()).await });
        self.runtime.block_on(until_metric(server.admin, "scan_admission_reviews_in_flight", 1.0));
        let webhook = if kind == MUTATING { at("/mutate", webhook) } else { webhook };
        // What is short is judged where it is read, and needs no permit.
        self.writes(Write { kind, webhook, status: much(), ..Write::default() })
    }
}

/// What kubectl says once this configuration counts, some milliseconds after it is written.
fn message_once_asked(namespace: &Namespace<'_>, configuration: &Value, call: impl Fn() -> KubectlOutput) -> String {
    namespace.kubectl(User::Admin).args(["create", "-f", "-"]).input(configuration.to_string()).run().ok();
    eventually("the webhook is asked", || Some(call()).filter(|said| !said.stderr.is_empty())).stderr
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        let kinds = format!("{VALIDATING},{MUTATING}");
        self.namespace.kubectl(User::Admin).args(["delete", &kinds, "--selector", LABEL]).run().ok();
        for server in self.servers.take() {
            self.runtime.block_on(async { server.stop().await });
        }
    }
}

/// The webhook at another path of its server.
pub fn at(path: &str, mut webhook: Value) -> Value {
    let url = webhook["clientConfig"]["url"].as_str().unwrap().replace("/validate", path);
    webhook["clientConfig"]["url"] = url.into();
    webhook
}

/// A status that is long as JSON, and longer as Go writes it.
pub fn long(length: usize) -> Value {
    json!({"phase": "Pending", "long": "<".repeat(length)})
}

/// A status that is judged on another thread, so that a rule which waits holds up no connection.
fn much() -> Value {
    let condition = |index| {
        json!({"type": format!("Stage{index}"), "status": "True", "reason": "StageFinished", "message": "",
            "lastTransitionTime": "2026-11-20T08:00:00Z"})
    };
    json!({"phase": "Pending", "conditions": (0..=SHORT_CONDITIONS).map(condition).collect::<Vec<_>>()})
}

static HELD: Mutex<()> = Mutex::new(());

/// Ends when nobody holds it.
fn wait(_: &Change<'_>, _: &mut Findings<'_>) {
    drop(HELD.lock());
}

static SLOW: [Rule; 1] = [Rule { check: |change, findings| wait(change, findings), mutate: None, ..PANICS }];
pub static PANICKING: [Rule; 1] = [PANICS];
