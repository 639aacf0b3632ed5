//! What a change leaves as it was: which entries of the conditions are the same, and which fields are unchanged.

use std::cell::OnceCell;
use std::collections::HashMap;

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
            return self.old_conditions.index_of(entry).is_none();
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
            let is_same = |index: usize| old.get(index).is_some_and(|old| entry_key(old) == entry_key(&new[index]));
            return (0..new.len()).map(|index| is_same(index).then_some(index)).collect();
        }
        let mut unpaired: HashMap<EntryKey<'c>, Vec<usize>> = HashMap::new();
        for (index, entry) in old.iter().enumerate().rev() {
            unpaired.entry(entry_key(entry)).or_default().push(index);
        }
        let pair = |(index, entry)| {
            if self.of_same_type(index).is_some() {
                return None;
            }
            before_filling(entry_key(entry)).find_map(|key| unpaired.get_mut(&key)?.pop())
        };
        new.iter().enumerate().map(pair).collect()
    }
}

/// Entries that are looked for wherever they are; in a longer list only at their place. A scan has four conditions.
const PAIRED_MAX: usize = 256;

/// What an entry says, for finding the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum EntryKey<'s> {
    Condition([LeafKey<'s>; 7]),
    /// It is no object.
    Other(LeafKey<'s>),
}

/// What a leaf says.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum LeafKey<'s> {
    Absent,
    Text(&'s str),
    Json(&'s str),
}

impl<'s> LeafKey<'s> {
    fn of(json: &'s Json<'_>) -> Self {
        match json {
            Json::Null => LeafKey::Absent,
            Json::String(text) => LeafKey::Text(text),
            Json::Other(text) => LeafKey::Json(text),
        }
    }
}

fn entry_key<'s>(entry: &'s Container<'_, Condition<'_>>) -> EntryKey<'s> {
    match entry {
        Member::Absent => EntryKey::Other(LeafKey::Absent),
        Member::WrongType(json) => EntryKey::Other(LeafKey::of(json)),
        Member::Present(condition) => {
            EntryKey::Condition(ConditionMember::ALL.map(|member| member_key(condition, member)))
        }
    }
}

fn member_key<'s>(condition: &'s Condition<'_>, member: ConditionMember) -> LeafKey<'s> {
    match LeafKey::of(&condition[member]) {
        LeafKey::Text("") if member != ConditionMember::ObservedGeneration => LeafKey::Absent,
        key => key,
    }
}

/// What an entry may have said before our mutations filled it in.
fn before_filling(key: EntryKey<'_>) -> impl Iterator<Item = EntryKey<'_>> {
    const FILLED: [ConditionMember; 3] =
        [ConditionMember::LastTransitionTime, ConditionMember::Reason, ConditionMember::Message];
    let without = move |filled: usize| {
        let EntryKey::Condition(mut members) = key else { return (filled == 0).then_some(key) };
        for (bit, member) in FILLED.into_iter().enumerate() {
            if filled >> bit & 1 == 1 {
                members[member as usize] = LeafKey::Absent;
            }
        }
        Some(EntryKey::Condition(members))
    };
    (0..1 << FILLED.len()).filter_map(without)
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
