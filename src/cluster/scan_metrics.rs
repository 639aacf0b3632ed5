//! The metrics of `audit --watch`: the totals of all stored scans at each scrape, and counts of its own work.
//!
//! Label values are those of tables, so the number of series is bounded.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use time::OffsetDateTime;

use super::scan_totals::{PhaseLabel, ScanTotals};
use super::scan_view::ScanView;
use crate::engine::Severity;
use crate::rules::RULES;
use crate::scan::{Count, Kind, Spelling};
use crate::server::exposition::{Exposition, to_text};
use crate::server::metrics::register_build;
#[cfg(target_os = "linux")]
use crate::server::process::ProcessCollector;

/// The view of all scans, which the watch changes and each scrape reads.
#[derive(Clone)]
pub struct SharedView(Arc<Mutex<ScanView>>);

impl SharedView {
    pub fn new(view: ScanView) -> Self {
        Self(Arc::new(Mutex::new(view)))
    }

    /// Locks the view. Adding up 100,000 scans for a scrape takes about a millisecond.
    pub fn lock(&self) -> MutexGuard<'_, ScanView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counts of the work of `audit --watch`.
#[derive(Clone, Default)]
pub struct WatchCounts {
    /// Lists and watches that failed.
    pub watch_failures: Counter,
    /// Scans that could not be read, each time.
    pub unreadable: Counter,
    /// Writes of reports, by result.
    pub writes: Family<[(&'static str, &'static str); 1], Counter>,
}

/// What became of the write of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    Applied,
    Deleted,
    Failed,
}

impl WriteResult {
    pub const ALL: [WriteResult; 3] = [WriteResult::Applied, WriteResult::Deleted, WriteResult::Failed];

    fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Deleted => "deleted",
            Self::Failed => "failed",
        }
    }
}

impl WatchCounts {
    pub fn write(&self, result: WriteResult) -> Counter {
        self.writes.get_or_create_owned(&[("result", result.name())])
    }
}

/// The metrics, and the text in which they are exported.
pub struct ScanMetrics(Registry);

impl ScanMetrics {
    /// Registers the metrics. `clock` gives the time at which ages end.
    pub fn new(view: SharedView, clock: fn() -> OffsetDateTime, counts: &WatchCounts, log_lines_lost: Counter) -> Self {
        let mut all = Registry::default();
        #[cfg(target_os = "linux")]
        all.register_collector(Box::new(ProcessCollector));
        let registry = all.sub_registry_with_prefix("scan_admission");
        registry.register_collector(Box::new(TotalsCollector { view, clock }));
        // A rate needs a first value.
        for result in WriteResult::ALL {
            counts.write(result).inc_by(0);
        }
        registry.register("report_writes", "Writes of reports", counts.writes.clone());
        registry.register("watch_failures", "Lists and watches that failed", counts.watch_failures.clone());
        registry.register("scans_unreadable", "Scans that could not be read", counts.unreadable.clone());
        let help = "Log lines that could not be written because stderr is full or stuck";
        registry.register("log_lines_lost", help, log_lines_lost);
        register_build(registry);
        Self(all)
    }

    pub fn text(&self, exposition: Exposition) -> Result<String, fmt::Error> {
        let mut open_metrics = String::new();
        text::encode(&mut open_metrics, &self.0)?;
        Ok(if exposition.is_open_metrics { open_metrics } else { to_text(&open_metrics) })
    }
}

struct TotalsCollector {
    view: SharedView,
    clock: fn() -> OffsetDateTime,
}

impl fmt::Debug for TotalsCollector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TotalsCollector")
    }
}

impl Collector for TotalsCollector {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (totals, is_listed) = {
            let view = self.view.lock();
            (view.totals((self.clock)()), view.is_listed())
        };
        let help = "Time since the list or watch that is furthest behind last had every change";
        gauges(&mut out, ("oldest_pass_age", help, Some(Unit::Seconds)), [([], totals.pass_age_seconds)])?;
        // The totals of a part of the scans would look as if the others had been deleted.
        if !is_listed {
            return Ok(());
        }
        encode_scans(&totals, &mut out)?;
        encode_findings(&totals, &mut out)?;
        let help = "Scans with counts and without an error in the status";
        gauges(&mut out, ("scans_verified", help, None), [([], totals.verified)])?;
        let sums = Count::SEVERITIES.into_iter().zip(totals.counts);
        let sums = sums.map(|(severity, sum)| ([("severity", severity.name(Spelling::Wire))], sum));
        gauges(&mut out, ("verified_cves", "Sums of the counts of the verified scans", None), sums)?;
        let help = "Scans that are not counted: with an error in the status, or Completed without a scanner and counts";
        let left_out =
            [([("reason", "error")], totals.with_errors), ([("reason", "no-evidence")], totals.without_evidence)];
        gauges(&mut out, ("scans_unverified", help, None), left_out)?;
        gauges(&mut out, ("reports", "Stored reports", None), [([], totals.reports)])?;
        let help = "Scans that wait for their reports to be written or removed";
        gauges(&mut out, ("reports_queued", help, None), [([], totals.queued)])
    }
}

fn encode_scans(totals: &ScanTotals, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let scans = Kind::ALL.into_iter().flat_map(|kind| {
        let of_kind = PhaseLabel::ALL.into_iter().zip(totals.scans[kind as usize]);
        of_kind.map(move |(phase, count)| ([("kind", kind.name()), ("phase", phase.name())], count))
    });
    gauges(out, ("scans", "Stored scans", None), scans)?;
    let ages = PhaseLabel::ALL.into_iter().zip(totals.age_seconds);
    let ages = ages.map(|(phase, age)| ([("phase", phase.name())], age));
    let help = "Time since the last change of the scan that has been in a phase for longest; 0 without scans";
    gauges(out, ("oldest_scan_age", help, Some(Unit::Seconds)), ages)?;
    let stuck = Kind::ALL.into_iter().zip(totals.stuck).map(|(kind, count)| ([("kind", kind.name())], count));
    gauges(out, ("scans_stuck", "Scans that have waited for their controller for too long", None), stuck)
}

fn encode_findings(totals: &ScanTotals, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let findings = RULES.iter().zip(totals.findings).flat_map(|(rule, counts)| {
        let of_rule = Severity::ALL.into_iter().zip(counts);
        of_rule.map(|(severity, count)| ([("rule", rule.id), ("severity", severity.name())], count))
    });
    gauges(out, ("scans_with_findings", "Stored scans with findings of a rule", None), findings)
}

/// Encodes a gauge by its name, help and unit, with a series for each set of labels.
fn gauges<const N: usize, V: EncodeGaugeValue>(
    out: &mut DescriptorEncoder<'_>,
    (name, help, unit): (&str, &str, Option<Unit>),
    series: impl IntoIterator<Item = ([(&'static str, &'static str); N], V)>,
) -> fmt::Result {
    let mut family = out.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
    for (labels, value) in series {
        // Without labels, a family would be written with empty braces.
        if labels.is_empty() {
            family.encode_gauge(&value)?
        } else {
            family.encode_family(&labels)?.encode_gauge(&value)?
        }
    }
    Ok(())
}
