//! The twins of the rules about the phase.

use super::reading::{
    is_absent, is_current, is_neither, is_same_generations, is_same_in_status, is_same_member, is_same_policy, status,
};
use crate::engine::cel::{OTHER, VALUE, literals, message, shown};
use crate::engine::{FieldError, Row, Severity, View, quoted_list};
use crate::rules::tables::phases::{JUMPS, ROWS, When};
use crate::scan::{ConditionMember, ConditionStatus, ConditionType, Json, Phase};

pub fn unknown(view: View) -> Vec<Row> {
    let phases = Phase::ALL.map(Phase::name);
    let phase = view.variable("phase");
    let required =
        FieldError::required(format_args!("must be one of {} beside conditions", quoted_list(&phases, ", ")));
    vec![
        Row::error(
            format!("!({phase} in {})", literals(phases.into_iter().chain([""]))),
            "status.phase",
            message(&FieldError::not_supported(&VALUE, &phases), &phase, ""),
        )
        .unchanged([is_same_in_status("phase")]),
        Row::warning(
            format!("{phase} == '' && {}", super::conditions::has_well_formed(view)),
            "status.phase",
            message(&required, "", ""),
        ),
    ]
}

pub fn disagrees(view: View) -> Vec<Row> {
    let row = |(index, row): (usize, &crate::rules::tables::phases::PhaseRow)| {
        let when: Vec<String> = row.when.iter().map(|when| holds(view, *when)).collect();
        let when = format!("{} == '{}' && {}", view.variable("phase"), row.phase.name(), when.join(" && "));
        let error = FieldError::invalid(&Json::from_text(row.phase.name()), row.detail());
        let text = message(&error, "", "");
        match row.severity {
            Severity::Error => Row::error(when, "status.phase", text)
                .row(index)
                .unchanged([is_same_in_status("phase")])
                .unchanged(row.when.iter().flat_map(|when| reads(*when))),
            Severity::Warning => Row::warning(when, "status.phase", text),
        }
    };
    ROWS.iter().enumerate().map(row).collect()
}

/// Whether a statement of the table of phases holds.
fn holds(view: View, when: When) -> String {
    let not_neither = |known: ConditionType| match view {
        View::Old => String::new(),
        _ => format!(" && !({})", is_neither(view, known)),
    };
    let scan_policy = view.variable("scanPolicy");
    match when {
        When::Is(known, statuses) => is_current(view, known, statuses),
        When::Has(known, one) => format!("{} == '{}'", status(view, known), one.name()),
        When::HasNot(known, one) => format!("{} != '{}'{}", status(view, known), one.name(), not_neither(known)),
        When::Absent(known) => is_absent(view, known),
        When::PolicySet => format!("{scan_policy} != ''"),
        When::CaughtUp => view.variable("caughtUp"),
        When::NotCaughtUp => format!("!{}", view.variable("caughtUp")),
        When::NoVerdictAwaited => {
            let verdict = ConditionType::PolicySucceeded;
            format!(
                "({scan_policy} == '' || !{} || {}){}",
                view.variable("caughtUp"),
                is_current(view, verdict, &ConditionStatus::ALL),
                not_neither(verdict)
            )
        }
    }
}

/// Whether what a statement reads is the same in both objects.
fn reads(when: When) -> Vec<String> {
    match (when, when.condition()) {
        (_, Some(known)) => vec![is_same_member(known, ConditionMember::Status)],
        (When::PolicySet, _) => vec![is_same_policy()],
        (When::CaughtUp | When::NotCaughtUp, _) => is_same_generations().to_vec(),
        _ => is_same_generations().into_iter().chain([is_same_policy()]).collect(),
    }
}

pub fn jump(view: View) -> Vec<Row> {
    let pairs: Vec<String> = JUMPS.iter().map(|(from, to)| literals([from.name(), to.name()])).collect();
    let (old, new) = (View::Old.variable("phase"), view.variable("phase"));
    let detail = format!("must follow \"Scanning\", and not {OTHER}");
    vec![Row::warning(
        format!("oldObject != null && [{old}, {new}] in [{}]", pairs.join(", ")),
        "status.phase",
        message(&FieldError::invalid(&VALUE, detail), &new, &shown(&old)),
    )]
}
