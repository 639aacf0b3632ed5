//! Which stored scans are stuck: for how long a scan has waited for its controller or its scan job.
//!
//! [`Waiting`] does not depend on the time, so a watch can keep it, and ask it later whether the scan is stuck.

use std::time::Duration;

use time::OffsetDateTime;

use super::managed_fields::{FieldWriter, ManagedFields};
use super::stored::{StoredMetadata, StoredScan};
use crate::report::stuck::{LastCondition, StuckScan};
use crate::rules::tables::phases;
use crate::scan::{Condition, ConditionMember, ConditionStatus, ConditionType, Conditions, Member, Phase, Scan};

/// What a scan waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingState {
    /// The run has not begun: the phase is Pending, or there is none and the conditions say nothing else.
    Pending,
    /// The run has not ended: the phase is Scanning, or there is none and Scanning is True.
    Scanning,
    /// The status was written for an earlier spec: its observedGeneration is lower than metadata.generation.
    Behind,
}

/// A scan that waits, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub state: WaitingState,
    pub since: OffsetDateTime,
}

impl WaitingState {
    pub const ALL: [WaitingState; 3] = [WaitingState::Pending, WaitingState::Scanning, WaitingState::Behind];

    pub fn name(self) -> &'static str {
        match self {
            WaitingState::Pending => "Pending",
            WaitingState::Scanning => "Scanning",
            WaitingState::Behind => "Behind",
        }
    }
}

impl Waiting {
    /// Returns what a scan waits for. A scan that waits in two ways is returned as the one that lasts longer. Returns
    /// `None` if the scan does not wait, is being deleted, or has no time to count from.
    pub fn of(stored: &StoredScan<'_>) -> Option<Self> {
        let scan = &stored.scan;
        if scan.is_deleting() {
            return None;
        }
        let conditions = Conditions::of(scan);
        let (state, is_behind) = (state(scan, &conditions), is_behind(scan));
        if state.is_none() && !is_behind {
            return None;
        }
        // Most scans do not wait, so their managedFields are not parsed.
        let times = Times {
            current: current(&conditions).filter_map(Condition::last_transition_time).max(),
            created: stored.metadata.created(),
            managers: stored.metadata.managers(),
        };
        let is_running = conditions.current(ConditionType::Scanning) == Some(ConditionStatus::True);
        let of_run = state.and_then(|state| Some(Self { state, since: times.of_run(is_running)? }));
        let behind = is_behind.then(|| times.of_spec()).flatten();
        let behind = behind.map(|since| Self { state: WaitingState::Behind, since });
        of_run.into_iter().chain(behind).min_by_key(|waiting| waiting.since)
    }

    /// Returns when the scan will have waited for `after`. A time in the last year that can be written has no such sum.
    pub fn stuck_at(&self, after: Duration) -> Option<OffsetDateTime> {
        self.since.checked_add(time::Duration::try_from(after).ok()?)
    }

    /// Returns whether the scan has waited for longer than `after`.
    pub fn is_stuck(&self, after: Duration, now: OffsetDateTime) -> bool {
        self.stuck_at(after).is_some_and(|at| at < now)
    }
}

/// The times at which parts of a scan have changed.
struct Times {
    /// The last transition of a current condition.
    current: Option<OffsetDateTime>,
    created: Option<OffsetDateTime>,
    managers: ManagedFields,
}

impl Times {
    /// Returns the time since when a scan waits for its run to begin or to end.
    fn of_run(&self, is_running: bool) -> Option<OffsetDateTime> {
        if is_running && self.current.is_some() {
            return self.current;
        }
        // The conditions may be those of an earlier run, so the write of the phase and that of the spec count, too.
        let written = ["status.phase", "spec"].into_iter().filter_map(|path| self.managers.writer(path)?.time);
        [self.current, self.created].into_iter().flatten().chain(written).max()
    }

