//! The comparison of the new object with the old one: it pairs the conditions of both, and finds out which fields are
//! unchanged.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::scan::conditions::Form;
use crate::scan::{Condition, ConditionMember, Conditions, Container, Entry, Field, Json, Member, Scan, Status};

/// A new object and an old one, with the conditions of both.
pub struct Comparison<'c, 'a> {
    new: &'c Scan<'a>,
    old: &'c Scan<'a>,
    new_conditions: &'c Conditions<'a>,
    old_conditions: &'c Conditions<'a>,
    /// For each entry of the new object, the index of the same entry in the old one, as [`Self::pair_by_contents`]
    /// finds it. Computed on first use, since few changes need it.
    counterparts: OnceCell<Vec<Option<usize>>>,
}

impl<'c, 'a> Comparison<'c, 'a> {
    pub fn new(new: (&'c Scan<'a>, &'c Conditions<'a>), old: (&'c Scan<'a>, &'c Conditions<'a>)) -> Self {
        let ((new, new_conditions), (old, old_conditions)) = (new, old);
        Comparison { new, old, new_conditions, old_conditions, counterparts: OnceCell::new() }
    }

    /// Returns the same field in the old object, with its entry named by index; `None` if the entry is new.
    pub fn old_field(&self, field: Field<'a>) -> Option<Field<'a>> {
        with_entry(field, |entry| self.counterpart(self.new_conditions.index_of(entry)?))
    }

    /// Returns whether a field has the same meaning in both objects. An entry is still the same one if it differs only
    /// by members that our mutations fill in.
    pub fn is_unchanged(&self, field: Field<'a>) -> bool {
        let (Field::Condition(entry) | Field::ConditionMember { entry, .. }) = field else {
            return is_same(field, self.new, self.old);
        };
        let Some(new) = self.new_conditions.index_of(entry) else {
            // Removing a malformed entry is not a change, since nobody could rely on it.
            let old = self.old_conditions.index_of(entry);
            return old.is_none_or(|old| self.old_conditions.entries()[old].form == Form::Malformed);
        };
        let Some(old) = self.counterpart(new) else { return false };
        let condition = |conditions: &Conditions<'a>, index: usize| conditions.entries()[index].condition;
        match (field, condition(self.new_conditions, new), condition(self.old_conditions, old)) {
            (Field::ConditionMember { member, .. }, Some(new), Some(old)) => {
                member_key(new, member) == member_key(old, member)
            }
            // Entries that are not objects are paired by their contents, so both are the same.
            _ => true,
        }
    }

    /// Returns the index of the same entry in the old object.
    fn counterpart(&self, new: usize) -> Option<usize> {
        if let Some(old) = self.only_entry_of_same_type(new) {
            return Some(old);
        }
        let counterparts = self.counterparts.get_or_init(|| self.pair_by_contents());
        counterparts[new].or_else(|| match self.new_conditions.name(new) {
            name @ Entry::Type(_) => self.old_conditions.index_of(name),
            Entry::Index(_) => None,
        })
    }

    /// Returns the old entry of the same type, if both entries are the only ones of their type.
    fn only_entry_of_same_type(&self, new: usize) -> Option<usize> {
        let name @ Entry::Type(_) = self.new_conditions.name(new) else { return None };
        let old = self.old_conditions.index_of(name)?;
        (self.old_conditions.name(old) == name).then_some(old)
    }

    /// Pairs the entries that are not the only ones of their type, by their contents. An old entry is paired at most
    /// once.
    fn pair_by_contents(&self) -> Vec<Option<usize>> {
        let [new, old] = [self.new, self.old].map(|scan| scan.status().map_or(&[][..], |status| status.conditions()));
        if new.len().max(old.len()) > PAIRED_MAX {
            let is_same = |index: usize| old.get(index).is_some_and(|old| has_same_contents(old, &new[index]));
            return (0..new.len()).map(|index| is_same(index).then_some(index)).collect();
        }
        let digests = RandomState::new();
        let keys =
            [new, old].map(|entries| entries.iter().map(|entry| EntryKey::of(entry, &digests)).collect::<Vec<_>>());
        let mut pairs = Pairs { of_new: vec![None; new.len()], is_paired: vec![false; old.len()] };
        let is_paired_by_type: Vec<bool> =
            (0..new.len()).map(|index| self.only_entry_of_same_type(index).is_some()).collect();
        // Pair entries with the same contents first, then those that differ by members filled in on one side: in the
        // new object, and then in the old one, since a controller may repeat a write that it made before our mutations
        // filled the entry in.
        for is_in_new in [true, false] {
            pairs.add(&keys, &is_paired_by_type, is_in_new);
        }
        pairs.of_new
    }
}

/// The longest list whose entries are paired at any index. In a longer list, entries are paired only at the same index.
/// A scan has four conditions.
const PAIRED_MAX: usize = 256;

/// The entries that are paired so far.
struct Pairs {
    /// For each entry of the new object, the index of the same entry in the old one.
    of_new: Vec<Option<usize>>,
    /// For each entry of the old object, whether it is paired.
    is_paired: Vec<bool>,
}

impl Pairs {
    /// Pairs entries whose contents are the same without the members that were filled in on one side: in the new object
    /// if `is_in_new`, otherwise in the old one.
    fn add(&mut self, [new, old]: &[Vec<EntryKey>; 2], is_paired_by_type: &[bool], is_in_new: bool) {
        let mut unpaired: HashMap<EntryKey, Vec<usize>> = HashMap::new();
        let (from, to) = if is_in_new { (new, old) } else { (old, new) };
        for (index, key) in
            to.iter().enumerate().rev().filter(|(index, _)| self.is_free(*index, !is_in_new, is_paired_by_type))
        {
            unpaired.entry(*key).or_default().push(index);
        }
        for filled in 0..1 << FILLED.len() {
            for (index, key) in from.iter().enumerate() {
                if !self.is_free(index, is_in_new, is_paired_by_type) {
                    continue;
                }
                let same = key.without_filled(filled).and_then(|key| unpaired.get_mut(&key)?.pop());
                if let Some(same) = same {
                    let (new, old) = if is_in_new { (index, same) } else { (same, index) };
                    self.of_new[new] = Some(old);
                    self.is_paired[old] = true;
                }
            }
        }
    }

