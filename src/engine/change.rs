//! The change that rules judge: the new object, the old object, the time and the user.

use std::cell::OnceCell;
use std::rc::Rc;

use time::OffsetDateTime;

use super::comparison::Comparison;
use super::mode::Modes;
use crate::scan::{Conditions, Kind, Scan};

/// A change to a scan, and everything else that rules may read.
pub struct Change<'a> {
    pub kind: Kind,
    pub new: &'a Scan<'a>,
    /// `None` on CREATE, and when an object is judged by itself.
    pub old: Option<&'a Scan<'a>>,
    pub now: OffsetDateTime,
    /// The user who makes the change; empty if unknown.
    pub user: &'a str,
    /// The users who may write a status; if empty, all users may.
    pub status_writers: &'a [String],
    pub modes: Modes<'a>,
    /// Whether `new` is the old object, judged for the ratchet. Rules then also check parts that they skip in a new
    /// object because another rule reports them, such as parts of the wrong type, and they treat a malformed condition
    /// as absent. Otherwise an error that was hidden by such a part would count as new once the part is corrected or
    /// removed.
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

    /// Sets the user who makes the change, and the users who may write a status.
    pub fn with_user(self, user: &'a str, status_writers: &'a [String]) -> Self {
        Change { user, status_writers, ..self }
    }

    /// Sets the modes of the rules.
    pub fn with_modes(self, modes: Modes<'a>) -> Self {
        Change { modes, ..self }
    }

    /// Returns whether the user may write a status.
    pub fn may_write_status(&self) -> bool {
        self.status_writers.is_empty() || self.status_writers.iter().any(|writer| writer == self.user)
    }

    /// Returns the conditions of the new object, which are read once.
    pub fn conditions(&self) -> &Rc<Conditions<'a>> {
        self.conditions.get_or_init(|| Rc::new(Conditions::of(self.new)))
    }

    /// Returns the conditions of the old object, which are read once.
    pub fn old_conditions(&self) -> Option<&Rc<Conditions<'a>>> {
        let old = self.old?;
        Some(self.old_conditions.get_or_init(|| Rc::new(Conditions::of(old))))
    }

    /// Returns the comparison of the new object with the old one; `None` if there is no old object.
    pub(super) fn comparison(&self) -> Option<Comparison<'_, 'a>> {
        Some(Comparison::new((self.new, self.conditions()), (self.old?, self.old_conditions()?)))
    }

    /// Returns a change whose new object is the old one, to judge that by itself; `None` if there is no old object.
    pub(super) fn for_old_object(&self) -> Option<Self> {
        let conditions = Rc::clone(self.old_conditions()?).into();
        let old = self.with_new(self.old?);
        Some(Change { old: None, is_old_object: true, conditions, old_conditions: OnceCell::new(), ..old })
    }

    /// Returns the same change with another new object.
    pub(super) fn with_new<'b>(&self, new: &'b Scan<'b>) -> Change<'b>
    where
        'a: 'b,
    {
        let Change { kind, old, now, user, status_writers, modes, .. } = *self;
        let old_conditions = self.old_conditions.get().map_or_else(OnceCell::new, |known| Rc::clone(known).into());
        Change { user, status_writers, modes, old_conditions, ..Change::new(kind, new, old, now) }
    }
}
