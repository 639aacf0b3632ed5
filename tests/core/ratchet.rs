//! RULES §6 "Ratchet" by enumeration: every denied example as the old object, and every change of one field of it.

mod field_changes;
mod fields_read;
mod same_fault;

use scan_admission::admission::Webhook;
use scan_admission::engine::{Example, Expectation, Part, Rule};
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use crate::answers;
use crate::findings::found;
use crate::states;
use crate::support::reviews::{review, scan};

/// Every denied example that a webhook without status writers can see, with its path.
fn denied() -> impl Iterator<Item = (&'static Rule, &'static Example, &'static str)> {
    RULES.iter().filter(|rule| rule.id != "status-writer").flat_map(|rule| {
        rule.examples.iter().filter_map(move |example| match example.expect {
            Expectation::Denies(path) => Some((rule, example, path)),
            _ => None,
        })
    })
}

/// The review that has the part of `rule` judged.
fn judged(rule: &Rule, new: &Value, old: Option<&Value>) -> Value {
    let mut review = review(new, old);
    if rule.part == Part::Spec {
        review["request"].as_object_mut().unwrap().remove("subResource");
    }
    review
}

fn says(rule: &Rule, example: &Example) -> String {
    format!("{}: {}", rule.id, example.title)
}

/// "On UPDATE an error is downgraded to a warning when the old object breaks the same rule at the same path in the same way
/// (the same row of a table) and none of the fields that the rule read for it changed."
#[test]
fn an_error_is_downgraded_where_it_stood_and_nothing_it_reads_changed() {
    let (mut downgraded, mut kept, mut open, mut differ) = (0, 0, 0, Vec::new());
    // What the examples that come with an old object break is broken by the step from it.
    for (rule, example, path) in denied().filter(|(_, example, _)| example.old.is_none()) {
        let old = scan(example.new);
        let before = found(&judged(rule, &old, None));
        assert!(before.has_denied(rule.id, path), "{}", says(rule, example));
        for (changed, new) in field_changes::of(&old) {
            let alone = found(&judged(rule, &new, None));
            let after = found(&judged(rule, &new, Some(&old)));
            for (broken, at) in &alone.denied {
                let was =
                    if before.has_denied(broken, at) { fields_read::rows(broken, at, &old) } else { Some(vec![]) };
                let (Some(was), Some(is)) = (was, fields_read::rows(broken, at, &new)) else {
                    open += 1;
                    continue;
                };
                if is.is_empty() {
                    differ.push(format!("{}: {changed:?}: {broken} at {at} is no error", says(rule, example)));
                    continue;
                }
                let is_changed = |fields: &[String]| {
                    fields.iter().any(|read| changed.iter().any(|field| field_changes::is_within(read, field)))
                };
                let is_new = is.iter().any(|row| is_changed(&row.reads) || was.iter().all(|old| old.says != row.says));
                if !is_new && is.iter().any(|row| is_changed(&row.open)) {
                    open += 1;
                    continue;
                }
                if after.has_denied(broken, at) != is_new || !is_new && !after.has_warned(broken, at) {
                    differ.push(format!(
                        "{}: {changed:?}: {broken} at {at}, downgraded: {}",
                        says(rule, example),
                        !is_new
                    ));
                }
                downgraded += usize::from(!is_new);
                kept += usize::from(is_new);
            }
            // "An error is a property of the new object alone: the old object can only downgrade it."
            assert!(after.denied.is_subset(&alone.denied), "{}: {changed:?}: {after:?}", says(rule, example));
        }
    }
    differ.sort();
    differ.dedup();
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(downgraded > 1000 && kept > 500, "{downgraded} downgraded, {kept} kept, {open} open");
}

/// "One old bad object must never freeze its controller": whatever is wrong with an object, writing it as it was passes.
#[test]
fn an_unchanged_object_is_never_denied() {
    let mut bad = Vec::new();
    for (rule, example, _) in denied() {
        let object = scan(example.new);
        assert_eq!(found(&judged(rule, &object, Some(&object))).denied, [].into(), "{}", says(rule, example));
        bad.extend((rule.part == Part::Status).then_some(object));
    }
    // Nor with what is wrong in any two of them.
    for one in &bad {
        for other in &bad {
            let mut object = one.clone();
            json_patch::merge(&mut object, other);
            let (answer, body) = answers::answer(&review(&object, Some(&object)), Webhook::Validating);
            assert!(answer.is_allowed, "{body:#}");
        }
    }
    for state in states::all() {
        let object = state.object(states::Kind::SourceScan, states::Spelling::Wire);
        let (answer, body) = answers::answer(&review(&object, Some(&object)), Webhook::Validating);
        assert!(answer.is_allowed, "{state:?}: {body:#}");
    }
}

/// "CREATE is not downgraded", not even beside the very same old object.
#[test]
fn a_create_is_never_downgraded() {
    for (rule, example, path) in denied().filter(|(_, example, _)| example.old.is_none()) {
        let object = scan(example.new);
        for old in [None, Some(&object)] {
            let mut create = review(&object, old);
            let request = create["request"].as_object_mut().unwrap();
            request.remove("subResource");
            request.insert("operation".to_owned(), json!("CREATE"));
            assert!(found(&create).has_denied(rule.id, path), "{}", says(rule, example));
        }
    }
}

/// "An object with deletionTimestamp: denials become warnings."
#[test]
fn nothing_is_denied_of_an_object_that_is_being_deleted() {
    for (rule, example, path) in denied() {
        let mut object = scan(example.new);
        object["metadata"]["deletionTimestamp"] = json!("2026-11-24T11:59:00Z");
        let mut create = judged(rule, &object, None);
        create["request"]["operation"] = json!("CREATE");
        for review in [judged(rule, &object, example.old.map(scan).as_ref()), judged(rule, &object, None), create] {
            let found = found(&review);
            assert_eq!(found.denied, [].into(), "{}", says(rule, example));
            // What the old object alone makes wrong is not found without it.
            assert!(found.has_warned(rule.id, path) || example.old.is_some(), "{}", says(rule, example));
        }
    }
}
