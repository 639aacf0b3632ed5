//! A change that is judged: the new object, the old one, the time, and the user.

use std::cell::OnceCell;
use std::rc::Rc;

use time::OffsetDateTime;

use super::comparison::Comparison;
use super::mode::Modes;
use crate::scan::{Conditions, Kind, Scan};

pub struct Change<'a> {
    pub kind: Kind,
    pub new: &'a Scan<'a>,
    /// None on CREATE, and where the object is judged by itself.
    pub old: Option<&'a Scan<'a>>,
    pub now: OffsetDateTime,
    /// The user who makes the change; empty where that is not known.
    pub user: &'a str,
    /// The users who may write a status; where the list is empty, all may.
    pub status_writers: &'a [String],
    pub modes: Modes<'a>,
    /// Whether this is the old object, judged for the ratchet. A rule then also judges what it leaves to other rules in a new
    /// object, such as parts of the wrong type, and takes a malformed condition for absent: once these are corrected or removed,
    /// its finding in the new object is not new.
    pub is_old_object: bool,
    conditions: OnceCell<Rc<Conditions<'a>>>,
    old_conditions: OnceCell<Rc<Conditions<'a>>>,
}

impl<'a> Change<'a> {
    pub fn new(kind: Kind, new: &'a Scan<'a>, old: Option<&'a Scan<'a>>, now: OffsetDateTime) -> Self {
        Change {
            kind,
            new,
            old,
            now,
            user: "",
            status_writers: &[],
            modes: &[],
            is_old_object: false,
            conditions: OnceCell::new(),
            old_conditions: OnceCell::new(),
        }
    }

    /// The change as made by `user`, where only `status_writers` may write a status.
    pub fn with_user(self, user: &'a str, status_writers: &'a [String]) -> Self {
        Change { user, status_writers, ..self }
    }

    /// The change as judged where the rules are set to `modes`.
    pub fn with_modes(self, modes: Modes<'a>) -> Self {
        Change { modes, ..self }
    }

    /// Whether the user may write a status.
    pub fn may_write_status(&self) -> bool {
        self.status_writers.is_empty() || self.status_writers.iter().any(|writer| writer == self.user)
    }

    /// The conditions of the new object.
    pub fn conditions(&self) -> &Rc<Conditions<'a>> {
        self.conditions.get_or_init(|| Rc::new(Conditions::of(self.new)))
    }

    /// The conditions of the old object.
    pub fn old_conditions(&self) -> Option<&Rc<Conditions<'a>>> {
        let old = self.old?;
        Some(self.old_conditions.get_or_init(|| Rc::new(Conditions::of(old))))
    }

    /// Compares the new object with the old one.
    pub(super) fn comparison(&self) -> Option<Comparison<'_, 'a>> {
        Some(Comparison::new((self.new, self.conditions()), (self.old?, self.old_conditions()?)))
    }

    /// The old object judged by itself.
    pub(super) fn for_old_object(&self) -> Option<Self> {
        let conditions = Rc::clone(self.old_conditions()?).into();
        let old = self.with_new(self.old?);
        Some(Change { old: None, is_old_object: true, conditions, old_conditions: OnceCell::new(), ..old })
    }

    /// The same change to another new object.
    pub(super) fn with_new<'b>(&self, new: &'b Scan<'b>) -> Change<'b>
    where
        'a: 'b,
    {
        let Change { kind, old, now, user, status_writers, modes, .. } = *self;
        let old_conditions = self.old_conditions.get().map_or_else(OnceCell::new, |known| Rc::clone(known).into());
        Change { user, status_writers, modes, old_conditions, ..Change::new(kind, new, old, now) }
    }
}
