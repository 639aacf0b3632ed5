//! The kinds that are judged, as the cluster serves them.

use super::super::world::{Door, Seen, World};
use super::super::{Check, Findings};
use super::registration::judges_scans;
use crate::scan::{GROUP, Kind};

/// The version that the vendor's documents and every public scan have.
const VERSION: &str = "v1beta1";

pub const CHECKS: &[Check] = &[
    Check {
        id: "kind-missing",
        title: "Both kinds are there.",
        causes: "There are no such scans, and nothing to judge. The API server does not say so: webhooks may name kinds that do not exist.",
        remedy: "Install the vendor's product, or, where it is not to be, `kubectl apply -k manifests/base/crds`.",
        look: kind_missing,
    },
    Check {
        id: "version-not-served",
        title: "Both kinds are served as v1beta1.",
        causes: "Controllers and tools that speak v1beta1 find nothing. Other versions that are served are judged as well.",
        remedy: "Set `served: true` for the version in the CustomResourceDefinition.",
        look: version_not_served,
    },
    Check {
        id: "no-status-subresource",
        title: "Both kinds have a status subresource, in every version that is served.",
        causes: "The status is written with the scan itself. It is judged, but by the webhook that passes while no replica answers, and nothing is filled in.",
        remedy: "Set `subresources: {status: {}}`, if the controller writes by it. Else set the failurePolicy of spec.scan-admission.dev to Fail (manifests/README.md): then this is a note.",
        look: no_status_subresource,
    },
];

fn kind_missing(world: &World, findings: &mut Findings) {
    for (kind, seen) in Kind::ALL.into_iter().zip(&world.definitions) {
        let id = format!("CustomResourceDefinition {}.{GROUP}", kind.plural());
        match seen {
            Seen::Is(_) => {}
            Seen::Absent => findings.fault(format!("there is no {id}")),
            Seen::Unknown(why) => findings.unknown(format!("the {id} cannot be read: {why}")),
        }
    }
}

fn version_not_served(world: &World, findings: &mut Findings) {
    for (kind, versions) in world.served_versions() {
        if !versions.iter().any(|(name, _)| name == VERSION) {
            let names: Vec<_> = versions.iter().map(|(name, _)| name.as_str()).collect();
            let served = if names.is_empty() { "in no version".to_owned() } else { format!("as {}", names.join(", ")) };
            findings.fault(format!("{} is served {served}, and not as {VERSION}", kind.name()));
        }
    }
}

fn no_status_subresource(world: &World, findings: &mut Findings) {
    let mut spec = world.webhooks().filter(|(found, webhook, _)| found.door == Door::Validate && judges_scans(webhook));
    let is_known = spec.any(|(_, webhook, _)| webhook.failure_policy.as_deref() != Some("Ignore"));
    for (kind, versions) in world.served_versions() {
        for (name, _) in versions.iter().filter(|(_, has_status)| !has_status) {
            let words = format!("{} {name} has no status subresource", kind.name());
            if is_known { findings.note(words) } else { findings.fault(words) }
        }
    }
}
