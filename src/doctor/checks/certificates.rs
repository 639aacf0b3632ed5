//! The serving certificates, and the caBundles that must verify them.

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
        causes: "The API server trusts only the CAs of its own system, none of which has signed the certificate: every call fails.",
        remedy: "With `--certs cluster` the replicas write the caBundle: see their log, and the rights of the ServiceAccount. With cert-manager its cainjector writes it. With certificates of your own you write it.",
        run: ca_bundle_empty,
    },
    Check {
        id: "ca-bundle-unread",
        title: "The API server can parse each block of each caBundle.",
        causes: "The API server silently skips a block that it cannot parse, for instance where two PEM blocks are joined on one line, and does not trust its CA. If it can parse no block, every call fails.",
        remedy: "Write the caBundle again: each `-----BEGIN CERTIFICATE-----` and each `-----END CERTIFICATE-----` at the start of a line of its own, without keys and without headers.",
        run: ca_bundle_unread,
    },
    Check {
        id: "ca-bundle-expired",
        title: "Each caBundle holds a CA within its validity period.",
        causes: "The API server accepts no certificate: every call fails.",
        remedy: "Renew the CA and write it to each webhook. With `--certs cluster` the replicas do so; their log says why they have not.",
        run: ca_bundle_expired,
    },
    Check {
        id: "ca-bundle-wrong",
        title: "Each caBundle holds the CA of each serving certificate.",
        causes: "The API server ends the handshake (`x509: certificate signed by unknown authority`): no status can be written, and nothing is filled in.",
        remedy: "With `--certs cluster`, find the other writer of the caBundle (cert-manager's cainjector, a GitOps tool), and make all replicas use one Secret. Otherwise write the CA of the certificate to each webhook.",
        run: ca_bundle_wrong,
    },
    Check {
        id: "certificate-name",
        title: "Each serving certificate is valid for the name that the API server calls.",
        causes: "The API server ends the handshake (`x509: certificate is valid for …, not …`): no status can be written, and nothing is filled in.",
        remedy: "Add the DNS name NAME.NAMESPACE.svc of the Service to the certificate; with `--certs cluster`, set --service.",
        run: certificate_name,
    },
    Check {
        id: "certificate-usage",
        title: "The extendedKeyUsage of each serving certificate allows servers.",
        causes: "The API server ends the handshake (`x509: certificate specifies an incompatible key usage`): no status can be written, and nothing is filled in.",
        remedy: "Add serverAuth to the extendedKeyUsage of the certificate and of each CA above it, or remove the extension.",
        run: certificate_usage,
    },
    Check {
        id: "certificate-ca",
        title: "No serving certificate has the CA flag.",
        causes: "The API server accepts such a certificate if it or its CA is in the caBundle; many other clients do not. `openssl req -x509` sets the flag.",
        remedy: "Nothing, if only the API server calls. Otherwise create the certificate with `-addext basicConstraints=critical,CA:FALSE`.",
        run: certificate_ca,
    },
    Check {
        id: "certificate-expired",
        title: "Each serving certificate is within its validity period, by the API server's clock.",
        causes: "The API server ends the handshake (`x509: certificate has expired or is not yet valid`): no status can be written, and nothing is filled in.",
        remedy: "Renew the certificate. `serve` reloads new files and renews its own certificates; its log says why it has not.",
        run: certificate_expired,
    },
    Check {
        id: "certificate-due",
        title: "Each serving certificate and the newest CA have at least a quarter of their lifetime left.",
        causes: "`serve` and cert-manager renew certificates at two thirds of their lifetime, so a renewal is overdue. Once the certificate has expired, every call fails.",
        remedy: "The log of the replica, or the Certificate of cert-manager, says why it is not renewed.",
        run: certificate_due,
    },
    Check {
        id: "clock-skew",
        title: "The clocks of the replicas and of this machine differ from the API server's by at most a minute.",
        causes: "Certificates may count as expired or not yet valid. A time in a status that is more than five minutes ahead causes a warning.",
        remedy: "Synchronise the nodes by NTP; `timedatectl` on a node shows whether it is synchronised.",
        run: clock_skew,
    },
];

