//! The replicas: their number, their image, and the rights of their ServiceAccount.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::authorization::v1::ResourceAttributes;

use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::lookup::Lookup;
use crate::doctor::snapshot::Snapshot;
use crate::install::NAME;

pub const CHECKS: &[Check] = &[
    Check {
        id: "deployment-missing",
        title: "The Deployment exists.",
        causes: "Replicas that stop are not started again.",
        remedy: "Apply the manifests again. If the replicas do not belong to a Deployment of the Service's name, ignore this diagnostic.",
        run: deployment_missing,
    },
    Check {
        id: "replicas-not-ready",
        title: "All replicas are ready, and there are at least two.",
        causes: "No status can be written while a node is drained or a pod is replaced.",
        remedy: "`kubectl describe pods` and the logs of the pods show why they are not ready; `/readyz` on the admin address says it in one line.",
        run: replicas_not_ready,
    },
    Check {
        id: "replicas-differ",
        title: "All replicas run the same image.",
        causes: "The decision depends on the replica that the API server happens to call. During a rollout this is normal for some seconds.",
        remedy: "`kubectl rollout status deployment/NAME` shows whether a rollout is in progress; `kubectl rollout undo deployment/NAME` ends one that is stuck. Delete a pod that belongs to no ReplicaSet of the Deployment.",
        run: replicas_differ,
    },
    Check {
        id: "rights-missing",
        title: "The ServiceAccount has the rights of manifests/base/rbac.yaml, if the replicas run with `--certs cluster`, and those of manifests/base/events.yaml, if they run with `--events`.",
        causes: "The replicas cannot share a CA or write the caBundles: new replicas do not become ready, and once the CA has expired every call fails. Without the rights on Events, a team does not see that a status was denied.",
        remedy: "Apply `manifests/base/rbac.yaml` and `manifests/base/events.yaml` again.",
        run: rights_missing,
    },
];

fn deployment_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let id = format!("{}/{}", snapshot.expected.namespace, snapshot.expected.service);
    match &snapshot.deployment {
        Lookup::Found(_) => {}
        Lookup::Absent => diagnostics.problem(format!("the Deployment {id} does not exist")),
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
        diagnostics.note(format!("the Deployment asks for fewer than two replicas: {wanted}"));
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
        // Other containers may be sidecars with other images.
        let ours = containers.iter().find(|one| one.name == NAME).or(containers.first());
        ours.and_then(|one| one.image.clone())
    };
    let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        images.entry(container(pod).unwrap_or_default()).or_default().push(name);
    }
    if images.len() > 1 {
        let all = images.iter().map(|(image, pods)| format!("{image} in {}", pods.join(" and ")));
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
        diagnostics.unknown(format!("the rights of the ServiceAccount cannot be read: {why}"));
    }
}

/// Describes a right in a message, as `kubectl auth can-i` names it.
fn describe(right: &ResourceAttributes) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let name = right.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let place = right.namespace.as_ref().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    format!("{} {}{name}{place}", text(&right.verb), text(&right.resource))
}
