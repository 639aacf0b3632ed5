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

use super::judged::{Judged, due, seconds};
use super::scan_report::{ReportApi, ScanReport, ScanUid};
use super::scan_totals::ScanTotals;
use crate::offline::Judge;
use crate::offline::stored::StoredScan;
use crate::offline::stuck::Waiting;
use crate::scan::Kind;

/// How scans are judged.
pub struct ViewSettings {
    /// How long a scan may wait for its controller.
    pub stuck_after: Duration,
    /// `None` if no reports are written.
    pub reports: Option<ReportApi>,
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

/// The scan of a report, and the namespace of the report. A copy in another namespace is another report.
pub type ReportKey = (ScanUid, Arc<str>);

struct StoredReport {
    hash: u64,
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

/// A report that may have to be written.
pub struct ReportTask {
    pub key: ReportKey,
    /// Kind and name of the scan; `None` if it is gone.
    pub scan: Option<(Kind, String)>,
}

/// The view of all scans.
pub struct ScanView {
    pub settings: ViewSettings,
    scans: HashMap<ScanUid, ScanEntry>,
    reports: HashMap<ReportKey, StoredReport>,
    /// Each namespace once.
    namespaces: BTreeSet<Arc<str>>,
    collections: Vec<(Collection, CollectionState)>,
    /// The reports that may have to be written.
    queue: BTreeSet<ReportKey>,
    /// The last report that was taken from the queue.
    taken: ReportKey,
    hasher: RandomState,
    started: OffsetDateTime,
}

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
            taken: ReportKey::default(),
            hasher: RandomState::new(),
            started: now,
        }
    }

    /// Judges a scan at the time of `judge`. `version` is its apiVersion.
    pub fn judge(&self, kind: Kind, version: &str, json: &str, judge: &Judge) -> Result<JudgedScan, String> {
        let stored = StoredScan::read(kind, json)?;
        let uid = ScanUid::parse(&stored.metadata.uid).ok_or("its uid is not a UUID")?;
        let findings = stored.findings(judge);
        let waiting = Waiting::of(&stored);
        let stuck_after = self.settings.stuck_after;
        let stuck = waiting.filter(|waiting| waiting.is_stuck(stuck_after, judge.now)).map(|waiting| waiting.since);
        let report = self.settings.reports.and_then(|api| ScanReport::of_scan(api, version, &stored, &findings, stuck));
        let hash = report.as_ref().map_or(0, |report| self.hash(report));
        let due = due(&stored, waiting.and_then(|waiting| waiting.stuck_at(stuck_after)), judge.now);
        let judged = Judged { report: hash, due, ..Judged::of(&stored, &findings, waiting) };
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
            let scans = self.scans.iter().map(|(uid, entry)| (*uid, entry.namespace.clone()));
            let all: BTreeSet<ReportKey> = scans.chain(self.reports.keys().cloned()).collect();
            all.into_iter().for_each(|key| self.enqueue(key));
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
        let namespace = self.interned(&namespace);
        let key = (uid, namespace.clone());
        match self.scans.get_mut(&uid) {
            Some(entry) => (entry.list, entry.judged) = (list, judged),
            None => {
                self.scans.insert(uid, ScanEntry { kind, namespace, name: name.into_boxed_str(), list, judged });
            }
        }
        self.enqueue(key);
    }

    /// Replaces a scan that is still part of the view: it may have been deleted since it was read. Does not queue it, since
    /// its report is about to be written.
    pub fn update(&mut self, scan: JudgedScan) {
        if let Some(entry) = self.scans.get_mut(&scan.uid) {
            entry.judged = scan.judged;
        }
    }

    pub fn remove(&mut self, uid: ScanUid) {
        if let Some(entry) = self.scans.remove(&uid) {
            self.enqueue((uid, entry.namespace));
        }
    }

    /// Adds or replaces a stored report. Reports that this program did not name are ignored.
    pub fn put_report(&mut self, name: &str, namespace: &str, report: Option<&ScanReport>) {
        let Some(uid) = ScanUid::of_report(name) else { return };
        // A report that cannot be read is written again.
        let hash = report.map_or(0, |report| self.hash(report));
        let key = (uid, self.interned(namespace));
        self.reports.insert(key.clone(), StoredReport { hash, list: self.list_number(Collection::Reports) });
        self.enqueue(key);
    }

    pub fn remove_report(&mut self, name: &str, namespace: &str) {
        let Some(uid) = ScanUid::of_report(name) else { return };
        let key = (uid, self.interned(namespace));
        self.reports.remove(&key);
        self.enqueue(key);
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

    fn scan(&self, (uid, namespace): &ReportKey) -> Option<&ScanEntry> {
        self.scans.get(uid).filter(|entry| entry.namespace == *namespace)
    }

    /// Queues a report if it is not as it should be. Before everything is listed, nothing is queued: a report may be stored
    /// that is not known yet.
    fn enqueue(&mut self, key: ReportKey) {
        let wanted = self.scan(&key).map_or(0, |entry| entry.judged.report);
        if self.is_listed() && !self.is_right(&key, wanted) {
            self.queue.insert(key);
        }
    }

    /// Whether the report with this hash is stored, or for 0 none.
    fn is_right(&self, key: &ReportKey, wanted: u64) -> bool {
        match self.reports.get(key) {
            Some(report) => wanted != 0 && report.hash == wanted,
            None => wanted == 0,
        }
    }

    /// Queues a report in any case.
    pub fn enqueue_again(&mut self, key: ReportKey) {
        self.queue.insert(key);
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
                self.queue.insert((*uid, entry.namespace.clone()));
            }
        }
    }

    /// Takes up to `count` reports from the queue.
    pub fn take_tasks(&mut self, count: usize) -> Vec<ReportTask> {
        // In turn, so that reports that cannot be written do not keep the others from being written.
        let taken = std::iter::from_fn(|| {
            let after = (Bound::Excluded(self.taken.clone()), Bound::Unbounded);
            self.taken = self.queue.range(after).next().or(self.queue.first()).cloned()?;
            self.queue.take(&self.taken)
        });
        let taken: Vec<ReportKey> = taken.take(count).collect();
        let name = |entry: &ScanEntry| (entry.kind, entry.name.to_string());
        taken.into_iter().map(|key| ReportTask { scan: self.scan(&key).map(name), key }).collect()
    }

    /// Whether this report is stored, or none.
    pub fn is_stored(&self, key: &ReportKey, report: Option<&ScanReport>) -> bool {
        self.is_right(key, report.map_or(0, |report| self.hash(report)))
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
            totals.stuck[*kind as usize] += u64::from(waiting_since != 0 && waiting_since < stuck_before);
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
