//! The product of states of RULES §7 with its expected findings, which the table in support states.

mod changes;
mod self_checks;

pub use crate::support::state_rules::{self as rules, Comparison, Entry, Expected, Facts};
pub use crate::support::states::{Case, Compliant, Kind, Observed, Phase, Spelling, State, Status, all, lifecycles};
use crate::support::states::{PHASES, POLICIES};

impl Phase {
    pub fn named(name: &str) -> Option<Phase> {
        PHASES.into_iter().flatten().find(|phase| phase.name() == name)
    }
}

impl Status {
    pub fn named(name: &str) -> Option<Status> {
        POLICIES.into_iter().flatten().find(|status| status.name() == name)
    }
}
