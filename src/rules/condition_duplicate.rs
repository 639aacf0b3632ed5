//! `condition-duplicate`: no two conditions have the same type.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule, Severity};
use crate::rules::cel;
use crate::scan::{ConditionMember, Entry, Field};

pub const RULE: Rule = Rule {
    id: "condition-duplicate",
    title: "No two conditions have the same type.",
    checks: "Each `type` occurs only once in `status.conditions`. A repeated type is an error.",
    why: "`status.conditions` is a map that is written as a list. The type is the key.",
    breaks: "One reader uses the first entry, and another reader uses the last. One of them sees a scan that succeeded, the \
             other a scan that failed.",
    repair: "Replace the entry of a type instead of appending another entry, as `meta.SetStatusCondition` in Go does.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::conditions::duplicate),
    examples: &[
        Example {
            title: "two types",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "the same type twice",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}, {"type": "Scanning", "status": "False", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[1].type"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    for (index, condition) in conditions.well_formed() {
        let Some((earlier, _)) = conditions.first_of_same_type(condition).filter(|(earlier, _)| *earlier < index)
        else {
            continue;
        };
        if findings.is_full(Severity::Error) {
            break;
        }
        let field = Field::ConditionMember { entry: Entry::Index(index), member: ConditionMember::Type };
        let detail = format!("must not repeat the type of status.conditions[{earlier}]");
        findings.error(field, FieldError::duplicate(&condition[ConditionMember::Type], detail));
    }
}
