//! The conditions of a status: lookup by type, which entries are well-formed, and which conditions are stale.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::condition::{Condition, ConditionMember, ConditionStatus, ConditionType};
use super::count::non_negative;
use super::field::{Entry, Field};
use super::json::{Container, Member};
use super::{Phase, Scan, Status};

/// Limits of `metav1.Condition`, in characters.
pub const TYPE_MAX_CHARS: usize = 316;
pub const REASON_MAX_CHARS: usize = 1024;
pub const MESSAGE_MAX_CHARS: usize = 32768;

/// Whether an entry of the list, or a member of an entry, is well-formed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    #[default]
    WellFormed,
    /// A member that should be present is absent.
    Incomplete,
    /// Clients cannot rely on the entry, so it counts as neither present nor absent.
    Malformed,
}

/// The entries of `status.conditions`, each read once, and the conditions of the four known types.
#[derive(Debug, Default)]
pub struct Conditions<'a> {
    entries: Vec<NamedEntry<'a>>,
    known: [KnownCondition<'a>; 4],
    stale: [Option<Staleness>; 4],
    /// The entries of each well-formed type; filled only if the list has more than [`FEW_ENTRIES`].
    table: HashMap<&'a str, TypeEntries>,
}

/// An entry of the list.
#[derive(Debug, Clone, Copy)]
pub struct NamedEntry<'a> {
    /// `None` if the entry is null, which counts as absent, or is not an object.
    pub condition: Option<&'a Condition<'a>>,
    pub form: Form,
    /// The type, if it is a qualified name.
    type_name: Option<&'a str>,
    /// Whether this is the only entry of its type, so that findings can name it by its type.
    is_only: bool,
}

/// Why a condition is stale: a result of an earlier run that a rescan has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// Its observedGeneration is lower than that of the status.
    OlderGeneration,
    /// The scan job runs, and its time is not later than that of Scanning.
    BeforeRun,
    /// It is a PolicySucceeded whose time is earlier than that of this condition.
    OlderThan(ConditionType),
}

/// The entries of one type.
#[derive(Debug, Clone, Copy, Default)]
struct TypeEntries {
    /// The index of the first entry, malformed or not.
    first: usize,
    count: usize,
    /// The index of the first entry that is not malformed.
    first_well_formed: Option<usize>,
}

/// The condition of one of the four known types.
#[derive(Debug, Clone, Copy, Default)]
enum KnownCondition<'a> {
    #[default]
    Absent,
    /// The list or all entries of the type are malformed, so the condition counts as neither present nor absent.
    Malformed,
    /// The first entry that is not malformed, and its index.
    Present(&'a Condition<'a>, usize),
}

/// Up to this many entries, a linear search is faster than a hash table. A scan has four conditions.
const FEW_ENTRIES: usize = 16;

impl<'a> Conditions<'a> {
    pub fn of(scan: &'a Scan<'a>) -> Self {
        let Some(status) = scan.status() else { return Conditions::default() };
        let entries = status.conditions().iter().map(NamedEntry::of).collect();
        let mut conditions = Conditions { entries, ..Conditions::default() };
        if conditions.entries.len() > FEW_ENTRIES {
            conditions.table = table(&mut conditions.entries);
        } else {
            for index in 0..conditions.entries.len() {
                let of_type = conditions.entries[index].type_name.map(|name| conditions.entries_of_type(name));
                conditions.entries[index].is_only = of_type.is_some_and(|of_type| of_type.count == 1);
            }
        }
        conditions.known = ConditionType::ALL.map(|known| {
            let TypeEntries { count, first_well_formed, .. } = conditions.entries_of_type(known.name());
            let first = first_well_formed.and_then(|index| Some((conditions.entries[index].condition?, index)));
            match first {
                Some((condition, index)) => KnownCondition::Present(condition, index),
                None if count > 0 || !matches!(status.conditions, Member::Absent | Member::Present(_)) => {
                    KnownCondition::Malformed
                }
                None => KnownCondition::Absent,
            }
        });
        conditions.stale = stale(scan, status, &conditions);
        conditions
    }

    /// Every entry, in order.
    pub fn entries(&self) -> &[NamedEntry<'a>] {
        &self.entries
    }

