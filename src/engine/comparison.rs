//! What a change leaves as it was: which entries of the conditions are the same, and which fields are unchanged.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::scan::conditions::Form;
use crate::scan::{Condition, ConditionMember, Conditions, Container, Entry, Field, Json, Member, Scan, Status};

/// A new object beside the old one.
pub struct Comparison<'c, 'a> {
    pub new: &'c Scan<'a>,
    pub old: &'c Scan<'a>,
    pub new_conditions: &'c Conditions<'a>,
    pub old_conditions: &'c Conditions<'a>,
    /// For each entry of the new object the index of the same entry of the old one. Few changes ask for it.
    counterparts: OnceCell<Vec<Option<usize>>>,
}

impl<'c, 'a> Comparison<'c, 'a> {
    pub fn new(new: (&'c Scan<'a>, &'c Conditions<'a>), old: (&'c Scan<'a>, &'c Conditions<'a>)) -> Self {
        let ((new, new_conditions), (old, old_conditions)) = (new, old);
        Comparison { new, old, new_conditions, old_conditions, counterparts: OnceCell::new() }
    }

    /// The field of the old object that is this one, with an entry by its index. None where the entry is a new one.
    pub fn in_old(&self, field: Field<'a>) -> Option<Field<'a>> {
        with_entry(field, |entry| self.counterpart(self.new_conditions.index_of(entry)?))
    }

    /// Whether a field says what it said before. What our mutations fill in makes no entry another one.
    pub fn is_unchanged(&self, field: Field<'a>) -> bool {
        let (Field::Condition(entry) | Field::ConditionMember { entry, .. }) = field else {
            return is_same(field, self.new, self.old);
        };
        let Some(new) = self.new_conditions.index_of(entry) else {
            // A malformed entry that was removed said nothing.
            let old = self.old_conditions.index_of(entry);
            return old.is_none_or(|old| self.old_conditions.entries()[old].form == Form::Malformed);
        };
        let Some(old) = self.counterpart(new) else { return false };
        let condition = |conditions: &Conditions<'a>, index: usize| conditions.entries()[index].condition;
        match (field, condition(self.new_conditions, new), condition(self.old_conditions, old), entry) {
            (Field::ConditionMember { member, .. }, Some(new), Some(old), Entry::Type(_)) => {
                member_key(new, member) == member_key(old, member)
            }
            // An entry that is named by its index was found by what it says.
            _ => true,
        }
    }

    fn counterpart(&self, new: usize) -> Option<usize> {
        if let Some(old) = self.of_same_type(new) {
            return Some(old);
        }
        let counterparts = self.counterparts.get_or_init(|| self.same_entries());
        counterparts[new].or_else(|| match self.new_conditions.name(new) {
            name @ Entry::Type(_) => self.old_conditions.index_of(name),
            Entry::Index(_) => None,
        })
    }

    /// The old entry, where the type names both.
    fn of_same_type(&self, new: usize) -> Option<usize> {
        let name @ Entry::Type(_) = self.new_conditions.name(new) else { return None };
        let old = self.old_conditions.index_of(name)?;
        (self.old_conditions.name(old) == name).then_some(old)
    }

    /// Pairs the entries that no type names by what they say. Each entry of the old object is the same as one at most.
    fn same_entries(&self) -> Vec<Option<usize>> {
        let [new, old] = [self.new, self.old].map(|scan| scan.status().map_or(&[][..], |status| status.conditions()));
        if new.len().max(old.len()) > PAIRED_MAX {
            let is_same = |index: usize| old.get(index).is_some_and(|old| says_the_same(old, &new[index]));
            return (0..new.len()).map(|index| is_same(index).then_some(index)).collect();
        }
        let digests = RandomState::new();
        let keys =
            [new, old].map(|entries| entries.iter().map(|entry| EntryKey::of(entry, &digests)).collect::<Vec<_>>());
        let mut pairs = Pairs { of_new: vec![None; new.len()], is_paired: vec![false; old.len()] };
        let is_named: Vec<bool> = (0..new.len()).map(|index| self.of_same_type(index).is_some()).collect();
        // What says the same takes its counterpart before what may have been filled in does, in the new object or in the old
        // one: a controller writes again what it wrote before.
        for is_in_new in [true, false] {
            pairs.add(&keys, &is_named, is_in_new);
        }
        pairs.of_new
    }
}

/// Entries that are looked for wherever they are; in a longer list only at their place. A scan has four conditions.
const PAIRED_MAX: usize = 256;

/// For each entry of the new object the same one of the old object, and whether an entry of the old one is taken.
struct Pairs {
    of_new: Vec<Option<usize>>,
    is_paired: Vec<bool>,
}

impl Pairs {
    /// Adds pairs of entries that say the same once what may have been filled in on one side is taken away.
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
                let same = key.before_filling(filled).and_then(|key| unpaired.get_mut(&key)?.pop());
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

/// What an entry says, for finding the same one: digests of its members under a random key, since texts may be long.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum EntryKey {
    /// None where the member is absent.
    Condition([Option<u64>; 7]),
    /// It is no object.
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