    /// Returns the time since when a status is behind the spec. Without a status subresource, each write of the status
    /// increments the generation, so the status is always behind.
    fn of_spec(&self) -> Option<OffsetDateTime> {
        let is_subresource = |writer: &FieldWriter<'_>| writer.subresource == "status";
        self.managers.writer("status.observedGeneration").filter(is_subresource)?;
        self.managers.writer("spec").and_then(|writer| writer.time).or(self.current.max(self.created))
    }
}

/// Returns whether a scan waits for its run to begin or to end.
fn state(scan: &Scan<'_>, conditions: &Conditions<'_>) -> Option<WaitingState> {
    let phase = match scan.status() {
        Some(status) if status.phase.string() != Member::Absent => status.phase()?,
        _ => phases::of_conditions(conditions, scan.has_scan_policy()).unwrap_or(Phase::Pending),
    };
    match phase {
        Phase::Pending => Some(WaitingState::Pending),
        Phase::Scanning => Some(WaitingState::Scanning),
        Phase::Completed | Phase::Failed | Phase::Error => None,
    }
}

fn is_behind(scan: &Scan<'_>) -> bool {
    let observed = scan.status().and_then(|status| status.observed_generation.integer().value());
    matches!((observed, scan.generation()), (Some(observed), Some(generation)) if observed < generation)
}

/// Returns the current conditions of the four types.
fn current<'a>(conditions: &Conditions<'a>) -> impl Iterator<Item = &'a Condition<'a>> {
    let current = ConditionType::ALL.into_iter().filter(|known| conditions.staleness(*known).is_none());
    current.filter_map(|known| conditions.get(known))
}

