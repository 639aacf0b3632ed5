//! Compares the new object with the old one: which of its conditions are the same entries, and which fields are unchanged.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::scan::conditions::Form;
use crate::scan::{Condition, ConditionMember, Conditions, Container, Entry, Field, Json, Member, Scan, Status};

/// A new object beside the old one.
pub struct Comparison<'c, 'a> {
    new: &'c Scan<'a>,
    old: &'c Scan<'a>,
    new_conditions: &'c Conditions<'a>,
    old_conditions: &'c Conditions<'a>,
    /// For each entry of the new object the index of the same entry of the old one. Computed when first needed: few changes need
    /// it.
    counterparts: OnceCell<Vec<Option<usize>>>,
}

impl<'c, 'a> Comparison<'c, 'a> {
    pub fn new(new: (&'c Scan<'a>, &'c Conditions<'a>), old: (&'c Scan<'a>, &'c Conditions<'a>)) -> Self {
        let ((new, new_conditions), (old, old_conditions)) = (new, old);
        Comparison { new, old, new_conditions, old_conditions, counterparts: OnceCell::new() }
    }

    /// The same field in the old object, with its entry named by index. None where the entry is new.
    pub fn old_field(&self, field: Field<'a>) -> Option<Field<'a>> {
        with_entry(field, |entry| self.counterpart(self.new_conditions.index_of(entry)?))
    }

    /// Whether a field means the same as before. An entry stays the same one when only members were filled in that our mutations
    /// fill in.
    pub fn is_unchanged(&self, field: Field<'a>) -> bool {
        let (Field::Condition(entry) | Field::ConditionMember { entry, .. }) = field else {
            return is_same(field, self.new, self.old);
        };
        let Some(new) = self.new_conditions.index_of(entry) else {
            // To remove a malformed entry is no change: nobody could rely on it.
            let old = self.old_conditions.index_of(entry);
            return old.is_none_or(|old| self.old_conditions.entries()[old].form == Form::Malformed);
        };
        let Some(old) = self.counterpart(new) else { return false };
        let condition = |conditions: &Conditions<'a>, index: usize| conditions.entries()[index].condition;
        match (field, condition(self.new_conditions, new), condition(self.old_conditions, old), entry) {
            (Field::ConditionMember { member, .. }, Some(new), Some(old), Entry::Type(_)) => {
                member_key(new, member) == member_key(old, member)
            }
            // An entry that is named by its index was paired by its contents, so these are the same.
            _ => true,
        }
    }

    fn counterpart(&self, new: usize) -> Option<usize> {
        if let Some(old) = self.only_entry_of_same_type(new) {
            return Some(old);
        }
        let counterparts = self.counterparts.get_or_init(|| self.same_entries());
        counterparts[new].or_else(|| match self.new_conditions.name(new) {
            name @ Entry::Type(_) => self.old_conditions.index_of(name),
            Entry::Index(_) => None,
        })
    }

    /// The old entry, where both are the only ones of their type.
    fn only_entry_of_same_type(&self, new: usize) -> Option<usize> {
        let name @ Entry::Type(_) = self.new_conditions.name(new) else { return None };
        let old = self.old_conditions.index_of(name)?;
        (self.old_conditions.name(old) == name).then_some(old)
    }

    /// Pairs the entries that are not the only ones of their type, by their contents. An old entry is paired once at most.
    fn same_entries(&self) -> Vec<Option<usize>> {
        let [new, old] = [self.new, self.old].map(|scan| scan.status().map_or(&[][..], |status| status.conditions()));
        if new.len().max(old.len()) > PAIRED_MAX {
            let is_same = |index: usize| old.get(index).is_some_and(|old| has_same_contents(old, &new[index]));
            return (0..new.len()).map(|index| is_same(index).then_some(index)).collect();
        }
        let digests = RandomState::new();
        let keys =
            [new, old].map(|entries| entries.iter().map(|entry| EntryKey::of(entry, &digests)).collect::<Vec<_>>());
        let mut pairs = Pairs { of_new: vec![None; new.len()], is_paired: vec![false; old.len()] };
        let is_named: Vec<bool> = (0..new.len()).map(|index| self.only_entry_of_same_type(index).is_some()).collect();
        // Entries with the same contents are paired first, then those that differ by filled-in members: of the new object, and
        // then of the old one, since a controller may write again what it wrote before our mutations filled it in.
        for is_in_new in [true, false] {
            pairs.add(&keys, &is_named, is_in_new);
        }
        pairs.of_new
    }
}

/// The longest list whose entries are paired wherever they are; in a longer one only those at the same index are. A scan has four
/// conditions.
const PAIRED_MAX: usize = 256;

/// For each entry of the new object the same one of the old object, and for each of the old one whether it is paired.
struct Pairs {
    of_new: Vec<Option<usize>>,
    is_paired: Vec<bool>,
}

impl Pairs {
    /// Adds pairs of entries whose contents are the same without the members that may have been filled in on one side.
    fn add(&mut self, [new, old]: &[Vec<EntryKey>; 2], is_named: &[bool], is_in_new: bool) {
        let mut unpaired: HashMap<EntryKey, Vec<usize>> = HashMap::new();
        let (from, to) = if is_in_new { (new, old) } else { (old, new) };
        for (index, key) in to.iter().enumerate().rev().filter(|(index, _)| self.is_free(*index, !is_in_new, is_named))
        {
            unpaired.entry(*key).or_default().push(index);
        }
        for filled in 0..1 << FILLED.len() {
            for (index, key) in from.iter().enumerate() {
                if !self.is_free(index, is_in_new, is_named) {
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

    fn is_free(&self, index: usize, is_new: bool, is_named: &[bool]) -> bool {
        if is_new { self.of_new[index].is_none() && !is_named[index] } else { !self.is_paired[index] }
    }
}

/// The contents of an entry, as a key to find the same one: digests of its members under a random key, since texts may be long.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum EntryKey {
    /// None where the member is absent.
    Condition([Option<u64>; 7]),
    /// An entry that is no object.
    Other(u64),
}

/// The members that our mutations fill in.
const FILLED: [ConditionMember; 3] =
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

    /// The entry without the members of [`FILLED`] whose bits are set; none where one of them is absent already.
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

/// The value of a leaf, for comparison.
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

fn member_key<'s>(condition: &'s Condition<'_>, member: ConditionMember) -> LeafKey<'s> {
    match LeafKey::of(&condition[member]) {
        LeafKey::Text("") if member != ConditionMember::ObservedGeneration => LeafKey::Absent,
        key => key,
    }
}

/// The field with its entry named by index, where it has one.
pub fn by_index<'a>(field: Field<'a>, conditions: &Conditions<'_>) -> Field<'a> {
    with_entry(field, |entry| conditions.index_of(entry)).unwrap_or(field)
}

/// The field with its entry named by the index that `index` returns.
fn with_entry<'a>(field: Field<'a>, index: impl FnOnce(Entry<'a>) -> Option<usize>) -> Option<Field<'a>> {
    Some(match field {
        Field::Condition(entry) => Field::Condition(Entry::Index(index(entry)?)),
        Field::ConditionMember { entry, member } => {
            Field::ConditionMember { entry: Entry::Index(index(entry)?), member }
        }
        other => other,
    })
}

/// Whether a field that is not part of a condition is the same in both scans.
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

/// The value of a leaf; none where it is absent. In a field of text the empty string counts as absent.
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
