//! Groups Events into series, and decides which is written when. All times are arguments.
//!
//! A series is one Event object with a count. It has the denials (or warnings) of the same rules on the same scan, each
//! within [`SeriesLimits::current`] of the one before it. Each occurrence is either shown by the count of a written
//! Event, or still waits, or was counted as dropped.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::admission::event::{EventReason, StatusEvent};
use crate::server::metrics::{EventDrop, EventMetrics};

/// The limits of the writes and of the memory.
#[derive(Debug, Clone, Copy)]
pub struct SeriesLimits {
    /// How long after its last occurrence a series is continued, or written if the limit of writes has delayed it.
    pub current: Duration,
    /// The pause between two writes of a series, successful or not.
    pub rest: Duration,
    /// The most writes of all series in each [`WINDOW`].
    pub writes: usize,
    /// The most series.
    pub series: usize,
}

/// The time in which [`SeriesLimits::writes`] are allowed.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The shortest time between two searches of a full table for series that have ended. A search takes microseconds.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

impl Default for SeriesLimits {
    /// - Controllers retry a denied write after up to 16 minutes, most of them within seconds. After 10 minutes without a
    ///   denial, the next one is news. The API server keeps an Event for an hour after its last write.
    /// - A count that is a minute old is new enough for people.
    /// - 100 writes a minute of a few KiB are less than 1 % of the writes that an API server handles with ease.
    /// - In the 10 minutes for which a series is current, 1,000 Events can be written, so a series beyond that would not be
    ///   written in time. A series has at most 3.2 KiB: its Event and twice its key. The memory of all is 3.2 MiB.
    fn default() -> Self {
        Self { current: Duration::from_secs(600), rest: Duration::from_secs(60), writes: 100, series: 1_000 }
    }
}

/// The occurrences with the same key belong to the same series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    uid: String,
    reason: EventReason,
    rules: Vec<&'static str>,
}

/// What is to be done about a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SeriesState {
    /// In `ready`: it may be written.
    Ready,
    Writing,
    /// In `resting`: it was just written.
    Resting,
    /// Nothing is to be written.
    Idle,
}

struct Series {
    event: StatusEvent,
    state: SeriesState,
    /// The times of the first and of the last occurrence, for the Event.
    first: OffsetDateTime,
    last: OffsetDateTime,
    last_seen: Instant,
    /// The number of occurrences.
    count: u64,
    /// The count of the written Event; 0 if there is no Event.
    written: u64,
    /// How many Events of this series were deleted by others.
    deleted: u32,
}

/// A write that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventWrite {
    pub key: SeriesKey,
    pub event: StatusEvent,
    /// Whether the Event exists and only its series is to be written.
    pub is_update: bool,
    pub first: OffsetDateTime,
    pub last: OffsetDateTime,
    pub count: u64,
    pub deleted: u32,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    Written,
    /// The Event was deleted by others: another one is to be created.
    Deleted,
    /// To be tried again while the series is current.
    Failed,
    /// Not to be tried again before the next occurrence.
    Rejected,
}

/// The series that are current, and the writes of the last minute.
pub struct SeriesTable {
    limits: SeriesLimits,
    series: HashMap<SeriesKey, Series>,
    /// The series that may be written, in the order in which they became due. Those without an Event are written first,
    /// since an Event says more than a new count.
    ready: [VecDeque<SeriesKey>; 2],
    /// The series that must not be written yet, with the end of their rest, in the order of these times.
    resting: VecDeque<(Instant, SeriesKey)>,
    /// The times of the writes within the last [`WINDOW`].
    writes: VecDeque<Instant>,
    /// The API server wants no write before this time.
    paused_until: Option<Instant>,
    /// While the table is full, the time at which there may be room again.
    full_until: Option<Instant>,
    metrics: EventMetrics,
}

impl SeriesTable {
    pub fn new(limits: SeriesLimits, metrics: EventMetrics) -> Self {
        Self {
            limits,
            series: HashMap::new(),
            ready: Default::default(),
            resting: VecDeque::new(),
            writes: VecDeque::new(),
            paused_until: None,
            full_until: None,
            metrics,
        }
    }

    /// Adds an occurrence. `time` is the time of the wall clock.
    pub fn observe(&mut self, event: StatusEvent, time: OffsetDateTime, now: Instant) {
        let key = SeriesKey { uid: event.scan.uid.clone(), reason: event.reason, rules: event.rules.clone() };
        if let Some(series) = self.series.get_mut(&key) {
            if series.is_current(&self.limits, now) {
                if series.count == 0 {
                    series.first = time;
                }
                (series.last, series.last_seen) = (time, now);
                series.count += 1;
            } else {
                self.metrics.count_dropped(EventDrop::Age, series.unwritten());
                *series = Series { state: series.state, ..Series::new(event, time, now) };
            }
            if series.state == SeriesState::Idle {
                series.state = SeriesState::Ready;
                self.ready[usize::from(series.written > 0)].push_back(key);
            }
        } else if self.has_room(now) {
            self.ready[0].push_back(key.clone());
            self.series.insert(key, Series::new(event, time, now));
        } else {
            self.metrics.count_dropped(EventDrop::Series, 1);
        }
    }

