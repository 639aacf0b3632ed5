//! `succeeded-vocabulary`: the condition Succeeded has the reason and error of its status.

use crate::engine::{Cel, Example, Expectation, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::{conditions, vocabulary};

pub const RULE: Rule = Rule {
    id: "succeeded-vocabulary",
    title: "Succeeded has the reason and error that belong to its status.",
    checks: "`Succeeded` is True with reason JobFinished and no `error`, or False with reason Error. It is never Unknown. \
             Anything else is an error. Any message is allowed. If neither `message` nor `error` is set on False, this is a \
             warning.",
    why: "Supply chains continue or stop depending on this condition.",
    breaks: "A failed scan looks like one that found nothing, or a successful scan stops the delivery.",
    repair: "Write the reason that belongs to the status, and an `error` only with False. The mutating webhook fills in a \
             missing reason.",
    part: Part::Status,
    check: |change, findings| vocabulary::check(&conditions::SUCCEEDED, change, findings),
    mutate: Some(|change, patch| vocabulary::mutate(&conditions::SUCCEEDED, change, patch)),
    cel: Cel::Exact(cel::vocabulary::succeeded),
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
            title: "reason Error although the job succeeded",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "Error", "message": "The scan job finished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Succeeded].reason"),
        },
        Example {
            title: "an error text although the job succeeded",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "error": "exit 1", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Succeeded].error"),
        },
        Example {
            title: "a status that is neither True nor False",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Error", "message": "lost", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Succeeded].status"),
        },
        Example {
            title: "a failure without an explanation",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "Error", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Succeeded].message"),
        },
        Example {
            title: "a missing reason is filled in",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "message": "The scan job failed", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Mutates(r#"[{"op": "add", "path": "/status/conditions/0/reason", "value": "Error"}]"#),
        },
    ],
};
