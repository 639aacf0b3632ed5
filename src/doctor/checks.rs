//! The checks, in the order in which somebody would look who debugs: is it registered, as it should be, who is called,
//! with which certificate, who answers, for which kinds.

mod calls;
mod certificates;
mod kinds;
mod matching;
mod registration;
mod replicas;

use super::check::Check;

/// All of them. docs/doctor.md is made of it, and the tests sabotage an installation once for each.
pub const CHECKS: &[&[Check]] =
    &[registration::CHECKS, matching::CHECKS, calls::CHECKS, certificates::CHECKS, replicas::CHECKS, kinds::CHECKS];
