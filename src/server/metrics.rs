//! What Prometheus may know: counts and times, in label sets that no client can grow.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

#[cfg(target_os = "linux")]
use super::process;
use super::renewal::Counts;
use crate::admission::{Door, Fault, Summary, Verdict};
use crate::law::{Rule, Severity, Softened};

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From a review that is in the cache to the API server's default for a webhook's timeout.
const LATENCY_BUCKETS_SECONDS: [f64; 17] =
    [50e-6, 1e-4, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// From the smallest review to the limit of one, by four.
const BODY_BUCKETS_BYTES: [f64; 8] = [1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 8388608.0];

type ByDoor = Family<[(&'static str, &'static str); 1], Histogram>;
/// The severity of refusals that a rule set to warn makes warnings: what would be refused is known beforehand.
const WARN: &str = "warn";
/// The severity of findings that are told in the audit log alone.
const AUDIT: &str = "audit";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReviewLabels {
    door: &'static str,
    operation: &'static str,
    resource: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FindingLabels {
    rule: &'static str,
    severity: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MendLabels {
    rule: &'static str,
}

pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
    mends: Family<MendLabels, Counter>,
    /// By door, resolved once.
    latency: [Histogram; 2],
    body_bytes: [Histogram; 2],
    pub in_flight: Gauge,
    pub shed: Counter,
    pub reviews_port: PortMetrics,
    pub admin_port: PortMetrics,
    pub deadlines_missed: Counter,
    pub panics: Counter,
    pub clock_jumps: Counter,
    log_lines_lost: Counter,
    pub handshakes: Counter,
    pub handshakes_failed: Counter,
    pub callers_refused: Counter,
    pub client_ca: Counts,
    pub certificate_not_after: Gauge,
    pub certificate: Counts,
    pub config: ConfigMetrics,
    pub ca_not_after: Gauge,
    pub ca_bundle_in_step: Gauge,
    pub ca_failures: Counter,
}

/// What is known of the connections to a port.
#[derive(Clone, Default)]
pub struct PortMetrics {
    pub open: Gauge,
    pub closed: Counter,
}

impl PortMetrics {
    fn register(&self, registry: &mut Registry, [open, closed]: [&str; 2]) {
        registry.register(open, "Connections that are open", self.open.clone());
        let help =
            "Connections closed for want of room: the one that was needed least, or a new one where all are in use";
        registry.register(closed, help, self.closed.clone());
    }
}

/// What is known of the configuration.
#[derive(Clone, Default)]
pub struct ConfigMetrics {
    pub counts: Counts,
    pub in_step: Gauge,
    info: Family<[(&'static str, String); 1], Gauge>,
}

impl ConfigMetrics {
    /// The digest of what is in use now; the one before is forgotten, so that there is one only.
    pub fn take(&self, digest: &str) {
        self.info.clear();
        self.info.get_or_create(&[("digest", digest.to_owned())]).set(1);
    }

    fn register(&self, registry: &mut Registry) {
        let Self { counts: Counts { looks, reloads, failures }, in_step, info } = self.clone();
        // Without a file there is nothing to be out of step with.
        in_step.set(1);
        registry.register("config", "The configuration that is in use, by its digest", info);
        let help = "Whether the configuration's file is what is in use; 0 while it cannot be used";
        registry.register("config_in_step", help, in_step);
        registry.register("config_looks", "Looks for a newer configuration", looks);
        registry.register("config_reloads", "Configurations that replaced another", reloads);
        registry.register("config_reload_failures", "Newer configurations that could not be used", failures);
    }
}

impl Metrics {
    /// Every rule of the table is there from the start, at zero: a rate needs a first value.
    pub fn new(rules: &[Rule], log_lines_lost: Counter) -> Self {
        let latency: ByDoor = Family::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS_SECONDS));
        let body_bytes: ByDoor = Family::new_with_constructor(|| Histogram::new(BODY_BUCKETS_BYTES));
        let of = |family: &ByDoor, of: Door| family.get_or_create_owned(&[("door", door(of))]);
        let metrics = Self {
            reviews: Family::default(),
            findings: Family::default(),
            mends: Family::default(),
            latency: [of(&latency, Door::Validate), of(&latency, Door::Mutate)],
            body_bytes: [of(&body_bytes, Door::Validate), of(&body_bytes, Door::Mutate)],
            in_flight: Gauge::default(),
            shed: Counter::default(),
            reviews_port: PortMetrics::default(),
            admin_port: PortMetrics::default(),
            deadlines_missed: Counter::default(),
            panics: Counter::default(),
            clock_jumps: Counter::default(),
            log_lines_lost,
            handshakes: Counter::default(),
            handshakes_failed: Counter::default(),
            callers_refused: Counter::default(),
            client_ca: Counts::default(),
            certificate_not_after: Gauge::default(),
            certificate: Counts::default(),
            config: ConfigMetrics::default(),
            ca_not_after: Gauge::default(),
            ca_bundle_in_step: Gauge::default(),
            ca_failures: Counter::default(),
            registry: Registry::default(),
        };
        for rule in rules {
            for severity in Severity::ALL.map(Severity::name).into_iter().chain([WARN, AUDIT]) {
                metrics.findings.get_or_create(&FindingLabels { rule: rule.id, severity }).inc_by(0);
            }
            if rule.mend.is_some() {
                metrics.mends.get_or_create(&MendLabels { rule: rule.id }).inc_by(0);
            }
        }
        let registry = metrics.register(latency, body_bytes);
        Self { registry, ..metrics }
    }

    /// The registry of these, with their names and words.
    fn register(&self, latency: ByDoor, body_bytes: ByDoor) -> Registry {
        let mut all = Registry::default();
        #[cfg(target_os = "linux")]
        all.register_collector(Box::new(process::Collected));
        let registry = all.sub_registry_with_prefix("scan_admission");
        registry.register("reviews", "Reviews answered", self.reviews.clone());
        registry.register("findings", "Findings in reviews, by rule", self.findings.clone());
        registry.register("mends", "Reviews mended, by rule", self.mends.clone());
        let help = "From the end of a review's head to its answer";
        registry.register_with_unit("review_duration", help, Unit::Seconds, latency);
        registry.register_with_unit("review_body", "What was kept of a review", Unit::Bytes, body_bytes);
        registry.register("reviews_in_flight", "Reviews being read or judged", self.in_flight.clone());
        registry.register("reviews_shed", "Reviews not judged for want of a place or of memory", self.shed.clone());
        registry.register("deadlines_missed", "Reviews not judged in time", self.deadlines_missed.clone());
        self.reviews_port.register(registry, ["connections", "connections_closed"]);
        self.admin_port.register(registry, ["admin_connections", "admin_connections_closed"]);
        registry.register("panics", "Panics, caught or not", self.panics.clone());
        let help = "Times that the clock which reviews are judged by was set forward or back";
        registry.register("clock_jumps", help, self.clock_jumps.clone());
        let help = "Log lines that could not be written, since what they are written to is full or stuck";
        registry.register("log_lines_lost", help, self.log_lines_lost.clone());
        registry.register("tls_handshakes", "TLS handshakes that succeeded", self.handshakes.clone());
        registry.register("tls_handshake_failures", "TLS handshakes that failed", self.handshakes_failed.clone());
        let help = "TLS handshakes that failed for who the client is";
        registry.register("callers_refused", help, self.callers_refused.clone());
        let Counts { looks, reloads, failures } = self.client_ca.clone();
        registry.register("client_ca_looks", "Looks for newer CAs of clients", looks);
        registry.register("client_ca_reloads", "CAs of clients that replaced others", reloads);
        registry.register("client_ca_reload_failures", "Newer CAs of clients that could not be used", failures);
        let help = "When the certificate that is served ends, since the epoch";
        let gauge = self.certificate_not_after.clone();
        registry.register_with_unit("certificate_not_after_timestamp", help, Unit::Seconds, gauge);
        let Counts { looks, reloads, failures } = self.certificate.clone();
        registry.register("certificate_looks", "Looks for a newer certificate", looks);
        registry.register("certificate_reloads", "Certificates that replaced another", reloads);
        registry.register("certificate_reload_failures", "Newer certificates that could not be used", failures);
        self.config.register(registry);
        let help = "When the CA that signs ends, since the epoch; 0 without one";
        let gauge = self.ca_not_after.clone();
        registry.register_with_unit("ca_not_after_timestamp", help, Unit::Seconds, gauge);
        let help = "Whether the caBundle of every webhook verifies the certificate that is served; 0 without a CA";
        registry.register("ca_bundle_in_step", help, self.ca_bundle_in_step.clone());
        let help = "Looks at the CA and the webhook configurations that failed";
        registry.register("ca_failures", help, self.ca_failures.clone());
        registry.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        all
    }

    pub fn record(&self, of: Door, summary: &Summary, body_bytes: usize, latency: Duration) {
        self.reviews.get_or_create(&review(of, summary)).inc();
        for (rule, severity, softened) in &summary.findings {
            let severity = if *softened == Some(Softened::Warn) { WARN } else { severity.name() };
            self.findings.get_or_create(&FindingLabels { rule, severity }).inc();
        }
        for rule in &summary.audited {
            self.findings.get_or_create(&FindingLabels { rule, severity: AUDIT }).inc();
        }
        for rule in &summary.mended {
            self.mends.get_or_create(&MendLabels { rule }).inc();
        }
        match summary.verdict {
            Verdict::Fault(Fault::TooBusy) => self.shed.inc(),
            Verdict::Fault(Fault::TooLate) => self.deadlines_missed.inc(),
            _ => 0,
        };
        self.latency[of as usize].observe(latency.as_secs_f64());
        self.body_bytes[of as usize].observe(body_bytes as f64);
    }

    /// The exposition, in OpenMetrics text, which every Prometheus since 2.5 reads.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn review(door_of_review: Door, summary: &Summary) -> ReviewLabels {
    ReviewLabels {
        door: door(door_of_review),
        operation: summary.operation,
        resource: summary.resource,
        verdict: verdict(summary.verdict),
    }
}

pub fn door(door: Door) -> &'static str {
    match door {
        Door::Validate => "validate",
        Door::Mutate => "mutate",
    }
}

pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Mended => "mended",
        Verdict::Refused => "refused",
        Verdict::Fault(Fault::TooBig) => "too-big",
        Verdict::Fault(Fault::TooLate) => "too-late",
        Verdict::Fault(Fault::TooBusy) => "too-busy",
        Verdict::Fault(Fault::Internal) => "internal",
        Verdict::Fault(Fault::Unreadable) => "unreadable",
    }
}
