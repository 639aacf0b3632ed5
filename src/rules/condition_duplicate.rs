//! `condition-duplicate`: one entry a type.

use crate::engine::{Change, Example, Expectation, Findings, Part, Rule, Severity};
use crate::scan::json::printable;
use crate::scan::{ConditionMember, Entry, Field};

pub const RULE: Rule = Rule {
    id: "condition-duplicate",
    title: "No two conditions have one type.",
    checks: "Each `type` is there once in `status.conditions`.",
    why: "Conditions are a map by type that JSON writes as a list.",
    breaks: "One reader takes the first entry, another the last: the same scan has succeeded and failed.",
    repair: "Replace the entry of a type instead of appending one (meta.SetStatusCondition in Go does).",
    part: Part::Status,
    check,
    mutate: None,
    examples: &[
        Example {
            title: "two types",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a type twice",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}, {"type": "Scanning", "status": "False", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[1].type"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    for (index, condition) in conditions.well_formed() {
        let Some((earlier, _)) = conditions.first_of_same_type(condition).filter(|(earlier, _)| *earlier < index) else {
            continue;
        };
        if findings.is_full(Severity::Error) {
            break;
        }
        let field = Field::ConditionMember { entry: Entry::Index(index), member: ConditionMember::Type };
        let name = printable(condition.type_name().unwrap_or_default(), 64);
        let message = format!("is {name} again, after status.conditions[{earlier}]: one entry a type would be right");
        findings.error(field, message);
    }
}
