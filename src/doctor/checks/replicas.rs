//! The replicas: enough of them, of one release, with the rights that they need.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::authorization::v1::ResourceAttributes;

use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::lookup::Lookup;
use crate::doctor::snapshot::Snapshot;

pub const CHECKS: &[Check] = &[
    Check {
        id: "deployment-missing",
        title: "The Deployment is there.",
        causes: "Nobody starts a replica again that ends.",
        remedy: "Apply the manifests again. Where the replicas are kept by something else than a Deployment of the Service's name, this finding is none.",
        run: deployment_missing,
    },
    Check {
        id: "replicas-not-ready",
        title: "All replicas are ready, and there are two of them at least.",
        causes: "While a node is drained or a pod replaced, no status is written.",
        remedy: "`kubectl describe pods` and their log say why they are not ready; `/readyz` on the admin address says it in one line.",
        run: replicas_not_ready,
    },
    Check {
        id: "replicas-differ",
        title: "All replicas run the same image.",
        causes: "The verdict depends on whom the API server happens to ask. During a rollout that is so for some seconds.",
        remedy: "`kubectl rollout status deployment/NAME` says whether one is under way; one that is stuck is ended by `kubectl rollout undo`. A pod that nobody replaces is of no ReplicaSet any more: delete it.",
        run: replicas_differ,
    },
    Check {
        id: "rights-missing",
        title: "The ServiceAccount has the rights of manifests/base/rbac.yaml, where the replicas keep their own certificates.",
        causes: "They cannot share a CA or write the caBundles: the next replica does not become ready, and when the CA ends no call succeeds.",
        remedy: "Apply `manifests/base/rbac.yaml` again.",
        run: rights_missing,
    },
];

fn deployment_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let id = format!("{}/{}", snapshot.expected.namespace, snapshot.expected.service);
    match &snapshot.deployment {
        Lookup::Found(_) => {}
        Lookup::Absent => diagnostics.problem(format!("there is no Deployment {id}")),
        Lookup::Unknown(why) => diagnostics.unknown(format!("the Deployment {id} cannot be read: {why}")),
    }
}

fn replicas_not_ready(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let Some(deployment) = snapshot.deployment.found() else { return };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    if ready < wanted {
        diagnostics.problem(format!("{ready} of {wanted} replicas are ready"));
    } else if wanted < 2 {
        diagnostics.note(format!("there is to be {wanted} replica"));
    }
}

fn replicas_differ(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let pods = match &snapshot.pods {
        Lookup::Found(pods) => pods,
        Lookup::Absent => return,
        Lookup::Unknown(why) => return diagnostics.unknown(format!("the pods cannot be listed: {why}")),
    };
    let container = |pod: &k8s_openapi::api::core::v1::Pod| {
        let containers = &pod.spec.as_ref()?.containers;
        // A sidecar may have come from elsewhere.
        let ours = containers.iter().find(|one| one.name == snapshot.expected.service).or(containers.first());
        ours.and_then(|one| one.image.clone())
    };
    let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        images.entry(container(pod).unwrap_or_default()).or_default().push(name);
    }
    if images.len() > 1 {
        let all = images.iter().map(|(image, pods)| format!("{} {image}", pods.join(" and ")));
        diagnostics.problem(format!("the pods run different images: {}", all.collect::<Vec<_>>().join(", ")));
    }
}

fn rights_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let mut unknown = BTreeSet::new();
    for right in &snapshot.rights {
        match &right.is_allowed {
            Lookup::Found(true) => {}
            Lookup::Found(false) | Lookup::Absent => {
                diagnostics.problem(format!("the ServiceAccount may not {}", describe(&right.wanted)))
            }
            Lookup::Unknown(why) => drop(unknown.insert(why)),
        }
    }
    for why in unknown {
        diagnostics.unknown(format!("nobody may ask for the rights of the ServiceAccount: {why}"));
    }
}

fn describe(right: &ResourceAttributes) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let name = right.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let place = right.namespace.as_ref().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    format!("{} {}{name}{place}", text(&right.verb), text(&right.resource))
}
