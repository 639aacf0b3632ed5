//! The kinds that are judged, as the cluster serves them.

use super::registration::judges_scans;
use crate::admission::Webhook;
use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::lookup::Lookup;
use crate::doctor::snapshot::{OurWebhook, Snapshot};
use crate::scan::{GROUP, Kind};

/// The version that the vendor's documents and every public scan have.
const VERSION: &str = "v1beta1";

pub const CHECKS: &[Check] = &[
    Check {
        id: "kind-missing",
        title: "Both kinds are there.",
        causes: "There are no such scans, and nothing to judge. The API server does not say so: webhooks may name kinds that do not exist.",
        remedy: "Install the vendor's product, or, where it is not to be, `kubectl apply -k manifests/base/crds`.",
        run: kind_missing,
    },
    Check {
        id: "version-not-served",
        title: "Both kinds are served as v1beta1.",
        causes: "Controllers and tools that speak v1beta1 find nothing. Other versions that are served are judged as well.",
        remedy: "Set `served: true` for the version in the CustomResourceDefinition.",
        run: version_not_served,
    },
    Check {
        id: "no-status-subresource",
        title: "Both kinds have a status subresource, in every version that is served.",
        causes: "The status is written with the scan itself. It is judged, but by the webhook that passes while no replica answers, and nothing is filled in.",
        remedy: "Set `subresources: {status: {}}`, if the controller writes by it. Else set the failurePolicy of spec.validate.scan-admission.dev to Fail (manifests/README.md): then this is a note.",
        run: no_status_subresource,
    },
];

fn kind_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (kind, definition) in Kind::ALL.into_iter().zip(&snapshot.definitions) {
        let id = format!("CustomResourceDefinition {}.{GROUP}", kind.plural());
        match definition {
            Lookup::Found(_) => {}
            Lookup::Absent => diagnostics.problem(format!("there is no {id}")),
            Lookup::Unknown(why) => diagnostics.unknown(format!("the {id} cannot be read: {why}")),
        }
    }
}

fn version_not_served(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (kind, versions) in snapshot.served_versions() {
        if !versions.iter().any(|version| version.name == VERSION) {
            let names: Vec<_> = versions.iter().map(|version| version.name.as_str()).collect();
            let served = if names.is_empty() { "in no version".to_owned() } else { format!("as {}", names.join(", ")) };
            diagnostics.problem(format!("{} is served {served}, and not as {VERSION}", kind.name()));
        }
    }
}

fn no_status_subresource(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let is_spec = |ours: &OurWebhook<'_>| ours.configuration.kind == Webhook::Validating && judges_scans(ours.webhook);
    let mut spec = snapshot.webhooks().filter(is_spec);
    let is_known = spec.any(|ours| ours.webhook.failure_policy.as_deref() != Some("Ignore"));
    for (kind, versions) in snapshot.served_versions() {
        for version in versions.iter().filter(|version| !version.has_status_subresource) {
            let message = format!("{} {} has no status subresource", kind.name(), version.name);
            if is_known { diagnostics.note(message) } else { diagnostics.problem(message) }
        }
    }
}
