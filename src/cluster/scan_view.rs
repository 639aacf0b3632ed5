//! The judged view of all stored scans: what is known of each scan and of its report, without the objects.
//!
//! A scan takes 112 bytes in the table: its uid 16, [`Judged`] 56, and kind, namespace, name and list 40 with padding. The
//! table is filled from 7/16 to 7/8, and the name takes about 40 bytes on the heap, so that a scan takes 170 to 300 bytes, and
//! 100,000 scans 17 to 30 MB. A table that grows is copied, for which half of its size is needed once more. A stored report
//! takes 48 bytes in its table. tests/cluster/reports.rs measures the whole process.
//!
//! All methods take the time as an argument.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::scan_report::{ReportApi, ScanReport, ScanUid};
use super::scan_totals::{PhaseLabel, ScanTotals};
use crate::engine::{Part, Severity};
use crate::offline::Judge;
use crate::offline::stored::StoredScan;
use crate::offline::stuck::Waiting;
use crate::report::ReportedFinding;
use crate::rules::RULES;
use crate::rules::tables::AHEAD_MAX;
use crate::scan::{Count, CveCount, Kind, Member, Phase, Spelling, Status};

/// How scans are judged.
pub struct ViewSettings {
    /// How long a scan may wait for its controller.
    pub stuck_after: Duration,
    /// `None` if no reports are written.
    pub reports: Option<ReportApi>,
}

/// What is known of a scan, in at most 64 bytes. Times are in Unix seconds, and 0 stands for none.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    /// The hash of the report that the scan should have; 0 if it should have none.
    report: u64,
    /// The rules with errors and with warnings, as bits in the order of [`RULES`].
    rules: [u32; 2],
    /// The CVE counts by severity, in the order of [`Count::SEVERITIES`].
    counts: [u32; 5],
    /// When the status changed last.
    changed: u32,
    waiting_since: u32,
    /// When the scan has to be judged again, since a finding depends on the time.
    due: u32,
    phase: PhaseLabel,
    has_status_error: bool,
    has_counts: bool,
    is_without_evidence: bool,
}

/// A scan that was judged, before it becomes part of the view.
pub struct JudgedScan {
    pub uid: ScanUid,
    kind: Kind,
    namespace: String,
    name: String,
    judged: Judged,
    pub report: Option<ScanReport>,
}

struct ScanEntry {
    kind: Kind,
    namespace: Arc<str>,
    name: Box<str>,
    /// The number of the list that had this scan last.
    list: u32,
    judged: Judged,
}

struct StoredReport {
    hash: u64,
    namespace: Arc<str>,
    list: u32,
}

/// A collection that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    Scans(Kind),
    Reports,
}

#[derive(Default)]
struct CollectionState {
    /// The number of the current list.
    list: u32,
    is_listed: bool,
    /// When the view was last known to have every change.
    current: Option<OffsetDateTime>,
}

/// A scan whose report may have to be written.
pub struct ReportTask {
    pub uid: ScanUid,
    /// Kind, namespace and name of the scan; `None` if it is gone.
    pub scan: Option<(Kind, String, String)>,
}

/// The view of all scans.
pub struct ScanView {
    pub settings: ViewSettings,
    scans: HashMap<ScanUid, ScanEntry>,
    reports: HashMap<ScanUid, StoredReport>,
    /// Each namespace once.
    namespaces: BTreeSet<Arc<str>>,
    collections: Vec<(Collection, CollectionState)>,
    /// The scans whose reports may have to be written.
    queue: BTreeSet<ScanUid>,
    /// The last scan that was taken from the queue.
    taken: ScanUid,
    hasher: RandomState,
    started: OffsetDateTime,
}

const _: () = assert!(size_of::<Judged>() <= 64);

impl ScanView {
    pub fn new(settings: ViewSettings, kinds: impl IntoIterator<Item = Kind>, now: OffsetDateTime) -> Self {
        let reports = settings.reports.map(|_| Collection::Reports);
        let collections = kinds.into_iter().map(Collection::Scans).chain(reports);
        Self {
            settings,
            scans: HashMap::new(),
            reports: HashMap::new(),
            namespaces: BTreeSet::new(),
            collections: collections.map(|collection| (collection, CollectionState::default())).collect(),
            queue: BTreeSet::new(),
            taken: ScanUid::default(),
            hasher: RandomState::new(),
            started: now,
        }
    }

