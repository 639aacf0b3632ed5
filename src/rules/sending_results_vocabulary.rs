//! `sending-results-vocabulary`: SendingResults says whether the results reached the store.

use crate::engine::{Example, Expectation, Part, Rule};
use crate::rules::tables::{conditions, vocabulary};

pub const RULE: Rule = Rule {
    id: "sending-results-vocabulary",
    title: "SendingResults says whether the results reached the store.",
    checks: "`SendingResults` is True without an error, or anything else with a message or an error that says why. \
             Its reasons and messages are not public, so they are open.",
    why: "Whoever queries the metadata store must know whether the results are there.",
    breaks: "Results are missing in the store and nobody knows.",
    repair: "Leave the error out beside True; say what went wrong beside False.",
    part: Part::Status,
    check: |change, findings| vocabulary::check(&conditions::SENDING_RESULTS, change, findings),
    mutate: None,
    examples: &[
        Example {
            title: "results that were sent",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "reason": "ResultsSent", "message": "All good", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "no store is configured",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "False", "reason": "NotSent", "message": "no store is configured", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "an error beside results that were sent",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "reason": "ResultsSent", "message": "sent", "error": "connection refused", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[SendingResults].error"),
        },
        Example {
            title: "results that were not sent, without a word",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "False", "reason": "NotSent", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[SendingResults].message"),
        },
    ],
};
