//! What a mutation wants to write.

use crate::scan::{Field, Json};

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
}
