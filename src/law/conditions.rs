//! The conditions of a status by type, and which of them are left over from an earlier run.

use std::borrow::Cow;
use std::collections::HashSet;

use time::OffsetDateTime;

use super::Severity;
use crate::scan::count::whole;
use crate::scan::{
    Condition, ConditionMember, ConditionStatus, ConditionType, Entry, Field, Member, Phase, Scan, Status,
};

/// Limits of `metav1.Condition`, in characters.
const TYPE_MAX_CHARS: usize = 316;
const REASON_MAX_CHARS: usize = 1024;
const MESSAGE_MAX_CHARS: usize = 32768;

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
                && is_well_formed(condition)
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

/// Whether no other rule needs to leave the entry out.
pub fn is_well_formed(condition: &Condition<'_>) -> bool {
    ConditionMember::ALL.into_iter().all(|member| !matches!(fault(condition, member), Some((Severity::Refuse, _))))
}

/// What is wrong with one member, and what would be right.
pub fn fault(condition: &Condition<'_>, member: ConditionMember) -> Option<(Severity, &'static str)> {
    let json = &condition[member];
    let text = json.string();
    let is_within = |max, fits: fn(&str) -> bool| match &text {
        Member::Is(text) => text.chars().count() <= max && fits(text),
        _ => false,
    };
    let refused = |is_right: bool, right| (!is_right).then_some((Severity::Refuse, right));
    match member {
        ConditionMember::Type => refused(
            is_within(TYPE_MAX_CHARS, is_type),
            "a qualified name of at most 316 characters, such as Succeeded,",
        ),
        ConditionMember::Status => refused(condition.status().is_some(), "True, False or Unknown"),
        ConditionMember::Reason if text == Member::Absent => {
            let severity = match condition.known_type() {
                None | Some(ConditionType::SendingResults) => Severity::Advise,
                Some(_) => Severity::Refuse,
            };
            Some((severity, "a CamelCase word, such as JobFinished,"))
        }
        ConditionMember::Reason => {
            refused(is_within(REASON_MAX_CHARS, is_reason), "a CamelCase word of at most 1,024 characters")
        }
        ConditionMember::Message | ConditionMember::Error => refused(
            text == Member::Absent || is_within(MESSAGE_MAX_CHARS, |_| true),
            "a string of at most 32,768 characters",
        ),
        ConditionMember::LastTransitionTime => {
            refused(condition.last_transition_time().is_some(), "an RFC 3339 time, such as 2026-11-20T08:01:00Z,")
        }
        ConditionMember::ObservedGeneration => refused(!matches!(whole(json), Member::Wrong(_)), "an integer ≥ 0"),
    }
}

/// The pattern of `metav1.Condition`'s type: an optional DNS prefix and `/`, then a name.
pub fn is_type(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let is_label = |label: &str| edges_and_middle(label, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), "-");
    prefix.is_none_or(|prefix| prefix.split('.').all(is_label))
        && edges_and_middle(name, |c| c.is_ascii_alphanumeric(), "-_.")
}

/// The pattern of `metav1.Condition`'s reason.
fn is_reason(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_,:".contains(c))
}

/// Not empty, with `edge` characters at both ends and those or `also` between.
fn edges_and_middle(text: &str, edge: fn(char) -> bool, also: &str) -> bool {
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(|c| edge(c) || also.contains(c))
}

/// Types that more than one entry has: their entries are named by index.
pub fn doubled<'s>(status: &'s Status<'_>) -> HashSet<Cow<'s, str>> {
    let mut seen = HashSet::new();
    let types = status.conditions().iter().filter_map(|entry| entry.is()?[ConditionMember::Type].string().value());
    types.filter(|name| !seen.insert(name.clone())).collect()
}
