//! `phase-jump`: a result follows a run.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule};
use crate::rules::cel;
use crate::rules::tables::phases;
use crate::scan::{Field, Json, Scan};

pub const RULE: Rule = Rule {
    id: "phase-jump",
    title: "A result follows a run.",
    checks: "All findings of this rule are warnings. The rule warns if one write changes the phase from Pending or Error to \
             Completed or Failed, or between Completed and Failed. The phase must be Scanning in between.",
    why: "A controller that skips Scanning may have lost an update, or a person may have written the status.",
    breaks: "A reader that waits for the start of a run misses it.",
    repair: "Write phase Scanning when the job starts. Ignore the warning if the object was restored from a backup.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::phases::jump),
    examples: &[
        Example {
            title: "a run that ends",
            old: Some(r#"{"status": {"phase": "Scanning"}}"#),
            new: r#"{"status": {"phase": "Completed"}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a result without a run",
            old: Some(r#"{"status": {"phase": "Pending"}}"#),
            new: r#"{"status": {"phase": "Completed"}}"#,
            expect: Expectation::Warns("status.phase"),
        },
        Example {
            title: "a verdict that changes without a run",
            old: Some(r#"{"status": {"phase": "Completed"}}"#),
            new: r#"{"status": {"phase": "Failed"}}"#,
            expect: Expectation::Warns("status.phase"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let phase = |scan: &Scan<'_>| scan.status().and_then(|status| status.phase());
    let (Some(from), Some(to)) = (change.old.and_then(phase), phase(change.new)) else { return };
    if phases::JUMPS.contains(&(from, to)) {
        let detail = format!("must follow \"Scanning\", and not \"{}\"", from.name());
        findings.warning(Field::Phase, FieldError::invalid(&Json::from_text(to.name()), detail));
    }
}
