//! The certificates that are served, held against the caBundles of the webhooks that call there.

use time::Duration;

use crate::cluster::ca_bundle::{bundle_of, called_address};
use crate::doctor::check::{Check, Diagnostics};
use crate::doctor::endpoint::{ClockReading, Probe, Served};
use crate::doctor::snapshot::{OurWebhook, Snapshot};
use crate::tls::bundle::{ParsedBundle, SkippedBlock};
use crate::tls::verify::{VerifyError, is_valid_ca, verify};
use crate::tls::{CertificateInfo, bundle};

pub const CHECKS: &[Check] = &[
    Check {
        id: "ca-bundle-empty",
        title: "Each webhook has a caBundle.",
        causes: "The API server trusts its own system's authorities only, none of which has signed the certificate: every call fails.",
        remedy: "With `--certs cluster` the replicas write it: see their log, and the rights of the ServiceAccount. With certificates of your own it is for you to write, with cert-manager for its cainjector.",
        run: ca_bundle_empty,
    },
    Check {
        id: "ca-bundle-unread",
        title: "The API server can read each block of each caBundle.",
        causes: "The API server silently skips each block that it cannot read, for instance where two PEM blocks are joined on one line: the authority in it is not trusted. Where no block can be read, every call fails.",
        remedy: "Write the caBundle anew: each `-----BEGIN CERTIFICATE-----` and each `-----END CERTIFICATE-----` at the start of a line of its own, nothing before it, no keys, no headers.",
        run: ca_bundle_unread,
    },
    Check {
        id: "ca-bundle-expired",
        title: "Each caBundle holds an authority that is within its dates.",
        causes: "No certificate is accepted any more: every call fails.",
        remedy: "Renew the CA and write it to each webhook. With `--certs cluster` the replicas do that: see why they do not, in their log.",
        run: ca_bundle_expired,
    },
    Check {
        id: "ca-bundle-wrong",
        title: "Each caBundle holds the authority of each certificate that is served.",
        causes: "The API server ends the handshake (`x509: certificate signed by unknown authority`): no status is written, and nothing is filled in.",
        remedy: "With `--certs cluster`, look for somebody else who writes the caBundle (cert-manager's cainjector, a GitOps tool), and see that all replicas use one Secret. Else write the CA of the certificate to each webhook.",
        run: ca_bundle_wrong,
    },
    Check {
        id: "certificate-name",
        title: "Each certificate is for the name that the API server calls.",
        causes: "The API server ends the handshake (`x509: certificate is valid for …, not …`): no status is written, and nothing is filled in.",
        remedy: "Let the certificate hold the DNS name NAME.NAMESPACE.svc of the Service; with `--certs cluster` that is what --service says.",
        run: certificate_name,
    },
    Check {
        id: "certificate-usage",
        title: "Each certificate is for servers.",
        causes: "The API server ends the handshake (`x509: certificate specifies an incompatible key usage`): no status is written, and nothing is filled in.",
        remedy: "Let the extendedKeyUsage of the certificate, and that of each authority above it, hold serverAuth, or leave it out.",
        run: certificate_usage,
    },
    Check {
        id: "certificate-ca",
        title: "No certificate that is served has the CA flag.",
        causes: "The API server accepts such a certificate where it or its authority is in the caBundle; many other clients do not. `openssl req -x509` sets the flag.",
        remedy: "Nothing, if only the API server calls. Else make the certificate with `-addext basicConstraints=critical,CA:FALSE`.",
        run: certificate_ca,
    },
    Check {
        id: "certificate-expired",
        title: "Each certificate is within its dates, by the API server's clock.",
        causes: "The API server ends the handshake (`x509: certificate has expired or is not yet valid`): no status is written, and nothing is filled in.",
        remedy: "Renew it. `serve` takes over new files and renews its own certificates; see in its log why it has not.",
        run: certificate_expired,
    },
    Check {
        id: "certificate-due",
        title: "Each certificate has a quarter of its life before it.",
        causes: "It is renewed at two thirds of its life, by `serve` itself and by cert-manager: somebody is late, and when it ends no call succeeds.",
        remedy: "See in the log of the replica, or at the Certificate of cert-manager, why it is not renewed.",
        run: certificate_due,
    },
    Check {
        id: "clock-skew",
        title: "The clocks of the replicas and of this machine are within a minute of the API server's.",
        causes: "Certificates count as expired or not yet valid; times of a status that are more than five minutes ahead are warned of.",
        remedy: "Let the nodes keep time by NTP: `timedatectl` on them tells whether they do.",
        run: clock_skew,
    },
];

