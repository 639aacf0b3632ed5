//! The conditions of a status by type, and which of them are left over from an earlier run.

use time::OffsetDateTime;

use super::rules::condition_fields;
use crate::scan::{
    Condition, ConditionMember, ConditionStatus, ConditionType, Entry, Field, Member, Phase, Scan, Status,
};

/// The first well-formed entry of each type. What `condition-fields` refuses is left out: no other rule sees it.
#[derive(Debug, Default)]
pub struct Conditions<'a> {
    first: [Option<&'a Condition<'a>>; 4],
    left_over: [bool; 4],
}

impl<'a> Conditions<'a> {
    pub fn of(scan: &'a Scan<'a>) -> Self {
        let Some(status) = scan.status() else { return Conditions::default() };
        let mut first = [None; 4];
        for condition in status.conditions().iter().filter_map(Member::is) {
            if let Some(known) = condition.known_type()
                && first[known as usize].is_none()
                && condition_fields::is_well_formed(condition)
            {
                first[known as usize] = Some(condition);
            }
        }
        Conditions { first, left_over: left_over(scan, status, &first) }
    }

    /// The condition, current or left over.
    pub fn get(&self, known: ConditionType) -> Option<&'a Condition<'a>> {
        self.first[known as usize]
    }

    /// The status of the condition, current or left over.
    pub fn status(&self, known: ConditionType) -> Option<ConditionStatus> {
        self.get(known)?.status()
    }

    /// Whether there is no such condition at all: a left-over one counts as there.
    pub fn is_absent(&self, known: ConditionType) -> bool {
        self.get(known).is_none()
    }

    /// The status of the condition, where it is current.
    pub fn current(&self, known: ConditionType) -> Option<ConditionStatus> {
        if self.left_over[known as usize] { None } else { self.get(known)?.status() }
    }
}

/// Everything that decides whether these conditions are there and current: what a rule reads that relates them.
pub fn reads<'a>(types: &[ConditionType]) -> Vec<Field<'a>> {
    let mut reads = vec![Field::Phase, Field::ObservedGeneration];
    let mut types = types.to_vec();
    if types.contains(&ConditionType::PolicySucceeded) {
        types.push(ConditionType::Succeeded);
        reads.push(Field::ScanPolicy);
    }
    types.push(ConditionType::Scanning);
    for known in types {
        for member in
            [ConditionMember::Status, ConditionMember::LastTransitionTime, ConditionMember::ObservedGeneration]
        {
            let field = Field::ConditionMember(Entry::from(known), member);
            if !reads.contains(&field) {
                reads.push(field);
            }
        }
    }
    reads
}

/// LAW §2 "Left over": a rescan may keep old results beside the new run.
fn left_over(scan: &Scan<'_>, status: &Status<'_>, first: &[Option<&Condition<'_>>; 4]) -> [bool; 4] {
    let is_older_generation = |condition: &Condition<'_>| {
        let own = condition[ConditionMember::ObservedGeneration].integer().value();
        let observed = status.observed_generation.integer().value();
        matches!((own, observed), (Some(own), Some(observed)) if own < observed)
    };
    // (b) The condition speaks of an older generation.
    let mut over = first.map(|condition| condition.is_some_and(is_older_generation));

    if matches!(status.phase(), Some(Phase::Completed | Phase::Failed)) {
        // The controller says that it is done: only a policy that is no longer asked for can be left over.
        let policy = ConditionType::PolicySucceeded as usize;
        let is_policy_over = over[policy] && !scan.has_scan_policy();
        over = [false; 4];
        over[policy] = is_policy_over;
        return over;
    }

    let time = |known: ConditionType| first[known as usize].and_then(Condition::last_transition_time);
    // (a) The condition is not later than the run that is under way.
    let is_running = first[ConditionType::Scanning as usize].and_then(Condition::status) == Some(ConditionStatus::True);
    if is_running && let Some(started) = time(ConditionType::Scanning) {
        for known in ConditionType::ALL.into_iter().filter(|known| *known != ConditionType::Scanning) {
            over[known as usize] |= time(known).is_some_and(|at| at <= started);
        }
    }
    // (c) The policy was evaluated before the newest run that counts.
    let newest: Option<OffsetDateTime> = [ConditionType::Scanning, ConditionType::Succeeded]
        .into_iter()
        .filter(|known| !over[*known as usize])
        .filter_map(time)
        .max();
    let is_policy_older =
        matches!((time(ConditionType::PolicySucceeded), newest), (Some(policy), Some(newest)) if policy < newest);
    over[ConditionType::PolicySucceeded as usize] |= is_policy_older;
    over
}
