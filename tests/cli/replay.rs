//! Tests `replay`: which events are judged and how, the forms and the damage of logs, the formats of the report, and the
//! exit codes. tests/cluster/replay.rs replays logs that a real API server has written.

mod input;
mod log;
mod memory;
mod origins;
mod output;
mod webhooks;
mod writes;