    /// What it may have said before the members of [`FILLED`] whose bits are set were filled in; none where one of them is
    /// absent.
    fn before_filling(self, filled: usize) -> Option<Self> {
        let EntryKey::Condition(mut members) = self else { return (filled == 0).then_some(self) };
        for (bit, member) in FILLED.into_iter().enumerate() {
            if filled >> bit & 1 == 1 {
                members[member as usize].take()?;
            }
        }
        Some(EntryKey::Condition(members))
    }
}

/// What a leaf says.
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

fn says_the_same(one: &Container<'_, Condition<'_>>, other: &Container<'_, Condition<'_>>) -> bool {
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

/// The field with its entry by an index that `index` gives.
pub fn with_entry<'a>(field: Field<'a>, index: impl FnOnce(Entry<'a>) -> Option<usize>) -> Option<Field<'a>> {
    Some(match field {
        Field::Condition(entry) => Field::Condition(Entry::Index(index(entry)?)),
        Field::ConditionMember { entry, member } => {
            Field::ConditionMember { entry: Entry::Index(index(entry)?), member }
        }
        other => other,
    })
}

/// Whether both scans say the same in a field that is not of a condition.
fn is_same(field: Field<'_>, new: &Scan<'_>, old: &Scan<'_>) -> bool {
    match field {
        Field::Status => new.has_same_status(old),
        Field::Conditions => both(new, old, |status| Some(&status.conditions)),
        Field::CveCount(container) => both(new, old, |status| Some(status.cve_count.get(container))),
        Field::ScannedBy => both(new, old, |status| Some(&status.scanned_by)),
        Field::Scanner => both(new, old, |status| Some(&status.scanned_by.present()?.scanner)),
        Field::Artifact(artifact) => both(new, old, |status| Some(artifact.of(status))),
        Field::Source { artifact, source } => both(new, old, |status| Some(artifact.of(status).present()?.get(source))),
        _ => leaf(field, new) == leaf(field, old),
    }
}

fn both<'s, 'a: 's, T: PartialEq>(
    new: &'s Scan<'a>,
    old: &'s Scan<'a>,
    part: impl Fn(&'s Status<'a>) -> Option<T>,
) -> bool {
    new.status().and_then(&part) == old.status().and_then(&part)
}

/// What a leaf holds; none where it is absent, as the empty string is in a field of text.
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
            return given(status?.cve_count.get(container).present()?.get(count, key));
        }
        Field::ObservedGeneration => return given(&status?.observed_generation),
        Field::Generation => return given(&scan.metadata.present()?.generation),
        _ => return None,
    };
    given(json).filter(|json| json.string() != Member::Absent)
}

fn given<'s, 'a>(json: &'s Json<'a>) -> Option<&'s Json<'a>> {
    Some(json).filter(|json| !json.is_absent())
}
