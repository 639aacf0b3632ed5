//! Edits of a status, and how many reviews a property is tried on.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed};

use crate::support::review_edits::{Captured, Edit, captured, readable, status_fields, value};

/// At least `cases` of them, and the same ones every time; PROPTEST_CASES and PROPTEST_RNG_SEED say otherwise.
pub fn config(cases: u32) -> Config {
    let given = Config { failure_persistence: None, ..Config::default() };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { cases };
    let rng_seed = if given.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { given.rng_seed };
    Config { cases, rng_seed, ..given }
}

/// The captured reviews of status updates.
pub fn updates() -> Vec<&'static Captured> {
    captured().iter().filter(|captured| captured.lean["request"]["subResource"] == "status").collect()
}

/// Edits of the status of one object.
pub fn status_edits(at_most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![(select(status_fields()), value()), likely()];
    proptest::collection::vec(edit, 0..=at_most).prop_map(readable)
}

/// Fields with what the rules let them say, so that edits lead from one legal status to another, or just beside.
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
        // One more than there are: none.
        let value = values.get(index.index(values.len() + 1)).map(|json| (*json).to_owned());
        (format!("/status/{field}"), value)
    })
}