/// The largest clock skew without a diagnostic. Certificates of this program are backdated by five minutes, and a time
/// in a status may be five minutes ahead, so there is time to act.
const SKEW_MAX: Duration = Duration::MINUTE;

/// A renewal is overdue when less than one in so many parts of the lifetime is left. It is due when a third is left.
const DUE_PARTS: i32 = 4;

fn ca_bundle_empty(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for ours @ OurWebhook { webhook, .. } in snapshot.webhooks() {
        // The certificate at a URL may be signed by a CA that the API server's system trusts.
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
            diagnostics.problem(format!("the caBundle of {} holds no CA within its validity period", ours.id()));
        }
    }
}

/// Returns the probes that got a certificate chain.
fn served(snapshot: &Snapshot) -> impl Iterator<Item = (&Probe, &Served)> {
    snapshot.probes.iter().filter_map(|probe| Some((probe, probe.outcome.as_ref().ok()?)))
}

/// Parses the certificate of a replica.
fn info(served: &Served) -> Option<CertificateInfo> {
    CertificateInfo::of(served.chain.first()?).ok()
}

/// A serving certificate that the caBundle of a webhook does not verify.
struct Distrusted<'s> {
    webhook: OurWebhook<'s>,
    probe: &'s Probe,
    why: VerifyError,
}

/// Verifies each serving certificate against the caBundle of each webhook that calls it, and returns the failures.
/// Expired certificates have a check of their own, so each certificate is verified at a time within its validity
/// period.
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
        // The other reasons have checks of their own.
        if !matches!(why, VerifyError::Name | VerifyError::Usage | VerifyError::NoCa) {
            let (id, endpoint) = (webhook.id(), &probe.endpoint);
            diagnostics.problem(format!("the caBundle of {id} does not verify the certificate of {endpoint}: {why}"));
        }
    }
}

fn certificate_name(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for Distrusted { probe, why, .. } in distrusted(snapshot) {
        if why == VerifyError::Name {
            diagnostics.problem(format!("the certificate of {} is not valid for {}", probe.endpoint, probe.host));
        }
    }
}

fn certificate_usage(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for Distrusted { probe, why, .. } in distrusted(snapshot) {
        if why == VerifyError::Usage {
            diagnostics.problem(format!(
                "the extendedKeyUsage of the certificate of {} does not allow servers",
                probe.endpoint
            ));
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
            diagnostics.problem(format!("the certificate of {} cannot be parsed", probe.endpoint));
            continue;
        };
        if snapshot.now > end {
            diagnostics.problem(format!("the certificate of {} expired at {end}", probe.endpoint));
        } else if snapshot.now < begin {
            diagnostics.problem(format!("the certificate of {} is not valid before {begin}", probe.endpoint));
        }
    }
}

fn certificate_due(snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (probe, served) in served(snapshot) {
        if let Some(CertificateInfo { not_before: begin, not_after: end, .. }) = info(served)
            && snapshot.now <= end
            && (end - snapshot.now) * DUE_PARTS < end - begin
        {
            diagnostics
                .problem(format!("the certificate of {} expires at {end} and has not been renewed", probe.endpoint));
        }
    }
    let cas = snapshot.webhooks().flat_map(|ours| bundle_of(&ours.webhook.client_config));
    let current = cas.filter_map(|ca| CertificateInfo::of(&ca).ok()).filter(|ca| ca.is_current(snapshot.now));
    // Only the newest CA counts: during a rotation the old one may be about to expire.
    if let Some(CertificateInfo { not_before: begin, not_after: end, .. }) = current.max_by_key(|ca| ca.not_after)
        && (end - snapshot.now) * DUE_PARTS < end - begin
    {
        diagnostics.problem(format!("the newest CA of the caBundles expires at {end} and has not been renewed"));
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
