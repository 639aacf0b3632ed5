//! The engine against a table that was written from the rules alone: every state, every pair of states, every life.

use std::collections::BTreeSet;

use scan_admission::admission::{self, Webhook};
use scan_admission::engine::Action;
use serde_json::{Value, json};

use crate::answers::{answer, patched};
use crate::states::{self, Case, Expected, Kind, Spelling, lifecycles};
use crate::support::review_context::context;
use crate::support::reviews::{patch, review};

/// The rules with a finding at the validating webhook.
fn found(new: &Value, old: &Value) -> Expected {
    let answer = admission::answer(review(new, Some(old)).to_string().as_bytes(), &context(Webhook::Validating));
    let of = |action| -> BTreeSet<&'static str> {
        answer.summary.findings.iter().filter(|finding| finding.action == action).map(|finding| finding.rule).collect()
    };
    Expected { denied: of(Action::Deny), warned: of(Action::Warn) }
}

fn without_status(object: &Value) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove("status");
    object
}

/// Judges every object against what the table says of it, and shows some that differ.
fn compare(cases: impl Iterator<Item = (Value, states::Facts)>) {
    let (mut differ, mut shown) = (0, Vec::new());
    for (object, facts) in cases {
        let (found, expected) = (found(&object, &without_status(&object)), facts.expected());
        differ += usize::from(found != expected);
        if found != expected && shown.len() < 10 {
            shown.push(format!("{facts:?}\n  found    {found:?}\n  expected {:#?}", facts.findings()));
        }
    }
    assert!(shown.is_empty(), "{differ} differ:\n{}", shown.join("\n"));
}

const KINDS: [Kind; 2] = [Kind::SourceScan, Kind::ImageScan];

#[test]
fn every_state_is_judged_as_the_table_says() {
    let as_written = KINDS.into_iter().flat_map(|kind| [Spelling::Wire, Spelling::Documented].map(|it| (kind, it)));
    compare(
        as_written
            .flat_map(|(kind, spelling)| states::all().map(move |state| (state.object(kind, spelling), state.facts()))),
    );
}

#[test]
fn every_state_is_judged_whatever_was_observed_and_ships() {
    compare(Case::of_artifacts().map(|(kind, case)| (case.object(kind, Spelling::Wire), case.facts())));
}

#[test]
fn every_state_is_judged_whatever_generation_its_conditions_are_of() {
    compare(Case::of_generations().map(|case| (case.object(Kind::SourceScan, Spelling::Wire), case.facts())));
}

#[test]
fn every_state_is_judged_when_something_else_was_scanned() {
    compare(KINDS.into_iter().flat_map(|kind| {
        Case::of_other_artifacts().map(move |case| (case.object(kind, Spelling::Wire), case.facts()))
    }));
}

/// Of a status that the rules find whole nothing is mutated, and every mutation leads to a status that is not worse.
#[test]
fn every_state_is_mutated_without_harm() {
    for state in states::all() {
        let object = state.object(Kind::SourceScan, Spelling::Wire);
        let old = without_status(&object);
        let (_, body) = answer(&review(&object, Some(&old)), Webhook::Mutating);
        let mutated = patched(&object, &body);
        let (before, after) = (found(&object, &old), found(&mutated, &old));
        assert!(!before.denied.is_empty() || after.denied.is_empty(), "{state:?}: {after:?}\n{}", patch(&body));
        let (_, again) = answer(&review(&mutated, Some(&old)), Webhook::Mutating);
        assert_eq!(patch(&again), json!([]), "{state:?}");
        if before == Expected::default() {
            assert_eq!(patch(&body), json!([]), "{state:?}");
        }
    }
}

/// A life that the rules allow is lived without a word, and without a patch.
#[test]
fn every_life_passes_without_a_word() {
    for life in lifecycles::lifecycles() {
        for (number, step) in life.steps.windows(2).enumerate() {
            let says = format!("{}, step {}", life.name, number + 1);
            assert_eq!(found(&step[1], &step[0]), Expected::default(), "{says}: {:#}", step[1]["status"]);
            let (_, body) = answer(&review(&step[1], Some(&step[0])), Webhook::Mutating);
            assert_eq!(patch(&body), json!([]), "{says}");
        }
    }
}

/// A life that is legal is lived without a denial, whatever is warned of.
#[test]
fn no_step_of_a_legal_life_is_denied() {
    for life in lifecycles::warned_lifecycles() {
        for (number, step) in life.steps.windows(2).enumerate() {
            let found = found(&step[1], &step[0]);
            assert_eq!(found.denied, BTreeSet::new(), "{}, step {}: {:#}", life.name, number + 1, step[1]["status"]);
        }
    }
}
