//! Self checks of the product of states and of the lifecycles.
#[path = "states/changes.rs"]
mod changes;
#[path = "states/mod.rs"]
mod states;

use std::collections::{BTreeSet, HashSet};
use std::fs;

use states::{Expected, Kind, Phase, Spelling, State, Status, lifecycles::lifecycles};

const KINDS: [Kind; 2] = [Kind::SourceScan, Kind::ImageScan];
const SPELLINGS: [Spelling; 2] = [Spelling::Wire, Spelling::Documented];

/// No phase, no condition, a scanPolicy, results later than Scanning.
const BARE: State = State {
    phase: None,
    scanning: None,
    succeeded: None,
    sending: None,
    policy: None,
    scan_policy: true,
    results_later: true,
};
const RUNNING: State = State { phase: Some(Phase::Scanning), scanning: Some(true), ..BARE };
const FINISHED: State =
    State { phase: Some(Phase::Scanning), scanning: Some(false), succeeded: Some(true), sending: Some(true), ..BARE };
const COMPLETED: State = State { phase: Some(Phase::Completed), policy: Some(Status::True), ..FINISHED };
const FAILED: State = State { phase: Some(Phase::Failed), policy: Some(Status::False), ..FINISHED };
const ERRORED: State = State { phase: Some(Phase::Error), succeeded: Some(false), ..BARE };

