//! §6 "Ratchet": which errors the old object has, too.

use serde_json::{Map, Value, json};

use super::artifacts::as_shipped;
use super::conditions::Entry;
use super::read::{Read, Scan};
use super::{Field, Finding, Place, as_read};

/// "On UPDATE an error is downgraded to a warning when the old object breaks the same rule at the same path in the same
/// way (the same row of a table) and none of the fields that the rule read for it changed."
pub fn is_pre_existing(finding: &Finding<'_>, new: &Scan<'_>, old: &Scan<'_>, found_in_old: &[Finding<'_>]) -> bool {
    let pairs = pairs(new, old);
    let is_same_place = |other: &Place<'_>| match (&finding.place, other) {
        (Place::Field(place), Place::Field(other)) => place == other,
        (Place::Condition(entry, member), Place::Condition(other, other_member)) => {
            member == other_member && paired(&pairs, entry) == Some(other.index)
        }
        _ => false,
    };
    let is_broken_in_old = found_in_old.iter().any(|other| {
        other.is_error && (other.rule, other.row) == (finding.rule, finding.row) && is_same_place(&other.place)
    });
    is_broken_in_old && finding.reads.iter().all(|field| is_unchanged(field, &finding.place, new, old, &pairs))
}

fn is_unchanged(field: &Field, place: &Place<'_>, new: &Scan<'_>, old: &Scan<'_>, pairs: &Pairs) -> bool {
    let entry = match (field, place) {
        (Field::Path(path), _) => return at(new.object, path) == at(old.object, path),
        (Field::Own(_), Place::Condition(entry, _)) => *entry,
        (Field::Own(_), Place::Field(_)) => panic!("not a condition"),
        (Field::Of(name, _), _) => match new.condition(name) {
            Read::Is(entry) => *entry,
            // A malformed condition is not there, either.
            _ => return !old.condition(name).is_there(),
        },
    };
    let (Field::Own(member) | Field::Of(_, member)) = field else { return false };
    let Some(index) = paired(pairs, &entry) else { return false };
    let before = old.entries.iter().find(|old| old.index == index).expect("an entry");
    match (*member, entry.is_named_by_index()) {
        ("", _) => entry.json == before.json,
        // The entry is the same one, though our mutations may have filled in the member.
        (_, true) if matches!(field, Field::Of(..)) => true,
        _ => as_read(&entry.json[*member]) == as_read(&before.json[*member]),
    }
}

/// The value at a path, as it is read.
fn at(object: &Value, path: &str) -> Value {
    let value = path.split('/').fold(object, |value, key| &value[key]);
    match path {
        "status/cveCount" | "status/CVECount" => counts(value),
        "status/compliantArtifact" if value.is_object() => as_shipped(value),
        _ if path.ends_with("eneration") || path.contains("Count/") => value.clone(),
        _ => as_read(value),
    }
}

/// Counts without those that are null. An empty string is no integer, so it is not absent.
fn counts(container: &Value) -> Value {
    let Some(members) = container.as_object() else { return container.clone() };
    let there = members.iter().filter(|(_, value)| !value.is_null());
    let there: Map<String, Value> = there.map(|(key, value)| (key.clone(), value.clone())).collect();
    if there.is_empty() { json!(null) } else { there.into() }
}

const MEMBERS: [&str; 7] = ["type", "status", "reason", "message", "error", "lastTransitionTime", "observedGeneration"];

/// What our mutations may have filled in in an entry.
const FILLED: [&[&str]; 8] = [
    &[],
    &["lastTransitionTime"],
    &["reason"],
    &["lastTransitionTime", "reason"],
    &["message"],
    &["lastTransitionTime", "message"],
    &["reason", "message"],
    &["lastTransitionTime", "reason", "message"],
];

/// For each entry of the new list the index of the same entry in the old list.
type Pairs = Vec<(usize, usize)>;

fn paired(pairs: &Pairs, entry: &Entry<'_>) -> Option<usize> {
    pairs.iter().find(|(new, _)| *new == entry.index).map(|(_, old)| *old)
}

/// "List items by key; by index where the type is missing or doubled. … An entry named by its index is the same entry
/// where its JSON, less what our mutations filled in, is the same." Of several such entries each is one of the old ones.
fn pairs(new: &Scan<'_>, old: &Scan<'_>) -> Pairs {
    let mut pairs = Pairs::new();
    let mut add = |is_same: &dyn Fn(&Entry<'_>, &Entry<'_>) -> bool| {
        for new in &new.entries {
            for old in &old.entries {
                let is_free = pairs.iter().all(|pair| pair.0 != new.index && pair.1 != old.index);
                if is_free && is_same(new, old) {
                    pairs.push((new.index, old.index));
                }
            }
        }
    };
    let is_named = |new: &Entry<'_>, old: &Entry<'_>| !new.is_named_by_index() && !old.is_named_by_index();
    add(&|new, old| is_named(new, old) && new.name() == old.name());
    for filled in FILLED {
        add(&|new, old| is_equal(new, old, filled));
    }
    // A controller may repeat the write that was filled in.
    for filled in FILLED {
        add(&|new, old| is_equal(old, new, filled));
    }
    // The old list has the type of a new entry more than once: "of two entries of one type the first counts".
    for entry in new.entries.iter().filter(|entry| !entry.is_named_by_index()) {
        let Some(name) = entry.name().there().filter(|_| paired(&pairs, entry).is_none()) else { continue };
        let first = || old.entries.iter().find(|old| old.name() == Read::Is(name));
        if let Some(first) = old.condition(name).there().or_else(first) {
            pairs.push((entry.index, first.index));
        }
    }
    pairs
}

/// Whether two entries are equal less the members that were filled in in the first. Other members than those of a
/// condition are not read.
fn is_equal(entry: &Entry<'_>, other: &Entry<'_>, filled: &[&str]) -> bool {
    if !entry.json.is_object() || !other.json.is_object() {
        return entry.json == other.json;
    }
    MEMBERS.iter().all(|member| {
        let read = |value: &Value| if *member == "observedGeneration" { value.clone() } else { as_read(value) };
        let [value, other] = [entry, other].map(|entry| read(&entry.json[*member]));
        if filled.contains(member) { !value.is_null() && other.is_null() } else { value == other }
    })
}