    /// Returns the next write that may begin now. Its outcome must be passed to [`SeriesTable::finish`].
    pub fn next_write(&mut self, now: Instant) -> Option<EventWrite> {
        self.end_rests(now);
        while self.writes.front().is_some_and(|begun| now - *begun >= WINDOW) {
            self.writes.pop_front();
        }
        if self.may_write_at(now) > now {
            return None;
        }
        while let Some(key) = self.ready.iter_mut().find_map(VecDeque::pop_front) {
            let Some(series) = self.series.get_mut(&key) else { continue };
            if !series.is_current(&self.limits, now) {
                self.metrics.count_dropped(EventDrop::Age, series.unwritten());
                self.series.remove(&key);
                continue;
            }
            series.state = SeriesState::Writing;
            self.writes.push_back(now);
            let (event, is_update) = (series.event.clone(), series.written > 0);
            let Series { first, last, count, deleted, .. } = *series;
            return Some(EventWrite { key, event, is_update, first, last, count, deleted });
        }
        None
    }

    /// Returns when [`SeriesTable::next_write`] may return the next write. `None` if it will not before the next
    /// occurrence.
    pub fn next_time(&self, now: Instant) -> Option<Instant> {
        let is_ready = self.ready.iter().any(|keys| !keys.is_empty());
        let rested = self.resting.front().map(|(until, _)| *until);
        if is_ready { Some(self.may_write_at(now)) } else { rested }
    }

    /// Records how a write ended, which was returned before.
    pub fn finish(&mut self, write: &EventWrite, outcome: WriteOutcome, now: Instant) {
        let Some(series) = self.series.get_mut(&write.key) else { return };
        match outcome {
            WriteOutcome::Written => series.written = write.count,
            WriteOutcome::Deleted => (series.written, series.deleted) = (0, series.deleted + 1),
            WriteOutcome::Failed => {}
            WriteOutcome::Rejected => {
                self.metrics.count_dropped(EventDrop::Rejected, series.unwritten());
                series.count = series.written;
            }
        }
        series.state = SeriesState::Resting;
        self.resting.push_back((now + self.limits.rest, write.key.clone()));
    }

    /// Begins no write before `until`.
    pub fn pause(&mut self, until: Instant) {
        self.paused_until = Some(until);
    }

    /// The earliest time from `now` at which the limit of writes allows one.
    fn may_write_at(&self, now: Instant) -> Instant {
        let is_limited = self.writes.len() >= self.limits.writes;
        let window_end = self.writes.front().filter(|_| is_limited).map(|begun| *begun + WINDOW);
        [window_end, self.paused_until].into_iter().flatten().fold(now, Instant::max)
    }

    /// Moves the series whose rest has ended to those that are ready, if there is something to write.
    fn end_rests(&mut self, now: Instant) {
        while self.resting.front().is_some_and(|(until, _)| *until <= now) {
            let Some((_, key)) = self.resting.pop_front() else { return };
            let Some(series) = self.series.get_mut(&key) else { continue };
            if series.unwritten() == 0 {
                series.state = SeriesState::Idle;
            } else {
                series.state = SeriesState::Ready;
                self.ready[usize::from(series.written > 0)].push_back(key);
            }
        }
    }

    /// Returns whether there is room for one more series, after it has removed those that are no longer current.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.series.len() < self.limits.series {
            return true;
        }
        if self.full_until.is_some_and(|until| now < until) {
            return false;
        }
        self.end_rests(now);
        let (limits, metrics) = (self.limits, &self.metrics);
        self.series.retain(|_, series| {
            let is_kept = series.is_current(&limits, now) || series.state == SeriesState::Resting;
            if !is_kept {
                metrics.count_dropped(EventDrop::Age, series.unwritten());
            }
            is_kept
        });
        self.ready.iter_mut().for_each(|keys| keys.retain(|key| self.series.contains_key(key)));
        let next_end = self.series.values().map(|series| series.last_seen + limits.current).min();
        self.full_until = next_end.map(|end| end.max(now + SWEEP_PAUSE));
        self.series.len() < self.limits.series
    }
}

impl Series {
    fn new(event: StatusEvent, time: OffsetDateTime, now: Instant) -> Self {
        let state = SeriesState::Ready;
        Self { event, state, first: time, last: time, last_seen: now, count: 1, written: 0, deleted: 0 }
    }

    /// Returns whether an occurrence now would continue the series. A series is kept while it is written.
    fn is_current(&self, limits: &SeriesLimits, now: Instant) -> bool {
        self.state == SeriesState::Writing || now - self.last_seen < limits.current
    }

    fn unwritten(&self) -> u64 {
        self.count - self.written
    }
}
