//! `observed-generation`: Nobody has seen a spec that is not there yet.

use crate::engine::finding::quote;
use crate::engine::{Change, Example, Expectation, Findings, Part, Rule};
use crate::scan::count::non_negative;
use crate::scan::{ConditionMember, Entry, Field, Member};

pub const RULE: Rule = Rule {
    id: "observed-generation",
    title: "Nobody has seen a spec that is not there yet.",
    checks: "`status.observedGeneration` is an integer ≥ 0, and neither it nor that of a condition exceeds \
             `metadata.generation`. Lower than it was is a warning.",
    why: "The generation says for which spec a status speaks.",
    breaks: "A status that claims a later spec is taken for up to date when that spec comes.",
    repair: "Write the metadata.generation of the object that was scanned.",
    part: Part::Status,
    check,
    mutate: None,
    examples: &[
        Example {
            title: "the generation that was scanned",
            old: None,
            new: r#"{"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "observedGeneration": 1, "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a generation that is not there yet",
            old: None,
            new: r#"{"status": {"observedGeneration": 2}}"#,
            expect: Expectation::Denies("status.observedGeneration"),
        },
        Example {
            title: "a condition that has seen the future",
            old: None,
            new: r#"{"status": {"observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "observedGeneration": 3, "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Succeeded].observedGeneration"),
        },
        Example {
            title: "a generation in quotes",
            old: None,
            new: r#"{"status": {"observedGeneration": "1"}}"#,
            expect: Expectation::Denies("status.observedGeneration"),
        },
        Example {
            title: "a generation that goes back",
            old: Some(r#"{"metadata": {"generation": 2}, "status": {"observedGeneration": 2}}"#),
            new: r#"{"metadata": {"generation": 2}, "status": {"observedGeneration": 1}}"#,
            expect: Expectation::Warns("status.observedGeneration"),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let observed = non_negative(&status.observed_generation);
    if let Member::WrongType(_) = observed {
        let message = format!("is {}: an integer ≥ 0 would be right", quote(&status.observed_generation));
        findings.error(Field::ObservedGeneration, message);
    }
    let ahead = |observed: i64| change.new.generation().filter(|generation| observed > *generation);
    let mut check = |field, observed: i64| {
        if let Some(generation) = ahead(observed) {
            let message =
                format!("is {observed}, but metadata.generation is {generation}: at most {generation} would be right");
            findings.error(field, message).reads.push(Field::Generation);
        }
    };
    if let Member::Present(observed) = observed {
        check(Field::ObservedGeneration, observed);
    }
    for condition in status.conditions().iter().filter_map(Member::present) {
        let Member::Present(observed) = non_negative(&condition[ConditionMember::ObservedGeneration]) else { continue };
        let Member::Present(name) = condition[ConditionMember::Type].string() else { continue };
        if change.conditions().is_malformed(condition) {
            continue;
        }
        check(
            Field::ConditionMember { entry: Entry::Type(name), member: ConditionMember::ObservedGeneration },
            observed,
        );
    }
    let old = change.old.and_then(|old| old.status()).map(|old| non_negative(&old.observed_generation));
    if let (Some(Member::Present(old)), Member::Present(new)) = (old, observed)
        && new < old
    {
        findings.warning(Field::ObservedGeneration, format!("is {new}, but was {old}: {old} or more would be right"));
    }
}
