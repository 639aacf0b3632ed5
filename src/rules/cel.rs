//! The twins of the rules in CEL, and how they read a scan: one function for each rule, grouped by what the rules judge.

pub mod artifacts;
pub mod conditions;
pub mod counts;
pub mod mutations;
pub mod pairs;
pub mod phases;
pub mod reading;
pub mod shape;
pub mod spec;
pub mod spelling;
pub mod times;
pub mod variables;
pub mod vocabulary;
