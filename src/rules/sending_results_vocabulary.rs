//! `sending-results-vocabulary`: the condition SendingResults explains why results were not sent.

use crate::engine::{Cel, Example, Expectation, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::{conditions, vocabulary};

pub const RULE: Rule = Rule {
    id: "sending-results-vocabulary",
    title: "SendingResults explains why the results were not sent to the store.",
    checks: "The member `error` is an error while `SendingResults` is True. If neither `message` nor `error` is set while it \
             is False or Unknown, this is a warning. The vendor does not document its reasons and messages, so any are \
             allowed.",
    why: "Users of the metadata store need to know whether the results are in it.",
    breaks: "Results are missing from the store, and no message says so.",
    repair: "Write no `error` with True. With False or Unknown, write in `message` or `error` what went wrong.",
    part: Part::Status,
    check: |change, findings| vocabulary::check(&conditions::SENDING_RESULTS, change, findings),
    mutate: None,
    cel: Cel::Exact(cel::vocabulary::sending_results),
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
            title: "an error text although the results were sent",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "reason": "ResultsSent", "message": "sent", "error": "connection refused", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[SendingResults].error"),
        },
        Example {
            title: "results that were not sent, without an explanation",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "False", "reason": "NotSent", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[SendingResults].message"),
        },
    ],
};