    /// Judges a scan at the time of `judge`. `version` is its apiVersion.
    pub fn judge(&self, kind: Kind, version: &str, json: &str, judge: &Judge) -> Result<JudgedScan, String> {
        let stored = StoredScan::read(kind, json)?;
        let uid = ScanUid::parse(&stored.metadata.uid).ok_or("its uid is not a UUID")?;
        let findings = stored.findings(judge);
        let waiting = Waiting::of(&stored).map(|waiting| waiting.since);
        // A time in the last year that can be written has no such sum.
        let after = time::Duration::try_from(self.settings.stuck_after).ok();
        let stuck_at = waiting.and_then(|since| since.checked_add(after?));
        let stuck_since = waiting.filter(|_| stuck_at.is_some_and(|at| at <= judge.now));
        let report =
            self.settings.reports.and_then(|api| ScanReport::of_scan(api, version, &stored, &findings, stuck_since));
        let hash = report.as_ref().map_or(0, |report| self.hash(report));
        let judged =
            Judged { report: hash, due: due(&stored, stuck_at, judge.now), ..judged(&stored, &findings, waiting) };
        Ok(JudgedScan { uid, kind, namespace: stored.metadata.namespace, name: stored.metadata.name, judged, report })
    }

    /// The hash of a report, which is never 0.
    fn hash(&self, report: &ScanReport) -> u64 {
        self.hasher.hash_one(report).max(1)
    }

    fn state(&mut self, collection: Collection) -> Option<&mut CollectionState> {
        self.collections.iter_mut().find(|(found, _)| *found == collection).map(|(_, state)| state)
    }

    fn list_number(&self, collection: Collection) -> u32 {
        self.collections.iter().find(|(found, _)| *found == collection).map_or(0, |(_, state)| state.list)
    }

    pub fn is_listed(&self) -> bool {
        self.collections.iter().all(|(_, state)| state.is_listed)
    }

    /// A list of the collection begins.
    pub fn start_list(&mut self, collection: Collection) {
        if let Some(state) = self.state(collection) {
            state.list = state.list.wrapping_add(1);
        }
    }

    /// Removes all objects that the list did not have.
    pub fn end_list(&mut self, collection: Collection, now: OffsetDateTime) {
        let list = self.list_number(collection);
        match collection {
            Collection::Scans(kind) => self.scans.retain(|_, entry| entry.kind != kind || entry.list == list),
            Collection::Reports => self.reports.retain(|_, report| report.list == list),
        }
        if let Some(state) = self.state(collection) {
            state.is_listed = true;
        }
        self.set_current(collection, now);
        if self.is_listed() {
            let all: BTreeSet<ScanUid> = self.scans.keys().chain(self.reports.keys()).copied().collect();
            all.into_iter().for_each(|uid| self.enqueue(uid));
        }
    }

    /// The view has every change of the collection up to now.
    pub fn set_current(&mut self, collection: Collection, now: OffsetDateTime) {
        if let Some(state) = self.state(collection) {
            state.current = Some(now);
        }
    }

    /// Adds or replaces a scan.
    pub fn put(&mut self, scan: JudgedScan) {
        let JudgedScan { uid, kind, namespace, name, judged, .. } = scan;
        let list = self.list_number(Collection::Scans(kind));
        match self.scans.get_mut(&uid) {
            Some(entry) => (entry.list, entry.judged) = (list, judged),
            None => {
                let namespace = self.interned(&namespace);
                self.scans.insert(uid, ScanEntry { kind, namespace, name: name.into_boxed_str(), list, judged });
            }
        }
        self.enqueue(uid);
    }

    /// Replaces a scan that is still part of the view: it may have been deleted since it was read. Does not queue it, since
    /// its report is about to be written.
    pub fn update(&mut self, scan: JudgedScan) {
        if let Some(entry) = self.scans.get_mut(&scan.uid) {
            entry.judged = scan.judged;
        }
    }

