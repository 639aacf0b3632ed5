//! What a mutation wants to write.

use crate::scan::{Field, Json};

/// Writes of one rule. A scan has four conditions; a list of 20,000 entries that lack what is derived is no controller's, and
/// its patch would be larger than the object. Beyond this a mutation writes nothing.
pub(super) const WRITES_MAX: usize = 64;

/// What the mutation of one rule wants to write.
#[derive(Debug, Default)]
pub struct Patch {
    pub(super) writes: Vec<Write>,
}

#[derive(Debug)]
pub(super) struct Write {
    pub(super) field: Field<'static>,
    pub(super) value: Json<'static>,
}

impl Patch {
    /// Writes `value` at `field`; a field that is there is replaced.
    pub fn set(&mut self, field: Field<'static>, value: Json<'static>) {
        self.writes.push(Write { field, value });
    }

    /// Whether there is more to write than is ever written: a rule that goes through a list can stop.
    pub fn is_full(&self) -> bool {
        self.writes.len() > WRITES_MAX
    }
}
