//! Random edits of a status, and the configuration of property tests.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed};

use super::review_edits::{Captured, Edit, captured, status_fields, value, without_unreadable_values};

/// Returns a configuration with this many cases and a fixed seed, so that each run has the same cases. PROPTEST_CASES
/// and PROPTEST_RNG_SEED override them.
pub fn config(cases: u32) -> Config {
    let given = Config { failure_persistence: None, ..Config::default() };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { cases };
    let rng_seed = if given.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { given.rng_seed };
    Config { cases, rng_seed, ..given }
}

/// Returns the captured reviews of status updates.
pub fn updates() -> Vec<&'static Captured> {
    captured().iter().filter(|captured| captured.lean["request"]["subResource"] == "status").collect()
}

/// Returns up to `at_most` edits of the status of one object.
pub fn status_edits(at_most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![(select(status_fields()), value()), likely()];
    proptest::collection::vec(edit, 0..=at_most).prop_map(without_unreadable_values)
}

/// Fields with values that the rules allow there, so that edits often lead to a legal status or to one with a single
/// error.
const LIKELY: &[(&str, &[&str])] = &[
    ("phase", &[r#""Pending""#, r#""Scanning""#, r#""Completed""#, r#""Failed""#, r#""Error""#]),
    ("scannedAt", &TIMES),
    ("conditions/0/status", &STATUSES),
    ("conditions/1/status", &STATUSES),
    ("conditions/2/status", &STATUSES),
    ("conditions/3/status", &STATUSES),
    ("conditions/0/lastTransitionTime", &TIMES),
    ("conditions/1/lastTransitionTime", &TIMES),
    ("conditions/3/lastTransitionTime", &TIMES),
    ("conditions/0/message", &[r#""The scan job is running""#, r#""The scan job terminated""#]),
    ("conditions/1/reason", &[r#""JobFinished""#, r#""Error""#]),
    (
        "conditions/3/message",
        &[r#""No CVEs were found that violated the policy""#, r#""Policy violated because of 3 CVEs""#],
    ),
    ("conditions/3", &[]),
    ("conditions/3/observedGeneration", &["0", "1"]),
    ("cveCount/critical", &["0", "1"]),
    ("cveCount/low", &["2", "12"]),
    ("cveCount/total", &["22", "3"]),
    ("observedGeneration", &["0", "1", "2"]),
];

const STATUSES: [&str; 3] = [r#""True""#, r#""False""#, r#""Unknown""#];
const TIMES: [&str; 3] = [r#""2026-11-20T08:00:00Z""#, r#""2026-11-20T08:03:00Z""#, r#""2026-11-20T09:00:00Z""#];

fn likely() -> impl Strategy<Value = Edit> {
    (select(LIKELY), any::<Index>()).prop_map(|((field, values), index)| {
        // The index behind the last value removes the field.
        let value = values.get(index.index(values.len() + 1)).map(|json| (*json).to_owned());
        (format!("/status/{field}"), value)
    })
}
