//! Tests of RULES §6 "Ratchet": every denied example as the old object, with every change of one field as the new
//! object.

mod field_changes;
mod fields_read;
mod same_error;

use scan_admission::admission::Webhook;
use scan_admission::engine::{Example, Expectation, Part, Rule};
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use crate::answers;
use crate::findings::found;
use crate::states;
use crate::support::reviews::{review, scan};

/// Returns every denied example with its path, except those of `status-writer`, for which no writers are configured
/// here.
fn denied() -> impl Iterator<Item = (&'static Rule, &'static Example, &'static str)> {
    RULES.iter().filter(|rule| rule.id != "status-writer").flat_map(|rule| {
        rule.examples.iter().filter_map(move |example| match example.expect {
            Expectation::Denies(path) => Some((rule, example, path)),
            _ => None,
        })
    })
}

/// Returns a review in which the part of `rule`, spec or status, is judged.
fn judged(rule: &Rule, new: &Value, old: Option<&Value>) -> Value {
    let mut review = review(new, old);
    if rule.part == Part::Spec {
        review["request"].as_object_mut().unwrap().remove("subResource");
    }
    review
}

fn title(rule: &Rule, example: &Example) -> String {
    format!("{}: {}", rule.id, example.title)
}

/// "On UPDATE an error is downgraded to a warning when the old object breaks the same rule at the same path in the same
/// way (the same row of a table) and none of the fields that the rule read for it changed."
#[test]
fn an_old_error_is_downgraded_while_no_field_it_reads_changes() {
    let (mut downgraded, mut denied_again, mut open, mut differ) = (0, 0, 0, Vec::new());
    // Examples with an old object have an error only against it, so they cannot be the old object.
    for (rule, example, path) in denied().filter(|(_, example, _)| example.old.is_none()) {
        let old = scan(example.new);
        let before = found(&judged(rule, &old, None));
        assert!(before.has_denied(rule.id, path), "{}", title(rule, example));
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
                    differ
                        .push(format!("{}: {changed:?}: {broken} at {at} should not be denied", title(rule, example)));
                    continue;
                }
                let is_changed = |fields: &[String]| {
                    fields.iter().any(|read| changed.iter().any(|field| field_changes::is_within(read, field)))
                };
                let is_new =
                    is.iter().any(|row| is_changed(&row.reads) || was.iter().all(|old| old.sentence != row.sentence));
                if !is_new && is.iter().any(|row| is_changed(&row.open)) {
                    open += 1;
                    continue;
                }
                if after.has_denied(broken, at) != is_new || !is_new && !after.has_warned(broken, at) {
                    differ.push(format!(
                        "{}: {changed:?}: {broken} at {at}, downgraded: {}",
                        title(rule, example),
                        !is_new
                    ));
                }
                downgraded += usize::from(!is_new);
                denied_again += usize::from(is_new);
            }
            // "An error is a property of the new object alone: the old object can only downgrade it."
            assert!(after.denied.is_subset(&alone.denied), "{}: {changed:?}: {after:?}", title(rule, example));
        }
    }
    differ.sort();
    differ.dedup();
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(
        downgraded > 1000 && denied_again > 500,
        "{downgraded} downgraded, {denied_again} denied, {open} left open by the rules"
    );
}

/// "One old bad object must never freeze its controller": an object with any errors may be written unchanged.
#[test]
fn an_unchanged_object_is_never_denied() {
    let mut broken = Vec::new();
    for (rule, example, _) in denied() {
        let object = scan(example.new);
        assert_eq!(found(&judged(rule, &object, Some(&object))).denied, [].into(), "{}", title(rule, example));
        broken.extend((rule.part == Part::Status).then_some(object));
    }
    // The errors of any two examples together.
    for one in &broken {
        for other in &broken {
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

/// "CREATE is not downgraded", not even with the same object as the old object.
#[test]
fn a_create_is_never_downgraded() {
    for (rule, example, path) in denied().filter(|(_, example, _)| example.old.is_none()) {
        let object = scan(example.new);
        for old in [None, Some(&object)] {
            let mut create = review(&object, old);
            let request = create["request"].as_object_mut().unwrap();
            request.remove("subResource");
            request.insert("operation".to_owned(), json!("CREATE"));
            assert!(found(&create).has_denied(rule.id, path), "{}", title(rule, example));
        }
    }
}

/// "An object with deletionTimestamp: denials become warnings."
#[test]
fn an_object_that_is_being_deleted_is_never_denied() {
    for (rule, example, path) in denied() {
        let mut object = scan(example.new);
        object["metadata"]["deletionTimestamp"] = json!("2026-11-24T11:59:00Z");
        let mut create = judged(rule, &object, None);
        create["request"]["operation"] = json!("CREATE");
        for review in [judged(rule, &object, example.old.map(scan).as_ref()), judged(rule, &object, None), create] {
            let found = found(&review);
            assert_eq!(found.denied, [].into(), "{}", title(rule, example));
            // Without its old object, an example that has one has no finding.
            assert!(found.has_warned(rule.id, path) || example.old.is_some(), "{}", title(rule, example));
        }
    }
}
