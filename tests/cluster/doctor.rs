//! Tests `doctor` on a healthy installation and on sabotaged ones: at least one sabotage for each check.

mod policies;

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use scan_admission::doctor::CHECKS;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::runtime::{self, Runtime};

use crate::Test;
use crate::controlplane::{ControlPlane, Namespace, User, eventually};
use crate::installed::{generate, program};
use crate::replicas::{NAME, client};
use crate::stand_in_webhook::{Answer, StandIn};
use crate::support::folder::Folder;
use crate::support::pki::{Ca, Pair, leaf};
use crate::support::process::Process;
use crate::support::program;

pub const TESTS: &[(&str, Test)] = &[("doctor-finds-every-sabotage", doctor_finds_every_sabotage)];

const HOST: &str = "scan-admission.scan-admission.svc";
/// Endpoints that are never called: `--connect-to` replaces each by an address of this machine.
const ENDPOINTS: [&str; 2] = ["10.0.0.1:8443", "10.0.0.2:8443"];

/// An object of the installation: version, kind, name, and whether it is namespaced.
type Object = (&'static str, &'static str, &'static str, bool);

const VALIDATING: Object = ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", NAME, false);
const MUTATING: Object = ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", NAME, false);
const SERVICE: Object = ("v1", "Service", NAME, true);
const SLICE: Object = ("discovery.k8s.io/v1", "EndpointSlice", NAME, true);
const DEPLOYMENT: Object = ("apps/v1", "Deployment", NAME, true);
const CONFIG: Object = ("v1", "ConfigMap", NAME, true);
const POD: Object = ("v1", "Pod", "two", true);
const BINDING: Object = ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", NAME, false);
const EVENTS_BINDING: Object = ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "scan-admission-events", false);
const SOURCES: Object =
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "sourcescans.scanning.apps.tanzu.vmware.com", false);
const IMAGES: Object =
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "imagescans.scanning.apps.tanzu.vmware.com", false);

enum How {
    Delete(Object),
    Change(Object, fn(&mut Value)),
    Status(Object, fn(&mut Value)),
    /// Adds an object.
    Add(Object, fn() -> Value),
    /// Replaces the second endpoint by another server.
    Endpoint(StandInServer),
}

/// A server that answers in place of a replica.
#[derive(Clone, Copy)]
enum StandInServer {
    ClosedPort,
    /// An address to which no packet can be sent.
    Unreachable,
    PlainHttp,
    Served(Leaf, Answer),
    DemandsCertificate,
}

#[derive(Clone, Copy)]
enum Leaf {
    Good,
    OtherName,
    ForClients,
    ForAnything,
    CaFlag,
    Expired,
    NotYet,
    Due,
    OtherCa,
}

use How::{Add, Change, Delete, Endpoint, Status};

