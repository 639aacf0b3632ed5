//! Whom the API server calls, and whether somebody answers.

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::super::endpoint::{Answered, ENDPOINTS_MAX, Probe, Trouble};
use super::super::target::{Place, Target};
use super::super::world::{Seen, World};
use super::super::write::Written;
use super::super::{Check, Findings};

pub const CHECKS: &[Check] = &[
    Check {
        id: "service-unknown",
        title: "Each webhook calls the Service of this installation.",
        causes: "Requests go to somebody else, or to nobody; the certificate is for another name.",
        remedy: "Apply the manifests again, or name the Service that is meant with --service.",
        look: service_unknown,
    },
    Check {
        id: "service-missing",
        title: "The Service that is called is there.",
        causes: "The API server reaches nobody: no status is written, and nothing is filled in.",
        remedy: "Apply the manifests again, or correct `clientConfig.service` of the webhooks.",
        look: service_missing,
    },
    Check {
        id: "service-port",
        title: "The Service has the port that is called.",
        causes: "The API server reaches nobody: no status is written, and nothing is filled in.",
        remedy: "Let `clientConfig.service.port` be a port of the Service; 443 in the manifests.",
        look: service_port,
    },
    Check {
        id: "no-endpoints",
        title: "The Service has an endpoint that is ready.",
        causes: "The API server reaches nobody: no status is written, and nothing is filled in.",
        remedy: "See whether the selector of the Service selects the pods, and why they are not ready: `kubectl describe pods`.",
        look: no_endpoints,
    },
    Check {
        id: "endpoint-closed",
        title: "Each endpoint takes connections.",
        causes: "The API server tries endpoints by chance: a part of the writes fails, or is not judged.",
        remedy: "Let `targetPort` of the Service be the port of `--listen`. A NetworkPolicy may be in the way: it has to let the control plane in.",
        look: endpoint_closed,
    },
    Check {
        id: "endpoint-handshake",
        title: "Each endpoint speaks TLS.",
        causes: "The API server calls by HTTPS only: calls to this endpoint fail.",
        remedy: "See whether the Service leads to the port of the reviews and not to that of health and metrics, and whether something stands between that speaks TLS itself.",
        look: endpoint_handshake,
    },
    Check {
        id: "review-unanswered",
        title: "Each endpoint answers a review.",
        causes: "The API server takes it for a failed call: a write is refused, or passes unjudged, as the failurePolicy says.",
        remedy: "See the log of the replica. With HTTP 404 the path of the webhook is wrong, or another program is there. Where it demands a client certificate, give one with --client-cert and --client-key.",
        look: review_unanswered,
    },
    Check {
        id: "write-not-refused",
        title: "A write that has to be refused is refused. Asked with --probe only, by a dry run.",
        causes: "Contradictions are stored: something on the way from the API server to the rules is not as it should be.",
        remedy: "See the other findings. Where there is none, see whether a rule is set to warn, audit or off, or the namespace is left out.",
        look: write_not_refused,
    },
];

fn service_unknown(world: &World, findings: &mut Findings) {
    let due = (&world.expected.namespace, &world.expected.service);
    for (found, webhook, _) in world.webhooks() {
        let id = format!("{} of {}", webhook.name, found.id());
        match &webhook.client_config.service {
            Some(service) if (&service.namespace, &service.name) == due => {}
            Some(service) => findings.fault(format!(
                "{id} calls the Service {}/{}, and not {}/{}",
                service.namespace, service.name, due.0, due.1
            )),
            None => findings.note(format!("{id} calls a URL and no Service")),
        }
    }
}

/// Goes through the targets that are Services.
fn services(world: &World) -> impl Iterator<Item = (&Target, String, &Seen<Box<Service>>)> {
    world.targets.iter().filter_map(|target| match &target.at {
        Place::Service { reference, service, .. } => {
            Some((target, format!("the Service {}/{}", reference.namespace, reference.name), service))
        }
        Place::Url => None,
    })
}

fn service_missing(world: &World, findings: &mut Findings) {
    for (_, id, service) in services(world) {
        match service {
            Seen::Is(_) => {}
            Seen::Absent => findings.fault(format!("{id} is not there")),
            Seen::Unknown(why) => findings.unknown(format!("{id} cannot be read: {why}")),
        }
    }
}

