//! `policy-without-scanpolicy`: only a scan with a scan policy has a policy verdict.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::scan::ConditionType::PolicySucceeded;
use crate::scan::{ConditionMember, Field, Member, Phase};

pub const RULE: Rule = Rule {
    id: "policy-without-scanpolicy",
    title: "Only a scan with a scan policy has a policy verdict.",
    checks: "A current `PolicySucceeded` requires `spec.scanPolicy`. A `PolicySucceeded` without it is an error if the status \
             is caught up (`status.observedGeneration` equals `metadata.generation`) and the phase is Completed, Failed, \
             Error or absent. Otherwise it is a warning.",
    why: "A verdict is the result of a policy.",
    breaks: "An artifact seems to have passed a policy that does not exist.",
    repair: "Remove PolicySucceeded when the scan policy is removed.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::conditions::policy_without_scan_policy),
    examples: &[
        Example {
            title: "a verdict with a scan policy",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a verdict without a scan policy",
            old: None,
            new: r#"{"status": {"observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[PolicySucceeded]"),
        },
        Example {
            title: "an old verdict without a scan policy, while only its message is corrected",
            old: Some(
                r#"{"status": {"observedGeneration": 1, "conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No noncompliant vulnerabilities found", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            ),
            new: r#"{"status": {"observedGeneration": 1, "conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[PolicySucceeded]"),
        },
        Example {
            title: "a verdict without a scan policy before a new run starts",
            old: None,
            new: r#"{"status": {"phase": "Pending", "observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[PolicySucceeded]"),
        },
        Example {
            title: "a verdict without a scan policy in a status for an older spec",
            old: None,
            new: r#"{"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[PolicySucceeded]"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    if conditions.current(PolicySucceeded).is_none() || change.new.has_scan_policy() {
        return;
    }
    let Some(status) = change.new.status() else { return };
    let has_ended = match status.phase() {
        Some(phase) => matches!(phase, Phase::Completed | Phase::Failed | Phase::Error),
        None => status.phase.string() == Member::Absent,
    };
    let field = Field::Condition(conditions.entry(PolicySucceeded));
    let error = FieldError::forbidden("no PolicySucceeded while spec.scanPolicy is not set");
    if has_ended && change.new.is_caught_up() {
        let verdict = conditions.member(PolicySucceeded, ConditionMember::Status);
        findings.error(field, error).reads =
            vec![verdict, Field::Phase, Field::ScanPolicy, Field::ObservedGeneration, Field::Generation];
    } else {
        findings.warning(field, error);
    }
}