fn set(rules: &[&'static str]) -> BTreeSet<&'static str> {
    rules.iter().copied().collect()
}

#[track_caller]
fn is(state: State, denied: &[&'static str], warned: &[&'static str]) {
    let expected = Expected { denied: set(denied), warned: set(warned) };
    assert_eq!(state.expected(), expected, "{state:?} {:#?}", state.because());
}

#[test]
fn the_product_is_whole() {
    let states: Vec<State> = states::all().collect();
    assert_eq!(states.len(), 2592);
    assert_eq!(states.iter().collect::<HashSet<_>>().len(), 2592);
}

#[test]
fn an_object_is_in_its_state() {
    for state in states::all() {
        for kind in KINDS {
            for spelling in SPELLINGS {
                let object = state.object(kind, spelling);
                assert_eq!(changes::read(&object), state.facts(), "{object:#}");
                let mut old = object.clone();
                old.as_object_mut().unwrap().remove("status");
                assert_eq!(changes::broken_by_change(&old, &object), Vec::<&str>::new(), "{object:#}");
            }
        }
    }
}

#[test]
fn facts_that_must_stay_legal() {
    is(BARE, &[], &[]);
    is(State { phase: Some(Phase::Pending), ..BARE }, &[], &[]);
    is(RUNNING, &[], &[]);
    is(ERRORED, &[], &[]);
    is(FINISHED, &[], &[]);
    is(COMPLETED, &[], &[]);
    is(FAILED, &[], &[]);
    for sending in [None, Some(false)] {
        is(State { sending, ..COMPLETED }, &[], &[]);
        is(State { sending, ..FAILED }, &[], &[]);
    }
    is(State { policy: None, scan_policy: false, ..COMPLETED }, &[], &[]);
    is(State { scanning: None, ..COMPLETED }, &[], &[]);
    is(State { phase: Some(Phase::Error), policy: Some(Status::Unknown), ..FINISHED }, &[], &[]);
}

#[test]
fn stale_results_are_not_held_against_a_run() {
    for policy in [None, Some(Status::True), Some(Status::False), Some(Status::Unknown)] {
        for succeeded in [None, Some(true), Some(false)] {
            is(State { succeeded, policy, results_later: false, ..RUNNING }, &[], &[]);
        }
        // The job finished again: the old evaluation is older than the end of the job.
        is(State { policy, results_later: false, ..FINISHED }, &[], &[]);
    }
    // Unchanged conditions keep their times on a phase that is done.
    is(State { results_later: false, ..COMPLETED }, &[], &[]);
    is(State { results_later: false, ..FAILED }, &[], &[]);
    // A stale Unknown still says what the error was.
    let unknown = State { phase: Some(Phase::Error), policy: Some(Status::Unknown), ..FINISHED };
    is(State { results_later: false, ..unknown }, &[], &[]);
}

#[test]
fn broken_states_are_denied_by_their_rule() {
    is(State { succeeded: Some(true), ..RUNNING }, &["running-with-result"], &[]);
    is(State { phase: Some(Phase::Pending), ..RUNNING }, &["phase-disagrees"], &[]);
    is(State { policy: None, ..COMPLETED }, &["phase-disagrees"], &[]);
    is(State { policy: Some(Status::True), ..FAILED }, &["phase-disagrees"], &[]);
    is(State { scan_policy: false, ..COMPLETED }, &["policy-without-scanpolicy"], &[]);
    is(
        State { policy: Some(Status::False), ..COMPLETED },
        &["phase-disagrees"],
        &["compliant-artifact"], // it cannot have one, and is missed by the supply chain
    );
    is(State { phase: Some(Phase::Error), ..FINISHED }, &["phase-disagrees"], &[]);
    is(State { phase: Some(Phase::Error), sending: Some(false), ..FINISHED }, &[], &["phase-disagrees"]);
    is(State { policy: Some(Status::True), ..ERRORED }, &["policy-without-success"], &[]);
    is(State { policy: Some(Status::True), succeeded: None, ..ERRORED }, &[], &["policy-without-success"]);
    is(State { scanning: Some(true), ..COMPLETED }, &["phase-disagrees", "running-with-result"], &[]);
    is(State { phase: None, ..COMPLETED }, &[], &["phase-unknown"]);
    is(State { phase: Some(Phase::Scanning), ..BARE }, &[], &["phase-disagrees"]);
    is(State { phase: Some(Phase::Pending), scanning: Some(false), ..BARE }, &[], &["phase-disagrees"]);
}

/// A change of the rules' reading shows here.
#[test]
fn how_many_are_clean() {
    let (mut clean, mut warned, mut denied) = (0, 0, 0);
    for expected in states::all().map(|state| state.expected()) {
        match (expected.denied.is_empty(), expected.warned.is_empty()) {
            (true, true) => clean += 1,
            (true, false) => warned += 1,
            (false, _) => denied += 1,
        }
    }
    assert_eq!((clean, warned, denied), (253, 407, 1932));
}

#[test]
fn lifecycles_are_legal() {
    let lifecycles = lifecycles();
    for lifecycle in &lifecycles {
        assert!(lifecycle.steps.len() > 2);
        for (number, pair) in lifecycle.steps.windows(2).enumerate() {
            let place =
                format!("{} {:?} {:?}, step {}", lifecycle.name, lifecycle.kind, lifecycle.spelling, number + 1);
            let facts = changes::read(&pair[1]);
            assert_eq!(facts.findings(), vec![], "{place}: {:#}", pair[1]);
            assert_eq!(changes::broken_by_change(&pair[0], &pair[1]), Vec::<&str>::new(), "{place}: {:#}", pair[1]);
        }
    }
    let names: HashSet<_> = lifecycles.iter().map(|it| it.name).collect();
    assert_eq!(lifecycles.len(), names.len() * KINDS.len() * SPELLINGS.len());
}

/// The comparisons do bite: no life can be lived backwards.
#[test]
fn lifecycles_backwards_are_not() {
    for lifecycle in lifecycles() {
        let mut backwards = lifecycle.steps.windows(2).flat_map(|pair| changes::broken_by_change(&pair[1], &pair[0]));
        assert_ne!(backwards.next(), None, "{}", lifecycle.name);
    }
}

/// The captured reviews are all legal, so the table must find them so.
#[test]
fn captured_statuses_are_not_denied() {
    let mut judged = 0;
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/reviews")).unwrap() {
        let path = file.unwrap().path();
        let review: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let request = &review["request"];
        if request["subResource"] != "status" {
            continue;
        }
        judged += 1;
        let facts = changes::read(&request["object"]);
        assert_eq!(facts.findings(), vec![], "{}", path.display());
    }
    assert!(judged > 0);
}