/// The name of the sabotage, what it does, the exit code of `doctor`, and the checks that then have a finding.
type Sabotage = (&'static str, How, i32, &'static [&'static str]);

const SABOTAGES: &[Sabotage] = &[
    ("no mutating configuration", Delete(MUTATING), 1, &["configuration-missing"]),
    ("no validating configuration", Delete(VALIDATING), 1, &["configuration-missing"]),
    ("a webhook is missing", Change(VALIDATING, |it| drop(webhooks(it).remove(0))), 1, &["webhook-missing"]),
    (
        "a webhook too many",
        Change(VALIDATING, |it| {
            let mut one = webhooks(it)[0].clone();
            one["name"] = json!("old.scan-admission.dev");
            webhooks(it).push(one);
        }),
        1,
        &["webhook-unknown"],
    ),
    (
        "another domain in the names, as the chart can set it",
        Change(VALIDATING, |it| {
            for webhook in webhooks(it) {
                let name = webhook["name"].as_str().unwrap().replace("scan-admission.dev", "scans.example.com");
                webhook["name"] = json!(name);
            }
        }),
        0,
        &[],
    ),
    (
        "no /status in the rules",
        Change(VALIDATING, |it| webhooks(it)[0]["rules"][0]["resources"] = json!(["sourcescans", "imagescans"])),
        1,
        &["rules-too-narrow", "rules-too-wide"],
    ),
    (
        "only one kind in the rules",
        Change(MUTATING, |it| webhooks(it)[0]["rules"][0]["resources"] = json!(["sourcescans/status"])),
        1,
        &["rules-too-narrow"],
    ),
    (
        "Fail at the spec",
        Change(VALIDATING, |it| webhooks(it)[1]["failurePolicy"] = json!("Fail")),
        1,
        &["failure-policy"],
    ),
    (
        "one version in the rules",
        Change(VALIDATING, |it| webhooks(it)[1]["rules"][0]["apiVersions"] = json!(["v1alpha1"])),
        1,
        &["rules-too-narrow"],
    ),
    (
        "deletions in the rules",
        Change(VALIDATING, |it| webhooks(it)[0]["rules"][0]["operations"] = json!(["UPDATE", "DELETE"])),
        1,
        &["rules-too-wide"],
    ),
    (
        "the rules match everything",
        Change(VALIDATING, |it| {
            webhooks(it)[1]["rules"] =
                json!([{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}]);
        }),
        1,
        &["rules-too-wide"],
    ),
    (
        "Ignore at the status",
        Change(VALIDATING, |it| webhooks(it)[0]["failurePolicy"] = json!("Ignore")),
        1,
        &["failure-policy"],
    ),
    (
        "Fail at the mutating webhook",
        Change(MUTATING, |it| webhooks(it)[0]["failurePolicy"] = json!("Fail")),
        1,
        &["failure-policy"],
    ),
    (
        "the path of the other webhook",
        Change(VALIDATING, |it| webhooks(it)[0]["clientConfig"]["service"]["path"] = json!("/mutate")),
        1,
        &["path"],
    ),
    (
        "a path that the server does not serve",
        Change(VALIDATING, |it| webhooks(it)[0]["clientConfig"]["service"]["path"] = json!("/")),
        1,
        &["path", "review-unanswered"],
    ),
    (
        "no reinvocation",
        Change(MUTATING, |it| webhooks(it)[0]["reinvocationPolicy"] = json!("Never")),
        1,
        &["reinvocation"],
    ),
    ("side effects", Change(VALIDATING, |it| webhooks(it)[0]["sideEffects"] = json!("None")), 1, &["side-effects"]),
    (
        "another webhook mutates",
        Add(("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "z-other", false), || {
            json!({"webhooks": [{"name": "other.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "failurePolicy": "Ignore", "clientConfig": {"url": "https://127.0.0.1:1/"}, "rules": [
                {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/status"]}]}]})
        }),
        0,
        &["other-webhooks"],
    ),
    (
        "a condition that is never true",
        Change(VALIDATING, |it| {
            let conditions = webhooks(it)[0]["matchConditions"].as_array_mut().unwrap();
            conditions.push(json!({"name": "never", "expression": "false"}));
        }),
        1,
        &["match-conditions"],
    ),
    (
        "an outage blocks deletions",
        Change(VALIDATING, |it| drop(webhooks(it)[0]["matchConditions"].as_array_mut().unwrap().remove(1))),
        1,
        &["match-conditions"],
    ),
    (
        "status writers are not checked during deletion",
        Change(CONFIG, |it| it["data"]["config.yaml"] = json!("statusWriters: [somebody]\n")),
        1,
        &["match-conditions"],
    ),
    (
        "an invalid configuration",
        Change(CONFIG, |it| it["data"]["config.yaml"] = json!("statusWriter: somebody\n")),
        2,
        &["match-conditions"],
    ),
    ("no ConfigMap", Delete(CONFIG), 2, &["match-conditions"]),
    (
        "a selector that excludes nothing, as AKS sets it",
        Change(VALIDATING, |it| {
            let out = json!({"key": "control-plane", "operator": "DoesNotExist"});
            webhooks(it).iter_mut().for_each(|one| one["namespaceSelector"] = json!({"matchExpressions": [out]}));
        }),
        0,
        &[],
    ),
    (
        "no break-glass condition",
        Change(MUTATING, |it| webhooks(it)[0]["matchConditions"] = json!([])),
        1,
        &["match-conditions"],
    ),
    (
        "other versions are not reviewed",
        Change(VALIDATING, |it| webhooks(it)[0]["matchPolicy"] = json!("Exact")),
        1,
        &["match-policy"],
    ),
    (
        "a selector that excludes everything",
        Change(VALIDATING, |it| webhooks(it)[0]["namespaceSelector"] = json!({"matchLabels": {"nobody": "here"}})),
        1,
        &["selects-nothing"],
    ),
    (
        "an intended selector",
        Change(VALIDATING, |it| {
            let out = json!({"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]});
            webhooks(it)[0]["namespaceSelector"] = json!({"matchExpressions": [out]});
        }),
        0,
        &["namespace-selector"],
    ),
    (
        "the writer can opt out",
        Change(VALIDATING, |it| webhooks(it)[0]["objectSelector"] = json!({"matchLabels": {"judge": "me"}})),
        1,
        &["object-selector"],
    ),
    ("another timeout", Change(VALIDATING, |it| webhooks(it)[0]["timeoutSeconds"] = json!(10)), 0, &["timeout"]),
    (
        "a wrong service name",
        Change(VALIDATING, |it| webhooks(it)[0]["clientConfig"]["service"]["name"] = json!("scan-admision")),
        1,
        &["service-unknown", "service-missing"],
    ),
    ("no Service", Delete(SERVICE), 1, &["service-missing"]),
    (
        "another port of the Service",
        Change(SERVICE, |it| it["spec"]["ports"][0]["port"] = json!(444)),
        1,
        &["service-port"],
    ),
    (
        "no endpoint is ready",
        Change(SLICE, |it| {
            it["endpoints"]
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .for_each(|one| one["conditions"]["ready"] = json!(false));
        }),
        1,
        &["no-endpoints"],
    ),
    ("no endpoints at all", Delete(SLICE), 1, &["no-endpoints"]),
    ("no process listens", Endpoint(StandInServer::ClosedPort), 1, &["endpoint-closed"]),
    ("unreachable from here", Endpoint(StandInServer::Unreachable), 2, &["endpoint-closed"]),
    ("plain HTTP", Endpoint(StandInServer::PlainHttp), 1, &["endpoint-handshake"]),
    ("another program", Endpoint(StandInServer::Served(Leaf::Good, Answer::NotFound)), 1, &["review-unanswered"]),
    (
        "an answer with another uid",
        Endpoint(StandInServer::Served(Leaf::Good, Answer::OtherUid)),
        1,
        &["review-unanswered"],
    ),
    ("a client certificate is demanded", Endpoint(StandInServer::DemandsCertificate), 2, &["review-unanswered"]),
    (
        "no caBundle",
        Change(VALIDATING, |it| webhooks(it)[0]["clientConfig"]["caBundle"] = json!(null)),
        1,
        &["ca-bundle-empty"],
    ),
    (
        "a caBundle of two blocks on one line",
        Change(VALIDATING, |it| {
            let bundle = webhooks(it)[0]["clientConfig"]["caBundle"].as_str().unwrap().to_owned();
            let text = unbase64(&bundle);
            webhooks(it)[0]["clientConfig"]["caBundle"] =
                json!(base64(&format!("{}{}", text.trim_end(), Ca::new().pem)));
        }),
        1,
        &["ca-bundle-unread"],
    ),
    (
        "a byte order mark, and two more certificates",
        Change(VALIDATING, |it| {
            let bundle = webhooks(it)[0]["clientConfig"]["caBundle"].as_str().unwrap().to_owned();
            let text = unbase64(&bundle);
            webhooks(it)[0]["clientConfig"]["caBundle"] =
                json!(base64(&format!("\u{feff}{}{text}{}", Ca::new().pem, Ca::new().pem)));
        }),
        1,
        &["ca-bundle-unread"],
    ),
    (
        "an expired CA",
        Change(MUTATING, |it| webhooks(it)[0]["clientConfig"]["caBundle"] = json!(base64(&expired_ca()))),
        1,
        &["ca-bundle-expired"],
    ),
    (
        "the caBundle of another CA",
        Change(VALIDATING, |it| webhooks(it)[0]["clientConfig"]["caBundle"] = json!(base64(&Ca::new().pem))),
        1,
        &["ca-bundle-wrong"],
    ),
    ("signed by another CA", Endpoint(StandInServer::Served(Leaf::OtherCa, Answer::Good)), 1, &["ca-bundle-wrong"]),
    ("for another name", Endpoint(StandInServer::Served(Leaf::OtherName, Answer::Good)), 1, &["certificate-name"]),
    ("for clients", Endpoint(StandInServer::Served(Leaf::ForClients, Answer::Good)), 1, &["certificate-usage"]),
    ("the CA flag", Endpoint(StandInServer::Served(Leaf::CaFlag, Answer::Good)), 0, &["certificate-ca"]),
    ("for anything", Endpoint(StandInServer::Served(Leaf::ForAnything, Answer::Good)), 0, &[]),
    ("an expired leaf", Endpoint(StandInServer::Served(Leaf::Expired, Answer::Good)), 1, &["certificate-expired"]),
    (
        "a leaf that is not valid yet",
        Endpoint(StandInServer::Served(Leaf::NotYet, Answer::Good)),
        1,
        &["certificate-expired"],
    ),
    ("a leaf that expires soon", Endpoint(StandInServer::Served(Leaf::Due, Answer::Good)), 1, &["certificate-due"]),
    ("a clock that is slow", Endpoint(StandInServer::Served(Leaf::Good, Answer::SlowClock)), 1, &["clock-skew"]),
    ("no Deployment", Delete(DEPLOYMENT), 1, &["deployment-missing"]),
    (
        "one replica is not ready",
        Status(DEPLOYMENT, |it| it["status"]["readyReplicas"] = json!(1)),
        1,
        &["replicas-not-ready"],
    ),
    (
        "one replica runs an old image",
        Change(POD, |it| it["spec"]["containers"][0]["image"] = json!("scan-admission:0.0.1")),
        1,
        &["replicas-differ"],
    ),
    (
        "a replica of another release",
        Endpoint(StandInServer::Served(Leaf::Good, Answer::OtherRelease)),
        1,
        &["releases-differ", "other-release"],
    ),
    (
        "the chart is of another release",
        Change(DEPLOYMENT, |it| it["metadata"]["labels"]["app.kubernetes.io/version"] = json!("0.0.1")),
        0,
        &["other-release"],
    ),
    ("the rights are missing", Delete(BINDING), 1, &["rights-missing"]),
    (
        "another Secret of the CA, for which there are no rights",
        Change(DEPLOYMENT, |it| {
            for argument in it["spec"]["template"]["spec"]["containers"][0]["args"].as_array_mut().unwrap() {
                if *argument == "--ca-secret=scan-admission-ca" {
                    *argument = json!("--ca-secret=another-ca");
                }
            }
        }),
        1,
        &["rights-missing"],
    ),
    ("the rights on Events are missing", Delete(EVENTS_BINDING), 1, &["rights-missing"]),
    ("a kind is missing", Delete(IMAGES), 1, &["kind-missing"]),
    (
        "a version is not served",
        Change(SOURCES, |it| it["spec"]["versions"][0]["served"] = json!(false)),
        1,
        &["version-not-served"],
    ),
    (
        "no status subresource",
        Change(SOURCES, |it| it["spec"]["versions"][0]["subresources"] = json!(null)),
        1,
        &["no-status-subresource"],
    ),
];

/// The check of --probe. It needs an API server that reaches the replica, so it has a test of its own.
const PROBED: &str = "write-not-denied";

fn webhooks(configuration: &mut Value) -> &mut Vec<Value> {
    configuration["webhooks"].as_array_mut().unwrap()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn unbase64(text: &str) -> String {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

fn expired_ca() -> String {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = OffsetDateTime::now_utc() - Duration::DAY;
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn certificate_pair(ca: &Ca, which: Leaf) -> Pair {
    let now = OffsetDateTime::now_utc();
    let (name, begin, end) = match which {
        Leaf::Good | Leaf::OtherCa | Leaf::ForClients | Leaf::ForAnything | Leaf::CaFlag => (HOST, -1, 30),
        Leaf::OtherName => ("localhost", -1, 30),
        Leaf::Expired => (HOST, -30, -1),
        Leaf::NotYet => (HOST, 1, 30),
        Leaf::Due => (HOST, -30, 3),
    };
    let mut params = leaf();
    params.subject_alt_names = CertificateParams::new([name.to_owned()]).unwrap().subject_alt_names;
    (params.not_before, params.not_after) = (now + Duration::days(begin), now + Duration::days(end));
    match which {
        Leaf::ForClients => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        Leaf::ForAnything => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any],
        Leaf::CaFlag => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        _ => {}
    }
    let other = Ca::new();
    let ca = if matches!(which, Leaf::OtherCa) { &other } else { ca };
    ca.sign(&params, &KeyPair::generate().unwrap())
}

/// An installation with two endpoints, both of which are the same replica.
struct Setup {
    cluster: ControlPlane,
    runtime: Runtime,
    client: Client,
    folder: Folder,
    ca: Ca,
    replica: Process,
}

impl Setup {
    fn new() -> Self {
        let cluster = ControlPlane::start().unwrap_or_else(|error| panic!("{error:?}"));
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let client = client(&runtime, &cluster, User::Admin);
        let (folder, ca) = (Folder::new(), Ca::new());
        certificate_pair(&ca, Leaf::Good).write(&folder.join("tls.crt"), &folder.join("tls.key"));
        let command = program::command(folder.path(), &["--tls-cert=tls.crt", "--tls-key=tls.key"]);
        let replica = Process::start(command, folder.join("errors"));
        let setup = Self { cluster, runtime, client, folder, ca, replica };
        setup.install();
        setup
    }

    fn install(&self) {
        generate(&self.folder.join("manifests"));
        let admin = || self.cluster.kubectl(User::Admin);
        admin().args(["apply", "-k"]).args([self.folder.join("manifests/base/crds")]).run().ok();
        admin().args(["apply", "-k"]).args([self.folder.join("manifests/base")]).run().ok();
        for configuration in [VALIDATING, MUTATING] {
            self.change(configuration, false, |it| {
                webhooks(it).iter_mut().for_each(|one| one["clientConfig"]["caBundle"] = json!(base64(&self.ca.pem)));
            });
        }
        // Objects and statuses that controllers and kubelets would write.
        let deployment = self.get(DEPLOYMENT);
        let template = &deployment["spec"]["template"];
        for name in ["one", "two"] {
            let labels = &template["metadata"]["labels"];
            self.create((POD.0, POD.1, name, true), json!({"metadata": {"labels": labels}, "spec": template["spec"]}));
        }
        self.change(DEPLOYMENT, true, |it| it["status"] = json!({"replicas": 2, "readyReplicas": 2}));
        let endpoint = |at: &str, pod: &str| {
            let address = at.split(':').next();
            json!({"addresses": [address], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": pod}})
        };
        self.create(
            SLICE,
            json!({"metadata": {"labels": {"kubernetes.io/service-name": NAME}}, "addressType": "IPv4",
                "ports": [{"name": "https", "port": 8443}, {"name": "metrics", "port": 8080}],
                "endpoints": [endpoint(ENDPOINTS[0], "one"), endpoint(ENDPOINTS[1], "two")]}),
        );
    }

    fn api(&self, (version, kind, _, is_namespaced): Object) -> Api<DynamicObject> {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        if is_namespaced {
            Api::namespaced_with(self.client.clone(), NAME, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    fn get(&self, object: Object) -> Value {
        serde_json::to_value(self.runtime.block_on(self.api(object).get(object.2)).unwrap()).unwrap()
    }

    fn create(&self, object: Object, value: Value) {
        let (version, kind, name, _) = object;
        let mut whole = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
        json_patch::merge(&mut whole, &value);
        let of_server = ["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"];
        of_server.iter().for_each(|key| drop(whole["metadata"].as_object_mut().unwrap().remove(*key)));
        let whole = serde_json::from_value(whole).unwrap();
        // An object that is being deleted still has the name.
        eventually("it can be created", || {
            self.runtime.block_on(self.api(object).create(&PostParams::default(), &whole)).ok()
        });
    }

    fn delete(&self, object: Object) {
        self.runtime.block_on(self.api(object).delete(object.2, &DeleteParams::default())).unwrap();
        eventually("it is gone", || {
            self.runtime.block_on(self.api(object).get_opt(object.2)).unwrap().is_none().then_some(())
        });
    }

    /// Retries on a conflict, since others write as well.
    fn change(&self, object: Object, is_status: bool, change: impl Fn(&mut Value)) {
        let api = self.api(object);
        eventually("it can be changed", || {
            let mut value = self.get(object);
            change(&mut value);
            let value: DynamicObject = serde_json::from_value(value).unwrap();
            let params = PostParams::default();
            let replaced = if is_status {
                self.runtime.block_on(api.replace_status(object.2, &params, &value))
            } else {
                self.runtime.block_on(api.replace(object.2, &params, &value))
            };
            match replaced {
                Err(kube::Error::Api(status)) if !status.is_conflict() => panic!("{}", status.message),
                replaced => replaced.ok(),
            }
        });
    }

    /// Runs `doctor` with the endpoints at these addresses. Returns its exit code, stdout and stderr.
    fn doctor(&self, at: [&str; 2], arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = program(&["doctor", "--kubeconfig"]);
        command.arg(self.cluster.kubeconfig(User::Admin)).args(arguments);
        for (endpoint, at) in ENDPOINTS.iter().zip(at) {
            command.arg(format!("--connect-to={endpoint}={at}"));
        }
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    fn report(&self, at: [&str; 2], arguments: &[&str]) -> (Option<i32>, Value) {
        let (code, stdout, stderr) = self.doctor(at, &[&["-o", "json"], arguments].concat());
        (code, serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")))
    }

    fn at(&self) -> String {
        self.replica.address.to_string()
    }

    /// Returns the address of such a server, which listens as long as the second value lives.
    fn stand_in(&self, server: StandInServer) -> (String, Box<dyn Any>) {
        match server {
            // A port that was free a moment ago, so no process listens on it.
            StandInServer::ClosedPort => {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                (listener.local_addr().unwrap().to_string(), Box::new(()))
            }
            StandInServer::Unreachable => ("255.255.255.255:8443".to_owned(), Box::new(())),
            StandInServer::PlainHttp => (self.replica.admin.to_string(), Box::new(())),
            StandInServer::Served(leaf, answer) => {
                let stand_in = StandIn::start(self.runtime.handle(), &certificate_pair(&self.ca, leaf), answer);
                (stand_in.address.to_string(), Box::new(stand_in))
            }
            StandInServer::DemandsCertificate => {
                fs::write(self.folder.join("ca.crt"), &self.ca.pem).unwrap();
                let arguments = ["--tls-cert=tls.crt", "--tls-key=tls.key", "--client-ca=ca.crt"];
                let command = program::command(self.folder.path(), &arguments);
                let replica = Process::start(command, self.folder.join("errors-of-another"));
                (replica.address.to_string(), Box::new(replica))
            }
        }
    }

    /// Sabotages the installation, runs `doctor`, and undoes the sabotage.
    fn sabotaged(&self, how: &How) -> (Option<i32>, Value) {
        let at = self.at();
        let look = || self.report([&at, &at], &[]);
        match *how {
            Delete(object) => {
                let before = self.get(object);
                self.delete(object);
                let report = look();
                self.create(object, before.clone());
                if before.get("status").is_some() && object == DEPLOYMENT {
                    self.change(object, true, |it| it["status"] = before["status"].clone());
                }
                report
            }
            Change(object, change) | Status(object, change) => {
                let is_status = matches!(how, Status(..));
                let before = self.get(object);
                self.change(object, is_status, change);
                let report = look();
                let part = if is_status { "status" } else { "spec" };
                self.change(object, is_status, |it| {
                    for part in [part, "webhooks", "endpoints", "data"] {
                        if before.get(part).is_some() {
                            it[part] = before[part].clone();
                        }
                    }
                    for part in ["labels", "annotations"] {
                        it["metadata"][part] = before["metadata"][part].clone();
                    }
                });
                report
            }
            Add(object, value) => {
                self.create(object, value());
                let report = look();
                self.delete(object);
                report
            }
            Endpoint(other) => {
                let (other, _running) = self.stand_in(other);
                self.report([&at, &other], &[])
            }
        }
    }
}

fn named(report: &Value) -> BTreeSet<&str> {
    report["diagnostics"].as_array().unwrap().iter().map(|finding| finding["check"].as_str().unwrap()).collect()
}

fn doctor_finds_every_sabotage(_: &Namespace<'_>) {
    let all = SABOTAGES.iter().chain(policies::SABOTAGES);
    let sabotaged: BTreeSet<&str> = all.flat_map(|(.., due)| due.iter().copied()).chain([PROBED]).collect();
    let checks: BTreeSet<&str> = CHECKS.iter().copied().flatten().map(|check| check.id).collect();
    assert_eq!(sabotaged, checks, "the checks of the sabotages must be all checks");

    let setup = Setup::new();
    let at = setup.at();
    let healthy = || {
        let (code, report) = setup.report([&at, &at], &[]);
        assert_eq!((code, &report["diagnostics"]), (Some(0), &json!([])), "the installation is healthy");
    };
    healthy();
    let (code, stdout, stderr) = setup.doctor([&at, &at], &[]);
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert_eq!(stderr, format!("{} checks: 0 problems, 0 notes\n", checks.len()));

    assert_found(&setup, SABOTAGES);
    healthy();
    assert_text_output(&setup);
    without_a_status_subresource(&setup);
    with_a_client_certificate(&setup);
    with_status_writers(&setup);
    with_a_self_signed_certificate(&setup);
    policies::with_policies(&setup);
    healthy();
    with_the_documented_cluster_role(&setup);
    with_probe(&setup);
    without_a_reachable_api_server(&setup);
}

/// Asserts that `doctor` finds each sabotage.
fn assert_found(setup: &Setup, sabotages: &[Sabotage]) {
    let mut wrong = Vec::new();
    for (name, how, expected_code, expected) in sabotages {
        let (code, report) = setup.sabotaged(how);
        if (code, named(&report)) != (Some(*expected_code), expected.iter().copied().collect()) {
            wrong.push(format!("{name}: exit {code:?}, {report:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The text output: the problem, its effect, the remedy, and a link to the page.
fn assert_text_output(setup: &Setup) {
    let at = setup.at();
    setup.change(VALIDATING, false, |it| webhooks(it)[0]["failurePolicy"] = json!("Ignore"));
    let (code, stdout, stderr) = setup.doctor([&at, &at], &[]);
    assert_eq!(code, Some(1), "{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(
        lines[0],
        "problem: failurePolicy of status.validate.scan-admission.dev in ValidatingWebhookConfiguration scan-admission is Ignore: \
         the manifests have Fail [failure-policy]"
    );
    assert!(lines[1].starts_with("  causes: With Ignore on the status webhook, "), "{stdout}");
    assert!(lines[2].starts_with("  do: Apply the manifests again."), "{stdout}");
    assert_eq!(lines[3..], ["  see docs/doctor.md#failure-policy"]);
    setup.change(VALIDATING, false, |it| webhooks(it)[0]["failurePolicy"] = json!("Fail"));
}

/// manifests/README.md supports such a kind, so it is only a note.
fn without_a_status_subresource(setup: &Setup) {
    let at = setup.at();
    setup.change(SOURCES, false, |it| it["spec"]["versions"][0]["subresources"] = json!(null));
    setup.change(VALIDATING, false, |it| webhooks(it)[1]["failurePolicy"] = json!("Fail"));
    let (code, report) = setup.report([&at, &at], &[]);
    assert_eq!((code, named(&report)), (Some(0), ["no-status-subresource"].into_iter().collect()), "{report:#}");
    setup.change(VALIDATING, false, |it| webhooks(it)[1]["failurePolicy"] = json!("Ignore"));
    setup.change(SOURCES, false, |it| it["spec"]["versions"][0]["subresources"] = json!({"status": {}}));
}

/// Tests the match condition and the configuration as the component `status-writers` sets them, however the
/// configuration is mounted.
fn with_status_writers(setup: &Setup) {
    let at = setup.at();
    let drop_condition = |it: &mut Value| drop(webhooks(it)[0]["matchConditions"].as_array_mut().unwrap().remove(1));
    let (before, deployment) = (setup.get(VALIDATING), setup.get(DEPLOYMENT));
    setup.change(VALIDATING, false, drop_condition);
    setup.change(CONFIG, false, |it| it["data"]["config.yaml"] = json!("statusWriters: [somebody]\n"));
    let is_healthy = |what: &str| {
        let (code, report) = setup.report([&at, &at], &[]);
        assert_eq!((code, &report["diagnostics"]), (Some(0), &json!([])), "{what}");
    };
    is_healthy("as installed");
    // Another key at another path: given in two arguments, and mounted as a single file.
    setup.change(CONFIG, false, |it| {
        it["data"] = json!({"config.yaml": "", "other": "statusWriters: [somebody]\n"});
    });
    setup.change(DEPLOYMENT, false, |it| {
        let pod = &mut it["spec"]["template"]["spec"];
        pod["volumes"][0]["configMap"]["items"] = json!([{"key": "other", "path": "config.yaml"}]);
    });
    is_healthy("by items");
    setup.change(DEPLOYMENT, false, |it| {
        let pod = &mut it["spec"]["template"]["spec"];
        pod["volumes"][0]["configMap"].as_object_mut().unwrap().remove("items");
        pod["containers"][0]["volumeMounts"] = json!([{"name": "config", "mountPath": "/c.yaml", "subPath": "other"}]);
        pod["containers"][0]["args"] = json!(["serve", "--certs=cluster", "--config", "/c.yaml"]);
    });
    is_healthy("by subPath");
    setup.change(DEPLOYMENT, false, |it| it["spec"] = deployment["spec"].clone());
    setup.change(CONFIG, false, |it| it["data"] = json!({"config.yaml": ""}));
    setup.change(VALIDATING, false, |it| it["webhooks"] = before["webhooks"].clone());
    is_healthy("as before");
}

fn with_a_client_certificate(setup: &Setup) {
    let at = setup.at();
    let (other, _running) = setup.stand_in(StandInServer::DemandsCertificate);
    let (cert, key) = (setup.folder.join("client.crt"), setup.folder.join("client.key"));
    let flags = [format!("--client-cert={}", cert.display()), format!("--client-key={}", key.display())];
    let mut client = leaf();
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for (ca, code, named_checks) in [(&Ca::new(), 2, vec!["review-unanswered"]), (&setup.ca, 0, vec![])] {
        ca.sign(&client, &KeyPair::generate().unwrap()).write(&cert, &key);
        let (found, report) = setup.report([&at, &other], &flags.each_ref().map(String::as_str));
        assert_eq!((found, named(&report)), (Some(code), named_checks.into_iter().collect()), "{report:#}");
    }
}

/// A certificate as `openssl req -x509` makes it, which is itself in the caBundle: with the CA flag, without it, or
/// with a critical extension that webpki does not support. The API server accepts all of them.
fn with_a_self_signed_certificate(setup: &Setup) {
    for (is_ca, has_policies, named_checks) in
        [(true, false, vec!["certificate-ca"]), (false, false, vec![]), (false, true, vec![])]
    {
        let mut params = leaf();
        params.subject_alt_names = CertificateParams::new([HOST.to_owned()]).unwrap().subject_alt_names;
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        if has_policies {
            let mut policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], vec![0x30, 5, 0x30, 3, 6, 1, 0x2a]);
            policies.set_criticality(true);
            params.custom_extensions.push(policies);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (crt, file) = (setup.folder.join("self.crt"), setup.folder.join("self.key"));
        Pair { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
            .write(&crt, &file);
        let command = program::command(setup.folder.path(), &["--tls-cert=self.crt", "--tls-key=self.key"]);
        let replica = Process::start(command, setup.folder.join("errors-of-self"));
        let set = |pem: &str| {
            for configuration in [VALIDATING, MUTATING] {
                setup.change(configuration, false, |it| {
                    webhooks(it).iter_mut().for_each(|one| one["clientConfig"]["caBundle"] = json!(base64(pem)));
                });
            }
        };
        set(&certificate.pem());
        let at = replica.address.to_string();
        let (code, report) = setup.report([&at, &at], &[]);
        assert_eq!((code, named(&report)), (Some(0), named_checks.into_iter().collect()), "{report:#}");
        set(&setup.ca.pem);
    }
}

/// Runs the commands as a user who has only the ClusterRole of docs/doctor.md.
fn with_the_documented_cluster_role(setup: &Setup) {
    let at = setup.at();
    let text = fs::read_to_string(setup.cluster.kubeconfig(User::Admin)).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    config["users"][0]["user"]["as"] = json!("looker");
    let path = setup.folder.join("looker.kubeconfig");
    fs::write(&path, config.to_string()).unwrap();
    let looker = ["--kubeconfig", path.to_str().unwrap()];
    let run = |verb: &[&str]| {
        let mut command = program(verb);
        command.args(looker).args(["-o", "json"]);
        let output = command.output().unwrap();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let instead: Vec<String> = ENDPOINTS.iter().map(|endpoint| format!("--connect-to={endpoint}={at}")).collect();
    let doctor: Vec<&str> = ["doctor"].into_iter().chain(instead.iter().map(String::as_str)).collect();
    let (code, report) = run(&doctor);
    assert_eq!(code, Some(2), "{report:#}");
    let findings = report["diagnostics"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["level"] == "unknown"), "{report:#}");
    assert!(report.to_string().contains("is forbidden: User \\\"looker\\\" cannot"), "{report:#}");

    let docs = include_str!("../../docs/doctor.md");
    let role = docs.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    setup.cluster.kubectl(User::Admin).args(["apply", "-f", "-"]).input(role).run().ok();
    let bind = ["create", "clusterrolebinding", "looker", "--clusterrole=scan-admission-look", "--user=looker"];
    setup.cluster.kubectl(User::Admin).args(bind).run().ok();
    eventually("the rights take effect", || Some(run(&doctor)).filter(|(code, _)| *code == Some(0)));
    let (code, report) = run(&["audit"]);
    assert_eq!(code, Some(0), "{report:#}");
}

/// Tests --probe, which writes through the API server, once the API server reaches the replica.
fn with_probe(setup: &Setup) {
    let port = setup.replica.address.port();
    setup.change(SERVICE, false, |it| {
        it["spec"] = json!({"type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": port}]});
    });
    for configuration in [VALIDATING, MUTATING] {
        setup.change(configuration, false, |it| {
            webhooks(it).iter_mut().for_each(|one| one["clientConfig"]["service"]["port"] = json!(port));
        });
    }
    let at = setup.at();
    let probe = || setup.report([&at, &at], &["--probe"]);
    // A new configuration takes effect some milliseconds after it is written.
    eventually("a scan without a target is denied", || Some(probe()).filter(|(code, _)| *code == Some(0)));
    let scan = crate::scan("one").to_string();
    let kubectl = || setup.cluster.kubectl(User::Admin).args(["--namespace", "default"]);
    kubectl().args(["create", "-f", "-"]).input(scan).run().ok();
    let (code, report) = probe();
    assert_eq!((code, &report["diagnostics"]), (Some(0), &json!([])), "an invalid status is denied");
    let stored = kubectl().args(["get", "sourcescan", "one", "-o", "jsonpath={.status}"]).run();
    assert_eq!(stored.ok(), "", "the probe is a dry run");

    setup.change(VALIDATING, false, |it| {
        webhooks(it)[0]["namespaceSelector"] = json!({"matchLabels": {"nobody": "here"}})
    });
    let (_, report) = eventually("the invalid status is not denied", || {
        Some(probe()).filter(|(_, report)| named(report).contains(PROBED))
    });
    assert_eq!(named(&report), [PROBED, "selects-nothing"].into_iter().collect(), "{report:#}");
    assert!(report.to_string().contains(
        "an update of the status of SourceScan default/one is allowed, but the rule phase-unknown must deny it"
    ));
    setup.change(VALIDATING, false, |it| webhooks(it)[0]["namespaceSelector"] = json!({}));

    // The report contains the reason that the API server gives for the failed call.
    setup.change(VALIDATING, false, |it| webhooks(it)[0]["clientConfig"]["caBundle"] = json!(base64(&Ca::new().pem)));
    let is_reported = |report: &Value| report.to_string().contains("certificate signed by unknown authority");
    let (code, report) = eventually("the call fails", || Some(probe()).filter(|(_, report)| is_reported(report)));
    assert_eq!((code, named(&report)), (Some(1), [PROBED, "ca-bundle-wrong"].into_iter().collect()), "{report:#}");
}

fn without_a_reachable_api_server(setup: &Setup) {
    let (address, _) = setup.stand_in(StandInServer::ClosedPort);
    let text = fs::read_to_string(setup.cluster.kubeconfig(User::Admin)).unwrap();
    let path = setup.folder.join("closed-port.kubeconfig");
    fs::write(&path, text.replace(&setup.cluster.ready().address, &format!("https://{address}"))).unwrap();
    for (kubeconfig, words) in
        [(path, "the API server cannot be reached: "), (setup.folder.join("none"), "--kubeconfig ")]
    {
        let output = program(&["doctor", "--kubeconfig"]).arg(kubeconfig).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]), "{stderr}");
        assert!(stderr.starts_with(&format!("error: {words}")), "{stderr}");
    }
}