    /// Returns whether an entry of the new or the old object can still be paired.
    fn is_free(&self, index: usize, is_new: bool, is_paired_by_type: &[bool]) -> bool {
        if is_new { self.of_new[index].is_none() && !is_paired_by_type[index] } else { !self.is_paired[index] }
    }
}

/// The contents of an entry, as a key for hash maps: digests of its members under a random key, since strings can be
/// long.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum EntryKey {
    /// A digest for each member, `None` for an absent one.
    Condition([Option<u64>; 7]),
    /// A digest of an entry that is not an object.
    Other(u64),
}

/// The members that our mutations fill in.
pub const FILLED: [ConditionMember; 3] =
    [ConditionMember::LastTransitionTime, ConditionMember::Reason, ConditionMember::Message];

impl EntryKey {
    fn of(entry: &Container<'_, Condition<'_>>, digests: &RandomState) -> Self {
        match entry {
            Member::Absent => EntryKey::Other(digests.hash_one(LeafKey::Absent)),
            Member::WrongType(json) => EntryKey::Other(digests.hash_one(LeafKey::of(json))),
            Member::Present(condition) => EntryKey::Condition(ConditionMember::ALL.map(|member| {
                let key = member_key(condition, member);
                (key != LeafKey::Absent).then(|| digests.hash_one(key))
            })),
        }
    }

    /// Returns the key without the members of [`FILLED`] whose bits are set; `None` if one of them is already absent.
    fn without_filled(self, filled: usize) -> Option<Self> {
        let EntryKey::Condition(mut members) = self else { return (filled == 0).then_some(self) };
        for (bit, member) in FILLED.into_iter().enumerate() {
            if filled >> bit & 1 == 1 {
                members[member as usize].take()?;
            }
        }
        Some(EntryKey::Condition(members))
    }
}

