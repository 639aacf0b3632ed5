//! What several rules are made of, as data: what a condition may say, what goes with a phase, what counts add up to.

pub mod conditions;
pub mod counts;
pub mod phases;
pub mod vocabulary;

use time::Duration;

/// How far a time may be ahead of now: clocks in a cluster differ by seconds, and 5 minutes is what Kerberos allows.
pub const AHEAD_MAX: Duration = Duration::minutes(5);
