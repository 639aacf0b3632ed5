//! The writes that a mutation requests.

use crate::scan::{Field, Json};

/// The most writes of one rule; a mutation that requests more writes nothing. A scan has four conditions. No controller
/// writes a list of 20,000 entries without their derived fields, and the patch for such a list would be larger than the
/// object.
pub(super) const WRITES_MAX: usize = 64;

/// The writes that the mutation of one rule requests.
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
    /// Requests that `field` is set to `value`, whether or not the field exists.
    pub fn set(&mut self, field: Field<'static>, value: Json<'static>) {
        self.writes.push(Write { field, value });
    }

    /// Returns whether the limit is exceeded. A mutation that goes through a list can then stop, since nothing will be
    /// written.
    pub fn is_full(&self) -> bool {
        self.writes.len() > WRITES_MAX
    }
}
