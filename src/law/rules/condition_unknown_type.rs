//! `condition-unknown-type`: a type that nobody reads.

use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::json::printable;
use crate::scan::{ConditionMember, ConditionType, Entry, Field, Member};

pub const RULE: Rule = Rule {
    id: "condition-unknown-type",
    title: "Conditions are of the four types of a scan.",
    checks: "The `type` of each condition is Scanning, Succeeded, SendingResults or PolicySucceeded; another is advice.",
    why: "Types are open in Kubernetes, so another may be meant. It may also be a misspelling of one of the four.",
    breaks: "Nobody who waits for `Succeeded` sees `Suceeded`.",
    repair: "Correct the type, or ignore the advice where the condition is meant for readers of your own.",
    part: Part::Status,
    check,
    mend: None,
    examples: &[
        Example {
            says: "one of the four",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a misspelt type",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Suceeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[Suceeded].type"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    for condition in status.conditions().iter().filter_map(Member::is) {
        let Member::Is(name) = condition[ConditionMember::Type].string() else { continue };
        if condition.known_type().is_none() && change.conditions().is_well_formed(condition) {
            let all = ConditionType::ALL.map(ConditionType::name).join(", ");
            let message = format!("is {}, which no reader of scans knows: it has {all}", printable(&name, 64));
            findings.advise(Field::ConditionMember(Entry::Type(name), ConditionMember::Type), message);
        }
    }
}
