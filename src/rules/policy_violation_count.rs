//! `policy-violation-count`: no more CVEs violate the policy than were found.

use std::ops::Not as _;

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::conditions::violations;
use crate::rules::tables::counts::total;
use crate::scan::{ConditionMember, ConditionType, Member, Spelling};

pub const RULE: Rule = Rule {
    id: "policy-violation-count",
    title: "No more CVEs violate the policy than were found.",
    checks: "In the message `Policy violated because of X CVEs` of a current `PolicySucceeded`, X is at most the total, or \
             the sum of the severities if there is no total. A higher X is a warning.",
    why: "The policy evaluates the CVEs that the scan found.",
    breaks: "People search for violations that are not in the result.",
    repair: "Write the message and the counts of the same run.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::counts::violation),
    examples: &[
        Example {
            title: "fewer violations than CVEs",
            old: None,
            new: r#"{"status": {"cveCount": {"high": 9, "total": 9}, "conditions": [{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "no counts to compare with",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "more violations than CVEs",
            old: None,
            new: r#"{"status": {"cveCount": {"high": 3, "total": 3}, "conditions": [{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[PolicySucceeded].message"),
        },
        Example {
            title: "a stale verdict that names more CVEs than the new run found",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Scanning", "cveCount": {"high": 3, "total": 3}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:22:00Z"}, {"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let conditions = change.conditions();
    // A stale verdict is about the counts of an earlier run.
    let is_current = conditions.current(ConditionType::PolicySucceeded).is_some();
    let Some(condition) = conditions.get(ConditionType::PolicySucceeded).filter(|_| is_current) else { return };
    let Member::Present(message) = condition[ConditionMember::Message].string() else { return };
    let Some(violations) = violations(message) else { return };
    let total = Spelling::BOTH.into_iter().find_map(|spelling| total(status.cve_count.get(spelling).present()?));
    // A number that does not fit i128 is greater than any total.
    if let Some(total) =
        total.filter(|total| violations.parse().is_ok_and(|violations: i128| violations <= *total).not())
    {
        let field = conditions.member(ConditionType::PolicySucceeded, ConditionMember::Message);
        let detail = format!("must not name more CVEs than the total, which is {total}");
        findings.warning(field, FieldError::invalid(&condition[ConditionMember::Message], detail));
    }
}