    pub fn remove(&mut self, uid: ScanUid) {
        self.scans.remove(&uid);
        self.enqueue(uid);
    }

    /// Adds or replaces a stored report. Reports that this program did not name are ignored.
    pub fn put_report(&mut self, name: &str, namespace: &str, report: Option<&ScanReport>) {
        let Some(uid) = ScanUid::of_report(name) else { return };
        let stored = StoredReport {
            // A report that cannot be read is written again.
            hash: report.map_or(0, |report| self.hash(report)),
            namespace: self.interned(namespace),
            list: self.list_number(Collection::Reports),
        };
        self.reports.insert(uid, stored);
        self.enqueue(uid);
    }

    pub fn remove_report(&mut self, name: &str) {
        let Some(uid) = ScanUid::of_report(name) else { return };
        self.reports.remove(&uid);
        self.enqueue(uid);
    }

    /// Returns the one allocation of the name of a namespace.
    fn interned(&mut self, namespace: &str) -> Arc<str> {
        if let Some(found) = self.namespaces.get(namespace) {
            return found.clone();
        }
        let name: Arc<str> = namespace.into();
        self.namespaces.insert(name.clone());
        name
    }

    /// Queues a scan if its report is not as it should be. Before everything is listed, nothing is queued: a report may
    /// be stored that is not known yet.
    fn enqueue(&mut self, uid: ScanUid) {
        let wanted = self.scans.get(&uid).map_or(0, |entry| entry.judged.report);
        let is_right = match self.reports.get(&uid) {
            Some(report) => wanted != 0 && report.hash == wanted,
            None => wanted == 0,
        };
        if !is_right && self.is_listed() {
            self.queue.insert(uid);
        }
    }

    /// Queues a scan in any case.
    pub fn enqueue_again(&mut self, uid: ScanUid) {
        self.queue.insert(uid);
    }

    /// Queues the scans that have to be judged again, since their findings depend on the time. Forgets the namespaces that
    /// are no longer used.
    pub fn enqueue_due(&mut self, now: OffsetDateTime) {
        self.namespaces.retain(|namespace| Arc::strong_count(namespace) > 1);
        if !self.is_listed() {
            return;
        }
        let now = seconds(now);
        for (uid, entry) in &mut self.scans {
            if entry.judged.due != 0 && entry.judged.due <= now {
                entry.judged.due = 0;
                self.queue.insert(*uid);
            }
        }
    }

    /// Takes up to `count` scans from the queue.
    pub fn take_tasks(&mut self, count: usize) -> Vec<ReportTask> {
        // In turn, so that scans whose reports fail do not keep the others from being written.
        let taken = std::iter::from_fn(|| {
            let after = (Bound::Excluded(self.taken), Bound::Unbounded);
            self.taken = self.queue.range(after).next().or(self.queue.first()).copied()?;
            self.queue.take(&self.taken)
        });
        let taken: Vec<ScanUid> = taken.take(count).collect();
        let name = |entry: &ScanEntry| (entry.kind, entry.namespace.to_string(), entry.name.to_string());
        taken.into_iter().map(|uid| ReportTask { uid, scan: self.scans.get(&uid).map(name) }).collect()
    }

    /// Whether the stored report of a scan is this one.
    pub fn has_report(&self, uid: ScanUid, report: &ScanReport) -> bool {
        self.reports.get(&uid).is_some_and(|stored| stored.hash == self.hash(report))
    }

    /// The namespace of the stored report of a scan, if there is one.
    pub fn report_namespace(&self, uid: ScanUid) -> Option<String> {
        self.reports.get(&uid).map(|report| report.namespace.to_string())
    }

