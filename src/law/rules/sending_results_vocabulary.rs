//! `sending-results-vocabulary`: SendingResults says whether the results reached the store.

use crate::law::{Example, Part, Rule, Verdict, vocabulary};

pub const RULE: Rule = Rule {
    id: "sending-results-vocabulary",
    title: "SendingResults says whether the results reached the store.",
    checks: "`SendingResults` is True without an error, or anything else with a message or an error that says why. \
             Its reasons and messages are not public, so they are open.",
    why: "Whoever queries the metadata store must know whether the results are there.",
    breaks: "Results are missing in the store and nobody knows.",
    repair: "Leave the error out beside True; say what went wrong beside False.",
    part: Part::Status,
    check: |change, findings| vocabulary::check(&vocabulary::SENDING_RESULTS, change, findings),
    mend: None,
    examples: &[
        Example {
            says: "results that were sent",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "reason": "ResultsSent", "message": "All good", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "no store is configured",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "False", "reason": "NotSent", "message": "no store is configured", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "an error beside results that were sent",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "reason": "ResultsSent", "message": "sent", "error": "connection refused", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[SendingResults].error"),
        },
        Example {
            says: "results that were not sent, without a word",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "False", "reason": "NotSent", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[SendingResults].message"),
        },
    ],
};
