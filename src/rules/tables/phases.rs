//! Which conditions go with which phase, and which steps between phases skip a run.

use crate::engine::{Change, Severity};
use crate::scan::ConditionStatus::{self, False, True, Unknown};
use crate::scan::ConditionType::{self, PolicySucceeded, Scanning, SendingResults, Succeeded};
use crate::scan::{ConditionMember, Conditions, Field, Phase};

/// One thing that a phase does not go with.
pub struct PhaseRow {
    pub phase: Phase,
    pub severity: Severity,
    /// All of these hold.
    pub when: &'static [When],
    /// What would be right, after "… would be right".
    pub right: &'static str,
}

/// What may be the case about one condition or the policy.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// It is current and has one of these statuses.
    Is(ConditionType, &'static [ConditionStatus]),
    /// It is current or stale, and has this status.
    Has(ConditionType, ConditionStatus),
    /// There is none with this status, stale ones included.
    HasNot(ConditionType, ConditionStatus),
    /// There is none at all.
    Absent(ConditionType),
    /// A scan policy is set and the status is caught up: there has to be a verdict.
    PolicyDue,
    /// A scan policy is set and the status is not caught up.
    PolicyOfOlderSpec,
    /// No verdict is pending: one is pending after the job and before the policy is evaluated.
    PolicyNotPending,
}

const ANY: &[ConditionStatus] = &[True, False, Unknown];

const fn error(phase: Phase, when: &'static [When], right: &'static str) -> PhaseRow {
    PhaseRow { phase, severity: Severity::Error, when, right }
}

const fn warning(phase: Phase, when: &'static [When], right: &'static str) -> PhaseRow {
    PhaseRow { phase, severity: Severity::Warning, when, right }
}

pub const ROWS: &[PhaseRow] = &[
    error(Phase::Pending, &[When::Is(Scanning, &[True])], "phase Scanning"),
    warning(Phase::Pending, &[When::Is(Succeeded, ANY)], "the phase of the result, or no result before the run"),
    warning(
        Phase::Pending,
        &[When::Is(PolicySucceeded, ANY)],
        "the phase of the verdict, or no verdict before the run",
    ),
    warning(Phase::Pending, &[When::Is(Scanning, &[False])], "the phase of the finished run"),
    warning(Phase::Scanning, &[When::Is(Succeeded, &[False]), When::HasNot(Scanning, True)], "phase Error"),
    warning(
        Phase::Scanning,
        &[When::Is(PolicySucceeded, ANY), When::HasNot(Scanning, True)],
        "the phase of the verdict, or Scanning True",
    ),
    warning(Phase::Scanning, &[When::Absent(Scanning)], "a condition Scanning"),
    warning(Phase::Scanning, &[When::Is(Scanning, &[False]), When::PolicyNotPending], "the phase of the finished run"),
    warning(Phase::Scanning, &[When::Is(Succeeded, &[True]), When::PolicyNotPending], "the phase of the finished run"),
    error(Phase::Completed, &[When::Is(Scanning, &[True])], "phase Scanning, or Scanning False"),
    error(Phase::Completed, &[When::HasNot(Succeeded, True)], "Succeeded True, or phase Error"),
    error(Phase::Completed, &[When::Is(PolicySucceeded, &[False])], "phase Failed"),
    error(Phase::Completed, &[When::Is(PolicySucceeded, &[Unknown])], "phase Error"),
    error(
        Phase::Completed,
        &[When::PolicyDue, When::Absent(PolicySucceeded)],
        "PolicySucceeded True, or phase Scanning while the policy is still to come",
    ),
    warning(
        Phase::Completed,
        &[When::PolicyOfOlderSpec, When::Absent(PolicySucceeded)],
        "PolicySucceeded True once the scan policy has been evaluated",
    ),
    error(Phase::Failed, &[When::Is(Scanning, &[True])], "phase Scanning, or Scanning False"),
    error(Phase::Failed, &[When::HasNot(Succeeded, True)], "Succeeded True, or phase Error"),
    error(Phase::Failed, &[When::HasNot(PolicySucceeded, False)], "PolicySucceeded False, or phase Completed"),
    error(Phase::Error, &[When::Is(Scanning, &[True])], "phase Scanning, or Scanning False"),
    error(
        Phase::Error,
        &[When::Is(Succeeded, &[True]), When::HasNot(PolicySucceeded, Unknown), When::HasNot(SendingResults, False)],
        "Succeeded False, PolicySucceeded Unknown or SendingResults False, or the phase of a scan without an error",
    ),
    warning(
        Phase::Error,
        &[When::Absent(Succeeded), When::Absent(PolicySucceeded)],
        "a condition that says what the error is, such as Succeeded False",
    ),
    warning(
        Phase::Error,
        &[When::Is(Succeeded, &[True]), When::HasNot(PolicySucceeded, Unknown), When::Has(SendingResults, False)],
        "phase Completed or Failed: results that are not sent are no error of the scan",
    ),
];

