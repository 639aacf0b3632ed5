//! `condition-fields`: every condition is a well-formed `metav1.Condition`.

use crate::engine::{Cel, Change, Example, Expectation, FieldError, Findings, Part, Patch, Rule, Severity};
use crate::rules::cel;
use crate::rules::tables::conditions::malformed;
use crate::scan::{Condition, ConditionMember, ENTRIES_MAX, Entry, Field, Form, Json, Member, member_form, time};

pub const RULE: Rule = Rule {
    id: "condition-fields",
    title: "Every condition is well-formed.",
    checks: "Each entry of `status.conditions` is an object. These members are required: `type`, a qualified name of at most \
             316 characters; `status`, which is True, False or Unknown; `lastTransitionTime`, an RFC 3339 time; `reason`, a \
             CamelCase word of at most 1,024 characters. `message` and `error` are strings of at most 32,768 characters. \
             `observedGeneration` is an integer ≥ 0. The list has at most 20,000 entries. Anything else is an error, but a \
             missing reason is only a warning on SendingResults and on unknown types. All other rules ignore an entry in \
             which this rule finds an error.",
    why: "Kubernetes clients decode conditions into the type `metav1.Condition`, which has these rules.",
    breaks: "One malformed entry makes Cartographer drop the whole list. The workload hangs, and no message says why.",
    repair: "Set conditions with the helper function of your client library, such as `meta.SetStatusCondition` in Go. The \
             mutating webhook fills in a missing `lastTransitionTime`.",
    part: Part::Status,
    check,
    mutate: Some(mutate),
    cel: Cel::Exact(cel::conditions::fields),
    examples: &[
        Example {
            title: "a complete condition",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "an entry that is null counts as absent",
            old: None,
            new: r#"{"status": {"conditions": [null]}}"#,
            expect: Expectation::Passes,
        },
        Example {
            title: "an entry that is a string",
            old: None,
            new: r#"{"status": {"conditions": ["Succeeded"]}}"#,
            expect: Expectation::Denies("status.conditions[0]"),
        },
        Example {
            title: "no type",
            old: None,
            new: r#"{"status": {"conditions": [{"status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[0].type"),
        },
        Example {
            title: "an old malformed entry at another index",
            old: Some(
                r#"{"status": {"conditions": [{"status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}, {"status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[1].type"),
        },
        Example {
            title: "a reason that is a sentence",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "it broke", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Denies("status.conditions[Succeeded].reason"),
        },
        Example {
            title: "no reason on SendingResults, whose reasons are not public",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            expect: Expectation::Warns("status.conditions[SendingResults].reason"),
        },
        Example {
            title: "a missing time is taken from the old condition if the status is unchanged",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted"}]}}"#,
            expect: Expectation::Mutates(
                r#"[{"op": "add", "path": "/status/conditions/0/lastTransitionTime", "value": "2026-11-20T08:01:00Z"}]"#,
            ),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let conditions = change.conditions();
    if conditions.entries().len() > ENTRIES_MAX {
        findings.error(Field::Conditions, FieldError::too_many(ENTRIES_MAX));
    }
    let faulty = conditions.entries().iter().enumerate().filter(|(_, entry)| entry.form != Form::WellFormed);
    for (index, entry) in faulty {
        let Some(condition) = entry.condition else {
            if let (Member::WrongType(found), false) = (&status.conditions()[index], findings.is_full(Severity::Error))
            {
                let error = FieldError::type_invalid(found, "must be an object");
                findings.error(Field::Condition(Entry::Index(index)), error);
            }
            continue;
        };
        let forms = ConditionMember::ALL.map(|member| (member, member_form(condition, member)));
        for (member, form) in forms.into_iter().filter(|(_, form)| *form != Form::WellFormed) {
            let severity = if form == Form::Malformed { Severity::Error } else { Severity::Warning };
            if findings.is_full(severity) {
                continue;
            }
            let field = Field::ConditionMember { entry: conditions.name(index), member };
            let error = malformed(condition, member);
            match severity {
                Severity::Error => findings.error(field, error),
                Severity::Warning => findings.warning(field, error),
            };
        }
    }
}

/// Sets a missing lastTransitionTime to the old time if the status of the condition is unchanged, otherwise to now.
fn mutate(change: &Change<'_>, patch: &mut Patch) {
    let is_missing =
        |condition: &Condition<'_>| condition[ConditionMember::LastTransitionTime].string() == Member::Absent;
    let conditions = change.conditions();
    for (index, entry) in conditions.entries().iter().enumerate() {
        let Some(condition) = entry.condition.filter(|condition| is_missing(condition)) else { continue };
        let standing = change.old_conditions().and_then(|old| {
            let index = old.index_of(Entry::Type(condition.type_name()?))?;
            old.entries()[index].condition
        });
        let since = standing
            .filter(|old| old[ConditionMember::Status].is_same_text(&condition[ConditionMember::Status]))
            .filter(|old| old.last_transition_time().is_some())
            .and_then(|old| old[ConditionMember::LastTransitionTime].string().value())
            .map(Json::from_text);
        let now = || Some(Json::from_text(&time::format(change.now)?));
        let field = Field::ConditionMember { entry: Entry::Index(index), member: ConditionMember::LastTransitionTime };
        if let Some(time) = since.or_else(now) {
            patch.set(field, time);
        }
        if patch.is_full() {
            return;
        }
    }
}
