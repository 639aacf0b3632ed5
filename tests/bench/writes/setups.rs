//! The ways to admit a status that are compared, each in a namespace of one API server.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::contender::{CLOSE, ECHO};
use crate::measure::{Contender, Server, Workspace};
use crate::support::controlplane::{ControlPlane, User};
use crate::support::folder::Folder;

/// The namespace of the Services of the webhooks.
const SERVICES: &str = "webhooks";

/// The number of scans in each namespace. Writes of one scan at the same time would conflict and be repeated.
pub const SCANS: u64 = 64;

/// A captured update, whose scan is written.
const CAPTURED: &str = include_str!("../../fixtures/reviews/sourcescan-completed-2-status.validate.json");

/// The longest time until webhooks and policies take effect. Policies take 20 s to compile.
const IN_FORCE_MAX: Duration = Duration::from_secs(120);

/// A way to admit a status.
pub struct Setup {
    /// The name of its namespace and of its Service.
    pub name: &'static str,
    pub title: &'static str,
    contender: Option<Contender>,
    /// The path of the mutating and of the validating webhook.
    paths: [Option<&'static str>; 2],
    has_policies: bool,
    /// Whether it denies an unknown phase with a wrong total.
    denies: bool,
}

impl Setup {
    /// The number of calls of a webhook for each write.
    pub fn calls(&self) -> usize {
        self.paths.iter().flatten().count()
    }
}

/// A setup that is in force.
pub struct Installed {
    pub setup: Setup,
    pub server: Option<Server>,
}

/// The index of the setup without admission. That of a floor with one or two webhooks is the number of its calls.
pub const NONE: usize = 0;

/// Returns all setups.
pub fn all(controller_runtime: Option<&Path>) -> Vec<Setup> {
    let setup = |name, title, contender, paths, has_policies, denies| Setup {
        name,
        title,
        contender,
        paths,
        has_policies,
        denies,
    };
    let ours = [Some("/mutate"), Some("/validate")];
    let usual = [None, Some("/validate")];
    let mut all = vec![
        setup("none", "no admission", None, [None, None], false, false),
        setup("floor", "floor", Some(Contender::Floor), [None, Some(ECHO)], false, false),
        setup("floor-both", "floor, both webhooks", Some(Contender::Floor), [Some(ECHO); 2], false, false),
        setup(
            "floor-close",
            "floor, a connection for each call",
            Some(Contender::Floor),
            [None, Some(CLOSE)],
            false,
            false,
        ),
        setup("ours", "ours, both webhooks", Some(Contender::Ours), ours, false, true),
        setup("kube-rs", "kube-rs", Some(Contender::Kube), usual, false, true),
        setup("policies", "our policies", None, [None, None], true, true),
        setup("both", "our webhooks and policies", Some(Contender::Ours), ours, true, true),
    ];
    if let Some(program) = controller_runtime {
        let contender = Some(Contender::ControllerRuntime(program.to_owned()));
        all.insert(6, setup("controller-runtime", "controller-runtime", contender, usual, false, true));
    }
    all
}

/// Installs the kinds, the scans, and all setups. Returns when each is in force.
pub fn install(cluster: &ControlPlane, workspace: &Workspace, setups: Vec<Setup>) -> Vec<Installed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let admin = || cluster.kubectl(User::Admin);
    admin().args(["apply", "-f"]).args([root.join("tests/fixtures/cluster/users.yaml")]).run().ok();
    admin().args(["apply", "-k"]).args([root.join("manifests/base/crds")]).run().ok();
    admin().args(["wait", "--for=condition=Established", "--timeout=30s", "--all", "crd"]).run().ok();
    cluster.namespace(SERVICES, &json!({}));
    let names = setups.iter().map(|setup| format!("{}.{SERVICES}.svc", setup.name));
    let names: Vec<String> = names.chain(["localhost".to_owned()]).collect();
    let pair = rcgen::generate_simple_self_signed(names).expect("names of a certificate");
    let certificate = pair.cert.pem();
    workspace.replace_certificate(&certificate, &pair.signing_key.serialize_pem());

