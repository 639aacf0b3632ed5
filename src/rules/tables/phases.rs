//! The table of phases: the conditions that contradict each phase, and the steps between phases that skip a run.

use crate::engine::{Change, Severity, quoted_list};
use crate::scan::ConditionStatus::{self, False, True, Unknown};
use crate::scan::ConditionType::{self, PolicySucceeded, Scanning, SendingResults, Succeeded};
use crate::scan::{ConditionMember, Conditions, Field, Phase};

/// What a phase means, and what happens next.
pub struct PhaseMeaning {
    pub phase: Phase,
    /// Follows the name of the phase.
    pub meaning: &'static str,
    pub next: &'static str,
}

pub const MEANINGS: &[PhaseMeaning] = &[
    PhaseMeaning {
        phase: Phase::Pending,
        meaning: "the scan waits to start",
        next: "The controller starts the scan job, and the phase becomes Scanning.",
    },
    PhaseMeaning {
        phase: Phase::Scanning,
        meaning: "the scan job is running, or the policy is not evaluated yet",
        next: "If the scan job fails, the phase becomes Error. Otherwise the policy is evaluated: the phase becomes Completed if the \
               artifact complies, Failed if it does not, and Error if the policy cannot be evaluated. Without a policy it \
               becomes Completed.",
    },
    PhaseMeaning {
        phase: Phase::Completed,
        meaning: "the scan succeeded, and the artifact complies with its scan policy, if the scan has a policy",
        next: "The supply chain ships the compliant artifact. The scan runs again when its spec, its template or its policy \
               changes.",
    },
    PhaseMeaning {
        phase: Phase::Failed,
        meaning: "the scan succeeded, but the artifact violates its scan policy",
        next: "The supply chain ships nothing. The scan runs again when its spec, its template or its policy changes.",
    },
    PhaseMeaning {
        phase: Phase::Error,
        meaning: "the scan failed, or the policy could not be evaluated",
        next: "The controller runs the scan again, about once a minute.",
    },
];

/// A combination of conditions that contradicts a phase.
pub struct PhaseRow {
    pub phase: Phase,
    pub severity: Severity,
    /// The statements that contradict the phase if all of them hold.
    pub when: &'static [When],
    /// The right phase, as the message says it after `must `.
    pub must: &'static str,
    /// How to resolve the contradiction, or another way to do so; may be empty.
    pub hint: &'static str,
}

/// A statement about one condition or about the scan policy.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// The condition is current and has one of these statuses.
    Is(ConditionType, &'static [ConditionStatus]),
    /// The condition, current or stale, has this status.
    Has(ConditionType, ConditionStatus),
    /// The condition, current or stale, does not have this status, or is absent.
    HasNot(ConditionType, ConditionStatus),
    /// There is no condition of this type.
    Absent(ConditionType),
    /// A scan policy is set.
    PolicySet,
    /// The status was written for the current spec.
    CaughtUp,
    /// The status was not written for the current spec, or it does not say for which spec it was written.
    NotCaughtUp,
    /// No verdict is awaited. A verdict is awaited after the job has finished and before the policy is evaluated.
    NoVerdictAwaited,
}

const ANY: &[ConditionStatus] = &[True, False, Unknown];

const fn error(phase: Phase, when: &'static [When], must: &'static str, hint: &'static str) -> PhaseRow {
    PhaseRow { phase, severity: Severity::Error, when, must, hint }
}

const fn warning(phase: Phase, when: &'static [When], must: &'static str, hint: &'static str) -> PhaseRow {
    PhaseRow { phase, severity: Severity::Warning, when, must, hint }
}

const FINISHED: &str = "be the phase of the finished run";
const STOP: &str = "or set Scanning to \"False\"";
const SUCCEED: &str = "set Succeeded to \"True\", or correct the phase";

