//! `compliant-artifact`: the compliant artifact has passed its policy.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::scan::field::Artifact;
use crate::scan::{ConditionMember, ConditionStatus, ConditionType, Field, Member, Phase, Status};

pub const RULE: Rule = Rule {
    id: "compliant-artifact",
    title: "The compliant artifact has passed its policy.",
    checks: "A `compliantArtifact` on phase Failed is an error. If `spec.scanPolicy` is set, it is also an error in two \
             cases: `PolicySucceeded` is False; or there is no `PolicySucceeded`, and the phase is Completed or absent. The \
             second case is only a warning if `observedGeneration` is set and differs from `metadata.generation`. A \
             `compliantArtifact` is a warning on phase Error, and while a current `PolicySucceeded` is Unknown. On phase \
             Completed with a scan policy, a missing `compliantArtifact` is a warning.",
    why: "The supply chain ships this artifact.",
    breaks: "An artifact that violates its policy is shipped, or a workload waits for an artifact that is missing.",
    repair: "Write `compliantArtifact` when `PolicySucceeded` becomes True. Remove it when `PolicySucceeded` becomes False or \
             Unknown.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::artifacts::compliant),
    examples: &[
        Example {
            title: "an artifact that passed",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Completed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "no artifact",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Failed", "compliantArtifact": {}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "an artifact on phase Failed",
            old: None,
            new: r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            expect: Expectation::Denies("status.compliantArtifact"),
        },
        Example {
            title: "an artifact with a policy violation",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.compliantArtifact"),
        },
        Example {
            title: "an old artifact on phase Failed, while only a condition changes",
            old: Some(
                r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            ),
            new: r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.compliantArtifact"),
        },
        Example {
            title: "an artifact without a verdict",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Completed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.compliantArtifact"),
        },
        Example {
            title: "an artifact on phase Error",
            old: None,
            new: r#"{"status": {"phase": "Error", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            expect: Expectation::Warns("status.compliantArtifact"),
        },
        Example {
            title: "no artifact although the policy passed",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Completed", "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.compliantArtifact"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let field = Field::Artifact(Artifact::Compliant);
    let (is_absent, has_wrong_type) = match &status.compliant_artifact {
        Member::Absent => (true, false),
        Member::WrongType(_) => (false, true),
        Member::Present(sources) => (sources.is_empty(), sources.has_wrong_type()),
    };
    if is_absent {
        if status.phase() == Some(Phase::Completed) && change.new.has_scan_policy() {
            let has_passed = change.conditions().status(ConditionType::PolicySucceeded) == Some(ConditionStatus::True);
            let detail = if has_passed {
                "must be the artifact that passed the policy"
            } else {
                "must be set once PolicySucceeded is \"True\""
            };
            findings.warning(field, FieldError::required(detail));
        }
    } else if !has_wrong_type || change.is_old_object {
        check_present(change, status, findings);
    }
}

fn check_present<'a>(change: &Change<'a>, status: &Status<'a>, findings: &mut Findings<'a>) {
    let conditions = change.conditions();
    let policy = ConditionType::PolicySucceeded;
    let has_policy = change.new.has_scan_policy();
    let is_caught_up = change.new.is_caught_up() || status.observed_generation.is_absent();
    let is_done = status.phase() == Some(Phase::Completed) || status.phase.string() == Member::Absent;
    let field = Field::Artifact(Artifact::Compliant);
    let forbidden = |reason: &str| FieldError::forbidden(format_args!("no compliantArtifact while {reason}"));
    let error = |findings: &mut Findings<'a>, row, reason: &str, reads: &[Field<'a>]| {
        let finding = findings.error(field, forbidden(reason));
        finding.row = row;
        finding.reads.extend(reads);
    };
    let verdict = conditions.member(policy, ConditionMember::Status);
    if status.phase() == Some(Phase::Failed) {
        error(findings, 0, "phase is \"Failed\"", &[Field::Phase]);
    }
    if has_policy && conditions.status(policy) == Some(ConditionStatus::False) {
        error(findings, 1, "PolicySucceeded is \"False\"", &[verdict, Field::ScanPolicy]);
    }
    let is_absent = conditions.is_absent(policy) || change.is_old_object && conditions.is_malformed(policy);
    if has_policy && is_done && is_absent {
        let reason = "spec.scanPolicy is set and there is no PolicySucceeded";
        if is_caught_up {
            let reads = [verdict, Field::Phase, Field::ScanPolicy, Field::ObservedGeneration, Field::Generation];
            error(findings, 2, reason, &reads);
        } else {
            findings.warning(field, forbidden(reason));
        }
    }
    if status.phase() == Some(Phase::Error) {
        findings.warning(field, forbidden("phase is \"Error\""));
    } else if conditions.current(policy) == Some(ConditionStatus::Unknown) {
        findings.warning(field, forbidden("PolicySucceeded is \"Unknown\""));
    }
}
