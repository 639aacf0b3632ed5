//! Stuck scans, as the reports of `audit` list them.

use std::collections::HashMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::age::with_age;
use super::event::{JsonEvent, ReportedEvent};
use super::finding::Subject;
use crate::scan::Kind;
use crate::scan::json::printable;
use crate::scan::time::format;

/// The most stuck scans that are listed, those that have waited longest. A stuck scan takes about 2 KB, so they take 2 MB.
const STUCK_MAX: usize = 1_000;

/// The most characters of the last condition that a line shows.
const CONDITION_MAX_CHARS: usize = 300;

/// A scan that has waited for too long.
#[derive(Debug, Clone)]
pub struct StuckScan {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// What it waits for.
    pub state: &'static str,
    pub since: OffsetDateTime,
    pub condition: Option<LastCondition>,
    /// The Event that explains it.
    pub event: Option<ReportedEvent>,
}

/// The current condition that has changed last.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct LastCondition {
    #[serde(rename = "type")]
    pub condition_type: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

/// A scan that has waited for longer than the duration of `--stuck`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct JsonStuckScan<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    /// `Pending` if its run has not begun, `Scanning` if it has not ended, `Behind` if the status was written for an earlier
    /// spec.
    #[cfg_attr(feature = "server", schemars(extend("enum" = ["Pending", "Scanning", "Behind"])))]
    state: &'a str,
    /// Since when (RFC 3339).
    since: String,
    /// The current condition that has changed last; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'a LastCondition>,
    /// The newest Event of type Warning about the scan, or else the newest Event; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<JsonEvent<'a>>,
}

/// The stuck scans of a run.
#[derive(Debug)]
pub struct StuckScans {
    /// The time of the run.
    now: OffsetDateTime,
    /// All, or those that have waited longest.
    list: Vec<StuckScan>,
    pub count: usize,
}

impl StuckScans {
    pub fn new(now: OffsetDateTime) -> Self {
        Self { now, list: Vec::new(), count: 0 }
    }

    pub fn push(&mut self, scan: StuckScan) {
        self.list.push(scan);
        self.count += 1;
        // Sorting at twice the limit costs a constant number of comparisons for each scan.
        if self.list.len() >= 2 * STUCK_MAX {
            self.sort();
        }
    }

    /// Sorts the list, those that have waited longest first, and drops what is beyond the limit.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| (a.since, &a.namespace, &a.name).cmp(&(b.since, &b.namespace, &b.name)));
        self.list.truncate(STUCK_MAX);
    }

    /// Returns the uids of the listed scans of a kind, to find their Events by.
    pub fn uids(&self, kind: Kind) -> HashMap<String, Option<ReportedEvent>> {
        self.list.iter().filter(|scan| scan.kind == kind).map(|scan| (scan.uid.clone(), None)).collect()
    }

    /// Adds the Events that were found.
    pub fn add_events(&mut self, mut events: HashMap<String, Option<ReportedEvent>>) {
        for scan in &mut self.list {
            if let Some(event) = events.remove(&scan.uid) {
                scan.event = event;
            }
        }
    }

    pub fn json(&self) -> impl Iterator<Item = JsonStuckScan<'_>> {
        self.list.iter().map(|scan| JsonStuckScan {
            kind: scan.kind.name(),
            namespace: &scan.namespace,
            name: &scan.name,
            state: scan.state,
            since: format(scan.since).unwrap_or_default(),
            condition: scan.condition.as_ref(),
            event: scan.event.as_ref().map(JsonEvent::from),
        })
    }

    /// Returns a line for each listed scan, with the title of its object: `Scanning since …; last condition …; Event …`.
    pub fn lines(&self) -> impl Iterator<Item = (String, String)> {
        self.list.iter().map(|scan| {
            let StuckScan { kind, namespace, name, state, since, .. } = scan;
            let since = with_age(&format(*since).unwrap_or_default(), self.now);
            let condition = scan.condition.as_ref().map_or_else(
                || "; no condition".to_owned(),
                |condition| {
                    let LastCondition { condition_type, status, reason, message } = condition;
                    let text = format!("{condition_type} {status:?}, {reason}: {message}");
                    format!("; last condition {}", printable(&text, CONDITION_MAX_CHARS))
                },
            );
            let event = scan.event.as_ref().map(|event| format!("; Event {}", event.printable())).unwrap_or_default();
            let title = Subject { kind: *kind, namespace, name }.title();
            (title, format!("stuck: {state} since {since}{condition}{event}"))
        })
    }

    /// Returns the number of scans beyond the limit.
    pub fn omitted(&self) -> usize {
        self.count - self.list.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scans_that_have_waited_longest_are_listed() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(1);
        let mut stuck = StuckScans::new(now);
        let count = 3 * STUCK_MAX + 1;
        for index in 0..count {
            // 2,654,435,761 is odd and not divisible by 3, so the seconds are all different, in no order.
            let second = index * 2_654_435_761 % count;
            let since = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(second as i64);
            let (name, namespace, uid) = (second.to_string(), String::new(), String::new());
            let (kind, state, condition, event) = (Kind::SourceScan, "Pending", None, None);
            stuck.push(StuckScan { kind, namespace, name, uid, state, since, condition, event });
        }
        stuck.sort();
        assert_eq!((stuck.count, stuck.omitted()), (count, count - STUCK_MAX));
        let names: Vec<String> = stuck.list.iter().map(|scan| scan.name.clone()).collect();
        assert_eq!(names, (0..STUCK_MAX).map(|second| second.to_string()).collect::<Vec<_>>());
        let first = stuck.lines().next();
        let line = "stuck: Pending since 1970-01-01T00:00:00Z (24h ago); no condition";
        assert_eq!(first, Some(("SourceScan 0".to_owned(), line.to_owned())));
    }
}