pub const ROWS: &[PhaseRow] = &[
    error(Phase::Pending, &[When::Is(Scanning, &[True])], "be \"Scanning\"", ""),
    warning(
        Phase::Pending,
        &[When::Is(Succeeded, ANY)],
        "be the phase of the result",
        "or remove Succeeded until the run has ended",
    ),
    warning(
        Phase::Pending,
        &[When::Is(PolicySucceeded, ANY)],
        "be the phase of the verdict",
        "or remove PolicySucceeded until the policy is evaluated",
    ),
    warning(Phase::Pending, &[When::Is(Scanning, &[False])], FINISHED, ""),
    warning(Phase::Scanning, &[When::Is(Succeeded, &[False]), When::HasNot(Scanning, True)], "be \"Error\"", ""),
    warning(
        Phase::Scanning,
        &[When::Is(PolicySucceeded, ANY), When::HasNot(Scanning, True)],
        "be the phase of the verdict",
        "or set Scanning to \"True\"",
    ),
    warning(Phase::Scanning, &[When::Absent(Scanning)], "not be \"Scanning\"", "add the condition Scanning"),
    warning(Phase::Scanning, &[When::Is(Scanning, &[False]), When::NoVerdictAwaited], FINISHED, ""),
    warning(Phase::Scanning, &[When::Is(Succeeded, &[True]), When::NoVerdictAwaited], FINISHED, ""),
    error(Phase::Completed, &[When::Is(Scanning, &[True])], "be \"Scanning\"", STOP),
    error(Phase::Completed, &[When::HasNot(Succeeded, True)], "not be \"Completed\"", SUCCEED),
    error(Phase::Completed, &[When::Is(PolicySucceeded, &[False])], "be \"Failed\"", ""),
    error(Phase::Completed, &[When::Is(PolicySucceeded, &[Unknown])], "be \"Error\"", ""),
    error(
        Phase::Completed,
        &[When::PolicySet, When::CaughtUp, When::Absent(PolicySucceeded)],
        "be \"Scanning\"",
        "or add PolicySucceeded \"True\"",
    ),
    warning(
        Phase::Completed,
        &[When::PolicySet, When::NotCaughtUp, When::Absent(PolicySucceeded)],
        "not be \"Completed\"",
        "add PolicySucceeded once the policy is evaluated",
    ),
    error(Phase::Failed, &[When::Is(Scanning, &[True])], "be \"Scanning\"", STOP),
    error(Phase::Failed, &[When::HasNot(Succeeded, True)], "not be \"Failed\"", SUCCEED),
    error(
        Phase::Failed,
        &[When::HasNot(PolicySucceeded, False)],
        "not be \"Failed\"",
        "set the phase of the verdict, or PolicySucceeded to \"False\"",
    ),
    error(Phase::Error, &[When::Is(Scanning, &[True])], "be \"Scanning\"", STOP),
    error(
        Phase::Error,
        &[When::Is(Succeeded, &[True]), When::HasNot(PolicySucceeded, Unknown), When::HasNot(SendingResults, False)],
        "not be \"Error\"",
        "set the condition that failed",
    ),
    warning(
        Phase::Error,
        &[When::Absent(Succeeded), When::Absent(PolicySucceeded)],
        "not be \"Error\"",
        "add the condition that failed, such as Succeeded \"False\"",
    ),
    warning(
        Phase::Error,
        &[When::Is(Succeeded, &[True]), When::HasNot(PolicySucceeded, Unknown), When::Has(SendingResults, False)],
        "be the phase of the verdict",
        "",
    ),
];

/// Pairs of phases with a run between them. If a write changes the first into the second, the write of the run was probably lost.
pub const JUMPS: &[(Phase, Phase)] = &[
    (Phase::Pending, Phase::Completed),
    (Phase::Pending, Phase::Failed),
    (Phase::Error, Phase::Completed),
    (Phase::Error, Phase::Failed),
    (Phase::Completed, Phase::Failed),
    (Phase::Failed, Phase::Completed),
];

/// Returns the phase that follows from the current conditions, if they allow only one.
pub fn of_conditions(conditions: &Conditions<'_>, has_scan_policy: bool) -> Option<Phase> {
    let [scanning, succeeded, policy] = [Scanning, Succeeded, PolicySucceeded].map(|known| conditions.current(known));
    let has_no_policy = conditions.is_absent(PolicySucceeded) && !has_scan_policy;
    match (scanning, succeeded, policy) {
        (Some(True), _, _) => Some(Phase::Scanning),
        (_, Some(False), _) | (_, _, Some(Unknown)) => Some(Phase::Error),
        (_, Some(True), Some(False)) => Some(Phase::Failed),
        (_, Some(True), Some(True)) => Some(Phase::Completed),
        (_, Some(True), None) if has_no_policy => Some(Phase::Completed),
        _ => None,
    }
}

