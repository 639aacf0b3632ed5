//! What a status may say. The table of rules is in the order of the docs and of the mutations: a mutation sees what those
//! above it wrote.

mod artifact_source;
pub mod cel;
mod compliant_artifact;
mod condition_duplicate;
mod condition_fields;
mod condition_unknown_type;
mod cve_count_timing;
mod cve_count_values;
mod cve_total;
mod metadata_url;
mod observed_generation;
mod phase_disagrees;
mod phase_jump;
mod phase_unknown;
mod policy_violation_count;
mod policy_vocabulary;
mod policy_without_scanpolicy;
mod policy_without_success;
mod running_with_result;
mod scan_target;
mod scan_template;
mod scanned_at;
mod scanned_by;
mod scanning_vocabulary;
mod sending_results_vocabulary;
mod spelling_conflict;
mod status_on_create;
mod status_shape;
mod status_writer;
mod succeeded_vocabulary;
pub mod tables;
mod transition_time;

use crate::engine::{Cel, Rule};

/// Every rule. A new one is a file in `rules/` and its two lines here.
pub static RULES: &[Rule] = &linked([
    status_shape::RULE,
    condition_fields::RULE,
    condition_duplicate::RULE,
    condition_unknown_type::RULE,
    scanning_vocabulary::RULE,
    succeeded_vocabulary::RULE,
    sending_results_vocabulary::RULE,
    policy_vocabulary::RULE,
    running_with_result::RULE,
    policy_without_success::RULE,
    policy_without_scanpolicy::RULE,
    phase_unknown::RULE,
    phase_disagrees::RULE,
    phase_jump::RULE,
    // The total before the severities that are filled in as 0: so no step between leaves a wrong one.
    cve_total::RULE,
    cve_count_values::RULE,
    cve_count_timing::RULE,
    policy_violation_count::RULE,
    spelling_conflict::RULE,
    metadata_url::RULE,
    scanned_by::RULE,
    scanned_at::RULE,
    compliant_artifact::RULE,
    artifact_source::RULE,
    observed_generation::RULE,
    transition_time::RULE,
    scan_target::RULE,
    scan_template::RULE,
    status_on_create::RULE,
    status_writer::RULE,
]);

/// Returns the rules as they are linked. In WebAssembly, which generates no policies, they have no expressions in CEL: these
/// are a tenth of the code.
const fn linked<const COUNT: usize>(mut rules: [Rule; COUNT]) -> [Rule; COUNT] {
    if cfg!(target_family = "wasm") {
        let mut index = 0;
        while index < COUNT {
            rules[index].cel = Cel::Never("No policies are generated in WebAssembly.");
            index += 1;
        }
    }
    rules
}
