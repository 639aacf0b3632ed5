//! `status-on-create`: A new scan has no status.

use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::{Field, Member};

pub const RULE: Rule = Rule {
    id: "status-on-create",
    title: "A new scan has no status.",
    checks: "A CREATE carries no status; where it does, that is advice.",
    why: "With a status subresource the API server drops the status of a CREATE without a word.",
    breaks: "Whoever restores a backup with its status finds the scans without one.",
    repair: "Create the scan first, then write its status to the status subresource.",
    part: Part::Create,
    check,
    mend: None,
    examples: &[
        Example { says: "no status", old: None, new: r#"{"status": null}"#, verdict: Verdict::Passes },
        Example { says: "an empty status", old: None, new: r#"{"status": {}}"#, verdict: Verdict::Passes },
        Example {
            says: "a status",
            old: None,
            new: r#"{"status": {"phase": "Completed"}}"#,
            verdict: Verdict::Advised("status"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    if change.new.status != Member::Absent {
        let message = "comes with a CREATE, where a status subresource drops it: an update of the status subresource would be right";
        findings.advise(Field::Status, message);
    }
}