    /// The entries that are not malformed, each with its index.
    pub fn well_formed(&self) -> impl Iterator<Item = (usize, &'a Condition<'a>)> {
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| entry.form != Form::Malformed);
        entries.filter_map(|(index, entry)| Some((index, entry.condition?)))
    }

    /// The first entry of each type, of the entries that are not malformed, with its index.
    pub fn first_of_each_type(&self) -> impl Iterator<Item = (usize, &'a Condition<'a>)> {
        self.well_formed()
            .filter(|(index, condition)| self.first_of_same_type(condition).is_none_or(|(first, _)| first == *index))
    }

    /// The first entry of the type of `condition` that is not malformed, with its index.
    pub fn first_of_same_type(&self, condition: &Condition<'_>) -> Option<(usize, &'a Condition<'a>)> {
        let index = self.entries_of_type(condition.type_name()?).first_well_formed?;
        Some((index, self.entries[index].condition?))
    }

    /// How findings name an entry: by its type, or by its index if the type is missing, malformed or repeated.
    pub fn name(&self, index: usize) -> Entry<'a> {
        match self.entries.get(index) {
            Some(NamedEntry { type_name: Some(name), is_only: true, .. }) => Entry::Type(name),
            _ => Entry::Index(index),
        }
    }

    /// How findings name the condition of this type, whether it is present or not.
    pub fn entry(&self, known: ConditionType) -> Entry<'a> {
        match self.known[known as usize] {
            KnownCondition::Present(_, index) => self.name(index),
            KnownCondition::Malformed | KnownCondition::Absent => Entry::from(known),
        }
    }

    /// The index of an entry, if the list has it.
    pub fn index_of(&self, entry: Entry<'_>) -> Option<usize> {
        match entry {
            Entry::Index(index) => (index < self.entries.len()).then_some(index),
            Entry::Type(name) => {
                let of_type = self.entries_of_type(name);
                (of_type.count > 0).then(|| of_type.first_well_formed.unwrap_or(of_type.first))
            }
        }
    }

    /// The condition, current or stale.
    pub fn get(&self, known: ConditionType) -> Option<&'a Condition<'a>> {
        match self.known[known as usize] {
            KnownCondition::Present(condition, _) => Some(condition),
            KnownCondition::Malformed | KnownCondition::Absent => None,
        }
    }

    /// The status of the condition, current or stale.
    pub fn status(&self, known: ConditionType) -> Option<ConditionStatus> {
        self.get(known)?.status()
    }

    /// Whether the list has no entry of this type. A stale condition is not absent, nor is a malformed one.
    pub fn is_absent(&self, known: ConditionType) -> bool {
        matches!(self.known[known as usize], KnownCondition::Absent)
    }

    /// Whether the condition is malformed, so that it counts as neither present nor absent.
    pub fn is_malformed(&self, known: ConditionType) -> bool {
        matches!(self.known[known as usize], KnownCondition::Malformed)
    }

    /// The status of the condition, if it is current.
    pub fn current(&self, known: ConditionType) -> Option<ConditionStatus> {
        if self.stale[known as usize].is_some() { None } else { self.status(known) }
    }

    /// Why the condition is stale; `None` if it is current or absent.
    pub fn staleness(&self, known: ConditionType) -> Option<Staleness> {
        self.stale[known as usize]
    }

    /// The field of a member of this condition.
    pub fn member(&self, known: ConditionType, member: ConditionMember) -> Field<'a> {
        Field::ConditionMember { entry: self.entry(known), member }
    }

    fn entries_of_type(&self, name: &str) -> TypeEntries {
        if self.entries.len() > FEW_ENTRIES {
            return self.table.get(name).copied().unwrap_or_default();
        }
        let mut of_type = TypeEntries::default();
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.type_name == Some(name)) {
            of_type.add(index, entry);
        }
        of_type
    }

    fn time(&self, known: ConditionType) -> Option<OffsetDateTime> {
        self.get(known).and_then(Condition::last_transition_time)
    }
}

impl<'a> NamedEntry<'a> {
    fn of(entry: &'a Container<'a, Condition<'a>>) -> Self {
        let condition = entry.present();
        let form = match entry {
            Member::Absent => Form::WellFormed,
            Member::WrongType(_) => Form::Malformed,
            Member::Present(condition) => entry_form(condition),
        };
        let type_name = condition.and_then(Condition::type_name).filter(|name| is_type(name));
        NamedEntry { condition, form, type_name, is_only: false }
    }
}

