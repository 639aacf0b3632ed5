//! `succeeded-vocabulary`: Succeeded says how the scan job ended.

use crate::law::{Example, Part, Rule, Verdict, vocabulary};

pub const RULE: Rule = Rule {
    id: "succeeded-vocabulary",
    title: "Succeeded says how the scan job ended.",
    checks: "`Succeeded` is True with reason JobFinished and no error, or False with reason Error; it is never \
             Unknown. Its message is open; on False, message or error should say what happened.",
    why: "Supply chains go on by this condition.",
    breaks: "A scan that broke passes for one that found nothing, or a sound one stops the delivery.",
    repair: "Write the reason that belongs to the status, and the error text only beside False. The webhook fills \
             in a missing reason.",
    part: Part::Status,
    check: |change, findings| vocabulary::check(&vocabulary::SUCCEEDED, change, findings),
    mend: Some(|change, patch| vocabulary::mend(&vocabulary::SUCCEEDED, change, patch)),
    examples: &[
        Example {
            says: "a job that succeeded",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "the message of an older release",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "Scan completed. Found 3 CVE(s): ...", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a job that failed",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "Error", "message": "The scan job failed: exit 1", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "the reason of a failure on a success",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "Error", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[Succeeded].reason"),
        },
        Example {
            says: "an error beside a success",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "error": "exit 1", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[Succeeded].error"),
        },
        Example {
            says: "a result that nobody knows",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Error", "message": "lost", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[Succeeded].status"),
        },
        Example {
            says: "a failure without a word",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "Error", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[Succeeded].message"),
        },
        Example {
            says: "the reason is filled in",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "message": "The scan job failed", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Mended(r#"[{"op": "add", "path": "/status/conditions/0/reason", "value": "Error"}]"#),
        },
    ],
};