    let mut all = Vec::new();
    for setup in setups {
        let labels = if setup.has_policies { json!({"policies": "ours"}) } else { json!({}) };
        let namespace = cluster.namespace(setup.name, &labels);
        let scan = |number| json!({"apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1", "kind": "SourceScan", "metadata": {"name": scan_name(number)}, "spec": captured()["spec"]});
        let scans = json!({"apiVersion": "v1", "kind": "List", "items": (0..SCANS).map(scan).collect::<Vec<_>>()});
        namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scans.to_string()).run().ok();
        let server = setup.contender.as_ref().map(|contender| workspace.start(contender));
        if let Some(server) = &server {
            let objects = webhooks(&setup, server.port(), &certificate);
            admin().args(["create", "-f", "-"]).input(objects.to_string()).run().ok();
        }
        all.push(Installed { setup, server });
    }
    install_policies(cluster, &root.join("manifests/policies"));
    all.iter().for_each(|installed| until_in_force(cluster, &installed.setup));
    all
}

/// Returns the Service of a setup and its webhooks. Services are called with HTTP/1.1, as most installations are.
fn webhooks(setup: &Setup, port: u16, ca: &str) -> Value {
    let name = setup.name;
    // There is no kube-proxy. The API server resolves this name itself.
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": SERVICES},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": port}]}});
    let kinds = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
    let configurations = kinds.into_iter().zip(setup.paths).filter_map(|(kind, path)| {
        Some(json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
            "webhooks": [{"name": format!("{name}.scan-admission.dev"), "admissionReviewVersions": ["v1"],
                "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 10,
                "clientConfig": {"caBundle": STANDARD.encode(ca),
                    "service": {"namespace": SERVICES, "name": name, "port": port, "path": path?}},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "rules": [{"apiGroups": ["scanning.apps.tanzu.vmware.com"], "apiVersions": ["*"],
                    "operations": ["UPDATE"], "resources": ["sourcescans/status"]}]}]}))
    });
    let items: Vec<Value> = [service].into_iter().chain(configurations).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// Applies our policies to the namespaces with their label.
fn install_policies(cluster: &ControlPlane, manifests: &Path) {
    let folder = Folder::new();
    for file in fs::read_dir(manifests).expect("manifests/policies") {
        let file = file.expect("a file");
        let text = fs::read_to_string(file.path()).expect("a manifest");
        let selected = text.replace(
            "  policyName:",
            "  matchResources: {namespaceSelector: {matchLabels: {policies: ours}}}\n  policyName:",
        );
        fs::write(folder.path().join(file.file_name()), selected).expect("a folder");
    }
    let apply = ["apply", "--request-timeout=120s", "-k"];
    cluster.kubectl(User::Admin).args(apply).args([folder.path()]).run().ok();
}

/// Waits until a wrong status is denied where it has to be, and checks that a right one is stored without a warning.
fn until_in_force(cluster: &ControlPlane, setup: &Setup) {
    let patch = |status: &Value| {
        let patch = json!({"status": status}).to_string();
        let arguments =
            ["-n", setup.name, "patch", "sourcescan", &scan_name(0), "--subresource=status", "--type=merge", "-p"];
        cluster.kubectl(User::ScanController).args(arguments).args([patch]).run()
    };
    let mut wrong = status(0);
    wrong["phase"] = "Complete".into();
    wrong["cveCount"]["total"] = 7.into();
    let start = Instant::now();
    loop {
        let right = patch(&status(1));
        assert_eq!((right.code, right.stderr.as_str()), (Some(0), ""), "{}: {right:?}", setup.name);
        // An error that is already stored would only be warned about, so the right status is stored before it each time.
        if patch(&wrong).code != Some(0) || !setup.denies {
            break;
        }
        assert!(start.elapsed() < IN_FORCE_MAX, "{}: a wrong status is stored", setup.name);
        thread::sleep(Duration::from_millis(100));
    }
    patch(&status(1)).ok();
}

pub fn scan_name(number: u64) -> String {
    format!("scan-{}", number % SCANS)
}

/// A status that changes with each write.
pub fn status(number: u64) -> Value {
    let mut status = captured()["status"].clone();
    status["cveCount"] =
        json!({"critical": 0, "high": number, "medium": 9, "low": 12, "unknown": 0, "total": number + 21});
    status
}

/// The object of the captured update, as it was years ago, so that none of its times is in the future.
fn captured() -> Value {
    let text = CAPTURED.replace("\"2026-", "\"2020-");
    let mut review: Value = serde_json::from_str(&text).expect("a captured review is JSON");
    review["request"]["object"].take()
}