/// A certificate of this program's is backdated by five minutes, and a time may be as far ahead: at a minute there is
/// still time to do something.
const SKEW_MAX: Duration = Duration::MINUTE;

/// Part of its life that is left when somebody is late: it is renewed when a third is left.
const DUE_PARTS: i32 = 4;

fn ca_bundle_empty(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for ours @ OurWebhook { webhook, .. } in snapshot.webhooks() {
        // A URL may well be somebody's whom the system knows.
        let is_empty = webhook.client_config.ca_bundle.as_ref().is_none_or(|text| text.0.is_empty());
        if webhook.client_config.service.is_some() && is_empty {
            diagnostics.problem(format!("the caBundle of {} is empty", ours.id()));
        }
    }
}

fn ca_bundle_unread(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for ours @ OurWebhook { webhook, .. } in snapshot.webhooks() {
        let Some(text) = webhook.client_config.ca_bundle.as_ref().filter(|text| !text.0.is_empty()) else { continue };
        let ParsedBundle { certificates, skipped } = bundle::parse(&text.0);
        let id = ours.id();
        for SkippedBlock { line, reason } in &skipped {
            diagnostics
                .problem(format!("the API server skips the block in line {line} of the caBundle of {id}: {reason}"));
        }
        if certificates.is_empty() && skipped.is_empty() {
            diagnostics.problem(format!("the caBundle of {id} holds no PEM block"));
        }
    }
}

fn ca_bundle_expired(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for ours @ OurWebhook { webhook, .. } in snapshot.webhooks() {
        let bundle = bundle_of(&webhook.client_config);
        // The caBundle may also hold a server's own certificate, which is accepted with or without the CA flag.
        let is_served = |one| served(snapshot).any(|(_, served)| served.chain.first() == Some(one));
        if !bundle.is_empty() && !bundle.iter().any(|one| is_valid_ca(one, snapshot.now) || is_served(one)) {
            diagnostics.problem(format!("the caBundle of {} holds no CA that is within its dates", ours.id()));
        }
    }
}

/// Replicas that were asked.
fn served(snapshot: &Snapshot) -> impl Iterator<Item = (&Probe, &Served)> {
    snapshot.probes.iter().filter_map(|probe| Some((probe, probe.outcome.as_ref().ok()?)))
}

/// What the certificate of a replica says of itself, where it parses.
fn info(served: &Served) -> Option<CertificateInfo> {
    CertificateInfo::of(served.chain.first()?).ok()
}

/// A webhook that would not accept what a replica serves that it calls.
struct Distrusted<'s> {
    webhook: OurWebhook<'s>,
    probe: &'s Probe,
    why: VerifyError,
}

/// Dates have checks of their own and are ignored here: a certificate is verified at a time within its life. A caBundle without a
/// CA that is valid now has a check of its own, too.
fn distrusted(snapshot: &Snapshot) -> impl Iterator<Item = Distrusted<'_>> {
    snapshot.webhooks().flat_map(move |ours| {
        let config = &ours.webhook.client_config;
        let host = called_address(config).map(|address| address.host);
        let of_webhook = served(snapshot).filter(move |(probe, _)| Some(&probe.host) == host.as_ref());
        of_webhook.filter_map(move |(probe, served)| {
            let CertificateInfo { not_before, not_after, .. } = info(served)?;
            let at = snapshot.now.clamp(not_before, not_after.max(not_before));
            let why = verify(&bundle_of(config), &served.chain, &probe.host, at).err()?;
            Some(Distrusted { webhook: ours, probe, why })
        })
    })
}