impl TypeEntries {
    fn add(&mut self, index: usize, entry: &NamedEntry<'_>) {
        if self.count == 0 {
            self.first = index;
        }
        self.count += 1;
        if self.first_well_formed.is_none() && entry.form != Form::Malformed {
            self.first_well_formed = Some(index);
        }
    }
}

/// Groups the entries by type, and sets `is_only` of each entry.
fn table<'a>(entries: &mut [NamedEntry<'a>]) -> HashMap<&'a str, TypeEntries> {
    let mut table: HashMap<&str, TypeEntries> = HashMap::with_capacity(entries.len());
    for index in 0..entries.len() {
        let Some(name) = entries[index].type_name else { continue };
        let of_type = table.entry(name).or_default();
        of_type.add(index, &entries[index]);
        entries[index].is_only = of_type.count == 1;
        entries[of_type.first].is_only = of_type.count == 1;
    }
    table
}

/// Returns which conditions are stale, and why.
fn stale(scan: &Scan<'_>, status: &Status<'_>, conditions: &Conditions<'_>) -> [Option<Staleness>; 4] {
    let observed = status.observed_generation.integer().value();
    let of_older_generation = |known| {
        let own = conditions.get(known).and_then(|own| own[ConditionMember::ObservedGeneration].integer().value());
        let is_older = matches!((own, observed), (Some(own), Some(observed)) if own < observed);
        is_older.then_some(Staleness::OlderGeneration)
    };
    let (policy, scanning) = (ConditionType::PolicySucceeded, ConditionType::Scanning);
    let is_policy_older_than = |known: &ConditionType| matches!((conditions.time(policy), conditions.time(*known)), (Some(policy), Some(other)) if policy < other);
    let newer = [scanning, ConditionType::Succeeded].into_iter().find(is_policy_older_than);
    let of_policy = of_older_generation(policy).or(newer.map(Staleness::OlderThan));
    let mut stale = [None; 4];
    if matches!(status.phase(), Some(Phase::Completed | Phase::Failed)) {
        // The run has ended, so no earlier results remain, except those of a policy that is no longer set.
        stale[policy as usize] = of_policy.filter(|_| !scan.has_scan_policy());
        return stale;
    }
    let is_running =
        conditions.status(scanning) == Some(ConditionStatus::True) && of_older_generation(scanning).is_none();
    let started = conditions.time(scanning).filter(|_| is_running);
    for known in ConditionType::ALL {
        let is_before_run = known != scanning
            && matches!((conditions.time(known), started), (Some(at), Some(started)) if at <= started);
        stale[known as usize] = of_older_generation(known).or(is_before_run.then_some(Staleness::BeforeRun));
    }
    stale[policy as usize] = stale[policy as usize].or(of_policy);
    stale
}

fn entry_form(condition: &Condition<'_>) -> Form {
    ConditionMember::ALL.into_iter().map(|member| member_form(condition, member)).max().unwrap_or_default()
}

/// Whether a member of an entry is well-formed.
pub fn member_form(condition: &Condition<'_>, member: ConditionMember) -> Form {
    let json = &condition[member];
    let text = json.string();
    let is_within = |max, fits: fn(&str) -> bool| match &text {
        // A character has at most four bytes, so the characters of a much longer text need not be counted.
        Member::Present(text) => {
            (text.len() <= max || text.len() <= 4 * max && text.chars().count() <= max) && fits(text)
        }
        _ => false,
    };
    let is_well_formed = match member {
        ConditionMember::Type => matches!(text, Member::Present(text) if is_type(text)),
        ConditionMember::Status => condition.status().is_some(),
        // The three types with known reasons must have one.
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

/// Whether a text is a valid type of `metav1.Condition`: an optional DNS prefix and `/`, then a name, within the limit.
fn is_type(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= TYPE_MAX_CHARS
        && prefix.is_none_or(|prefix| prefix.split('.').all(|label| edges_and_middle(label, is_lower, b"-")))
        && edges_and_middle(name, |byte| byte.is_ascii_alphanumeric(), b"-_.")
}

/// Whether a text matches the pattern of a reason of `metav1.Condition`. The pattern is ASCII, so bytes are characters.
fn is_reason(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b':'))
}

/// Whether a text is not empty, begins and ends with an `edge` character, and has only `edge` and `also` characters.
fn edges_and_middle(text: &str, edge: fn(u8) -> bool, also: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| edge(*byte))
        && bytes.last().is_some_and(|byte| edge(*byte))
        && bytes.iter().all(|byte| edge(*byte) || also.contains(byte))
}