impl PhaseRow {
    /// Describes the contradiction: `must be "Error" while Succeeded is "False" and Scanning is not "True"`.
    pub fn detail(&self) -> String {
        let hint = if self.hint.is_empty() { String::new() } else { format!("; {}", self.hint) };
        format!("must {} while {}{hint}", self.must, self.description())
    }

    /// Describes the contradiction: `Succeeded is "False" and Scanning is not "True"`.
    pub fn description(&self) -> String {
        let statements: Vec<_> = self.when.iter().map(|when| when.description()).collect();
        match statements.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
            _ => statements.concat(),
        }
    }
}

impl When {
    /// Reports whether the statement holds. No statement about a malformed condition holds, since it is neither present nor absent.
    pub fn holds(self, conditions: &Conditions<'_>, change: &Change<'_>) -> bool {
        let has_policy = change.new.has_scan_policy();
        let is_caught_up = change.new.is_caught_up();
        if !change.is_old_object && self.condition().is_some_and(|known| conditions.is_malformed(known)) {
            return false;
        }
        match self {
            When::Is(known, statuses) => conditions.current(known).is_some_and(|status| statuses.contains(&status)),
            When::Has(known, status) => conditions.status(known) == Some(status),
            When::HasNot(known, status) => conditions.status(known) != Some(status),
            When::Absent(known) => conditions.is_absent(known) || conditions.is_malformed(known),
            When::PolicySet => has_policy,
            When::CaughtUp => is_caught_up,
            When::NotCaughtUp => !is_caught_up,
            When::NoVerdictAwaited => {
                let is_awaited = has_policy && is_caught_up && conditions.current(PolicySucceeded).is_none();
                !is_awaited && (change.is_old_object || !conditions.is_malformed(PolicySucceeded))
            }
        }
    }

    /// Returns the fields that the statement reads. Times and generations that only decide whether a condition is stale are left out.
    pub fn reads<'a>(self, conditions: &Conditions<'a>) -> Vec<Field<'a>> {
        match self {
            When::PolicySet => vec![Field::ScanPolicy],
            When::CaughtUp | When::NotCaughtUp => vec![Field::ObservedGeneration, Field::Generation],
            When::NoVerdictAwaited => vec![Field::ScanPolicy, Field::ObservedGeneration, Field::Generation],
            _ => self.condition().map(|known| conditions.member(known, ConditionMember::Status)).into_iter().collect(),
        }
    }

    /// Returns the condition that the statement is about.
    pub fn condition(self) -> Option<ConditionType> {
        match self {
            When::Is(known, _) | When::Has(known, _) | When::HasNot(known, _) | When::Absent(known) => Some(known),
            When::PolicySet | When::CaughtUp | When::NotCaughtUp | When::NoVerdictAwaited => None,
        }
    }

    /// Describes the statement for a message: `Succeeded is "True"`.
    fn description(self) -> String {
        match self {
            When::Is(known, statuses) if statuses == ANY => format!("there is a current condition {}", known.name()),
            When::Is(known, statuses) => {
                let statuses: Vec<_> = statuses.iter().map(|status| status.name()).collect();
                format!("{} is {}", known.name(), quoted_list(&statuses, " or "))
            }
            When::Has(known, status) => format!("{} is \"{}\"", known.name(), status.name()),
            When::HasNot(known, status) => format!("{} is not \"{}\"", known.name(), status.name()),
            When::Absent(known) => format!("there is no condition {}", known.name()),
            When::PolicySet => "spec.scanPolicy is set".to_owned(),
            When::CaughtUp => "the status is caught up".to_owned(),
            When::NotCaughtUp => "the status is not caught up".to_owned(),
            When::NoVerdictAwaited => "no verdict is awaited".to_owned(),
        }
    }
}