    /// Adds up the scans as they are now.
    pub fn totals(&self, now: OffsetDateTime) -> ScanTotals {
        let mut totals =
            ScanTotals { reports: self.reports.len() as u64, queued: self.queue.len() as u64, ..ScanTotals::default() };
        let stuck_before = seconds(now - self.settings.stuck_after);
        for ScanEntry { kind, judged, .. } in self.scans.values() {
            let Judged { phase, changed, waiting_since, .. } = *judged;
            totals.scans[*kind as usize][phase as usize] += 1;
            let oldest = &mut totals.age_seconds[phase as usize];
            *oldest = (*oldest).max(seconds(now).saturating_sub(changed));
            totals.stuck[*kind as usize] += u64::from(waiting_since != 0 && waiting_since <= stuck_before);
            for (severity, mut bits) in judged.rules.into_iter().enumerate() {
                // Most scans have no findings.
                while bits != 0 {
                    totals.findings[bits.trailing_zeros() as usize][severity] += 1;
                    bits &= bits - 1;
                }
            }
            totals.with_errors += u64::from(judged.has_status_error);
            totals.without_evidence += u64::from(judged.is_without_evidence);
            if judged.has_counts && !judged.has_status_error {
                totals.verified += 1;
                totals.counts.iter_mut().zip(judged.counts).for_each(|(sum, count)| *sum += u64::from(count));
            }
        }
        let current = self.collections.iter().map(|(_, state)| state.current.unwrap_or(self.started));
        let oldest = current.min().unwrap_or(self.started);
        totals.pass_age_seconds = (now - oldest).as_seconds_f64().max(0.0);
        totals
    }
}

/// Returns when a scan has to be judged again, in Unix seconds: when it will be stuck, or when a time that is too far in the
/// future no longer is: that of the scan, or that of a condition.
fn due(stored: &StoredScan<'_>, stuck_at: Option<OffsetDateTime>, now: OffsetDateTime) -> u32 {
    let scanned_at = stored.scan.status().and_then(Status::scanned_at);
    let ahead = scanned_at.into_iter().chain(transitions(stored)).map(|at| at - AHEAD_MAX);
    let due = stuck_at.into_iter().chain(ahead).filter(|due| *due > now).min();
    // The next whole second, at which the finding has certainly changed.
    due.map_or(0, |due| seconds(due).saturating_add(1))
}

/// The times at which the conditions of a scan have changed.
fn transitions<'s>(stored: &'s StoredScan<'_>) -> impl Iterator<Item = OffsetDateTime> + 's {
    let conditions = stored.scan.status().map(|status| status.conditions()).unwrap_or_default();
    conditions.iter().filter_map(|entry| entry.present()?.last_transition_time())
}

fn judged(stored: &StoredScan<'_>, findings: &[ReportedFinding], waiting: Option<OffsetDateTime>) -> Judged {
    let (mut rules, mut has_status_error) = ([0, 0], false);
    for finding in findings {
        let Some(index) = RULES.iter().position(|rule| Some(rule.id) == finding.rule) else { continue };
        rules[finding.severity as usize] |= 1 << index;
        has_status_error |= finding.severity == Severity::Error && RULES[index].part == Part::Status;
    }
    let status = stored.scan.status();
    let cve_count =
        status.and_then(|status| Spelling::BOTH.into_iter().find_map(|key| status.cve_count.get(key).present()));
    let count = |counts: &CveCount<'_>, severity| {
        u32::try_from(counts.count(severity).value().unwrap_or_default()).unwrap_or(u32::MAX)
    };
    let is_completed = status.and_then(Status::phase) == Some(Phase::Completed);
    let has_scanner = status.is_some_and(|status| !matches!(status.scanned_by, Member::Absent));
    Judged {
        report: 0,
        rules,
        counts: cve_count.map(|counts| Count::SEVERITIES.map(|severity| count(counts, severity))).unwrap_or_default(),
        // The last transition of a condition, or the creation of the scan.
        changed: transitions(stored).chain(stored.metadata.created()).max().map_or(0, seconds),
        waiting_since: waiting.map_or(0, seconds),
        due: 0,
        phase: PhaseLabel::of(status),
        has_status_error,
        has_counts: cve_count.is_some(),
        is_without_evidence: is_completed && !has_scanner && cve_count.is_none(),
    }
}

/// Returns a time in Unix seconds, from 1970 to 2106.
fn seconds(time: OffsetDateTime) -> u32 {
    u32::try_from(time.unix_timestamp().max(0)).unwrap_or(u32::MAX)
}
