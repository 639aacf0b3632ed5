//! `compliant-artifact`: What is shipped next has passed its policy.

use crate::law::conditions::reads;
use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::field::Artifact;
use crate::scan::{ConditionStatus, ConditionType, Field, Member, Phase};

pub const RULE: Rule = Rule {
    id: "compliant-artifact",
    title: "What is shipped next has passed its policy.",
    checks: "There is no `compliantArtifact` on phase Failed or beside a current `PolicySucceeded` False. It is \
             advice on Error or beside Unknown, and where it is absent on Completed with a scan \
             policy.",
    why: "The supply chain ships what stands here.",
    breaks: "An artifact that violates its policy is shipped; or, where it is missing, the workload hangs.",
    repair: "Write compliantArtifact when the policy passes, and remove it when a verdict is anything else.",
    part: Part::Status,
    check,
    mend: None,
    examples: &[
        Example {
            says: "an artifact that passed",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Completed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "nothing to ship",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Failed", "compliantArtifact": {}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "an artifact without a value",
            old: None,
            new: r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": null, "registry": {"image": ""}}}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "an artifact of a failed scan",
            old: None,
            new: r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            verdict: Verdict::Refused("status.compliantArtifact"),
        },
        Example {
            says: "an artifact beside a violation",
            old: None,
            new: r#"{"status": {"compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Refused("status.compliantArtifact"),
        },
        Example {
            says: "an artifact that stood there on Failed before, while a condition is written",
            old: Some(
                r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            ),
            new: r#"{"status": {"phase": "Failed", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}, "conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Advised("status.compliantArtifact"),
        },
        Example {
            says: "an artifact of a scan that broke",
            old: None,
            new: r#"{"status": {"phase": "Error", "compliantArtifact": {"blob": {"url": "https://example.com/code.tar.gz"}}}}"#,
            verdict: Verdict::Advised("status.compliantArtifact"),
        },
        Example {
            says: "nothing to ship although the policy passed",
            old: None,
            new: r#"{"spec": {"scanPolicy": "scan-policy"}, "status": {"phase": "Completed", "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}, {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Advised("status.compliantArtifact"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let field = Field::Artifact(Artifact::Compliant);
    let phase = status.phase();
    let is_absent = match &status.compliant_artifact {
        Member::Absent => true,
        Member::Wrong(_) => false,
        Member::Is(sources) => sources.is_empty(),
    };
    if is_absent {
        if phase == Some(Phase::Completed) && change.new.has_scan_policy() {
            findings.advise(
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
            let finding = findings.refuse(field, message);
            if phase == Some(Phase::Failed) {
                finding.reads.push(Field::Phase);
            } else {
                finding.reads.extend(reads(&[ConditionType::PolicySucceeded]));
            }
        }
        (Some(Phase::Error), _) | (_, Some(ConditionStatus::Unknown)) => {
            findings.advise(field, "is there, but no policy passed: no compliantArtifact would be right");
        }
        _ => {}
    }
}
