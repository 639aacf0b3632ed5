//! Self checks of the product of states and of the lifecycles.

use std::collections::{BTreeSet, HashSet};
use std::fs;

use super::changes;
use super::lifecycles::{lifecycles, warned_lifecycles};
use crate::states::{self, Case, Expected, Kind, Observed, Phase, Spelling, State, Status};

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
    let others = Case::of_generations().chain(Case::of_other_artifacts()).map(|case| (Kind::SourceScan, case));
    for (kind, case) in Case::of_artifacts().chain(others).step_by(7) {
        let object = case.object(kind, Spelling::Wire);
        assert_eq!(changes::read(&object), case.facts(), "{object:#}");
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
    // A verdict that the removed policy left.
    is(State { scan_policy: false, results_later: false, ..COMPLETED }, &[], &[]);
}

/// "Results under Pending or Scanning are old ones that a new run has not replaced yet."
#[test]
fn a_rescan_may_begin_with_the_phase() {
    for phase in [Phase::Pending, Phase::Scanning] {
        for state in [COMPLETED, FAILED, ERRORED, State { policy: Some(Status::Unknown), ..FINISHED }] {
            is(State { phase: Some(phase), ..state }, &[], &["phase-disagrees"]);
        }
    }
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
    // It ships nothing, and is missed by the supply chain.
    is(State { policy: None, ..COMPLETED }, &["phase-disagrees"], &["compliant-artifact"]);
    is(State { policy: Some(Status::True), ..FAILED }, &["phase-disagrees"], &[]);
    is(State { scan_policy: false, ..COMPLETED }, &["policy-without-scanpolicy"], &[]);
    is(State { policy: Some(Status::False), ..COMPLETED }, &["phase-disagrees"], &["compliant-artifact"]);
    is(State { phase: Some(Phase::Error), ..FINISHED }, &["phase-disagrees"], &[]);
    is(State { phase: Some(Phase::Error), sending: Some(false), ..FINISHED }, &[], &["phase-disagrees"]);
    is(State { policy: Some(Status::True), ..ERRORED }, &["policy-without-success"], &[]);
    is(State { policy: Some(Status::True), succeeded: None, ..ERRORED }, &[], &["policy-without-success"]);
    is(State { scanning: Some(true), ..COMPLETED }, &["phase-disagrees", "running-with-result"], &[]);
    is(State { phase: None, ..COMPLETED }, &[], &["phase-unknown"]);
    is(State { phase: Some(Phase::Scanning), ..BARE }, &[], &["phase-disagrees"]);
    is(State { phase: Some(Phase::Pending), scanning: Some(false), ..BARE }, &[], &["phase-disagrees"]);
}

#[track_caller]
fn has(case: Case, rule: &str, denied: bool, warned: bool) {
    let expected = case.facts().expected();
    let found = (expected.denied.contains(rule), expected.warned.contains(rule));
    assert_eq!(found, (denied, warned), "{rule}: {case:?} {:#?}", case.facts().findings());
}

#[test]
fn what_ships_is_what_passed() {
    let rule = "compliant-artifact";
    let of = |state: State| Case { compliant: Some(states::Compliant::Same), ..state.case() };
    has(of(COMPLETED), rule, false, false);
    has(of(FAILED), rule, true, false);
    has(of(ERRORED), rule, false, true);
    let observed = |state: State| Observed::ALL.map(|observed| Case { observed, ..of(state) });
    // Shipped without a verdict.
    for case in
        [observed(State { policy: None, ..COMPLETED }), observed(State { policy: None, phase: None, ..COMPLETED })]
            .into_iter()
            .flatten()
    {
        let is_denied = matches!(case.observed, Observed::Absent | Observed::Current);
        has(case, rule, is_denied, !is_denied);
    }
    // Against a verdict, stale or not, whatever the generations are.
    for state in [COMPLETED, RUNNING, FINISHED, ERRORED, BARE, State { results_later: false, ..RUNNING }] {
        for case in observed(State { policy: Some(Status::False), ..state }) {
            has(case, rule, true, state.phase == Some(Phase::Error));
        }
    }
    // Nobody asked.
    has(of(State { policy: Some(Status::False), scan_policy: false, ..RUNNING }), rule, false, false);
    // A rescan keeps what ships.
    has(of(RUNNING), rule, false, false);
    has(of(State { policy: None, ..FINISHED }), rule, false, false);
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
    assert_eq!((clean, warned, denied), (265, 785, 1542));
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
            assert_eq!(changes::impossible(&pair[0], &pair[1]), Vec::<&str>::new(), "{place}: {:#}", pair[1]);
        }
    }
    let names: HashSet<_> = lifecycles.iter().map(|it| it.name).collect();
    assert_eq!(lifecycles.len(), names.len() * KINDS.len() * SPELLINGS.len());
}

/// What only new beside old shows is a warning: the table of one object denies nothing in them.
#[test]
fn warned_lifecycles_are_legal() {
    for lifecycle in warned_lifecycles() {
        let mut warned = 0;
        for pair in lifecycle.steps.windows(2) {
            let expected = changes::read(&pair[1]).expected();
            assert_eq!(expected.denied, BTreeSet::new(), "{}: {:#}", lifecycle.name, pair[1]);
            warned += expected.warned.len() + changes::broken_by_change(&pair[0], &pair[1]).len();
        }
        assert!(warned > 0, "{} belongs to the lives without a warning", lifecycle.name);
    }
}

/// The comparisons do bite: no life can be lived backwards.
#[test]
fn lifecycles_backwards_are_not() {
    for lifecycle in lifecycles() {
        let mut backwards = lifecycle.steps.windows(2).flat_map(|pair| changes::broken_by_change(&pair[1], &pair[0]));
        // Nothing but its beginning is told of that one.
        assert!(backwards.next().is_some() || lifecycle.name == "first scan errors", "{}", lifecycle.name);
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