fn ca_bundle_wrong(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for Distrusted { webhook, probe, why } in distrusted(snapshot) {
        if !matches!(why, VerifyError::Name | VerifyError::Usage | VerifyError::NoCa) {
            let (id, endpoint) = (webhook.id(), &probe.endpoint);
            diagnostics.problem(format!("the caBundle of {id} does not verify {endpoint}: {why}"));
        }
    }
}

fn certificate_name(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for Distrusted { probe, why, .. } in distrusted(snapshot) {
        if why == VerifyError::Name {
            diagnostics.problem(format!("the certificate of {} is not for {}", probe.endpoint, probe.host));
        }
    }
}

fn certificate_usage(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for Distrusted { probe, why, .. } in distrusted(snapshot) {
        if why == VerifyError::Usage {
            diagnostics.problem(format!("the certificate of {} is not for servers", probe.endpoint));
        }
    }
}

fn certificate_ca(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (probe, served) in served(snapshot) {
        if info(served).is_some_and(|info| info.is_ca) {
            diagnostics.note(format!("the certificate of {} has the CA flag", probe.endpoint));
        }
    }
}

fn certificate_expired(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (probe, served) in served(snapshot) {
        let Some(CertificateInfo { not_before: begin, not_after: end, .. }) = info(served) else {
            diagnostics.problem(format!("the certificate of {} does not parse", probe.endpoint));
            continue;
        };
        if snapshot.now > end {
            diagnostics.problem(format!("the certificate of {} has ended at {end}", probe.endpoint));
        } else if snapshot.now < begin {
            diagnostics.problem(format!("the certificate of {} begins at {begin}", probe.endpoint));
        }
    }
}

fn certificate_due(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (probe, served) in served(snapshot) {
        if let Some(CertificateInfo { not_before: begin, not_after: end, .. }) = info(served)
            && snapshot.now <= end
            && (end - snapshot.now) * DUE_PARTS < end - begin
        {
            diagnostics.problem(format!("the certificate of {} ends at {end} and is not renewed yet", probe.endpoint));
        }
    }
    let cas = snapshot.webhooks().flat_map(|ours| bundle_of(&ours.webhook.client_config));
    let current = cas.filter_map(|ca| CertificateInfo::of(&ca).ok()).filter(|ca| ca.is_current(snapshot.now));
    // Beside the one that is announced the old one may be near its end.
    if let Some(CertificateInfo { not_before: begin, not_after: end, .. }) = current.max_by_key(|ca| ca.not_after)
        && (end - snapshot.now) * DUE_PARTS < end - begin
    {
        diagnostics.problem(format!("the last CA of the caBundles ends at {end} and is not renewed yet"));
    }
}

fn clock_skew(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    if snapshot.skew.abs() > SKEW_MAX {
        let (seconds, direction) =
            (snapshot.skew.abs().whole_seconds(), if snapshot.skew.is_positive() { "ahead of" } else { "behind" });
        diagnostics.note(format!("the clock of this machine is {seconds} s {direction} the API server's"));
    }
    for (probe, served) in served(snapshot) {
        let Some(ClockReading { theirs, ours }) = served.clock else { continue };
        let skew = theirs - (ours - snapshot.skew);
        if skew.abs() > SKEW_MAX {
            let (seconds, direction) =
                (skew.abs().whole_seconds(), if skew.is_positive() { "ahead of" } else { "behind" });
            diagnostics.problem(format!("the clock of {} is {seconds} s {direction} the API server's", probe.endpoint));
        }
    }
}
