//! The tables that several rules share, and the errors that they share.

pub mod conditions;
pub mod counts;
pub mod phases;
pub mod values;
pub mod vocabulary;

use time::Duration;

/// How far a time may be in the future. Clocks in a cluster differ by seconds. 5 minutes is the limit of Kerberos.
pub const AHEAD_MAX: Duration = Duration::minutes(5);
