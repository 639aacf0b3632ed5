//! `status-writer`: Only the configured users write a status.

use crate::engine::{Change, Example, Expectation, Findings, Part, Rule};
use crate::scan::Field;
use crate::scan::json::printable;

pub const RULE: Rule = Rule {
    id: "status-writer",
    title: "Only the configured users write a status.",
    checks: "The user who writes a status is one of the `statusWriters` of the configuration. Off unless it names \
             somebody.",
    why: "A status is what the controller observed; whoever else may write it can pass a scan that never ran.",
    breaks: "A vulnerable image is shipped with a status that somebody typed.",
    repair: "Let the scan controller write the status, or add the user to `statusWriters`.",
    part: Part::Status,
    check,
    mutate: None,
    examples: &[
        Example {
            title: "the configured controller",
            old: None,
            new: r#"{"user": "system:serviceaccount:scan-link-system:scan-link-controller", "status": {"phase": "Pending"}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a developer",
            old: None,
            new: r#"{"user": "developer", "status": {"phase": "Pending"}}"#,
            expect: Expectation::Denies("status"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let writers = change.status_writers;
    if !writers.is_empty() && !writers.iter().any(|writer| writer == change.user) {
        let user = printable(change.user, 128);
        findings.error(
            Field::Status,
            format!("is written by {user}, who is no status writer: a write by the scan controller would be right"),
        );
    }
}
