//! What is installed on a cluster: manifests, made from the templates in `install/` with the names, paths and ports of the
//! code, and the Grafana dashboard.

mod dashboard;

use std::fmt;

use crate::admission::{Decision, Fault};
use crate::config::Limits;
use crate::engine::{Action, Severity};
use crate::scan::{GROUP, Kind};
use crate::server::{handler, health};

pub use dashboard::dashboard;

/// The name of everything: namespace, Service, Deployment, webhook configurations, image.
pub const NAME: &str = "scan-admission";
/// What the names of the webhooks end with: the API server wants a domain.
const DOMAIN: &str = "scan-admission.dev";
/// The group whose writes are not judged.
const BREAK_GLASS: &str = "scan-admission:break-glass";
/// How long a pod that is to go is still sent reviews: kube-proxy on every node hears of it within 1 to 2 s.
const STOP_DELAY_SECONDS: u64 = 5;

/// The container's limit of memory: above `server::limits::most_bytes`.
pub const MEMORY_MIB: usize = 256;

/// What each file begins with.
const HEAD: &str = "# Made by `scan-admission generate manifests`. Change it in an overlay, not here.\n";

/// Templates, by the path of what they become below the folder of manifests.
const TEMPLATES: &[(&str, &str)] = &[
    ("base/kustomization.yaml", include_str!("install/base/kustomization.yaml")),
    ("base/namespace.yaml", include_str!("install/base/namespace.yaml")),
    ("base/resourcequota.yaml", include_str!("install/base/resourcequota.yaml")),
    ("base/rbac.yaml", include_str!("install/base/rbac.yaml")),
    ("base/service.yaml", include_str!("install/base/service.yaml")),
    ("base/configmap.yaml", include_str!("install/base/configmap.yaml")),
    ("base/deployment.yaml", include_str!("install/base/deployment.yaml")),
    ("base/poddisruptionbudget.yaml", include_str!("install/base/poddisruptionbudget.yaml")),
    ("base/networkpolicy.yaml", include_str!("install/base/networkpolicy.yaml")),
    ("base/webhooks.yaml", include_str!("install/base/webhooks.yaml")),
    ("base/crds/kustomization.yaml", include_str!("install/base/crds/kustomization.yaml")),
    ("break-glass/kustomization.yaml", include_str!("install/break-glass/kustomization.yaml")),
    ("break-glass/rbac.yaml", include_str!("install/break-glass/rbac.yaml")),
    ("status-writers/kustomization.yaml", include_str!("install/status-writers/kustomization.yaml")),
    ("files/kustomization.yaml", include_str!("install/files/kustomization.yaml")),
    ("cert-manager/kustomization.yaml", include_str!("install/cert-manager/kustomization.yaml")),
    ("cert-manager/certificate.yaml", include_str!("install/cert-manager/certificate.yaml")),
    ("monitoring/kustomization.yaml", include_str!("install/monitoring/kustomization.yaml")),
    ("monitoring/servicemonitor.yaml", include_str!("install/monitoring/servicemonitor.yaml")),
    ("monitoring/podmonitor.yaml", include_str!("install/monitoring/podmonitor.yaml")),
    ("monitoring/prometheusrule.yaml", include_str!("install/monitoring/prometheusrule.yaml")),
];

/// A file below the folder of manifests.
pub struct ManifestFile {
    pub path: String,
    pub text: String,
}

/// Every file.
pub fn files() -> Vec<ManifestFile> {
    let drain = Limits::default().drain.as_secs();
    let values: &[(&str, &dyn fmt::Display)] = &[
        ("name", &NAME),
        ("version", &env!("CARGO_PKG_VERSION")),
        ("domain", &DOMAIN),
        ("break_glass", &BREAK_GLASS),
        ("group", &GROUP),
        ("validate", &handler::VALIDATE),
        ("mutate", &handler::MUTATE),
        ("livez", &health::LIVEZ),
        ("readyz", &health::READYZ),
        ("metrics", &health::METRICS),
        ("decision_error", &Decision::Error(Fault::Internal).name()),
        ("severity_error", &Severity::Error.name()),
        ("action_deny", &Action::Deny.name()),
        ("reviews_port", &handler::REVIEWS_PORT),
        ("admin_port", &health::ADMIN_PORT),
        ("stop_delay_s", &STOP_DELAY_SECONDS),
        ("drain_s", &drain),
        ("memory_mib", &MEMORY_MIB),
    ];
    let template = |(path, text): &(&str, &str)| ManifestFile { path: (*path).to_owned(), text: (*text).to_owned() };
    let files = TEMPLATES.iter().map(template).chain(Kind::ALL.map(definition));
    let filled = |file: ManifestFile| {
        let text = format!("{HEAD}{}", filled(file.text, values));
        ManifestFile { text, ..file }
    };
    // JSON has no comments, so no head.
    let dashboard = ManifestFile { path: "monitoring/dashboard.json".to_owned(), text: dashboard() };
    files.map(filled).chain([dashboard]).collect()
}

/// The CustomResourceDefinition of a kind: all but the spec and the columns of what was scanned is the same for both.
fn definition(kind: Kind) -> ManifestFile {
    let (short, description, spec, columns) = match kind {
        Kind::SourceScan => (
            "srcscan",
            "A scan of source code for vulnerabilities.",
            include_str!("install/crd/sourcescan.spec.yaml"),
            include_str!("install/crd/sourcescan.columns.yaml"),
        ),
        Kind::ImageScan => (
            "imgscan",
            "A scan of a container image for vulnerabilities.",
            include_str!("install/crd/imagescan.spec.yaml"),
            include_str!("install/crd/imagescan.columns.yaml"),
        ),
    };
    let values: &[(&str, &dyn fmt::Display)] = &[
        ("kind", &kind.name()),
        ("plural", &kind.plural()),
        ("singular", &kind.name().to_lowercase()),
        ("short", &short),
        ("description", &description),
        ("spec", &spec.trim_end()),
        ("columns", &columns.trim_end()),
    ];
    let text = include_str!("install/crd/definition.yaml").to_owned();
    ManifestFile { path: format!("base/crds/{}.yaml", kind.plural()), text: filled(text, values) }
}

/// The template with each `{{name}}` replaced.
fn filled(template: String, values: &[(&str, &dyn fmt::Display)]) -> String {
    values.iter().fold(template, |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), &value.to_string()))
}