/// Returns the scan for a report, if it has waited for longer than `after`.
pub fn stuck_scan(stored: &StoredScan<'_>, after: Duration, now: OffsetDateTime) -> Option<StuckScan> {
    let Waiting { state, since } = Waiting::of(stored).filter(|waiting| waiting.is_stuck(after, now))?;
    let conditions = Conditions::of(&stored.scan);
    // Of several that have changed at once, the one that a run writes last.
    let last = current(&conditions).max_by_key(|condition| condition.last_transition_time());
    let condition = last.map(|last| {
        let member = |member| last[member].string().value().unwrap_or_default().to_owned();
        let [condition_type, status] = [ConditionMember::Type, ConditionMember::Status].map(member);
        let [reason, message] = [ConditionMember::Reason, ConditionMember::Message].map(member);
        LastCondition { condition_type, status, reason, message }
    });
    let StoredMetadata { namespace, name, uid, .. } = &stored.metadata;
    let [namespace, name, uid] = [namespace, name, uid].map(String::clone);
    Some(StuckScan { kind: stored.kind, namespace, name, uid, state: state.name(), since, condition, event: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Kind;
    use crate::scan::time::{format, parse};

    const CREATED: &str = "2026-11-20T08:00:00Z";

    fn condition(name: &str, status: &str, minute: u8) -> String {
        let time = format!("2026-11-20T08:{minute:02}:00Z");
        let reason = r#""reason": "Any", "message": "any""#;
        format!(r#"{{"type": "{name}", "status": "{status}", {reason}, "lastTransitionTime": "{time}"}}"#)
    }

    /// A scan whose spec was written at minute 30 and whose phase at minute 20.
    fn waiting(metadata: &str, status: &str) -> Option<(WaitingState, String)> {
        waiting_with("status", metadata, status)
    }

    fn waiting_with(subresource: &str, metadata: &str, status: &str) -> Option<(WaitingState, String)> {
        let managers = format!(
            r#"[{{"manager": "a", "time": "2026-11-20T08:30:00Z", "fieldsV1": {{"f:spec": {{}}}}}},
               {{"manager": "b", "time": "2026-11-20T08:20:00Z", "subresource": "{subresource}", "fieldsV1": {{"f:status": {{}}}}}}]"#
        );
        let json = format!(
            r#"{{"metadata": {{"creationTimestamp": "{CREATED}", "managedFields": {managers} {metadata}}}, "spec": {{"scanPolicy": "p"}}, "status": {status}}}"#
        );
        let Waiting { state, since } = Waiting::of(&StoredScan::read(Kind::SourceScan, &json).unwrap())?;
        Some((state, format(since).unwrap().replace("2026-11-20T08:", "").replace(":00Z", "")))
    }

    #[test]
    fn a_scan_waits_until_its_run_has_ended_for_the_current_spec() {
        let (pending, scanning, behind) = (WaitingState::Pending, WaitingState::Scanning, WaitingState::Behind);
        let [running, finished, succeeded, failed, passed] = [
            condition("Scanning", "True", 10),
            condition("Scanning", "False", 40),
            condition("Succeeded", "True", 40),
            condition("Succeeded", "False", 40),
            condition("PolicySucceeded", "True", 45),
        ];
        let generation = r#", "generation": 2"#;
        for (metadata, status, expected) in [
            // Without a status, a scan waits for its controller.
            ("", "null".to_owned(), Some((pending, "30"))),
            ("", r#"{"phase": "Pending"}"#.to_owned(), Some((pending, "30"))),
            ("", format!(r#"{{"phase": "Pending", "conditions": [{failed}]}}"#), Some((pending, "40"))),
            // The job started at minute 10, whatever was written since.
            ("", format!(r#"{{"phase": "Scanning", "conditions": [{running}]}}"#), Some((scanning, "10"))),
            ("", format!(r#"{{"conditions": [{running}]}}"#), Some((scanning, "10"))),
            // The policy is to be evaluated.
            (
                "",
                format!(r#"{{"phase": "Scanning", "conditions": [{finished}, {succeeded}]}}"#),
                Some((scanning, "40")),
            ),
            ("", format!(r#"{{"phase": "Completed", "conditions": [{finished}, {succeeded}, {passed}]}}"#), None),
            ("", format!(r#"{{"conditions": [{finished}, {succeeded}, {passed}]}}"#), None),
            ("", format!(r#"{{"phase": "Error", "conditions": [{failed}]}}"#), None),
            ("", r#"{"phase": "Done"}"#.to_owned(), None),
            (generation, r#"{"phase": "Completed", "observedGeneration": 1}"#.to_owned(), Some((behind, "30"))),
            (generation, r#"{"phase": "Completed", "observedGeneration": 2}"#.to_owned(), None),
            (generation, r#"{"phase": "Completed", "observedGeneration": 3}"#.to_owned(), None),
            (generation, r#"{"phase": "Completed"}"#.to_owned(), None),
            // The run waits for longer than the new spec.
            (
                generation,
                format!(r#"{{"phase": "Scanning", "observedGeneration": 1, "conditions": [{running}]}}"#),
                Some((scanning, "10")),
            ),
            (
                r#", "generation": 2, "deletionTimestamp": "2026-11-20T08:50:00Z""#,
                r#"{"phase": "Pending"}"#.to_owned(),
                None,
            ),
        ] {
            let expected = expected.map(|(state, since)| (state, since.to_owned()));
            assert_eq!(waiting(metadata, &status), expected, "{metadata} {status}");
        }
    }

    /// Each write of the status increments the generation.
    #[test]
    fn without_a_status_subresource_no_status_is_behind() {
        assert_eq!(
            waiting_with("", r#", "generation": 2"#, r#"{"phase": "Completed", "observedGeneration": 1}"#),
            None
        );
    }

    #[test]
    fn a_scan_is_stuck_after_the_duration() {
        let waiting = Waiting { state: WaitingState::Pending, since: parse(CREATED).unwrap() };
        let after = Duration::from_secs(30 * 60);
        for (now, expected) in
            [("2026-11-20T08:30:00Z", false), ("2026-11-20T08:30:01Z", true), ("2026-11-20T07:00:00Z", false)]
        {
            assert_eq!(waiting.is_stuck(after, parse(now).unwrap()), expected, "{now}");
        }
    }
}
