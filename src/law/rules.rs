//! The table of rules, in the order of the docs and of the mends: a mend sees what those above it wrote.

pub mod condition_fields;
pub mod cve_count_values;
mod cve_total;
mod phase_unknown;
mod policy_vocabulary;
mod scanning_vocabulary;
mod spelling_conflict;
mod status_shape;

use super::Rule;

/// Every rule. A new one is a file in `rules/` and its two lines here.
pub static RULES: &[Rule] = &[
    status_shape::RULE,
    condition_fields::RULE,
    scanning_vocabulary::RULE,
    policy_vocabulary::RULE,
    phase_unknown::RULE,
    cve_count_values::RULE,
    cve_total::RULE,
    spelling_conflict::RULE,
];
