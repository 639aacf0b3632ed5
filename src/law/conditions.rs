//! The conditions of a status by type, and which of them are left over from an earlier run.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

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
    /// The gravest fault of any entry: each is looked at once, and rules that find none here need not look again.
    gravest: Option<Severity>,
}

impl<'a> Conditions<'a> {
    pub fn of(scan: &'a Scan<'a>) -> Self {
        let Some(status) = scan.status() else { return Conditions::default() };
        let gravest = status.conditions().iter().map(|entry| entry.is().map_or(Some(Severity::Refuse), gravest)).max();
        let mut conditions = Conditions { gravest: gravest.flatten(), ..Conditions::default() };
        for condition in status.conditions().iter().filter_map(Member::is) {
            if let Some(known) = condition.known_type()
                && conditions.first[known as usize].is_none()
                && conditions.is_well_formed(condition)
            {
                conditions.first[known as usize] = Some(condition);
            }
        }
        conditions.left_over = left_over(scan, status, &conditions.first);
        conditions
    }

    /// Whether `condition-fields` has nothing to say of any entry.
    pub fn are_sound(&self) -> bool {
        self.gravest.is_none()
    }

    /// Whether no other rule needs to leave the entry out.
    pub fn is_well_formed(&self, condition: &Condition<'_>) -> bool {
        self.gravest < Some(Severity::Refuse) || is_well_formed(condition)
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

fn is_well_formed(condition: &Condition<'_>) -> bool {
    gravest(condition) < Some(Severity::Refuse)
}

fn gravest(condition: &Condition<'_>) -> Option<Severity> {
    ConditionMember::ALL.into_iter().filter_map(|member| Some(fault(condition, member)?.0)).max()
}

/// What is wrong with one member, and what would be right.
pub fn fault(condition: &Condition<'_>, member: ConditionMember) -> Option<(Severity, &'static str)> {
    let json = &condition[member];
    let text = json.string();
    let is_within = |max, fits: fn(&str) -> bool| match &text {
        Member::Is(text) => (text.len() <= max || text.chars().count() <= max) && fits(text),
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
    let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    prefix.is_none_or(|prefix| prefix.split('.').all(|label| edges_and_middle(label, is_lower, b"-")))
        && edges_and_middle(name, |byte| byte.is_ascii_alphanumeric(), b"-_.")
}

/// The pattern of `metav1.Condition`'s reason. All of both patterns is ASCII, so bytes are characters.
fn is_reason(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b':'))
}

/// Not empty, with `edge` characters at both ends and those or `also` between.
fn edges_and_middle(text: &str, edge: fn(u8) -> bool, also: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| edge(*byte))
        && bytes.last().is_some_and(|byte| edge(*byte))
        && bytes.iter().all(|byte| edge(*byte) || also.contains(byte))
}

/// Entries up to which looking through them costs less than a table: a scan has four types.
const FEW_ENTRIES: usize = 16;

/// Finds the first well-formed entry of a type, whatever the type.
pub struct Firsts<'c, 's> {
    /// What is known of all entries, where somebody has looked at them.
    conditions: Option<&'c Conditions<'s>>,
    entries: &'s [Member<Condition<'s>>],
    /// Of many entries the place of the first of each type.
    table: HashMap<Cow<'s, str>, usize>,
}

impl<'c, 's> Firsts<'c, 's> {
    pub fn of(status: &'s Status<'s>, conditions: Option<&'c Conditions<'s>>) -> Self {
        let mut firsts = Firsts { conditions, entries: status.conditions(), table: HashMap::new() };
        if firsts.entries.len() > FEW_ENTRIES {
            let mut table = HashMap::new();
            for (index, condition) in firsts.well_formed() {
                if let Member::Is(name) = condition[ConditionMember::Type].string() {
                    table.entry(name).or_insert(index);
                }
            }
            firsts.table = table;
        }
        firsts
    }

    /// The well-formed entries with their index.
    pub fn well_formed(&self) -> impl Iterator<Item = (usize, &'s Condition<'s>)> {
        self.all().filter(|(_, condition)| self.is_well_formed(condition))
    }

    fn all(&self) -> impl Iterator<Item = (usize, &'s Condition<'s>)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.is()?)))
    }

    fn is_well_formed(&self, condition: &Condition<'_>) -> bool {
        self.conditions.map_or_else(|| is_well_formed(condition), |all| all.is_well_formed(condition))
    }

    /// The first of the type of `condition`, with its index.
    pub fn like(&self, condition: &Condition<'_>) -> Option<(usize, &'s Condition<'s>)> {
        let name = &condition[ConditionMember::Type];
        if self.entries.len() <= FEW_ENTRIES {
            return self.all().find(|(_, other)| other[ConditionMember::Type] == *name && self.is_well_formed(other));
        }
        let index = *self.table.get(&*name.string().value()?)?;
        Some((index, self.entries[index].is()?))
    }
}

/// Types that more than one entry has: their entries are named by index.
pub fn doubled<'s>(status: &'s Status<'_>) -> HashSet<Cow<'s, str>> {
    let mut seen = HashSet::new();
    let types = status.conditions().iter().filter_map(|entry| entry.is()?[ConditionMember::Type].string().value());
    types.filter(|name| !seen.insert(name.clone())).collect()
}
