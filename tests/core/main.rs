//! Tests of the rules, the engine and the answers to AdmissionReviews. They need no feature of the crate.

mod admission;
mod answers;
mod artifact_source;
mod condition_vocabulary;
mod damaged_statuses;
mod engine;
mod events;
mod findings;
mod fuzzed_inputs;
mod house;
mod json_reader;
mod messages;
mod mutations;
mod properties;
mod ratchet;
mod reading_values;
mod rule_examples;
mod states;
mod status_writer;
#[path = "../support"]
mod support {
    pub mod count_names;
    pub mod fuzz_corpus;
    pub mod fuzzed;
    pub mod json_checks;
    pub mod naive;
    pub mod panicking_rule;
    pub mod review_checks;
    pub mod review_context;
    pub mod review_edits;
    pub mod reviews;
    pub mod state_facts;
    pub mod state_rules;
    pub mod states;
    pub mod status_edits;
    pub mod structured;
}
mod timestamps;
mod transitions;
mod webhooks;
