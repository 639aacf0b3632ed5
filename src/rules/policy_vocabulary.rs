//! `policy-vocabulary`: the condition PolicySucceeded has the reason and message of its status.

use crate::engine::{Cel, Example, Expectation, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::{conditions, vocabulary};

pub const RULE: Rule = Rule {
    id: "policy-vocabulary",
    title: "PolicySucceeded has the reason and message that belong to its status.",
    checks: "`PolicySucceeded` is True with reason EvaluationPassed, message `No CVEs were found that violated the policy` \
             and no `error`; or False with reason EvaluationFailed and message `Policy violated because of X CVEs` with X ≥ \
             1; or Unknown with reason Error and a message that begins with `An error has occurred`. Anything else is an \
             error. Only these are warnings: a message of an older release, a missing message, and a missing `error` on \
             Unknown.",
    why: "This condition decides whether an artifact is shipped. Its message must not contradict its status.",
    breaks: "People read \"no CVEs were found\" about an artifact that was denied, or they look for a violation that does not \
             exist.",
    repair: "Write the reason and the message that belong to the status. The mutating webhook fills in a missing reason. It \
             fills in a missing message only on True, since other messages depend on the run.",
    part: Part::Status,
    check: |change, findings| vocabulary::check(&conditions::POLICY_SUCCEEDED, change, findings),
    mutate: Some(|change, patch| vocabulary::mutate(&conditions::POLICY_SUCCEEDED, change, patch)),
    cel: Cel::Exact(cel::vocabulary::policy),
    examples: &[
        Example {
            title: "a policy that passed",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "one violation",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 1 CVE", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "several violations",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a policy that could not be evaluated",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "Unknown", "reason": "Error", "message": "An error has occurred: no such policy", "error": "rego_parse_error", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "swapped messages",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[PolicySucceeded].message"),
        },
        Example {
            title: "a violation because of 0 CVEs",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 0 CVEs", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[PolicySucceeded].message"),
        },
        Example {
            title: "a passed policy with the reason of a failed one",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationFailed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[PolicySucceeded].reason"),
        },
        Example {
            title: "the message of an older release",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No noncompliant vulnerabilities found", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[PolicySucceeded].message"),
        },
        Example {
            title: "Unknown without an error text",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "Unknown", "reason": "Error", "message": "An error has occurred", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[PolicySucceeded].error"),
        },
        Example {
            title: "a missing reason is filled in, but not a message with a number",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "False", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Mutates(
                r#"[{"op": "add", "path": "/status/conditions/0/reason", "value": "EvaluationFailed"}]"#,
            ),
        },
    ],
};
