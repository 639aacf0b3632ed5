//! What is judged: an object, what it was before, when, and by whom it is written.

use std::cell::OnceCell;

use time::OffsetDateTime;

use super::mode::Modes;
use crate::scan::{Conditions, Kind, Scan};

pub struct Change<'a> {
    pub kind: Kind,
    pub new: &'a Scan<'a>,
    /// None on CREATE, and where the object is judged by itself.
    pub old: Option<&'a Scan<'a>>,
    pub now: OffsetDateTime,
    /// Who makes the change; empty where that is not known.
    pub user: &'a str,
    /// Who may write a status; empty: everybody.
    pub status_writers: &'a [String],
    pub modes: Modes<'a>,
    conditions: OnceCell<Conditions<'a>>,
}

impl<'a> Change<'a> {
    pub fn new(kind: Kind, new: &'a Scan<'a>, old: Option<&'a Scan<'a>>, now: OffsetDateTime) -> Self {
        Change { kind, new, old, now, user: "", status_writers: &[], modes: &[], conditions: OnceCell::new() }
    }

    /// The change as made by `user`, where only `status_writers` may write a status.
    pub fn written_by(self, user: &'a str, status_writers: &'a [String]) -> Self {
        Change { user, status_writers, ..self }
    }

    /// The change as judged where the rules are set to `modes`.
    pub fn under(self, modes: Modes<'a>) -> Self {
        Change { modes, ..self }
    }

    /// The old object judged by itself.
    pub(super) fn before(&self, old: &'a Scan<'a>) -> Self {
        Change { old: None, ..self.with(old) }
    }

    /// The same change to another new object.
    pub(super) fn with<'b>(&self, new: &'b Scan<'b>) -> Change<'b>
    where
        'a: 'b,
    {
        let Change { kind, old, now, user, status_writers, modes, .. } = *self;
        Change { kind, new, old, now, user, status_writers, modes, conditions: OnceCell::new() }
    }

    /// The conditions of the new object, well formed and by type.
    pub fn conditions(&self) -> &Conditions<'a> {
        self.conditions.get_or_init(|| Conditions::of(self.new))
    }
}
