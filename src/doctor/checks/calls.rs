//! The calls of the API server: the Service, its endpoints, and their answers to a review.

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
        causes: "Requests reach a different server, or none, and the certificate is for another name.",
        remedy: "Apply the manifests again, or name the intended Service with --service.",
        run: service_unknown,
    },
    Check {
        id: "service-missing",
        title: "The Service that the webhooks call exists.",
        causes: "The API server reaches no replica: no status can be written, and nothing is filled in.",
        remedy: "Apply the manifests again, or correct `clientConfig.service` of the webhooks.",
        run: service_missing,
    },
    Check {
        id: "service-port",
        title: "The Service has the port that the webhooks call.",
        causes: "The API server reaches no replica: no status can be written, and nothing is filled in.",
        remedy: "Set `clientConfig.service.port` to a port of the Service; it is 443 in the manifests.",
        run: service_port,
    },
    Check {
        id: "no-endpoints",
        title: "The Service has at least one ready endpoint.",
        causes: "The API server reaches no replica: no status can be written, and nothing is filled in.",
        remedy: "Check whether the selector of the Service selects the pods, and why they are not ready: `kubectl describe pods`.",
        run: no_endpoints,
    },
    Check {
        id: "endpoint-closed",
        title: "Each endpoint accepts connections.",
        causes: "The API server chooses endpoints at random: some of the writes fail, or are not judged.",
        remedy: "Set `targetPort` of the Service to the port of `--listen`. If a NetworkPolicy blocks the connection, allow traffic from the control plane.",
        run: endpoint_closed,
    },
    Check {
        id: "endpoint-handshake",
        title: "Each endpoint speaks TLS.",
        causes: "The API server calls webhooks by HTTPS only, so calls to this endpoint fail.",
        remedy: "Check whether the Service leads to the port of the reviews and not to that of health and metrics, and whether a proxy in between terminates TLS.",
        run: endpoint_handshake,
    },
    Check {
        id: "review-unanswered",
        title: "Each endpoint answers a review.",
        causes: "The API server treats the call as failed: it denies the write, or lets it pass unjudged, depending on the failurePolicy.",
        remedy: "See the log of the replica. With HTTP 404 the path of the webhook is wrong, or another program listens there. If the replica requires a client certificate, give one with --client-cert and --client-key.",
        run: review_unanswered,
    },
    Check {
        id: "write-not-denied",
        title: "A write that must be denied is denied. Checked only with --probe, by a dry run.",
        causes: "Contradictory statuses are stored: some part between the API server and the rules is wrong.",
        remedy: "See the other diagnostics. If there are none, check whether a rule is set to warn, audit or off, or whether the namespace is excluded.",
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
                "{id} calls the Service {}/{} instead of {}/{}",
                service.namespace, service.name, expected.0, expected.1
            )),
            None => diagnostics.note(format!("{id} calls a URL instead of a Service")),
        }
    }
}

/// Returns the targets that are Services, each with its name for messages.
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
            Lookup::Absent => diagnostics.problem(format!("{id} does not exist")),
            Lookup::Unknown(why) => diagnostics.unknown(format!("{id} cannot be read: {why}")),
        }
    }
}

/// Returns whether a Service is an external name, which the API server resolves itself.
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
                0 => diagnostics.problem(format!("{id} has no ready endpoint")),
                ENDPOINTS_MAX.. => diagnostics.note(format!("only {ENDPOINTS_MAX} endpoints of {id} were probed")),
                _ => {}
            },
        }
    }
}

fn endpoint_closed(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for probe in &snapshot.probes {
        match &probe.outcome {
            Err(HandshakeError::Closed(why)) => diagnostics.problem(format!("{} accepts no connection: {why}", probe.endpoint)),
            Err(HandshakeError::Unreachable(why)) => diagnostics.unknown(format!(
                "{} cannot be reached from this machine: {why}; run doctor in the cluster, or forward the port and use --connect-to",
                probe.endpoint
            )),
            Ok(_) | Err(HandshakeError::Handshake(_)) => {}
        }
    }
}

fn endpoint_handshake(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for probe in &snapshot.probes {
        if let Err(HandshakeError::Handshake(why)) = &probe.outcome {
            diagnostics.problem(format!("the TLS handshake with {} failed: {why}", probe.endpoint));
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
                    "{endpoint} requires another client certificate: {why}; give one with --client-cert and --client-key"
                )),
                Err(AnswerError::Closed(_)) if is_explained(probe) => {}
                Err(AnswerError::Closed(why)) => {
                    diagnostics.problem(format!("{endpoint} closed the connection at {path}: {why}"));
                }
            }
        }
    }
}

/// Returns the answers of an endpoint.
fn answers(probe: &Probe) -> impl Iterator<Item = &Answered> {
    probe.outcome.iter().flat_map(|served| &served.answers)
}

/// Returns whether another answer of the endpoint explains why it closed the connection.
fn is_explained(probe: &Probe) -> bool {
    answers(probe).any(|answer| matches!(answer.result, Err(AnswerError::Wrong(_) | AnswerError::ClientRejected(_))))
}

fn write_not_denied(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    match &snapshot.dry_run {
        None | Some(Ok(DryRun::Denied)) => {}
        Some(Ok(DryRun::Warned(what))) => diagnostics.note(what.clone()),
        Some(Ok(DryRun::Allowed(what) | DryRun::Failed(what))) => diagnostics.problem(what.clone()),
        Some(Err(error)) => diagnostics.unknown(format!("the dry run of a write failed: {error}")),
    }
}
