//! The metrics of the server. Clients cannot add label values, so the number of series is bounded.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::exposition::{Exposition, to_text};
use super::memory::SharedMemory;
#[cfg(target_os = "linux")]
use super::process;
use super::reload::ReloadCounts;
use crate::admission::{Decision, Fault, RuleFinding, Summary, Webhook};
use crate::engine::{Action, Downgrade, Rule, Severity};
use crate::policies::release::{RELEASE, Release};

/// From the fastest reviews to the default timeout of a webhook, 10 s.
const LATENCY_BUCKETS_SECONDS: [f64; 17] =
    [50e-6, 1e-4, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// From the smallest review to the size limit of a review, in factors of four.
const BODY_BUCKETS_BYTES: [f64; 8] = [1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 8388608.0];

type ByLabel = Family<[(&'static str, &'static str); 1], Counter>;
type ByWebhook = Family<[(&'static str, &'static str); 1], Histogram>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReviewLabels {
    webhook: &'static str,
    operation: &'static str,
    resource: &'static str,
    decision: &'static str,
    /// Why the review was not judged, if the decision is `error`.
    fault: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FindingLabels {
    rule: &'static str,
    severity: &'static str,
    action: &'static str,
    /// Why an error does not deny the write; empty for other findings.
    downgraded: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MutationLabels {
    rule: &'static str,
}

/// All metrics.
///
/// To add a metric, add a field here, its name and help in `register`, and a line in docs/operate.md or
/// certs/README.md. If its label values are known, create its series in [`Metrics::new`], so that they start at zero.
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
    mutations: Family<MutationLabels, Counter>,
    /// By webhook. The histograms are looked up once.
    latency: [Histogram; 2],
    body_bytes: [Histogram; 2],
    pub in_flight: Gauge,
    bodies: Gauge,
    memory_held: Gauge,
    pub shed: Counter,
    pub reviews_port: PortMetrics,
    pub admin_port: PortMetrics,
    pub deadlines_missed: Counter,
    pub panics: Counter,
    pub clock_jumps: Counter,
    log_lines_lost: Counter,
    pub handshakes: Counter,
    pub handshakes_failed: Counter,
    pub clients_rejected: Counter,
    pub client_ca: ReloadCounts,
    pub certificate_not_after: Gauge,
    pub certificate: ReloadCounts,
    pub config: ConfigMetrics,
    pub ca: CaMetrics,
    events: EventMetrics,
}

/// Registers the release of this program, the metric `build_info`.
pub fn register_build(registry: &mut Registry) {
    let Release { version, commit, rules } = RELEASE.clone();
    let release = Info::new([("version", version), ("commit", commit), ("rules", rules)]);
    registry.register("build", "The version of the program, its commit and the digest of its rules", release);
}

/// The metrics of the connections to a port.
#[derive(Clone, Default)]
pub struct PortMetrics {
    pub open: Gauge,
    pub closed: Counter,
}

impl PortMetrics {
    fn register(&self, registry: &mut Registry, [open, closed]: [&str; 2]) {
        registry.register(open, "Open connections", self.open.clone());
        let help = "Connections closed at the limit: the least useful one, or the new one if all others are in use";
        registry.register(closed, help, self.closed.clone());
    }
}

/// The metrics of the configuration.
#[derive(Clone, Default)]
pub struct ConfigMetrics {
    pub counts: ReloadCounts,
    pub last_reload_successful: Gauge,
    info: Family<[(&'static str, String); 1], Gauge>,
}

impl ConfigMetrics {
    /// Sets the digest of the configuration in use, and removes the previous one.
    pub fn set_digest(&self, digest: &str) {
        self.info.clear();
        self.info.get_or_create(&[("digest", digest.to_owned())]).set(1);
    }

    fn register(&self, registry: &mut Registry) {
        let Self { counts: ReloadCounts { polls, reloads, failures }, last_reload_successful, info } = self.clone();
        // Without a file there is nothing to reload.
        last_reload_successful.set(1);
        registry.register("config", "The configuration in use, by its digest", info);
        let help = "1 if the configuration in use is the one in the file, 0 if the file cannot be used";
        registry.register("config_last_reload_successful", help, last_reload_successful);
        registry.register("config_polls", "Polls for a new configuration", polls);
        registry.register("config_reloads", "New configurations that were applied", reloads);
        registry.register("config_reload_failures", "New configurations that could not be used", failures);
    }
}

/// The metrics of the CA that the replicas share.
#[derive(Clone, Default)]
pub struct CaMetrics {
    /// When the signing CA expires, in Unix seconds; 0 without a CA.
    pub not_after: Gauge,
    /// 1 if the caBundle of every webhook verifies the serving certificate.
    pub bundle_synced: Gauge,
    /// The number of rounds of the CA controller that failed.
    pub failures: Counter,
}

/// The metrics of the Events about scans.
#[derive(Clone, Default)]
pub struct EventMetrics {
    writes: ByLabel,
    dropped: ByLabel,
}

/// Why no Event shows a denial or a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventDrop {
    /// The queue of the writer is full.
    Queue,
    /// Too many series of Events are current.
    Series,
    /// The limit of writes was reached, or writes failed, until the Event was no longer current.
    Age,
    /// The API server does not store the Event.
    Rejected,
}

impl EventDrop {
    pub const ALL: [EventDrop; 4] = [EventDrop::Queue, EventDrop::Series, EventDrop::Age, EventDrop::Rejected];

    fn name(self) -> &'static str {
        match self {
            EventDrop::Queue => "queue",
            EventDrop::Series => "series",
            EventDrop::Age => "age",
            EventDrop::Rejected => "rejected",
        }
    }
}

impl EventMetrics {
    /// Counts a write by its result, which is one of [`EVENT_WRITE_RESULTS`].
    pub fn count_write(&self, result: &'static str) {
        self.writes.get_or_create(&[("result", result)]).inc();
    }

    /// Counts denials or warnings that no Event shows.
    pub fn count_dropped(&self, why: EventDrop, count: u64) {
        self.dropped.get_or_create(&[("reason", why.name())]).inc_by(count);
    }

    pub fn dropped(&self, why: EventDrop) -> u64 {
        self.dropped.get_or_create(&[("reason", why.name())]).get()
    }

    fn register(&self, registry: &mut Registry) {
        for result in EVENT_WRITE_RESULTS {
            self.writes.get_or_create(&[("result", result)]).inc_by(0);
        }
        EventDrop::ALL.into_iter().for_each(|why| self.count_dropped(why, 0));
        registry.register("event_writes", "Requests that create or update an Event, by result", self.writes.clone());
        let help = "Denials and warnings that no Event shows, by reason";
        registry.register("events_dropped", help, self.dropped.clone());
    }
}

/// The results of [`EventMetrics::count_write`].
pub const EVENT_WRITE_RESULTS: [&str; 7] =
    ["created", "updated", "missing", "forbidden", "throttled", "rejected", "failed"];

impl Metrics {
    /// Creates the metrics. The series of every rule start at zero, since a rate needs a first value.
    pub fn new(rules: &[Rule], memory: &SharedMemory, log_lines_lost: Counter, events: EventMetrics) -> Self {
        let latency: ByWebhook = Family::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS_SECONDS));
        let body_bytes: ByWebhook = Family::new_with_constructor(|| Histogram::new(BODY_BUCKETS_BYTES));
        let of = |family: &ByWebhook| Webhook::BOTH.map(|one| family.get_or_create_owned(&[("webhook", one.name())]));
        let metrics = Self {
            reviews: Family::default(),
            findings: Family::default(),
            mutations: Family::default(),
            latency: of(&latency),
            body_bytes: of(&body_bytes),
            in_flight: Gauge::default(),
            bodies: memory.bodies.clone(),
            memory_held: memory.held.clone(),
            shed: Counter::default(),
            reviews_port: PortMetrics::default(),
            admin_port: PortMetrics::default(),
            deadlines_missed: Counter::default(),
            panics: Counter::default(),
            clock_jumps: Counter::default(),
            log_lines_lost,
            handshakes: Counter::default(),
            handshakes_failed: Counter::default(),
            clients_rejected: Counter::default(),
            client_ca: ReloadCounts::default(),
            certificate_not_after: Gauge::default(),
            certificate: ReloadCounts::default(),
            config: ConfigMetrics::default(),
            ca: CaMetrics::default(),
            events,
            registry: Registry::default(),
        };
        for rule in rules {
            for (severity, action, downgraded) in OUTCOMES {
                let finding = RuleFinding { rule: rule.id, severity, action, downgraded };
                metrics.findings.get_or_create(&finding_labels(finding)).inc_by(0);
            }
            if rule.mutate.is_some() {
                metrics.mutations.get_or_create(&MutationLabels { rule: rule.id }).inc_by(0);
            }
        }
        let registry = metrics.register(latency, body_bytes);
        Self { registry, ..metrics }
    }

    /// Returns a registry of the metrics, with their names and help texts.
    fn register(&self, latency: ByWebhook, body_bytes: ByWebhook) -> Registry {
        let mut all = Registry::default();
        #[cfg(target_os = "linux")]
        all.register_collector(Box::new(process::ProcessCollector));
        let registry = all.sub_registry_with_prefix("scan_admission");
        registry.register("reviews", "Reviews answered", self.reviews.clone());
        registry.register("findings", "Findings in reviews, by rule", self.findings.clone());
        registry.register("mutations", "Reviews that a mutation has changed, by rule", self.mutations.clone());
        let help = "Time from the end of the head of a review to its answer";
        registry.register_with_unit("review_duration", help, Unit::Seconds, latency);
        registry.register_with_unit("review_body", "Buffered bytes of a review", Unit::Bytes, body_bytes);
        let help = "Reviews that are being judged or wait to be judged";
        registry.register("reviews_in_flight", help, self.in_flight.clone());
        let help = "Request bodies that are being received";
        registry.register("bodies_unfinished", help, self.bodies.clone());
        let help = "Memory of bodies whose reviews are undecided, and of unsent answers";
        registry.register_with_unit("memory_held", help, Unit::Bytes, self.memory_held.clone());
        registry.register(
            "reviews_shed",
            "Reviews not judged because the limit of reviews in flight or of memory was reached",
            self.shed.clone(),
        );
        registry.register("deadlines_missed", "Reviews not judged in time", self.deadlines_missed.clone());
        self.reviews_port.register(registry, ["connections", "connections_closed"]);
        self.admin_port.register(registry, ["admin_connections", "admin_connections_closed"]);
        registry.register("panics", "Panics, caught or not", self.panics.clone());
        let help = "Times that the system clock was set forward or back";
        registry.register("clock_jumps", help, self.clock_jumps.clone());
        let help = "Log lines that could not be written because stderr is full or stuck";
        registry.register("log_lines_lost", help, self.log_lines_lost.clone());
        registry.register("tls_handshakes", "TLS handshakes that succeeded", self.handshakes.clone());
        registry.register("tls_handshake_failures", "TLS handshakes that failed", self.handshakes_failed.clone());
        let help = "TLS handshakes that failed client authentication";
        registry.register("clients_rejected", help, self.clients_rejected.clone());
        let ReloadCounts { polls, reloads, failures } = self.client_ca.clone();
        registry.register("client_ca_polls", "Polls for new CAs of clients", polls);
        registry.register("client_ca_reloads", "New CAs of clients that were applied", reloads);
        registry.register("client_ca_reload_failures", "New CAs of clients that could not be used", failures);
        let help = "When the serving certificate expires, since the Unix epoch";
        let gauge = self.certificate_not_after.clone();
        registry.register_with_unit("certificate_not_after_timestamp", help, Unit::Seconds, gauge);
        let ReloadCounts { polls, reloads, failures } = self.certificate.clone();
        registry.register("certificate_polls", "Polls for a new certificate", polls);
        registry.register("certificate_reloads", "New certificates that were applied", reloads);
        registry.register("certificate_reload_failures", "New certificates that could not be used", failures);
        self.config.register(registry);
        let CaMetrics { not_after, bundle_synced, failures } = self.ca.clone();
        let help = "When the signing CA expires, since the Unix epoch; 0 without a CA";
        registry.register_with_unit("ca_not_after_timestamp", help, Unit::Seconds, not_after);
        let help = "1 if the caBundle of every webhook verifies the serving certificate, otherwise 0";
        registry.register("ca_bundle_synced", help, bundle_synced);
        let help = "Rounds of the CA controller that failed";
        registry.register("ca_failures", help, failures);
        self.events.register(registry);
        register_build(registry);
        all
    }

    pub fn record(&self, webhook: Webhook, summary: &Summary, body_bytes: usize, latency: Duration) {
        self.reviews.get_or_create(&review_labels(webhook, summary)).inc();
        for finding in &summary.findings {
            self.findings.get_or_create(&finding_labels(*finding)).inc();
        }
        for rule in &summary.mutations {
            self.mutations.get_or_create(&MutationLabels { rule }).inc();
        }
        match summary.decision {
            Decision::Error(Fault::TooManyRequests) => self.shed.inc(),
            Decision::Error(Fault::Timeout) => self.deadlines_missed.inc(),
            _ => 0,
        };
        self.latency[webhook as usize].observe(latency.as_secs_f64());
        self.body_bytes[webhook as usize].observe(body_bytes as f64);
    }

    pub fn text(&self, exposition: Exposition) -> Result<String, std::fmt::Error> {
        let mut open_metrics = String::new();
        text::encode(&mut open_metrics, &self.registry)?;
        Ok(if exposition.is_open_metrics { open_metrics } else { to_text(&open_metrics) })
    }
}

