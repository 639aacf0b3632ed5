//! Random and malformed cases.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use serde_json::Value;

use super::case::{Case, NOW, Request};
use crate::support::review_edits::{Edit, edited, edits};
use crate::support::states::{self, Kind, Spelling};
use crate::support::status_edits::{config, status_edits, updates};

/// The number of random cases. PROPTEST_CASES sets another one, and PROPTEST_RNG_SEED another seed.
const CASES: u32 = 2_500;

/// Times of the request, near and far from the times of the objects.
const TIMES: [&str; 5] =
    [NOW, "2026-11-20T08:01:01Z", "2026-11-20T08:03:00Z", "2026-11-20T07:56:00Z", "2026-11-20T07:54:59Z"];

/// Returns captured updates and states with edits in the new and in the old object.
pub fn cases() -> impl Iterator<Item = Case> {
    let config = config(CASES);
    if let RngSeed::Fixed(seed) = config.rng_seed {
        eprintln!("PROPTEST_RNG_SEED={seed} PROPTEST_CASES={}", config.cases);
    }
    let count = config.cases;
    let strategy = case();
    let mut runner = TestRunner::new(config);
    (0..count).filter_map(move |_| strategy.new_tree(&mut runner).expect("a case").current())
}

/// The two objects of a status update.
fn objects() -> impl Strategy<Value = (Value, Value)> {
    let captured = select(updates()).prop_map(|captured| {
        let request = &captured.lean["request"];
        (request["object"].clone(), request["oldObject"].clone())
    });
    let all: Vec<states::State> = states::all().collect();
    let kinds = select(&[Kind::SourceScan, Kind::ImageScan][..]);
    let spellings = select(&[Spelling::Wire, Spelling::Documented][..]);
    let states = (kinds, spellings, select(all.clone()), select(all))
        .prop_map(|(kind, spelling, new, old)| (new.object(kind, spelling), old.object(kind, spelling)));
    prop_oneof![captured, states]
}

/// None where an edit is of another part of the review, or not JSON to serde_json.
fn case() -> impl Strategy<Value = Option<Case>> {
    let request = prop_oneof![8 => Just(Request::UpdateStatus), 1 => Just(Request::Update), 1 => Just(Request::Create)];
    let is_unchanged = prop_oneof![3 => Just(false), 1 => Just(true)];
    let all =
        (objects(), status_edits(5), status_edits(3), edits(), is_unchanged, request, select(&TIMES[..]), 0..12_u8);
    all.prop_map(|(objects, new, old, both, is_unchanged, request, now, deleting)| {
        let both: Vec<Edit> = both.into_iter().filter_map(of_object).take(1).collect();
        let new_object = read(&objects.0, &[new, both.clone()].concat())?;
        let old_object = if is_unchanged { new_object.clone() } else { objects.1 };
        let old_object = read(&old_object, &[old, both].concat())?;
        let mut case = Case::update("random", new_object, old_object).sent_as(request).at(now);
        if deleting == 0 {
            case.new["metadata"]["deletionTimestamp"] = NOW.into();
        }
        Some(case)
    })
}

/// Returns an edit of a review as an edit of an object, if it is one of its spec or status.
fn of_object((field, value): Edit) -> Option<Edit> {
    let field = field.strip_prefix("/request/object")?;
    (field.starts_with("/spec") || field.starts_with("/status")).then(|| (field.to_owned(), value))
}

/// None for a float that serde_json reads as another one when it has written it.
fn read(object: &Value, edits: &[Edit]) -> Option<Value> {
    // serde_json reads 127 levels, and the object has to leave one for the result that it is part of.
    let mut within: Value = serde_json::from_str(&format!("[[{}]]", edited(object, edits))).ok()?;
    (serde_json::from_str::<Value>(&within.to_string()).ok()? == within).then(|| within[0][0].take())
}
