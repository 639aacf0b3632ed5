//! `policy-vocabulary`: PolicySucceeded says what the policy decided.

use crate::law::{Example, Part, Rule, Verdict, vocabulary};

pub const RULE: Rule = Rule {
    id: "policy-vocabulary",
    title: "PolicySucceeded says what the policy decided.",
    checks: "`PolicySucceeded` is True with reason EvaluationPassed and message `No CVEs were found that violated \
             the policy` and no error; False with EvaluationFailed and `Policy violated because of X \
             CVEs`, X ≥ 1; or Unknown with Error and a message that begins with `An error has \
             occurred`. The messages of older releases, a missing message and a missing error on \
             Unknown are advice.",
    why: "This condition decides whether an artifact is shipped. Its words must not contradict its status.",
    breaks: "People read \"no CVEs were found\" above an artifact that was refused, or act on a violation that was \
             none.",
    repair: "Write reason and message of the row that belongs to the status. The webhook fills in what the row \
             fixes, never the message with X.",
    part: Part::Status,
    check: |change, findings| vocabulary::check(&vocabulary::POLICY_SUCCEEDED, change, findings),
    mend: Some(|change, patch| vocabulary::mend(&vocabulary::POLICY_SUCCEEDED, change, patch)),
    examples: &[
        Example {
            says: "a policy that passed",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "one violation",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 1 CVE", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "several violations",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a policy that could not be evaluated",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "Unknown", "reason": "Error", "message": "An error has occurred: no such policy", "error": "rego_parse_error", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "swapped messages",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[PolicySucceeded].message"),
        },
        Example {
            says: "a violation by no CVE",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 0 CVEs", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[PolicySucceeded].message"),
        },
        Example {
            says: "a passed policy with the reason of a failed one",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationFailed", "message": "No CVEs were found that violated the policy", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[PolicySucceeded].reason"),
        },
        Example {
            says: "the wording of an older release",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "No noncompliant vulnerabilities found", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[PolicySucceeded].message"),
        },
        Example {
            says: "no word on what went wrong",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "Unknown", "reason": "Error", "message": "An error has occurred", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[PolicySucceeded].error"),
        },
        Example {
            says: "the reason is filled in, the message with X is not",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "PolicySucceeded", "status": "False", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Mended(
                r#"[{"op": "add", "path": "/status/conditions/0/reason", "value": "EvaluationFailed"}]"#,
            ),
        },
    ],
};