/// The value of a field, for comparison.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum LeafKey<'s> {
    Absent,
    Text(&'s str),
    Integer(i64),
    Json(&'s str),
}

impl<'s> LeafKey<'s> {
    fn of(json: &'s Json<'_>) -> Self {
        match json {
            Json::Null => LeafKey::Absent,
            Json::String(text) => LeafKey::Text(text),
            Json::Integer(integer) => LeafKey::Integer(*integer),
            Json::Other(text) => LeafKey::Json(text),
        }
    }
}

fn has_same_contents(one: &Container<'_, Condition<'_>>, other: &Container<'_, Condition<'_>>) -> bool {
    match (one, other) {
        (Member::Absent, Member::Absent) => true,
        (Member::WrongType(one), Member::WrongType(other)) => LeafKey::of(one) == LeafKey::of(other),
        (Member::Present(one), Member::Present(other)) => {
            ConditionMember::ALL.into_iter().all(|member| member_key(one, member) == member_key(other, member))
        }
        _ => false,
    }
}

/// Returns the value of a member. An empty string counts as absent, except as a generation.
fn member_key<'s>(condition: &'s Condition<'_>, member: ConditionMember) -> LeafKey<'s> {
    match LeafKey::of(&condition[member]) {
        LeafKey::Text("") if member != ConditionMember::ObservedGeneration => LeafKey::Absent,
        key => key,
    }
}

/// Returns the field with its entry named by index, if it has an entry that exists.
pub fn by_index<'a>(field: Field<'a>, conditions: &Conditions<'_>) -> Field<'a> {
    with_entry(field, |entry| conditions.index_of(entry)).unwrap_or(field)
}

/// Returns the field with its entry, if it has one, named by the index that `index` returns.
fn with_entry<'a>(field: Field<'a>, index: impl FnOnce(Entry<'a>) -> Option<usize>) -> Option<Field<'a>> {
    Some(match field {
        Field::Condition(entry) => Field::Condition(Entry::Index(index(entry)?)),
        Field::ConditionMember { entry, member } => {
            Field::ConditionMember { entry: Entry::Index(index(entry)?), member }
        }
        other => other,
    })
}

/// Returns whether a field that is not part of a condition is the same in both scans.
fn is_same(field: Field<'_>, new: &Scan<'_>, old: &Scan<'_>) -> bool {
    match field {
        Field::Status => new.has_same_status(old),
        Field::Conditions => is_same_part(new, old, |status| Some(&status.conditions)),
        Field::CveCount(container) => is_same_part(new, old, |status| Some(status.cve_count.get(container))),
        Field::ScannedBy => is_same_part(new, old, |status| Some(&status.scanned_by)),
        Field::Scanner => is_same_part(new, old, |status| Some(&status.scanned_by.present()?.scanner)),
        Field::Artifact(artifact) => is_same_part(new, old, |status| Some(artifact.of(status))),
        Field::Source { artifact, source } => {
            is_same_part(new, old, |status| Some(artifact.of(status).present()?.get(source)))
        }
        _ => leaf(field, new) == leaf(field, old),
    }
}

fn is_same_part<'s, 'a: 's, T: PartialEq>(
    new: &'s Scan<'a>,
    old: &'s Scan<'a>,
    part: impl Fn(&'s Status<'a>) -> Option<T>,
) -> bool {
    new.status().and_then(&part) == old.status().and_then(&part)
}

/// Returns the value of a field that is neither an object nor a list; `None` if it is absent. An empty string counts as
/// absent, except in a field of integers.
fn leaf<'s, 'a>(field: Field<'_>, scan: &'s Scan<'a>) -> Option<&'s Json<'a>> {
    let status = scan.status();
    let spec = scan.spec.present();
    let json = match field {
        Field::Phase => &status?.phase,
        Field::MetadataUrl(spelling) => status?.metadata_url.get(spelling),
        Field::ScannerMember { form, member } => status?.scanned_by.present()?.scanner(form)?.get(member),
        Field::ScannedAt => &status?.scanned_at,
        Field::SourceMember { artifact, source, member } => artifact.of(status?).present()?.value(source, member)?,
        Field::SpecSource { source, member } => scan.spec_source(source, member)?,
        Field::ScanTemplate => &spec?.scan_template,
        Field::ScanPolicy => &spec?.scan_policy,
        Field::Count { container, count, key } => {
            return unless_absent(status?.cve_count.get(container).present()?.get(count, key));
        }
        Field::ObservedGeneration => return unless_absent(&status?.observed_generation),
        Field::Generation => return unless_absent(&scan.metadata.present()?.generation),
        _ => return None,
    };
    unless_absent(json).filter(|json| json.string() != Member::Absent)
}

fn unless_absent<'s, 'a>(json: &'s Json<'a>) -> Option<&'s Json<'a>> {
    Some(json).filter(|json| !json.is_absent())
}
