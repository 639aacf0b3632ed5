//! Whom the API server calls, and whether somebody answers.

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::dry_run::DryRun;
use crate::doctor::endpoint::{AnswerError, Answered, ENDPOINTS_MAX, HandshakeError, Probe};
use crate::doctor::lookup::Lookup;
use crate::doctor::snapshot::{OurWebhook, Snapshot};
use crate::doctor::target::{Backend, CallTarget};

pub const CHECKS: &[Check] = &[
    Check {
        id: "service-unknown",
        title: "Each webhook calls the Service of this installation.",
        causes: "Requests go to somebody else, or to nobody; the certificate is for another name.",
        remedy: "Apply the manifests again, or name the Service that is meant with --service.",
        run: service_unknown,
    },
    Check {
        id: "service-missing",
        title: "The Service that is called is there.",
        causes: "The API server reaches nobody: no status is written, and nothing is filled in.",
        remedy: "Apply the manifests again, or correct `clientConfig.service` of the webhooks.",
        run: service_missing,
    },
    Check {
        id: "service-port",
        title: "The Service has the port that is called.",
        causes: "The API server reaches nobody: no status is written, and nothing is filled in.",
        remedy: "Let `clientConfig.service.port` be a port of the Service; 443 in the manifests.",
        run: service_port,
    },
    Check {
        id: "no-endpoints",
        title: "The Service has an endpoint that is ready.",
        causes: "The API server reaches nobody: no status is written, and nothing is filled in.",
        remedy: "See whether the selector of the Service selects the pods, and why they are not ready: `kubectl describe pods`.",
        run: no_endpoints,
    },
    Check {
        id: "endpoint-closed",
        title: "Each endpoint takes connections.",
        causes: "The API server tries endpoints by chance: a part of the writes fails, or is not judged.",
        remedy: "Let `targetPort` of the Service be the port of `--listen`. A NetworkPolicy may be in the way: it has to let the control plane in.",
        run: endpoint_closed,
    },
    Check {
        id: "endpoint-handshake",
        title: "Each endpoint speaks TLS.",
        causes: "The API server calls by HTTPS only: calls to this endpoint fail.",
        remedy: "See whether the Service leads to the port of the reviews and not to that of health and metrics, and whether something stands between that speaks TLS itself.",
        run: endpoint_handshake,
    },
    Check {
        id: "review-unanswered",
        title: "Each endpoint answers a review.",
        causes: "The API server takes it for a failed call: a write is denied, or passes unjudged, as the failurePolicy says.",
        remedy: "See the log of the replica. With HTTP 404 the path of the webhook is wrong, or another program is there. Where it demands a client certificate, give one with --client-cert and --client-key.",
        run: review_unanswered,
    },
    Check {
        id: "write-not-denied",
        title: "A write that has to be denied is denied. Asked with --probe only, by a dry run.",
        causes: "Contradictions are stored: something on the way from the API server to the rules is not as it should be.",
        remedy: "See the other diagnostics. Where there is none, see whether a rule is set to warn, audit or off, or the namespace is left out.",
        run: write_not_denied,
    },
];

fn service_unknown(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let expected = (&snapshot.expected.namespace, &snapshot.expected.service);
    for ours @ OurWebhook { webhook, .. } in snapshot.webhooks() {
        let id = ours.id();
        match &webhook.client_config.service {
            Some(service) if (&service.namespace, &service.name) == expected => {}
            Some(service) => diagnostics.problem(format!(
                "{id} calls the Service {}/{}, and not {}/{}",
                service.namespace, service.name, expected.0, expected.1
            )),
            None => diagnostics.note(format!("{id} calls a URL and no Service")),
        }
    }
}

/// Goes through the targets that are Services.
fn services(snapshot: &Snapshot) -> impl Iterator<Item = (&CallTarget, String, &Lookup<Box<Service>>)> {
    snapshot.targets.iter().filter_map(|target| match &target.backend {
        Backend::Service { reference, service, .. } => {
            Some((target, format!("the Service {}/{}", reference.namespace, reference.name), service))
        }
        Backend::Url => None,
    })
}

