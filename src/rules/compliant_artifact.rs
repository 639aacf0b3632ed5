//! `compliant-artifact`: What is shipped next has passed its policy.

use crate::engine::{Change, Example, Expectation, Findings, Part, Rule};
use crate::scan::conditions::reads;
use crate::scan::field::Artifact;
use crate::scan::{ConditionStatus, ConditionType, Field, Member, Phase};

pub const RULE: Rule = Rule {
    id: "compliant-artifact",
    title: "What is shipped next has passed its policy.",
    checks: "There is no `compliantArtifact` on phase Failed or beside a current `PolicySucceeded` False. It is \
             a warning on Error or beside Unknown, and where it is absent on Completed with a scan \
             policy.",
    why: "The supply chain ships what stands here.",
    breaks: "An artifact that violates its policy is shipped; or, where it is missing, the workload hangs.",
    repair: "Write compliantArtifact when the policy passes, and remove it when a verdict is anything else.",
    part: Part::Status,
    check,
    mutate: None,
    examples: &[
        Example {
            title: "an artifact that passed",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Completed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "nothing to ship",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Failed", "compliantArtifact": {}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "an artifact without a value",
            old: None,
            new: r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": null, "registry": {"image": ""}}}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "an artifact of a failed scan",
            old: None,
            new: r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            expect: Expectation::Denies("status.compliantArtifact"),
        },
        Example {
            title: "an artifact beside a violation",
            old: None,
            new: r#"{"status": {"compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.compliantArtifact"),
        },
        Example {
            title: "an artifact that stood there on Failed before, while a condition is written",
            old: Some(
                r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            ),
            new: r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.compliantArtifact"),
        },
        Example {
            title: "an artifact of a scan that broke",
            old: None,
            new: r#"{"status": {"phase": "Error", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            expect: Expectation::Warns("status.compliantArtifact"),
        },
        Example {
            title: "nothing to ship although the policy passed",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Completed", "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.compliantArtifact"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let field = Field::Artifact(Artifact::Compliant);
    let phase = status.phase();
    let is_absent = match &status.compliant_artifact {
        Member::Absent => true,
        Member::WrongType(_) => false,
        Member::Present(sources) => sources.is_empty(),
    };
    if is_absent {
        if phase == Some(Phase::Completed) && change.new.has_scan_policy() {
            findings.warning(
                field,
                "is absent on phase Completed with a scan policy: the artifact that passed would be right",
            );
        }
        return;
    }
    let policy = change.conditions().current(ConditionType::PolicySucceeded);
    match (phase, policy) {
        (Some(Phase::Failed), _) | (_, Some(ConditionStatus::False)) => {
            let message = "is there, but the policy did not pass: no compliantArtifact would be right";
            let finding = findings.error(field, message);
            if phase == Some(Phase::Failed) {
                finding.reads.push(Field::Phase);
            } else {
                finding.reads.extend(reads(&[ConditionType::PolicySucceeded]));
            }
        }
        (Some(Phase::Error), _) | (_, Some(ConditionStatus::Unknown)) => {
            findings.warning(field, "is there, but no policy passed: no compliantArtifact would be right");
        }
        _ => {}
    }
}
