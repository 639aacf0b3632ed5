//! The conditions of a status by type, how well they are formed, and which of them are stale.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use time::OffsetDateTime;

use super::condition::{Condition, ConditionMember, ConditionStatus, ConditionType};
use super::count::non_negative;
use super::field::{Entry, Field};
use super::json::Member;
use super::{Phase, Scan, Status};

/// Limits of `metav1.Condition`, in characters.
const TYPE_MAX_CHARS: usize = 316;
const REASON_MAX_CHARS: usize = 1024;
const MESSAGE_MAX_CHARS: usize = 32768;

/// How well an entry of the list, or a member of it, is formed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    #[default]
    WellFormed,
    /// A member is missing that should be there.
    Incomplete,
    /// No client can rely on the entry: it is neither there nor absent.
    Malformed,
}

/// The first entry of each type that is not malformed.
#[derive(Debug, Default)]
pub struct Conditions<'a> {
    first: [Option<&'a Condition<'a>>; 4],
    stale: [bool; 4],
    /// The worst form of any entry. Each is looked at once, so that a rule can skip a list without a malformed entry.
    worst: Form,
}

impl<'a> Conditions<'a> {
    pub fn of(scan: &'a Scan<'a>) -> Self {
        let Some(status) = scan.status() else { return Conditions::default() };
        let worst = status.conditions().iter().map(|entry| entry.present().map_or(Form::Malformed, entry_form)).max();
        let mut conditions = Conditions { worst: worst.unwrap_or_default(), ..Conditions::default() };
        for condition in status.conditions().iter().filter_map(Member::present) {
            if let Some(known) = condition.known_type()
                && conditions.first[known as usize].is_none()
                && !conditions.is_malformed(condition)
            {
                conditions.first[known as usize] = Some(condition);
            }
        }
        conditions.stale = stale(scan, status, &conditions.first);
        conditions
    }

    /// Whether every entry is well formed and complete.
    pub fn are_well_formed(&self) -> bool {
        self.worst == Form::WellFormed
    }

    /// Whether the entry is malformed, so that only `condition-fields` judges it.
    pub fn is_malformed(&self, condition: &Condition<'_>) -> bool {
        self.worst == Form::Malformed && is_malformed(condition)
    }

    /// The condition, current or stale.
    pub fn get(&self, known: ConditionType) -> Option<&'a Condition<'a>> {
        self.first[known as usize]
    }

    /// The status of the condition, current or stale.
    pub fn status(&self, known: ConditionType) -> Option<ConditionStatus> {
        self.get(known)?.status()
    }

    /// Whether there is no such condition at all: a stale one counts as there.
    pub fn is_absent(&self, known: ConditionType) -> bool {
        self.get(known).is_none()
    }

    /// The status of the condition, where it is current.
    pub fn current(&self, known: ConditionType) -> Option<ConditionStatus> {
        if self.stale[known as usize] { None } else { self.get(known)?.status() }
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
            let field = Field::ConditionMember { entry: Entry::from(known), member };
            if !reads.contains(&field) {
                reads.push(field);
            }
        }
    }
    reads
}

/// Which conditions are stale: a rescan may keep old results beside the new run.
fn stale(scan: &Scan<'_>, status: &Status<'_>, first: &[Option<&Condition<'_>>; 4]) -> [bool; 4] {
    let is_older_generation = |condition: &Condition<'_>| {
        let own = condition[ConditionMember::ObservedGeneration].integer().value();
        let observed = status.observed_generation.integer().value();
        matches!((own, observed), (Some(own), Some(observed)) if own < observed)
    };
    // The condition speaks of an older generation.
    let mut stale = first.map(|condition| condition.is_some_and(is_older_generation));

    if matches!(status.phase(), Some(Phase::Completed | Phase::Failed)) {
        // The controller says that it is done: only the verdict of a policy that is not set any more can be stale.
        let policy = ConditionType::PolicySucceeded as usize;
        let is_policy_stale = stale[policy] && !scan.has_scan_policy();
        stale = [false; 4];
        stale[policy] = is_policy_stale;
        return stale;
    }

    let time = |known: ConditionType| first[known as usize].and_then(Condition::last_transition_time);
    // The condition is not later than the run that is under way.
    let is_running = first[ConditionType::Scanning as usize].and_then(Condition::status) == Some(ConditionStatus::True);
    if is_running && let Some(started) = time(ConditionType::Scanning) {
        for known in ConditionType::ALL.into_iter().filter(|known| *known != ConditionType::Scanning) {
            stale[known as usize] |= time(known).is_some_and(|at| at <= started);
        }
    }
    // The policy was evaluated before the newest run that counts.
    let newest: Option<OffsetDateTime> = [ConditionType::Scanning, ConditionType::Succeeded]
        .into_iter()
        .filter(|known| !stale[*known as usize])
        .filter_map(time)
        .max();
    let is_policy_older =
        matches!((time(ConditionType::PolicySucceeded), newest), (Some(policy), Some(newest)) if policy < newest);
    stale[ConditionType::PolicySucceeded as usize] |= is_policy_older;
    stale
}

