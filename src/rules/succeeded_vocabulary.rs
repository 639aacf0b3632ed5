//! `succeeded-vocabulary`: Succeeded says how the scan job ended.

use crate::engine::{Example, Expectation, Part, Rule};
use crate::rules::tables::{conditions, vocabulary};

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
    check: |change, findings| vocabulary::check(&conditions::SUCCEEDED, change, findings),
    mutate: Some(|change, patch| vocabulary::mutate(&conditions::SUCCEEDED, change, patch)),
    examples: &[
        Example {
            title: "a job that succeeded",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "the message of an older release",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "Scan completed. Found 3 CVE(s): ...", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a job that failed",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "Error", "message": "The scan job failed: exit 1", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "the reason of a failure on a success",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "Error", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Succeeded].reason"),
        },
        Example {
            title: "an error beside a success",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "error": "exit 1", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Succeeded].error"),
        },
        Example {
            title: "a result that nobody knows",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Error", "message": "lost", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Succeeded].status"),
        },
        Example {
            title: "a failure without a word",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "Error", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Succeeded].message"),
        },
        Example {
            title: "the reason is filled in",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "message": "The scan job failed", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Mutates(r#"[{"op": "add", "path": "/status/conditions/0/reason", "value": "Error"}]"#),
        },
    ],
};
