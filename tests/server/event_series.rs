//! Tests how Events are grouped and when they are written: `SeriesTable`, by all short sequences of what can happen. The
//! time is a value.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use scan_admission::admission::event::{EventReason, ScanReference, StatusEvent};
use scan_admission::cluster::events::series::{EventWrite, SeriesLimits, SeriesTable, WINDOW, WriteOutcome};
use scan_admission::server::metrics::{EventDrop, EventMetrics};
use time::OffsetDateTime;
use tokio::time::Instant;

const REST: u64 = 60;
const CURRENT: u64 = 600;

fn event(uid: &str, rules: &[&'static str]) -> StatusEvent {
    StatusEvent {
        reason: EventReason::StatusDenied,
        scan: ScanReference {
            api_version: "scanning.apps.tanzu.vmware.com/v1beta1".to_owned(),
            kind: "SourceScan",
            namespace: "dev".to_owned(),
            name: format!("scan-{uid}"),
            uid: uid.to_owned(),
        },
        rules: rules.to_vec(),
        note: "status.phase: wrong [phase-unknown]".to_owned(),
    }
}

/// A table with its clock, and a stand-in for the API server's storage.
struct Bench {
    table: SeriesTable,
    metrics: EventMetrics,
    begun: Instant,
    seconds: u64,
    observed: u64,
    /// The count of each stored Event, by uid, rules, time of the first occurrence, and number of deletions.
    stored: BTreeMap<(String, OffsetDateTime, u32), u64>,
    /// The second of each write, with its series.
    writes: Vec<(u64, String)>,
    limits: SeriesLimits,
}

impl Bench {
    fn new(writes: usize, series: usize) -> Self {
        let limits = SeriesLimits { writes, series, ..SeriesLimits::default() };
        assert_eq!((limits.rest, limits.current), (Duration::from_secs(REST), Duration::from_secs(CURRENT)));
        let metrics = EventMetrics::default();
        Self {
            table: SeriesTable::new(limits, metrics.clone()),
            metrics,
            begun: Instant::now(),
            seconds: 0,
            observed: 0,
            stored: BTreeMap::new(),
            writes: Vec::new(),
            limits,
        }
    }

    fn now(&self) -> Instant {
        self.begun + Duration::from_secs(self.seconds)
    }

    fn wall(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::from_secs(self.seconds)
    }

    fn observe(&mut self, uid: &str, rules: &[&'static str]) {
        self.observed += 1;
        self.table.observe(event(uid, rules), self.wall(), self.now());
    }

    fn next_write(&mut self) -> Option<EventWrite> {
        let write = self.table.next_write(self.now())?;
        self.writes.push((self.seconds, format!("{} {:?}", write.event.scan.uid, write.event.rules)));
        Some(write)
    }

    fn finish(&mut self, write: &EventWrite, outcome: WriteOutcome) {
        let key = (format!("{:?}", write.key), write.first, write.deleted);
        match outcome {
            WriteOutcome::Written => {
                assert_eq!(write.is_update, self.stored.contains_key(&key), "{write:?}");
                let before = self.stored.insert(key, write.count).unwrap_or_default();
                assert!(write.count > before, "{write:?}");
            }
            // Deleted by others, and the occurrences wait for another Event.
            WriteOutcome::Deleted => drop(self.stored.remove(&key).expect("only an update has this outcome")),
            WriteOutcome::Failed | WriteOutcome::Rejected => {}
        }
        self.table.finish(write, outcome, self.now());
    }

    /// Makes the writes that may be made now.
    fn write(&mut self) -> usize {
        let mut count = 0;
        while let Some(write) = self.next_write() {
            self.finish(&write, WriteOutcome::Written);
            count += 1;
        }
        count
    }

    /// Makes all writes at the times at which they are due, until none is left.
    fn drain(&mut self) {
        for _ in 0..10_000 {
            self.write();
            let Some(due) = self.table.next_time(self.now()) else { return };
            assert!(due > self.now(), "a write is due that is not returned");
            self.seconds += (due - self.now()).as_secs();
        }
        panic!("never empty");
    }

    fn dropped(&self) -> u64 {
        EventDrop::ALL.iter().map(|why| self.metrics.dropped(*why)).sum()
    }

    /// Each occurrence is counted by a stored Event, or as dropped.
    fn assert_all_are_counted(&self, what: &dyn std::fmt::Debug) {
        let shown: u64 = self.stored.values().sum();
        assert_eq!(shown + self.dropped(), self.observed, "{what:?}: {shown} shown, {} dropped", self.dropped());
    }

    fn assert_within_limits(&self, what: &dyn std::fmt::Debug) {
        let mut window = VecDeque::new();
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for (second, series) in &self.writes {
            window.push_back(*second);
            window.retain(|begun| second - begun < WINDOW.as_secs());
            assert!(window.len() <= self.limits.writes, "{what:?}: {:?}", self.writes);
            let before = last.insert(series, *second);
            assert!(before.is_none_or(|before| second - before >= REST), "{what:?}: {:?}", self.writes);
        }
    }
}

#[test]
fn occurrences_within_ten_minutes_are_one_series() {
    let mut bench = Bench::new(100, 1000);
    let a = ["phase-unknown"];
    bench.observe("a", &a);
    assert_eq!(bench.write(), 1);
    for _ in 0..50 {
        bench.seconds += 1;
        bench.observe("a", &a);
        assert_eq!(bench.write(), 0, "at most one write a minute");
    }
    assert_eq!(bench.table.next_time(bench.now()), Some(bench.begun + Duration::from_secs(REST)));
    bench.seconds = REST - 1;
    assert_eq!(bench.write(), 0);
    bench.seconds = REST;
    let write = bench.next_write().expect("a minute has passed");
    assert_eq!(
        (write.is_update, write.count, write.last),
        (true, 51, OffsetDateTime::UNIX_EPOCH + Duration::from_secs(50))
    );
    bench.finish(&write, WriteOutcome::Written);
    // 599 s after the last one.
    bench.seconds = 50 + CURRENT - 1;
    bench.observe("a", &a);
    let write = bench.next_write().expect("the rest is over");
    assert_eq!((write.is_update, write.count, write.first), (true, 52, OffsetDateTime::UNIX_EPOCH));
    bench.finish(&write, WriteOutcome::Written);
    // 600 s after the last one.
    bench.seconds += CURRENT;
    bench.observe("a", &a);
    let write = bench.next_write().expect("a new Event");
    assert_eq!((write.is_update, write.count, write.first), (false, 1, bench.wall()));
    bench.finish(&write, WriteOutcome::Written);
    // Other rules, another reason and another scan are other series.
    bench.observe("a", &["phase-unknown", "scanned-at"]);
    bench.observe("b", &a);
    let warned = StatusEvent { reason: EventReason::StatusWarned, ..event("a", &a) };
    bench.table.observe(warned, bench.wall(), bench.now());
    assert_eq!(std::iter::from_fn(|| bench.next_write()).filter(|write| !write.is_update).count(), 3);
}

#[test]
fn a_flood_of_one_scan_is_two_writes() {
    let mut bench = Bench::new(100, 1000);
    (0..10_000).for_each(|_| bench.observe("a", &["phase-unknown"]));
    bench.drain();
    assert_eq!(bench.writes.len(), 1, "all before the first write");
    (0..10_000).for_each(|_| bench.observe("a", &["phase-unknown"]));
    bench.drain();
    assert_eq!(bench.writes.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [0, REST]);
    assert_eq!((bench.stored.values().sum::<u64>(), bench.dropped()), (20_000, 0));
}

/// Of 10,000 scans at once, those that can be written within ten minutes are.
#[test]
fn a_flood_of_scans_is_a_hundred_writes_a_minute() {
    let mut bench = Bench::new(100, 1000);
    (0..10_000).for_each(|number| bench.observe(&number.to_string(), &["phase-unknown"]));
    assert_eq!(bench.metrics.dropped(EventDrop::Series), 9_000);
    assert_eq!(bench.write(), 100);
    bench.drain();
    bench.assert_within_limits(&"flood");
    bench.assert_all_are_counted(&"flood");
    assert_eq!((bench.stored.len(), bench.metrics.dropped(EventDrop::Age)), (1_000, 0));
    assert_eq!(bench.writes.last().map(|(second, _)| *second), Some(CURRENT - WINDOW.as_secs()), "none was late");
    // There is room again once the series have ended.
    bench.seconds = CURRENT - 1;
    bench.observe("another", &["phase-unknown"]);
    assert_eq!(bench.metrics.dropped(EventDrop::Series), 9_001);
    bench.seconds = CURRENT;
    bench.observe("another", &["phase-unknown"]);
    assert_eq!((bench.metrics.dropped(EventDrop::Series), bench.write()), (9_001, 1));
}

/// New Events are written before new counts.
#[test]
fn a_new_series_does_not_wait_for_counts() {
    let mut bench = Bench::new(3, 1000);
    ["a", "b", "c"].iter().for_each(|uid| bench.observe(uid, &["phase-unknown"]));
    assert_eq!(bench.write(), 3);
    bench.seconds = REST;
    ["a", "b", "c", "new"].iter().for_each(|uid| bench.observe(uid, &["phase-unknown"]));
    let order: Vec<_> = std::iter::from_fn(|| bench.next_write()).map(|write| write.event.scan.uid).collect();
    assert_eq!(order, ["new", "a", "b"]);
}

#[test]
fn a_pause_delays_every_write() {
    let mut bench = Bench::new(100, 1000);
    bench.table.pause(bench.now() + Duration::from_secs(30));
    bench.observe("a", &["phase-unknown"]);
    assert_eq!((bench.write(), bench.table.next_time(bench.now())), (0, Some(bench.begun + Duration::from_secs(30))));
    bench.seconds = 30;
    assert_eq!(bench.write(), 1);
}

#[test]
fn a_deleted_event_is_created_anew_under_another_name() {
    let mut bench = Bench::new(100, 1000);
    bench.observe("a", &["phase-unknown"]);
    assert_eq!(bench.write(), 1);
    bench.seconds = REST;
    bench.observe("a", &["phase-unknown"]);
    let write = bench.next_write().expect("an update");
    bench.finish(&write, WriteOutcome::Deleted);
    assert_eq!(bench.write(), 0, "at most one write a minute");
    bench.seconds = 2 * REST;
    let again = bench.next_write().expect("another Event");
    assert_eq!((again.is_update, again.count, again.deleted), (false, 2, write.deleted + 1));
    let name = scan_admission::cluster::events::object::name;
    assert_ne!(name(&again, "pod"), name(&write, "pod"));
}

/// What can happen.
#[derive(Debug, Clone, Copy)]
enum Step {
    Observe(&'static str),
    Pass(u64),
    Write(WriteOutcome),
    /// An occurrence and time pass while the write is in flight.
    SlowWrite,
}

const STEPS: [Step; 9] = [
    Step::Observe("a"),
    Step::Observe("b"),
    Step::Observe("c"),
    Step::Pass(30),
    Step::Pass(CURRENT - 20),
    Step::Write(WriteOutcome::Written),
    Step::Write(WriteOutcome::Failed),
    Step::Write(WriteOutcome::Rejected),
    Step::SlowWrite,
];

/// Runs a sequence with room for two series and two writes a minute, then makes all writes.
fn run(steps: &[Step]) {
    let mut bench = Bench::new(2, 2);
    for step in steps {
        match *step {
            Step::Observe(uid) => bench.observe(uid, &["phase-unknown"]),
            Step::Pass(seconds) => bench.seconds += seconds,
            Step::Write(outcome) => {
                if let Some(write) = bench.next_write() {
                    // The API server says that an Event is gone only if it was created.
                    let is_gone = outcome == WriteOutcome::Rejected && write.is_update;
                    bench.finish(&write, if is_gone { WriteOutcome::Deleted } else { outcome });
                }
            }
            Step::SlowWrite => {
                if let Some(write) = bench.next_write() {
                    let uid = write.event.scan.uid.clone();
                    bench.observe(&uid, &["phase-unknown"]);
                    bench.seconds += CURRENT + 1;
                    bench.observe(&uid, &["phase-unknown"]);
                    bench.finish(&write, WriteOutcome::Written);
                }
            }
        }
    }
    bench.drain();
    bench.assert_within_limits(&steps);
    bench.assert_all_are_counted(&steps);
}

/// All sequences of six steps: the limits hold, and each occurrence is counted once.
#[test]
fn no_short_sequence_loses_an_occurrence_or_exceeds_a_limit() {
    const LENGTH: u32 = 6;
    let count = STEPS.len().pow(LENGTH);
    for number in 0..count {
        let mut rest = number;
        let steps: [Step; LENGTH as usize] = std::array::from_fn(|_| {
            let step = STEPS[rest % STEPS.len()];
            rest /= STEPS.len();
            step
        });
        run(&steps);
    }
}
