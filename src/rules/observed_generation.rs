//! `observed-generation`: A status says for which spec it speaks.

use crate::engine::finding::quote;
use crate::engine::{Change, Example, Expectation, Findings, Part, Rule, Severity};
use crate::rules::tables::counts::right_integer;
use crate::scan::count::non_negative;
use crate::scan::{Condition, ConditionMember, Field, Member, Phase};

pub const RULE: Rule = Rule {
    id: "observed-generation",
    title: "A status says for which spec it speaks.",
    checks: "`status.observedGeneration` is an integer ≥ 0. It is a warning where it or that of a condition exceeds \
             `metadata.generation`, where it is lower than it was, and where on Completed or Failed that of a current \
             condition is lower than the status'.",
    why: "The generation says for which spec a status speaks.",
    breaks: "A status that claims a later spec is taken for up to date when that spec comes.",
    repair: "Write the metadata.generation of the object that was scanned, in the status and in each condition. Ignore the \
             warning where an object is restored from a backup: its generation begins at 1 again.",
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
            expect: Expectation::Warns("status.observedGeneration"),
        },
        Example {
            title: "a condition that has seen the future",
            old: None,
            new: r#"{"status": {"observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "observedGeneration": 3, "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Succeeded].observedGeneration"),
        },
        Example {
            title: "a result of an older generation on a scan that has ended",
            old: None,
            new: r#"{"metadata": {"generation": 2}, "status": {"phase": "Completed", "observedGeneration": 2, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "observedGeneration": 1, "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[Succeeded].observedGeneration"),
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
    let conditions = change.conditions();
    let observed = non_negative(&status.observed_generation);
    if let Member::WrongType(_) = observed {
        let json = &status.observed_generation;
        let message = format!("is {}: {}", quote(json), right_integer(json));
        findings.error(Field::ObservedGeneration, message);
    }
    let generation = change.new.generation();
    let is_done = matches!(status.phase(), Some(Phase::Completed | Phase::Failed));
    let mut check_ahead = |field, observed: i64| {
        let is_full = findings.is_full(Severity::Warning);
        if let Some(generation) = generation.filter(|generation| observed > *generation && !is_full) {
            let message =
                format!("is {observed}, but metadata.generation is {generation}: at most {generation} would be right");
            findings.warning(field, message);
        }
    };
    if let Member::Present(observed) = observed {
        check_ahead(Field::ObservedGeneration, observed);
    }
    let field =
        |index| Field::ConditionMember { entry: conditions.name(index), member: ConditionMember::ObservedGeneration };
    let own = |condition: &Condition<'_>| non_negative(&condition[ConditionMember::ObservedGeneration]).value();
    for (index, condition) in conditions.well_formed() {
        if let Some(own) = own(condition) {
            check_ahead(field(index), own);
        }
    }
    let Member::Present(observed) = observed else { return };
    for (index, condition) in conditions.first_of_each_type().filter(|_| is_done) {
        let is_stale = condition.known_type().is_some_and(|known| conditions.current(known).is_none());
        if let Some(own) =
            own(condition).filter(|own| *own < observed && !is_stale && !findings.is_full(Severity::Warning))
        {
            let message = format!(
                "is {own} on a scan that has ended for generation {observed}: {observed} would be right, or the phase of \
                 a run that is still due"
            );
            findings.warning(field(index), message);
        }
    }
    let old = change.old.and_then(|old| old.status()).and_then(|old| non_negative(&old.observed_generation).value());
    if let Some(old) = old.filter(|old| observed < *old) {
        findings
            .warning(Field::ObservedGeneration, format!("is {observed}, but was {old}: {old} or more would be right"));
    }
}
