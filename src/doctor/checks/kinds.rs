//! The kinds that are judged, as the cluster serves them.

use super::registration::judges_scans;
use crate::admission::Webhook;
use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::lookup::Lookup;
use crate::doctor::snapshot::{OurWebhook, Snapshot};
use crate::scan::{GROUP, Kind};

/// The version in the vendor's documentation and in every public scan.
const VERSION: &str = "v1beta1";

pub const CHECKS: &[Check] = &[
    Check {
        id: "kind-missing",
        title: "Both kinds exist.",
        causes: "Without the kinds there are no scans to judge. The API server does not report it: webhooks may name kinds that do not exist.",
        remedy: "Install the vendor's product, or install the kinds alone with `kubectl apply -k manifests/base/crds`.",
        run: kind_missing,
    },
    Check {
        id: "version-not-served",
        title: "Both kinds are served as v1beta1.",
        causes: "Controllers and tools that use v1beta1 find no scans. Other served versions are judged as well.",
        remedy: "Set `served: true` for this version in the CustomResourceDefinition.",
        run: version_not_served,
    },
    Check {
        id: "no-status-subresource",
        title: "Both kinds have a status subresource in every served version.",
        causes: "The status is written with the scan itself. It is judged, but by the webhook that lets writes pass while no replica answers, and nothing is filled in.",
        remedy: "Set `subresources: {status: {}}` if the controller writes through the subresource. Otherwise set the failurePolicy of spec.validate.scan-admission.dev to Fail (manifests/README.md); this diagnostic is then a note.",
        run: no_status_subresource,
    },
];

fn kind_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (kind, definition) in Kind::ALL.into_iter().zip(&snapshot.definitions) {
        let id = format!("the CustomResourceDefinition {}.{GROUP}", kind.plural());
        match definition {
            Lookup::Found(_) => {}
            Lookup::Absent => diagnostics.problem(format!("{id} does not exist")),
            Lookup::Unknown(why) => diagnostics.unknown(format!("{id} cannot be read: {why}")),
        }
    }
}

fn version_not_served(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (kind, versions) in snapshot.served_versions() {
        if !versions.iter().any(|version| version.name == VERSION) {
            let names: Vec<_> = versions.iter().map(|version| version.name.as_str()).collect();
            let served = if names.is_empty() { String::new() } else { format!(", only as {}", names.join(", ")) };
            diagnostics.problem(format!("{} is not served as {VERSION}{served}", kind.name()));
        }
    }
}

fn no_status_subresource(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let is_spec = |ours: &OurWebhook<'_>| ours.configuration.kind == Webhook::Validating && judges_scans(ours.webhook);
    let mut spec = snapshot.webhooks().filter(is_spec);
    let has_fail = spec.any(|ours| ours.webhook.failure_policy.as_deref() != Some("Ignore"));
    for (kind, versions) in snapshot.served_versions() {
        for version in versions.iter().filter(|version| !version.has_status_subresource) {
            let message = format!("{} {} has no status subresource", kind.name(), version.name);
            if has_fail { diagnostics.note(message) } else { diagnostics.problem(message) }
        }
    }
}
