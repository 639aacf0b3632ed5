//! The certificates that are served, held against the caBundles of the webhooks that call there.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use super::super::endpoint::{Probe, Served};
use super::super::world::{Configuration, World};
use super::super::{Check, Findings};
use crate::cluster::bundle::{Distrust, carried, host_and_port, verify};
use crate::cluster::ca::{dates, is_valid};

pub const CHECKS: &[Check] = &[
    Check {
        id: "ca-bundle-empty",
        title: "Each webhook has a caBundle.",
        causes: "The API server trusts its own system's authorities only, none of which has signed the certificate: every call fails.",
        remedy: "With `--certs cluster` the replicas write it: see their log, and the rights of the ServiceAccount. With certificates of your own it is for you to write, with cert-manager for its cainjector.",
        look: ca_bundle_empty,
    },
    Check {
        id: "ca-bundle-expired",
        title: "Each caBundle holds an authority that is within its dates.",
        causes: "No certificate is accepted any more: every call fails.",
        remedy: "Renew the CA and write it to each webhook. With `--certs cluster` the replicas do that: see why they do not, in their log.",
        look: ca_bundle_expired,
    },
    Check {
        id: "ca-bundle-wrong",
        title: "Each caBundle holds the authority of each certificate that is served.",
        causes: "The API server ends the handshake (`x509: certificate signed by unknown authority`): no status is written, and nothing is filled in.",
        remedy: "With `--certs cluster`, look for somebody else who writes the caBundle (cert-manager's cainjector, a GitOps tool), and see that all replicas use one Secret. Else write the CA of the certificate to each webhook.",
        look: ca_bundle_wrong,
    },
    Check {
        id: "certificate-name",
        title: "Each certificate is for the name that the API server calls.",
        causes: "The API server ends the handshake (`x509: certificate is valid for …, not …`): no status is written, and nothing is filled in.",
        remedy: "Let the certificate hold the DNS name NAME.NAMESPACE.svc of the Service; with `--certs cluster` that is what --service says.",
        look: certificate_name,
    },
    Check {
        id: "certificate-expired",
        title: "Each certificate is within its dates, by the API server's clock.",
        causes: "The API server ends the handshake (`x509: certificate has expired or is not yet valid`): no status is written, and nothing is filled in.",
        remedy: "Renew it. `serve` takes over new files and renews its own certificates; see in its log why it has not.",
        look: certificate_expired,
    },
    Check {
        id: "certificate-due",
        title: "Each certificate has a quarter of its life before it.",
        causes: "It is renewed at two thirds of its life, by `serve` itself and by cert-manager: somebody is late, and when it ends no call succeeds.",
        remedy: "See in the log of the replica, or at the Certificate of cert-manager, why it is not renewed.",
        look: certificate_due,
    },
    Check {
        id: "clock-skew",
        title: "The clocks of the replicas and of this machine are within a minute of the API server's.",
        causes: "Certificates count as expired or not yet valid; times of a status are told to be in the future, which more than five minutes are.",
        remedy: "Let the nodes keep time by NTP: `timedatectl` on them tells whether they do.",
        look: clock_skew,
    },
];

/// A certificate of this program's is backdated by five minutes, and a time may be as far ahead: at a minute there is
/// still time to do something.
const SKEW_MAX: Duration = Duration::MINUTE;

/// Part of its life that is left when somebody is late: it is renewed when a third is left.
const DUE_PARTS: i32 = 4;

fn id(found: &Configuration, webhook: &MutatingWebhook) -> String {
    format!("{} of {}", webhook.name, found.id())
}

fn ca_bundle_empty(world: &World, findings: &mut Findings) {
    for (found, webhook, _) in world.webhooks() {
        // A URL may well be somebody's whom the system knows.
        if webhook.client_config.service.is_some() && carried(&webhook.client_config).is_empty() {
            findings.fault(format!("the caBundle of {} is empty", id(found, webhook)));
        }
    }
}

fn ca_bundle_expired(world: &World, findings: &mut Findings) {
    for (found, webhook, _) in world.webhooks() {
        let bundle = carried(&webhook.client_config);
        if !bundle.is_empty() && !bundle.iter().any(|ca| is_valid(ca, world.now)) {
            findings.fault(format!("the caBundle of {} holds no CA that is within its dates", id(found, webhook)));
        }
    }
}

