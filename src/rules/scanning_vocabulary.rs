//! `scanning-vocabulary`: the condition Scanning has the reason and message of its status.

use crate::engine::{Example, Expectation, Part, Rule};
use crate::rules::tables::{conditions, vocabulary};

pub const RULE: Rule = Rule {
    id: "scanning-vocabulary",
    title: "Scanning has the reason and message that belong to its status.",
    checks: "`Scanning` is True with reason JobStarted and message `The scan job is running`, or False with \
             JobFinished and `The scan job terminated`. It is never Unknown and has no error. A missing message is a \
             warning.",
    why: "These strings are a closed vocabulary: dashboards and scripts compare them exactly.",
    breaks: "A finished job is shown as running, or a running one as finished: a reader that waits for it waits for ever \
             or ships too early.",
    repair: "Write the reason and message that belong to the status. The mutating webhook fills in either if it is missing.",
    part: Part::Status,
    check: |change, findings| vocabulary::check(&conditions::SCANNING, change, findings),
    mutate: Some(|change, patch| vocabulary::mutate(&conditions::SCANNING, change, patch)),
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
            title: "an error beside a running job",
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
            title: "reason and message are filled in",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Mutates(
                r#"[{"op": "add", "path": "/status/conditions/0/reason", "value": "JobStarted"}, {"op": "add", "path": "/status/conditions/0/message", "value": "The scan job is running"}]"#,
            ),
        },
    ],
};
