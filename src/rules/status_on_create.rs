//! `status-on-create`: a new scan has no status.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::scan::{Field, Member};

pub const RULE: Rule = Rule {
    id: "status-on-create",
    title: "A new scan has no status.",
    checks: "The object of a CREATE request has no status. A status is a warning.",
    why: "If the kind has a status subresource, the API server silently drops the status of a CREATE request.",
    breaks: "Scans that are restored from a backup have no status.",
    repair: "Create the scan first, then write its status to the status subresource.",
    part: Part::Create,
    check,
    mutate: None,
    cel: Cel::Never(
        "Where the kind has a status subresource, the API server removes the status of a CREATE request before policies see the object.",
    ),
    examples: &[
        Example { title: "no status", old: None, new: r#"{"status": null}"#, expect: Expectation::Passes },
        Example { title: "an empty status", old: None, new: r#"{"status": {}}"#, expect: Expectation::Passes },
        Example {
            title: "a new scan with a status",
            old: None,
            new: r#"{"status": {"phase": "Completed"}}"#,
            expect: Expectation::Warns("status"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    if !matches!(change.new.status, Member::Absent) {
        let detail =
            "no status on CREATE, since a status subresource drops it; must be written by a later status update";
        findings.warning(Field::Status, FieldError::forbidden(detail));
    }
}