/// Whose endpoints the API server looks up itself.
fn is_external(spec: &ServiceSpec) -> bool {
    spec.type_.as_deref() == Some("ExternalName")
}

fn service_port(world: &World, findings: &mut Findings) {
    for (target, id, service) in services(world) {
        let Some(spec) = service.is().and_then(|service| service.spec.as_ref()) else { continue };
        let port = target.port;
        if !is_external(spec) && !spec.ports.iter().flatten().any(|one| one.port == i32::from(port)) {
            findings.fault(format!("{id} has no port {port}"));
        }
    }
}

fn no_endpoints(world: &World, findings: &mut Findings) {
    for (target, id, service) in services(world) {
        let Place::Service { slices, .. } = &target.at else { continue };
        let Some(spec) = service.is().and_then(|service| service.spec.as_ref()) else { continue };
        let has_port = spec.ports.iter().flatten().any(|one| one.port == i32::from(target.port));
        match slices {
            Seen::Unknown(why) => findings.unknown(format!("the endpoints of {id} cannot be listed: {why}")),
            _ if is_external(spec) || !has_port => {}
            _ => match target.endpoints().len() {
                0 => findings.fault(format!("{id} has no endpoint that is ready")),
                ENDPOINTS_MAX.. => findings.note(format!("of {id}, {ENDPOINTS_MAX} endpoints were asked")),
                _ => {}
            },
        }
    }
}

fn endpoint_closed(world: &World, findings: &mut Findings) {
    for probe in &world.probes {
        match &probe.outcome {
            Err(Trouble::Closed(why)) => findings.fault(format!("{} takes no connection: {why}", probe.endpoint)),
            Err(Trouble::Unreachable(why)) => findings.unknown(format!(
                "{} cannot be reached from here: {why}. Run this in the cluster, or forward the port and say --connect-to",
                probe.endpoint
            )),
            Ok(_) | Err(Trouble::Handshake(_)) => {}
        }
    }
}

fn endpoint_handshake(world: &World, findings: &mut Findings) {
    for probe in &world.probes {
        if let Err(Trouble::Handshake(why)) = &probe.outcome {
            findings.fault(format!("{} ends the TLS handshake: {why}", probe.endpoint));
        }
    }
}

fn review_unanswered(world: &World, findings: &mut Findings) {
    for probe in &world.probes {
        let answers = probe.outcome.iter().flat_map(|served| &served.answers);
        for (path, answer) in answers {
            match answer {
                Ok(()) => {}
                Err(Answered::Wrong(why)) => findings.fault(format!("{} at {path}: {why}", probe.endpoint)),
                Err(Answered::Hung(why)) if is_of_client(why) => findings.unknown(format!(
                    "{} wants another client certificate: {why}. Give one with --client-cert and --client-key",
                    probe.endpoint
                )),
                Err(Answered::Hung(_)) if answers_before(probe) => {}
                Err(Answered::Hung(why)) => {
                    findings.fault(format!("{} at {path}: the connection was given up: {why}", probe.endpoint));
                }
            }
        }
    }
}

/// Whether the replica does not take who asks: with TLS 1.3 it says so by an alert behind the handshake.
fn is_of_client(why: &str) -> bool {
    why.contains("fatal alert")
}

/// Whether another answer tells already why this one is missing.
fn answers_before(probe: &Probe) -> bool {
    let mut answers = probe.outcome.iter().flat_map(|served| &served.answers);
    answers.any(|(_, answer)| match answer {
        Ok(()) => false,
        Err(Answered::Wrong(_)) => true,
        Err(Answered::Hung(why)) => is_of_client(why),
    })
}

fn write_not_refused(world: &World, findings: &mut Findings) {
    match &world.written {
        None | Some(Written::Refused) => {}
        Some(Written::Warned(what)) => findings.note(what.clone()),
        Some(Written::Allowed(what) | Written::Failed(what)) => findings.fault(what.clone()),
        Some(Written::Unknown(why)) => findings.unknown(format!("the dry run of a write: {why}")),
    }
}
