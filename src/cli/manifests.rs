//! The manifests: templates beside this file, with the names, paths and ports of the code put in.

use std::fmt;

use super::dashboard;
use super::serve::{ADMIN_PORT, REVIEWS_PORT};
use crate::admission::Verdict;
use crate::config::Limits;
use crate::law::Severity;
use crate::scan::{GROUP, Kind};
use crate::server::{gate, health, metrics};

/// The name of everything: namespace, Service, Deployment, webhook configurations, image.
pub const NAME: &str = "scan-admission";
/// What the names of the webhooks end with: the API server wants a domain.
const DOMAIN: &str = "scan-admission.dev";
/// Who is not asked about.
const BREAK_GLASS: &str = "scan-admission:break-glass";
/// How long a pod that is to go is still sent reviews: kube-proxy on every node hears of it within 1 to 2 s.
const STOP_DELAY_SECONDS: u64 = 5;

/// What each file begins with.
const HEAD: &str = "# Made by `scan-admission generate manifests`. Change it in an overlay, not here.\n";

/// Templates, by the path of what they become below the folder of manifests.
const TEMPLATES: &[(&str, &str)] = &[
    ("base/kustomization.yaml", include_str!("manifests/base/kustomization.yaml")),
    ("base/namespace.yaml", include_str!("manifests/base/namespace.yaml")),
    ("base/resourcequota.yaml", include_str!("manifests/base/resourcequota.yaml")),
    ("base/rbac.yaml", include_str!("manifests/base/rbac.yaml")),
    ("base/service.yaml", include_str!("manifests/base/service.yaml")),
    ("base/configmap.yaml", include_str!("manifests/base/configmap.yaml")),
    ("base/deployment.yaml", include_str!("manifests/base/deployment.yaml")),
    ("base/poddisruptionbudget.yaml", include_str!("manifests/base/poddisruptionbudget.yaml")),
    ("base/networkpolicy.yaml", include_str!("manifests/base/networkpolicy.yaml")),
    ("base/webhooks.yaml", include_str!("manifests/base/webhooks.yaml")),
    ("base/crds/kustomization.yaml", include_str!("manifests/base/crds/kustomization.yaml")),
    ("break-glass/kustomization.yaml", include_str!("manifests/break-glass/kustomization.yaml")),
    ("break-glass/rbac.yaml", include_str!("manifests/break-glass/rbac.yaml")),
    ("files/kustomization.yaml", include_str!("manifests/files/kustomization.yaml")),
    ("cert-manager/kustomization.yaml", include_str!("manifests/cert-manager/kustomization.yaml")),
    ("cert-manager/certificate.yaml", include_str!("manifests/cert-manager/certificate.yaml")),
    ("monitoring/kustomization.yaml", include_str!("manifests/monitoring/kustomization.yaml")),
    ("monitoring/servicemonitor.yaml", include_str!("manifests/monitoring/servicemonitor.yaml")),
    ("monitoring/podmonitor.yaml", include_str!("manifests/monitoring/podmonitor.yaml")),
    ("monitoring/prometheusrule.yaml", include_str!("manifests/monitoring/prometheusrule.yaml")),
];

/// Every file, by its path below the folder of manifests.
pub fn files() -> Vec<(String, String)> {
    let drain = Limits::default().drain.as_secs();
    // All other verdicts are faults.
    let judged = [Verdict::Allowed, Verdict::Mended, Verdict::Refused].map(metrics::verdict).join("|");
    let values: &[(&str, &dyn fmt::Display)] = &[
        ("name", &NAME),
        ("version", &env!("CARGO_PKG_VERSION")),
        ("domain", &DOMAIN),
        ("break_glass", &BREAK_GLASS),
        ("group", &GROUP),
        ("validate", &gate::VALIDATE),
        ("mutate", &gate::MUTATE),
        ("livez", &health::LIVEZ),
        ("readyz", &health::READYZ),
        ("metrics", &health::METRICS),
        ("judged", &judged),
        ("refuse", &Severity::Refuse.name()),
        ("reviews_port", &REVIEWS_PORT),
        ("admin_port", &ADMIN_PORT),
        ("stop_delay_s", &STOP_DELAY_SECONDS),
        ("drain_s", &drain),
    ];
    let templates = TEMPLATES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let files = templates.chain(Kind::ALL.map(definition));
    let files = files.map(|(path, text)| (path, format!("{HEAD}{}", filled(text, values))));
    // JSON has no comments, so no head.
    files.chain([("monitoring/dashboard.json".to_owned(), dashboard::json())]).collect()
}

/// The CustomResourceDefinition of a kind: all but the spec and the columns of what was scanned is the same for both.
fn definition(kind: Kind) -> (String, String) {
    let (short, description, spec, columns) = match kind {
        Kind::SourceScan => (
            "srcscan",
            "A scan of source code for vulnerabilities.",
            include_str!("manifests/crd/sourcescan.spec.yaml"),
            include_str!("manifests/crd/sourcescan.columns.yaml"),
        ),
        Kind::ImageScan => (
            "imgscan",
            "A scan of a container image for vulnerabilities.",
            include_str!("manifests/crd/imagescan.spec.yaml"),
            include_str!("manifests/crd/imagescan.columns.yaml"),
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
    let text = include_str!("manifests/crd/definition.yaml").to_owned();
    (format!("base/crds/{}.yaml", kind.plural()), filled(text, values))
}

/// The template with each `{{name}}` replaced.
fn filled(template: String, values: &[(&str, &dyn fmt::Display)]) -> String {
    values.iter().fold(template, |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), &value.to_string()))
}