/// Replicas that were asked.
fn served(world: &World) -> impl Iterator<Item = (&Probe, &Served)> {
    world.probes.iter().filter_map(|probe| Some((probe, probe.outcome.as_ref().ok()?)))
}

/// When what a replica serves begins and ends.
fn served_dates(served: &Served) -> Option<(OffsetDateTime, OffsetDateTime)> {
    served.chain.first().and_then(dates)
}

/// Why each of our webhooks would not take what the replicas serve that it calls. What is wrong with the dates has checks
/// of its own, so they are left out here: a certificate is looked at within its life.
fn distrusted(world: &World) -> impl Iterator<Item = (String, &Probe, &Served, Distrust)> {
    world.webhooks().flat_map(move |(found, webhook, _)| {
        let host = host_and_port(&webhook.client_config).map(|(host, _)| host);
        let of_webhook = served(world).filter(move |(probe, _)| Some(&probe.host) == host.as_ref());
        of_webhook.filter_map(move |(probe, served)| {
            let bundle = carried(&webhook.client_config);
            let is_any = bundle.iter().any(|ca| is_valid(ca, world.now));
            let (begin, end) = served_dates(served)?;
            let at = world.now.clamp(begin, end.max(begin));
            let distrust = verify(bundle, &served.chain, &probe.host, at).err().filter(|_| is_any)?;
            Some((id(found, webhook), probe, served, distrust))
        })
    })
}

fn ca_bundle_wrong(world: &World, findings: &mut Findings) {
    for (id, probe, _, distrust) in distrusted(world) {
        if distrust != Distrust::Name {
            findings.fault(format!("the caBundle of {id} does not verify {}: {distrust}", probe.endpoint));
        }
    }
}

fn certificate_name(world: &World, findings: &mut Findings) {
    for (_, probe, _, distrust) in distrusted(world) {
        if distrust == Distrust::Name {
            findings.fault(format!("the certificate of {} is not for {}", probe.endpoint, probe.host));
        }
    }
}

fn certificate_expired(world: &World, findings: &mut Findings) {
    for (probe, served) in served(world) {
        let Some((begin, end)) = served_dates(served) else {
            findings.fault(format!("the certificate of {} does not parse", probe.endpoint));
            continue;
        };
        if world.now > end {
            findings.fault(format!("the certificate of {} has ended at {end}", probe.endpoint));
        } else if world.now < begin {
            findings.fault(format!("the certificate of {} begins at {begin}", probe.endpoint));
        }
    }
}

fn certificate_due(world: &World, findings: &mut Findings) {
    for (probe, served) in served(world) {
        if let Some((begin, end)) = served_dates(served)
            && world.now <= end
            && (end - world.now) * DUE_PARTS < end - begin
        {
            findings.fault(format!("the certificate of {} ends at {end} and is not renewed yet", probe.endpoint));
        }
    }
    let bundles = world.webhooks().flat_map(|(_, webhook, _)| carried(&webhook.client_config));
    // Beside the one that is announced the old one may be near its end.
    let ends = bundles.filter_map(|ca: CertificateDer<'_>| dates(&ca));
    let cas: BTreeSet<_> = ends.filter(|(begin, end)| (*begin..=*end).contains(&world.now)).collect();
    if let Some((begin, end)) = cas.iter().max_by_key(|(_, end)| *end)
        && (*end - world.now) * DUE_PARTS < *end - *begin
    {
        findings.fault(format!("the last CA of the caBundles ends at {end} and is not renewed yet"));
    }
}

fn clock_skew(world: &World, findings: &mut Findings) {
    if world.skew.abs() > SKEW_MAX {
        let (seconds, way) =
            (world.skew.abs().whole_seconds(), if world.skew.is_positive() { "ahead of" } else { "behind" });
        findings.note(format!("the clock of this machine is {seconds} s {way} the API server's"));
    }
    for (probe, served) in served(world) {
        let Some((theirs, ours)) = served.date else { continue };
        let skew = theirs - (ours - world.skew);
        if skew.abs() > SKEW_MAX {
            let (seconds, way) = (skew.abs().whole_seconds(), if skew.is_positive() { "ahead of" } else { "behind" });
            findings.fault(format!("the clock of {} is {seconds} s {way} the API server's", probe.endpoint));
        }
    }
}
