//! `policy-without-success`: only a scan that succeeded has a policy verdict.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::scan::ConditionStatus::{False, True};
use crate::scan::ConditionType::{PolicySucceeded, Succeeded};
use crate::scan::{ConditionMember, Json};

pub const RULE: Rule = Rule {
    id: "policy-without-success",
    title: "Only a scan that succeeded has a policy verdict.",
    checks: "A current `PolicySucceeded` that is True or False is an error while a current `Succeeded` is False. It is a \
             warning while there is no `Succeeded`.",
    why: "A scan that failed has no result that a policy could evaluate.",
    breaks: "An artifact passes the policy although its scan failed.",
    repair: "When the scan fails, remove `PolicySucceeded`, or set it to Unknown with the error.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::conditions::policy_without_success),
    examples: &[
        Example {
            title: "a verdict on a scan that succeeded",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a verdict on a scan that failed",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "Error", "message": "The scan job failed: exit 1", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[PolicySucceeded].status"),
        },
        Example {
            title: "a verdict without Succeeded",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[PolicySucceeded].status"),
        },
        Example {
            title: "no verdict because of an error",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "Error", "message": "The scan job failed: exit 1", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "Unknown", "reason": "Error", "message": "An error has occurred", "error": "rego_parse_error", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    let Some(verdict @ (True | False)) = conditions.current(PolicySucceeded) else { return };
    let status = |known| conditions.member(known, ConditionMember::Status);
    let invalid = |detail: &str| FieldError::invalid(&Json::from_text(verdict.name()), detail);
    if conditions.current(Succeeded) == Some(False) {
        let error = invalid("must be \"Unknown\" or absent while Succeeded is \"False\"");
        findings.error(status(PolicySucceeded), error).reads.push(status(Succeeded));
    } else if conditions.is_absent(Succeeded) {
        let error = invalid("must have a condition Succeeded beside it");
        findings.warning(status(PolicySucceeded), error);
    }
}
