//! Tests of the engine against a table that was written from RULES alone: every state and every lifecycle.

use std::collections::BTreeSet;

use scan_admission::admission::{self, Webhook};
use scan_admission::engine::Action;
use serde_json::{Value, json};

use crate::answers::{answer, patched};
use crate::states::{self, Case, Expected, Kind, Spelling, lifecycles};
use crate::support::review_context::context;
use crate::support::reviews::{patch, review};

/// Returns the rules with a finding at the validating webhook.
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

/// Compares the findings for every object with the table, and prints up to ten of the objects that differ.
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
fn every_state_is_judged_with_every_compliant_artifact() {
    compare(Case::of_artifacts().map(|(kind, case)| (case.object(kind, Spelling::Wire), case.facts())));
}

#[test]
fn every_state_is_judged_with_conditions_of_every_generation() {
    compare(Case::of_generations().map(|case| (case.object(Kind::SourceScan, Spelling::Wire), case.facts())));
}

#[test]
fn every_state_is_judged_with_an_artifact_of_another_source() {
    compare(KINDS.into_iter().flat_map(|kind| {
        Case::of_other_artifacts().map(move |case| (case.object(kind, Spelling::Wire), case.facts()))
    }));
}

/// A status without findings is not mutated, and no mutation makes a valid status invalid.
#[test]
fn no_mutation_makes_a_state_worse() {
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

/// Every step of a legal lifecycle passes without a finding and without a patch.
#[test]
fn every_lifecycle_passes_without_a_finding() {
    for lifecycle in lifecycles::lifecycles() {
        for (number, step) in lifecycle.steps.windows(2).enumerate() {
            let case = format!("{}, step {}", lifecycle.name, number + 1);
            assert_eq!(found(&step[1], &step[0]), Expected::default(), "{case}: {:#}", step[1]["status"]);
            let (_, body) = answer(&review(&step[1], Some(&step[0])), Webhook::Mutating);
            assert_eq!(patch(&body), json!([]), "{case}");
        }
    }
}

/// A legal lifecycle may have warnings and has no denial.
#[test]
fn no_step_of_a_legal_lifecycle_is_denied() {
    for lifecycle in lifecycles::warned_lifecycles() {
        for (number, step) in lifecycle.steps.windows(2).enumerate() {
            let found = found(&step[1], &step[0]);
            let case = format!("{}, step {}", lifecycle.name, number + 1);
            assert_eq!(found.denied, BTreeSet::new(), "{case}: {:#}", step[1]["status"]);
        }
    }
}
