//! `condition-fields`: each entry of the conditions list is a well-formed `metav1.Condition`.

use std::collections::{HashMap, HashSet};

use crate::law::finding::quote;
use crate::law::{Change, Example, Findings, Part, Patch, Rule, Severity, Verdict};
use crate::scan::count::whole;
use crate::scan::{Condition, ConditionMember, ConditionType, Entry, Field, Json, Member, Status, time};

/// Limits of `metav1.Condition`, in characters.
const TYPE_MAX_CHARS: usize = 316;
const REASON_MAX_CHARS: usize = 1024;
const MESSAGE_MAX_CHARS: usize = 32768;

pub const RULE: Rule = Rule {
    id: "condition-fields",
    title: "Every condition is well formed.",
    checks: "Each entry of `status.conditions` is an object with a `type` (a qualified name of at most 316 characters), \
             a `status` (True, False or Unknown), a `lastTransitionTime` (RFC 3339) and a `reason` (a CamelCase word of \
             at most 1,024 characters); `message` and `error` are strings of at most 32,768 characters, \
             `observedGeneration` an integer ≥ 0. A missing reason is advice on SendingResults and on types that are \
             not ours. An entry that is refused is left out of all other rules.",
    why: "These are the limits of `metav1.Condition`, which every Kubernetes client decodes conditions into.",
    breaks: "One malformed entry makes Cartographer drop the whole list: the workload hangs without a word.",
    repair: "Set conditions with the helper of your client library (meta.SetStatusCondition in Go). The webhook fills \
             in a missing lastTransitionTime.",
    part: Part::Status,
    check,
    mend: Some(mend),
    examples: &[
        Example {
            says: "a whole condition",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Passes,
        },
        Example {
            says: "an entry that is null",
            old: None,
            new: r#"{"status": {"conditions": [null]}}"#,
            verdict: Verdict::Refused("status.conditions[0]"),
        },
        Example {
            says: "a status in lower case",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "true", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[Scanning].status"),
        },
        Example {
            says: "no type",
            old: None,
            new: r#"{"status": {"conditions": [{"status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[0].type"),
        },
        Example {
            says: "a reason that is a sentence",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": "it broke", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Refused("status.conditions[Succeeded].reason"),
        },
        Example {
            says: "no reason on SendingResults, whose reasons are not public",
            old: None,
            new: r#"{"status": {"conditions": [{"type": "SendingResults", "status": "True", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            verdict: Verdict::Advised("status.conditions[SendingResults].reason"),
        },
        Example {
            says: "a missing time is the old one while the status is the same",
            old: Some(
                r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted", "lastTransitionTime": "2026-11-20T08:01:00Z"}]}}"#,
            ),
            new: r#"{"status": {"conditions": [{"type": "Scanning", "status": "True", "reason": "JobStarted"}]}}"#,
            verdict: Verdict::Mended(
                r#"[{"op": "add", "path": "/status/conditions/0/lastTransitionTime", "value": "2026-11-20T08:01:00Z"}]"#,
            ),
        },
    ],
};

fn check<'a>(change: &Change<'a>, findings: &mut Findings<'a>) {
    let Some(status) = change.new.status() else { return };
    let is_sound =
        |condition: &Condition<'_>| ConditionMember::ALL.into_iter().all(|member| fault(condition, member).is_none());
    if status.conditions().iter().all(|entry| entry.is().is_some_and(is_sound)) {
        return;
    }
    let doubled = doubled(status);
    for (index, entry) in status.conditions().iter().enumerate() {
        let Some(condition) = entry.is() else {
            let found = if let Member::Wrong(found) = entry { found.to_string() } else { "null or empty".to_owned() };
            findings.refuse(
                Field::Condition(Entry::Index(index)),
                format!("is {found}: a condition object would be right"),
            );
            continue;
        };
        let name = condition[ConditionMember::Type].string().value();
        let name = name.filter(|name| is_type(name) && !doubled.contains(name));
        let entry = name.map_or(Entry::Index(index), Entry::Type);
        for member in ConditionMember::ALL {
            let Some((severity, right)) = fault(condition, member) else { continue };
            let field = Field::ConditionMember(entry.clone(), member);
            let message = format!("is {}: {right} would be right", quote(&condition[member]));
            match severity {
                Severity::Refuse => findings.refuse(field, message),
                Severity::Advise => findings.advise(field, message),
            };
        }
    }
}

