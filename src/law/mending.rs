//! Mends: derived fields, filled in or recomputed on our own copy first, so that the patch is known to apply.

use time::OffsetDateTime;

use super::{Change, Rule};
use crate::scan::{Entry, Field, Json, Kind, Member, Scan};

/// What the mends of one rule want written.
#[derive(Debug, Default)]
pub struct Patch {
    writes: Vec<(Field<'static>, Json<'static>)>,
}

impl Patch {
    /// Writes `value` at `field`; a field that is there is replaced.
    pub fn set(&mut self, field: Field<'static>, value: Json<'static>) {
        self.writes.push((field, value));
    }
}

/// One write that was made on our own copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub rule: &'static str,
    pub field: Field<'static>,
    /// What was there, where something was: the change is then told to the user.
    pub was: Option<String>,
    pub value: Json<'static>,
}

/// Asks every rule to mend `new`, each on what the ones before it left, and returns the mended copy (none where there
/// was nothing to do) and the writes that made it.
pub fn mend<'a>(
    rules: &[Rule],
    kind: Kind,
    new: &Scan<'a>,
    old: Option<&Scan<'a>>,
    now: OffsetDateTime,
) -> (Option<Scan<'a>>, Vec<Operation>) {
    let mut copy: Option<Scan<'a>> = None;
    let mut operations = Vec::new();
    for (rule, mend) in rules.iter().filter_map(|rule| Some((rule, rule.mend?))) {
        let mut patch = Patch::default();
        mend(&Change::new(kind, copy.as_ref().unwrap_or(new), old, now), &mut patch);
        for (field, value) in patch.writes {
            let place = place(copy.get_or_insert_with(|| new.clone()), &field);
            let Some(place) = place.filter(|place| **place != value) else { continue };
            let was = (!place.is_absent()).then(|| place.as_str().to_owned());
            *place = value.clone();
            operations.push(Operation { rule: rule.id, field, was, value });
        }
    }
    (copy, operations)
}

/// The place of a derived field, where its parent is there. No other field can be written.
fn place<'s, 'a>(scan: &'s mut Scan<'a>, field: &Field<'_>) -> Option<&'s mut Json<'a>> {
    let status = scan.status.is_mut()?;
    match field {
        Field::Phase => Some(&mut status.phase),
        Field::ScannedAt => Some(&mut status.scanned_at),
        Field::ConditionMember(Entry::Index(index), member) => {
            Some(&mut status.conditions.is_mut()?.get_mut(*index).and_then(Member::is_mut)?[*member])
        }
        Field::Count(container, count, key) => {
            Some(status.cve_count.get_mut(*container).is_mut()?.get_mut(*count, *key))
        }
        _ => None,
    }
}
