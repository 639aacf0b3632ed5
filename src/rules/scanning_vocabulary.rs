//! `scanning-vocabulary`: the condition Scanning has the reason and message of its status.

use crate::engine::{Cel, Example, Expectation, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::{conditions, vocabulary};

pub const RULE: Rule = Rule {
    id: "scanning-vocabulary",
    title: "Scanning has the reason and message that belong to its status.",
    checks: "`Scanning` is True with reason JobStarted and message `The scan job is running`, or False with reason \
             JobFinished and message `The scan job terminated`. It is never Unknown and has no `error`. Anything else is an \
             error. Only a missing message is a warning.",
    why: "Dashboards and scripts compare these strings exactly, so no others are allowed.",
    breaks: "If a finished job looks like a running one, a reader waits for it forever. If a running job looks like a \
             finished one, a reader ships too early.",
    repair: "Write the reason and the message that belong to the status. The mutating webhook fills in a missing reason or \
             message.",
    part: Part::Status,
    check: |change, findings| vocabulary::check(&conditions::SCANNING, change, findings),
    mutate: Some(|change, patch| vocabulary::mutate(&conditions::SCANNING, change, patch)),
    cel: Cel::Exact(cel::vocabulary::scanning),
    examples: &[
        Example {
            title: "a running job",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a finished job",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a status that is neither True nor False",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "Unknown", "reason": "Error", "message": "The job is lost", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Scanning].status"),
        },
        Example {
            title: "the reason of a finished job",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobFinished", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Scanning].reason"),
        },
        Example {
            title: "the message of a finished job",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job terminated", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Scanning].message"),
        },
        Example {
            title: "an error text on a running job",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "error": "exit 1", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Scanning].error"),
        },
        Example {
            title: "no message",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "False", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Scanning].message"),
        },
        Example {
            title: "a missing reason and message are filled in",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Mutates(
                r#"[{"op": "add", "path": "/status/conditions/0/reason", "value": "JobStarted"}, {"op": "add", "path": "/status/conditions/0/message", "value": "The scan job is running"}]"#,
            ),
        },
    ],
};