fn review_labels(webhook: Webhook, summary: &Summary) -> ReviewLabels {
    let decision = summary.decision;
    ReviewLabels {
        webhook: webhook.name(),
        operation: summary.operation,
        resource: summary.resource,
        decision: decision.name(),
        fault: if let Decision::Error(fault) = decision { fault.name() } else { "" },
    }
}

/// All combinations of severity, action and downgrade that a finding can have. An error denies the write, or is
/// downgraded to a warning or an audit annotation; a warning is sent as a warning or an audit annotation.
const OUTCOMES: [(Severity, Action, Option<Downgrade>); 9] = [
    (Severity::Error, Action::Deny, None),
    (Severity::Error, Action::Warn, Some(Downgrade::Mode)),
    (Severity::Error, Action::Warn, Some(Downgrade::PreExisting)),
    (Severity::Error, Action::Warn, Some(Downgrade::Deleting)),
    (Severity::Error, Action::Audit, Some(Downgrade::Mode)),
    (Severity::Error, Action::Audit, Some(Downgrade::PreExisting)),
    (Severity::Error, Action::Audit, Some(Downgrade::Deleting)),
    (Severity::Warning, Action::Warn, None),
    (Severity::Warning, Action::Audit, None),
];

fn finding_labels(finding: RuleFinding) -> FindingLabels {
    FindingLabels {
        rule: finding.rule,
        severity: finding.severity.name(),
        action: finding.action.name(),
        downgraded: finding.downgraded.map_or("", Downgrade::name),
    }
}
