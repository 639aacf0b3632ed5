//! `status-writer`: only the configured users write a status.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::scan::{Field, Json};

pub const RULE: Rule = Rule {
    id: "status-writer",
    title: "Only the configured users write a status.",
    checks: "It is an error if a user who is not one of the `statusWriters` of the configuration changes any field of a \
             status. Without `statusWriters` the rule is off. The rule is about rights, so its error is not downgraded for an \
             old error or a deletion.",
    why: "A status is what the controller observed. Another writer could pass a scan that never ran.",
    breaks: "A vulnerable image is shipped because a person wrote its status.",
    repair: "Let the scan controller write the status, or add the user to `statusWriters`.",
    part: Part::Writer,
    check,
    mutate: None,
    cel: Cel::Exact(cel::spec::writer),
    examples: &[
        Example {
            title: "the configured controller",
            old: None,
            new: r#"{"user": "system:serviceaccount:scan-link-system:scan-link-controller", "status": {"phase": "Pending"}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a developer while the scan is being deleted",
            old: None,
            new: r#"{"user": "developer", "metadata": {"deletionTimestamp": "2026-11-24T11:00:00Z"}, "status": {"phase": "Pending"}}"#,
            expect: Expectation::Denies("status"),
        },
        Example {
            title: "a developer",
            old: None,
            new: r#"{"user": "developer", "status": {"phase": "Pending"}}"#,
            expect: Expectation::Denies("status"),
        },
    ],
};

/// The most characters of a user name that a message shows: 149 for `system:serviceaccount:`, two names of 63 characters and a
/// colon, and 2 quotes.
const USER_MAX_CHARS: usize = 151;

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    if !change.may_write_status() {
        let user = Json::from_text(change.user).quoted(USER_MAX_CHARS);
        let detail = format!("must be written by one of the statusWriters, and not by {user}");
        findings.error(Field::Status, FieldError::forbidden(detail));
    }
}