/// Whether no other rule needs to leave the entry out.
pub fn is_well_formed(condition: &Condition<'_>) -> bool {
    ConditionMember::ALL.into_iter().all(|member| !matches!(fault(condition, member), Some((Severity::Refuse, _))))
}

/// Types that more than one entry has: their entries are named by index.
pub fn doubled<'s>(status: &'s Status<'_>) -> HashSet<std::borrow::Cow<'s, str>> {
    let mut seen = HashSet::new();
    let types = status.conditions().iter().filter_map(|entry| entry.is()?[ConditionMember::Type].string().value());
    types.filter(|name| !seen.insert(name.clone())).collect()
}

/// What is wrong with one member, and what would be right.
fn fault(condition: &Condition<'_>, member: ConditionMember) -> Option<(Severity, &'static str)> {
    let json = &condition[member];
    let text = json.string();
    let is_within = |max, fits: fn(&str) -> bool| match &text {
        Member::Is(text) => text.chars().count() <= max && fits(text),
        _ => false,
    };
    let refused = |is_right: bool, right| (!is_right).then_some((Severity::Refuse, right));
    match member {
        ConditionMember::Type => refused(
            is_within(TYPE_MAX_CHARS, is_type),
            "a qualified name of at most 316 characters, such as Succeeded,",
        ),
        ConditionMember::Status => refused(condition.status().is_some(), "True, False or Unknown"),
        ConditionMember::Reason if text == Member::Absent => {
            let severity = match condition.known_type() {
                None | Some(ConditionType::SendingResults) => Severity::Advise,
                Some(_) => Severity::Refuse,
            };
            Some((severity, "a CamelCase word, such as JobFinished,"))
        }
        ConditionMember::Reason => {
            refused(is_within(REASON_MAX_CHARS, is_reason), "a CamelCase word of at most 1,024 characters")
        }
        ConditionMember::Message | ConditionMember::Error => refused(
            text == Member::Absent || is_within(MESSAGE_MAX_CHARS, |_| true),
            "a string of at most 32,768 characters",
        ),
        ConditionMember::LastTransitionTime => {
            refused(condition.last_transition_time().is_some(), "an RFC 3339 time, such as 2026-11-20T08:01:00Z,")
        }
        ConditionMember::ObservedGeneration => refused(!matches!(whole(json), Member::Wrong(_)), "an integer ≥ 0"),
    }
}

/// The pattern of `metav1.Condition`'s type: an optional DNS prefix and `/`, then a name.
fn is_type(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let is_label = |label: &str| edges_and_middle(label, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), "-");
    prefix.is_none_or(|prefix| prefix.split('.').all(is_label))
        && edges_and_middle(name, |c| c.is_ascii_alphanumeric(), "-_.")
}

/// The pattern of `metav1.Condition`'s reason.
fn is_reason(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_,:".contains(c))
}

/// Not empty, with `edge` characters at both ends and those or `also` between.
fn edges_and_middle(text: &str, edge: fn(char) -> bool, also: &str) -> bool {
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(|c| edge(c) || also.contains(c))
}

/// A missing time is the old one while the status is the same, else now.
fn mend(change: &Change<'_>, patch: &mut Patch) {
    let Some(status) = change.new.status() else { return };
    let is_missing =
        |condition: &Condition<'_>| condition[ConditionMember::LastTransitionTime].string() == Member::Absent;
    if !status.conditions().iter().any(|entry| entry.is().is_some_and(is_missing)) {
        return;
    }
    let mut old = HashMap::new();
    for condition in
        change.old.and_then(|old| old.status()).map_or(&[][..], Status::conditions).iter().filter_map(Member::is)
    {
        if let Member::Is(name) = condition[ConditionMember::Type].string() {
            old.entry(name).or_insert(condition);
        }
    }
    for (index, entry) in status.conditions().iter().enumerate() {
        let Some(condition) = entry.is().filter(|condition| is_missing(condition)) else { continue };
        let standing = condition[ConditionMember::Type].string().value().and_then(|name| old.get(&name));
        let since = standing
            .filter(|old| old[ConditionMember::Status] == condition[ConditionMember::Status])
            .filter(|old| old.status().is_some() && old.last_transition_time().is_some())
            .and_then(|old| old[ConditionMember::LastTransitionTime].string().value());
        let Some(since) = since.map(|since| since.into_owned()).or_else(|| time::format(change.now)) else { continue };
        let field = Field::ConditionMember(Entry::Index(index), ConditionMember::LastTransitionTime);
        patch.set(field, Json::from_text(&since));
    }
}