fn service_missing(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (_, id, service) in services(snapshot) {
        match service {
            Lookup::Found(_) => {}
            Lookup::Absent => diagnostics.problem(format!("{id} is not there")),
            Lookup::Unknown(why) => diagnostics.unknown(format!("{id} cannot be read: {why}")),
        }
    }
}

/// Whose endpoints the API server looks up itself.
fn is_external(spec: &ServiceSpec) -> bool {
    spec.type_.as_deref() == Some("ExternalName")
}

fn service_port(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (target, id, service) in services(snapshot) {
        let Some(spec) = service.found().and_then(|service| service.spec.as_ref()) else { continue };
        let port = target.address.port;
        if !is_external(spec) && !spec.ports.iter().flatten().any(|one| one.port == i32::from(port)) {
            diagnostics.problem(format!("{id} has no port {port}"));
        }
    }
}

fn no_endpoints(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (target, id, service) in services(snapshot) {
        let Backend::Service { slices, .. } = &target.backend else { continue };
        let Some(spec) = service.found().and_then(|service| service.spec.as_ref()) else { continue };
        let has_port = spec.ports.iter().flatten().any(|one| one.port == i32::from(target.address.port));
        match slices {
            Lookup::Unknown(why) => diagnostics.unknown(format!("the endpoints of {id} cannot be listed: {why}")),
            _ if is_external(spec) || !has_port => {}
            _ => match target.endpoints().len() {
                0 => diagnostics.problem(format!("{id} has no endpoint that is ready")),
                ENDPOINTS_MAX.. => diagnostics.note(format!("of {id}, {ENDPOINTS_MAX} endpoints were asked")),
                _ => {}
            },
        }
    }
}

fn endpoint_closed(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for probe in &snapshot.probes {
        match &probe.outcome {
            Err(HandshakeError::Closed(why)) => diagnostics.problem(format!("{} takes no connection: {why}", probe.endpoint)),
            Err(HandshakeError::Unreachable(why)) => diagnostics.unknown(format!(
                "{} cannot be reached from here: {why}. Run this in the cluster, or forward the port and say --connect-to",
                probe.endpoint
            )),
            Ok(_) | Err(HandshakeError::Handshake(_)) => {}
        }
    }
}

fn endpoint_handshake(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for probe in &snapshot.probes {
        if let Err(HandshakeError::Handshake(why)) = &probe.outcome {
            diagnostics.problem(format!("{} ends the TLS handshake: {why}", probe.endpoint));
        }
    }
}

fn review_unanswered(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for probe in &snapshot.probes {
        let endpoint = &probe.endpoint;
        for Answered { path, result } in answers(probe) {
            match result {
                Ok(()) => {}
                Err(AnswerError::Wrong(why)) => diagnostics.problem(format!("{endpoint} at {path}: {why}")),
                Err(AnswerError::ClientRejected(why)) => diagnostics.unknown(format!(
                    "{endpoint} wants another client certificate: {why}. Give one with --client-cert and --client-key"
                )),
                Err(AnswerError::Closed(_)) if is_explained(probe) => {}
                Err(AnswerError::Closed(why)) => {
                    diagnostics.problem(format!("{endpoint} at {path}: the connection was closed: {why}"));
                }
            }
        }
    }
}

fn answers(probe: &Probe) -> impl Iterator<Item = &Answered> {
    probe.outcome.iter().flat_map(|served| &served.answers)
}

/// Whether another answer explains why this one is missing.
fn is_explained(probe: &Probe) -> bool {
    answers(probe).any(|answer| matches!(answer.result, Err(AnswerError::Wrong(_) | AnswerError::ClientRejected(_))))
}

fn write_not_denied(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    match &snapshot.dry_run {
        None | Some(Ok(DryRun::Denied)) => {}
        Some(Ok(DryRun::Warned(what))) => diagnostics.note(what.clone()),
        Some(Ok(DryRun::Allowed(what) | DryRun::Failed(what))) => diagnostics.problem(what.clone()),
        Some(Err(error)) => diagnostics.unknown(format!("the dry run of a write: {error}")),
    }
}
