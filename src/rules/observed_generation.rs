//! `observed-generation`: the observed generation is the current or an earlier generation of this object.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Rule, Severity};
use crate::rules::cel;
use crate::rules::tables::values;
use crate::scan::count::non_negative;
use crate::scan::{Condition, ConditionMember, Field, Json, Member, Phase};

pub const RULE: Rule = Rule {
    id: "observed-generation",
    title: "The observed generation is the current or an earlier generation of this object.",
    checks: "`status.observedGeneration` is an integer ≥ 0. Anything else is an error. These are warnings: the \
             `observedGeneration` of the status or of a condition is greater than `metadata.generation`; that of the status \
             is lower than before; on phase Completed or Failed, that of a current condition is lower than that of the \
             status.",
    why: "It says for which version of the spec the status was written.",
    breaks: "If the generation is too high, the status looks up to date when the spec reaches that generation.",
    repair: "In the status and in each condition, write the `metadata.generation` of the object that was scanned. Ignore the \
             warning if the object was restored from a backup, since its generation starts at 1 again.",
    part: Part::Status,
    check,
    mutate: None,
    cel: Cel::Exact(cel::times::observed_generation),
    examples: &[
        Example {
            title: "the generation that was scanned",
            old: None,
            new: r#"{"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [{"type": "Succeeded", "status": "True", "reason": "JobFinished", "message": "The scan job finished", "observedGeneration": 1, "lastTransitionTime": "2026-11-20T08:03:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "a generation that does not exist yet",
            old: None,
            new: r#"{"status": {"observedGeneration": 2}}"#,
            expect: Expectation::Warns("status.observedGeneration"),
        },
        Example {
            title: "a condition of a generation that does not exist yet",
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
            title: "a generation that is lower than before",
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
        findings.error(Field::ObservedGeneration, values::not_an_integer(&status.observed_generation));
    }
    let generation = change.new.generation();
    let is_done = matches!(status.phase(), Some(Phase::Completed | Phase::Failed));
    let mut check_ahead = |field, observed: i64| {
        let is_full = findings.is_full(Severity::Warning);
        if let Some(generation) = generation.filter(|generation| observed > *generation && !is_full) {
            let detail = format!("must be at most {generation}, the metadata.generation");
            findings.warning(field, FieldError::invalid(&Json::Integer(observed), detail));
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
            let detail = format!(
                "must be {observed}, the status.observedGeneration, while phase is \"Completed\" or \"Failed\""
            );
            findings.warning(field(index), FieldError::invalid(&Json::Integer(own), detail));
        }
    }
    let old = change.old.and_then(|old| old.status()).and_then(|old| non_negative(&old.observed_generation).value());
    if let Some(old) = old.filter(|old| observed < *old) {
        let detail = format!("must be at least {old}, the value before this change");
        findings.warning(Field::ObservedGeneration, FieldError::invalid(&Json::Integer(observed), detail));
    }
}