fn is_malformed(condition: &Condition<'_>) -> bool {
    entry_form(condition) == Form::Malformed
}

fn entry_form(condition: &Condition<'_>) -> Form {
    ConditionMember::ALL.into_iter().map(|member| member_form(condition, member)).max().unwrap_or_default()
}

/// How well one member of an entry is formed.
pub fn member_form(condition: &Condition<'_>, member: ConditionMember) -> Form {
    let json = &condition[member];
    let text = json.string();
    let is_within = |max, fits: fn(&str) -> bool| match &text {
        Member::Present(text) => (text.len() <= max || text.chars().count() <= max) && fits(text),
        _ => false,
    };
    let is_well_formed = match member {
        ConditionMember::Type => is_within(TYPE_MAX_CHARS, is_type),
        ConditionMember::Status => condition.status().is_some(),
        // The three types whose reasons are known always have one.
        ConditionMember::Reason if text == Member::Absent => match condition.known_type() {
            None | Some(ConditionType::SendingResults) => return Form::Incomplete,
            Some(_) => false,
        },
        ConditionMember::Reason => is_within(REASON_MAX_CHARS, is_reason),
        ConditionMember::Message | ConditionMember::Error => {
            text == Member::Absent || is_within(MESSAGE_MAX_CHARS, |_| true)
        }
        ConditionMember::LastTransitionTime => condition.last_transition_time().is_some(),
        ConditionMember::ObservedGeneration => !matches!(non_negative(json), Member::WrongType(_)),
    };
    if is_well_formed { Form::WellFormed } else { Form::Malformed }
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
    /// The conditions of this status, where they have been read already.
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
                if let Member::Present(name) = condition[ConditionMember::Type].string() {
                    table.entry(name).or_insert(index);
                }
            }
            firsts.table = table;
        }
        firsts
    }

    /// The entries that are not malformed, with their index.
    pub fn well_formed(&self) -> impl Iterator<Item = (usize, &'s Condition<'s>)> {
        self.all().filter(|(_, condition)| !self.is_malformed(condition))
    }

    fn all(&self) -> impl Iterator<Item = (usize, &'s Condition<'s>)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.present()?)))
    }

    fn is_malformed(&self, condition: &Condition<'_>) -> bool {
        self.conditions.map_or_else(|| is_malformed(condition), |all| all.is_malformed(condition))
    }

    /// The first of the type of `condition`, with its index.
    pub fn like(&self, condition: &Condition<'_>) -> Option<(usize, &'s Condition<'s>)> {
        let name = &condition[ConditionMember::Type];
        if self.entries.len() <= FEW_ENTRIES {
            return self.all().find(|(_, other)| other[ConditionMember::Type] == *name && !self.is_malformed(other));
        }
        let index = *self.table.get(&*name.string().value()?)?;
        Some((index, self.entries[index].present()?))
    }
}

/// Types that more than one entry has: their entries are named by index.
pub fn duplicate_types<'s>(status: &'s Status<'_>) -> HashSet<Cow<'s, str>> {
    let mut seen = HashSet::new();
    let types = status.conditions().iter().filter_map(|entry| entry.present()?[ConditionMember::Type].string().value());
    types.filter(|name| !seen.insert(name.clone())).collect()
}
