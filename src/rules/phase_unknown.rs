//! `phase-unknown`: the phase is one of the five phases.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Patch, Rule, quoted_list};
use crate::rules::cel;
use crate::rules::tables::phases;
use crate::scan::{Field, Json, Member, Phase};

pub const RULE: Rule = Rule {
    id: "phase-unknown",
    title: "The phase is one of the five phases.",
    checks: "`status.phase` is exactly Pending, Scanning, Completed, Failed or Error. Anything else is an error. A missing \
             phase is a warning if the status has well-formed conditions.",
    why: "People, the GUI and `kubectl wait` look at the phase first.",
    breaks: "A reader that waits for `Completed` never sees `completed`.",
    repair: "Write one of the five phases, in this spelling. If the phase is missing and the conditions allow only one phase, \
             the mutating webhook fills it in.",
    part: Part::Status,
    check,
    mutate: Some(mutate),
    cel: Cel::Exact(cel::phases::unknown),
    examples: &[
        Example {
            title: "one of the five",
            old: None,
            new: r#"{"status": {"phase": "Pending"}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a misspelt phase",
            old: None,
            new: r#"{"status": {"phase": "Complete"}}"#,
            expect: Expectation::Denies("status.phase"),
        },
        Example {
            title: "a phase that is not a string",
            old: None,
            new: r#"{"status": {"phase": ["Completed"]}}"#,
            expect: Expectation::Denies("status.phase"),
        },
        Example {
            title: "no phase although the status has conditions",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Warns("status.phase"),
        },
        Example {
            title: "the phase is filled in from the conditions",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "Error", "message": "The scan job failed", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Mutates(r#"[{"op": "add", "path": "/status/phase", "value": "Error"}]"#),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let names = Phase::ALL.map(Phase::name);
    if status.phase.string() == Member::Absent {
        if change.conditions().well_formed().next().is_some() {
            let names = quoted_list(&names, ", ");
            let error = FieldError::required(format_args!("must be one of {names} beside conditions"));
            findings.warning(Field::Phase, error);
        }
    } else if status.phase().is_none() {
        findings.error(Field::Phase, FieldError::not_supported(&status.phase, &names));
    }
}

/// Fills in the phase that follows from the current conditions, if they allow only one.
fn mutate(change: &Change<'_>, patch: &mut Patch) {
    if change.new.status().is_none_or(|status| status.phase.string() != Member::Absent) {
        return;
    }
    let Some(phase) = phases::of_conditions(change.conditions(), change.new.has_scan_policy()) else { return };
    patch.set(Field::Phase, Json::from_text(phase.name()));
}
