//! `observed-generation`: Nobody has seen a spec that is not there yet.

use crate::law::finding::quote;
use crate::law::{Change, Example, Findings, Part, Rule, Verdict};
use crate::scan::count::whole;
use crate::scan::{ConditionMember, Entry, Field, Member};

pub const RULE: Rule = Rule {
    id: "observed-generation",
    title: "Nobody has seen a spec that is not there yet.",
    checks: "`status.observedGeneration` is an integer ≥ 0, and neither it nor that of a condition exceeds \
             `metadata.generation`. Lower than it was is advice.",
    why: "The generation says for which spec a status speaks.",
    breaks: "A status that claims a later spec is taken for up to date when that spec comes.",
    repair: "Write the metadata.generation of the object that was scanned.",
    part: Part::Status,
    check,
    mend: None,
    examples: &[
        Example {
            says: "the generation that was scanned",
            old: None,
            new: r#"{"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "observedGeneration": 1, "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "a generation that is not there yet",
            old: None,
            new: r#"{"status": {"observedGeneration": 2}}"#,
            verdict: Verdict::Refused("status.observedGeneration"),
        },
        Example {
            says: "a condition that has seen the future",
            old: None,
            new: r#"{"status": {"observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "observedGeneration": 3, "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[Succeeded].observedGeneration"),
        },
        Example {
            says: "a generation in quotes",
            old: None,
            new: r#"{"status": {"observedGeneration": "1"}}"#,
            verdict: Verdict::Refused("status.observedGeneration"),
        },
        Example {
            says: "a generation that goes back",
            old: Some(r#"{"metadata": {"generation": 2}, "status": {"observedGeneration": 2}}"#),
            new: r#"{"metadata": {"generation": 2}, "status": {"observedGeneration": 1}}"#,
            verdict: Verdict::Advised("status.observedGeneration"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let observed = whole(&status.observed_generation);
    if let Member::Wrong(_) = observed {
        let message = format!("is {}: an integer ≥ 0 would be right", quote(&status.observed_generation));
        findings.refuse(Field::ObservedGeneration, message);
    }
    let ahead = |observed: i64| change.new.generation().filter(|generation| observed > *generation);
    let mut refuse = |field, observed: i64| {
        if let Some(generation) = ahead(observed) {
            let message =
                format!("is {observed}, but metadata.generation is {generation}: at most {generation} would be right");
            findings.refuse(field, message).reads.push(Field::Generation);
        }
    };
    if let Member::Is(observed) = observed {
        refuse(Field::ObservedGeneration, observed);
    }
    for condition in status.conditions().iter().filter_map(Member::is) {
        let Member::Is(observed) = whole(&condition[ConditionMember::ObservedGeneration]) else { continue };
        let Member::Is(name) = condition[ConditionMember::Type].string() else { continue };
        if !change.conditions().is_well_formed(condition) {
            continue;
        }
        refuse(Field::ConditionMember(Entry::Type(name), ConditionMember::ObservedGeneration), observed);
    }
    let old = change.old.and_then(|old| old.status()).map(|old| whole(&old.observed_generation));
    if let (Some(Member::Is(old)), Member::Is(new)) = (old, observed)
        && new < old
    {
        findings.advise(Field::ObservedGeneration, format!("is {new}, but was {old}: {old} or more would be right"));
    }
}
