//! `condition-unknown-type`: every condition has one of the four types of a scan.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule, Severity};
use crate::rules::cel;
use crate::scan::{ConditionMember, ConditionType, Field};

pub const RULE: Rule = Rule {
    id: "condition-unknown-type",
    title: "Every condition has one of the four types of a scan.",
    checks: "The `type` of each condition is Scanning, Succeeded, SendingResults or PolicySucceeded. Any other type is a \
             warning.",
    why: "Kubernetes allows other types, so another type may be intended. It may also be a misspelling of one of the four.",
    breaks: "A reader that waits for `Succeeded` does not see `Suceeded`.",
    repair: "Correct the type. Ignore the warning if your own clients read the condition.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::conditions::unknown_type),
    examples: &[
        Example {
            title: "one of the four types",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a misspelt type",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Suceeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Suceeded].type"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    for (index, condition) in conditions.well_formed().filter(|(_, condition)| condition.known_type().is_none()) {
        if findings.is_full(Severity::Warning) {
            break;
        }
        let field = Field::ConditionMember { entry: conditions.name(index), member: ConditionMember::Type };
        let known = ConditionType::ALL.map(ConditionType::name);
        findings.warning(field, FieldError::not_supported(&condition[ConditionMember::Type], &known));
    }
}