/// Steps that a controller makes only by way of a run, so that a missing one was probably lost.
pub const JUMPS: &[(Phase, Phase)] = &[
    (Phase::Pending, Phase::Completed),
    (Phase::Pending, Phase::Failed),
    (Phase::Error, Phase::Completed),
    (Phase::Error, Phase::Failed),
    (Phase::Completed, Phase::Failed),
    (Phase::Failed, Phase::Completed),
];

impl When {
    /// Nothing holds of a malformed condition, which is neither there nor absent.
    pub fn holds(self, conditions: &Conditions<'_>, change: &Change<'_>) -> bool {
        let has_policy = change.new.has_scan_policy();
        let is_caught_up = change.new.is_caught_up();
        if !change.is_before && self.condition().is_some_and(|known| conditions.is_malformed(known)) {
            return false;
        }
        match self {
            When::Is(known, statuses) => conditions.current(known).is_some_and(|status| statuses.contains(&status)),
            When::Has(known, status) => conditions.status(known) == Some(status),
            When::HasNot(known, status) => conditions.status(known) != Some(status),
            When::Absent(known) => conditions.is_absent(known) || conditions.is_malformed(known),
            When::PolicyDue => has_policy && is_caught_up,
            When::PolicyOfOlderSpec => has_policy && !is_caught_up,
            When::PolicyNotPending => {
                let is_pending = has_policy && is_caught_up && conditions.current(PolicySucceeded).is_none();
                !is_pending && (change.is_before || !conditions.is_malformed(PolicySucceeded))
            }
        }
    }

    /// The fields that it reads. Times and generations that only tell what is stale are not read.
    pub fn reads<'a>(self, conditions: &Conditions<'a>) -> Vec<Field<'a>> {
        match self {
            When::PolicyDue | When::PolicyOfOlderSpec | When::PolicyNotPending => {
                vec![Field::ScanPolicy, Field::ObservedGeneration, Field::Generation]
            }
            _ => self.condition().map(|known| conditions.member(known, ConditionMember::Status)).into_iter().collect(),
        }
    }

    /// The condition it is about.
    pub fn condition(self) -> Option<ConditionType> {
        match self {
            When::Is(known, _) | When::Has(known, _) | When::HasNot(known, _) | When::Absent(known) => Some(known),
            When::PolicyDue | When::PolicyOfOlderSpec | When::PolicyNotPending => None,
        }
    }

    /// As in a message: `Succeeded is True`.
    pub fn description(self) -> String {
        match self {
            When::Is(known, statuses) if statuses == ANY => format!("there is a {}", known.name()),
            When::Is(known, statuses) => {
                let statuses: Vec<_> = statuses.iter().map(|status| status.name()).collect();
                format!("{} is {}", known.name(), statuses.join(" or "))
            }
            When::Has(known, status) => format!("{} is {}", known.name(), status.name()),
            When::HasNot(known, status) => {
                format!("{} is not {}", known.name(), status.name())
            }
            When::Absent(known) => format!("there is no {}", known.name()),
            When::PolicyDue => "a scan policy is set".to_owned(),
            When::PolicyOfOlderSpec => "a scan policy is set that the status has not caught up with".to_owned(),
            When::PolicyNotPending => "no policy is still to come".to_owned(),
        }
    }
}
