//! Tests of the product of states and of the lifecycles themselves.

use std::collections::{BTreeSet, HashSet};
use std::fs;

use super::changes;
use crate::states::lifecycles::{lifecycles, warned_lifecycles};
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
    assert_eq!(state.expected(), expected, "{state:?} {:#?}", state.findings());
}

#[test]
fn the_product_has_every_state_once() {
    let states: Vec<State> = states::all().collect();
    assert_eq!(states.len(), 2592);
    assert_eq!(states.iter().collect::<HashSet<_>>().len(), 2592);
}

#[test]
fn an_object_reads_back_as_its_state() {
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
fn states_that_must_stay_legal() {
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
    // PolicySucceeded of a policy that was removed since.
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
fn stale_results_violate_nothing_during_a_run() {
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
    // The phase disagrees, and compliantArtifact is absent on Completed.
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
fn only_a_passed_artifact_may_be_compliant() {
    let rule = "compliant-artifact";
    let of = |state: State| Case { compliant: Some(states::Compliant::Same), ..state.case() };
    has(of(COMPLETED), rule, false, false);
    has(of(FAILED), rule, true, false);
    has(of(ERRORED), rule, false, true);
    let observed = |state: State| Observed::ALL.map(|observed| Case { observed, ..of(state) });
    // A compliantArtifact without PolicySucceeded.
    for case in
        [observed(State { policy: None, ..COMPLETED }), observed(State { policy: None, phase: None, ..COMPLETED })]
            .into_iter()
            .flatten()
    {
        let is_denied = matches!(case.observed, Observed::Absent | Observed::Current);
        has(case, rule, is_denied, !is_denied);
    }
    // A compliantArtifact beside PolicySucceeded=False, stale or not, with any generations.
    for state in [COMPLETED, RUNNING, FINISHED, ERRORED, BARE, State { results_later: false, ..RUNNING }] {
        for case in observed(State { policy: Some(Status::False), ..state }) {
            has(case, rule, true, state.phase == Some(Phase::Error));
        }
    }
    // Without a scanPolicy.
    has(of(State { policy: Some(Status::False), scan_policy: false, ..RUNNING }), rule, false, false);
    // A rescan keeps compliantArtifact.
    has(of(RUNNING), rule, false, false);
    has(of(State { policy: None, ..FINISHED }), rule, false, false);
}

/// A change of the table changes these numbers.
#[test]
fn the_numbers_of_clean_warned_and_denied_states() {
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
            let case = format!("{} {:?} {:?}, step {}", lifecycle.name, lifecycle.kind, lifecycle.spelling, number + 1);
            let facts = changes::read(&pair[1]);
            assert_eq!(facts.findings(), vec![], "{case}: {:#}", pair[1]);
            assert_eq!(changes::broken_by_change(&pair[0], &pair[1]), Vec::<&str>::new(), "{case}: {:#}", pair[1]);
            assert_eq!(changes::impossible(&pair[0], &pair[1]), Vec::<&str>::new(), "{case}: {:#}", pair[1]);
        }
    }
    let names: HashSet<_> = lifecycles.iter().map(|it| it.name).collect();
    assert_eq!(lifecycles.len(), names.len() * KINDS.len() * SPELLINGS.len());
}

/// Findings that only the comparison of old and new shows are warnings, and the table of single objects denies nothing.
#[test]
fn warned_lifecycles_have_warnings_and_no_errors() {
    for lifecycle in warned_lifecycles() {
        let mut warned = 0;
        for pair in lifecycle.steps.windows(2) {
            let expected = changes::read(&pair[1]).expected();
            assert_eq!(expected.denied, BTreeSet::new(), "{}: {:#}", lifecycle.name, pair[1]);
            warned += expected.warned.len() + changes::broken_by_change(&pair[0], &pair[1]).len();
        }
        assert!(warned > 0, "{} has no warning: move it to LIFECYCLES", lifecycle.name);
    }
}

/// The comparisons find errors: every lifecycle violates a rule when it is reversed.
#[test]
fn reversed_lifecycles_break_a_rule() {
    for lifecycle in lifecycles() {
        let mut backwards = lifecycle.steps.windows(2).flat_map(|pair| changes::broken_by_change(&pair[1], &pair[0]));
        // The errored first scan has too few steps to violate a rule.
        assert!(backwards.next().is_some() || lifecycle.name == "first scan errors", "{}", lifecycle.name);
    }
}

/// All captured reviews are legal, so the table must have no finding for them.
#[test]
fn captured_statuses_have_no_findings() {
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
