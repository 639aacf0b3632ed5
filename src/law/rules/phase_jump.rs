//! `phase-jump`: A result comes after a run.

use crate::law::{Change, Example, Findings, Part, Rule, Verdict, lifecycle};
use crate::scan::{Field, Scan};

pub const RULE: Rule = Rule {
    id: "phase-jump",
    title: "A result comes after a run.",
    checks: "From one write to the next, the phase does not go from Pending or Error to Completed or Failed, nor \
             between Completed and Failed, without Scanning between. All of it is advice.",
    why: "A controller that skips Scanning may have lost an update, or somebody wrote the status by hand.",
    breaks: "Whoever watches for a run to start misses it.",
    repair: "Write phase Scanning when the job starts. Ignore the advice where an object is restored from a backup.",
    part: Part::Status,
    check,
    mend: None,
    examples: &[
        Example {
            says: "a run that ends",
            old: Some(r#"{"status": {"phase": "Scanning"}}"#),
            new: r#"{"status": {"phase": "Completed"}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a result without a run",
            old: Some(r#"{"status": {"phase": "Pending"}}"#),
            new: r#"{"status": {"phase": "Completed"}}"#,
            verdict: Verdict::Advised("status.phase"),
        },
        Example {
            says: "a verdict that turned",
            old: Some(r#"{"status": {"phase": "Completed"}}"#),
            new: r#"{"status": {"phase": "Failed"}}"#,
            verdict: Verdict::Advised("status.phase"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let phase = |scan: &Scan<'_>| scan.status().and_then(|status| status.phase());
    let (Some(from), Some(to)) = (change.old.and_then(phase), phase(change.new)) else { return };
    if lifecycle::JUMPS.contains(&(from, to)) {
        let message =
            format!("went from {} to {} without a run: Scanning between would be right", from.name(), to.name());
        findings.advise(Field::Phase, message);
    }
}
