//! LAW §6 "Ratchet" by enumeration: every refused example as the old object, and every change of one field of it.

#[path = "ratchet/edits.rs"]
mod edits;
#[path = "support/findings.rs"]
mod findings;
#[path = "support/objects.rs"]
mod objects;
#[path = "ratchet/reads.rs"]
mod reads;
#[path = "states/mod.rs"]
mod states;

use findings::found;
use objects::{review, scan};
use scan_admission::admission::Door;
use scan_admission::law::{Example, Part, RULES, Rule, Verdict};
use serde_json::{Value, json};

/// Every refused example that a door without status writers can see, with its path.
fn refused() -> impl Iterator<Item = (&'static Rule, &'static Example, &'static str)> {
    RULES.iter().filter(|rule| rule.id != "status-writer").flat_map(|rule| {
        rule.examples.iter().filter_map(move |example| match example.verdict {
            Verdict::Refused(path) => Some((rule, example, path)),
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
    format!("{}: {}", rule.id, example.says)
}

/// "On UPDATE a refusal is softened to advice when the old object breaks the same rule at the same path and none of the
/// fields that the rule read for it changed."
#[test]
fn a_refusal_is_softened_where_it_stood_and_nothing_it_reads_changed() {
    let (mut softened, mut kept, mut differ) = (0, 0, Vec::new());
    // What the examples that come with an old object break is broken by the step from it.
    for (rule, example, path) in refused().filter(|(_, example, _)| example.old.is_none()) {
        let old = scan(example.new);
        let before = found(&judged(rule, &old, None));
        assert!(before.has_refused(rule.id, path), "{}", says(rule, example));
        for (changed, new) in edits::of(&old) {
            let alone = found(&judged(rule, &new, None));
            let after = found(&judged(rule, &new, Some(&old)));
            for (broken, at) in &alone.refused {
                let is_read = |read: &String| changed.iter().any(|field| edits::is_within(read, field));
                let is_any_read = || reads::of(broken, at, &new).iter().flatten().any(is_read);
                let is_soft = before.has_refused(broken, at) && !is_any_read();
                if after.has_refused(broken, at) == is_soft || is_soft && !after.has_advised(broken, at) {
                    differ.push(format!("{}: {changed:?}: {broken} at {at}, soft: {is_soft}", says(rule, example)));
                }
                softened += usize::from(is_soft);
                kept += usize::from(!is_soft);
            }
            // "Ratchet never turns an allowed change into a refused one": only a time that went back needs an old one.
            for finding in after.refused.difference(&alone.refused) {
                assert_eq!(finding.0, "scanned-at", "{}: {changed:?}", says(rule, example));
            }
        }
    }
    differ.sort();
    differ.dedup();
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(softened > 1000 && kept > 500, "{softened} softened, {kept} kept");
}

/// "One old bad object must never freeze its controller": whatever is wrong with an object, writing it as it was passes.
#[test]
fn an_unchanged_object_is_never_refused() {
    let mut bad = Vec::new();
    for (rule, example, _) in refused() {
        let object = scan(example.new);
        assert_eq!(found(&judged(rule, &object, Some(&object))).refused, [].into(), "{}", says(rule, example));
        bad.extend((rule.part == Part::Status).then_some(object));
    }
    // Nor with what is wrong in any two of them.
    for one in &bad {
        for other in &bad {
            let mut object = one.clone();
            json_patch::merge(&mut object, other);
            let (answer, body) = objects::answer(&review(&object, Some(&object)), Door::Validate);
            assert!(answer.is_allowed, "{body:#}");
        }
    }
    for state in states::all() {
        let object = state.object(states::Kind::SourceScan, states::Spelling::Wire);
        let (answer, body) = objects::answer(&review(&object, Some(&object)), Door::Validate);
        assert!(answer.is_allowed, "{state:?}: {body:#}");
    }
}

/// "CREATE is not softened", not even beside the very same old object.
#[test]
fn a_create_is_never_softened() {
    for (rule, example, path) in refused().filter(|(_, example, _)| example.old.is_none()) {
        let object = scan(example.new);
        for old in [None, Some(&object)] {
            let mut create = review(&object, old);
            let request = create["request"].as_object_mut().unwrap();
            request.remove("subResource");
            request.insert("operation".to_owned(), json!("CREATE"));
            assert!(found(&create).has_refused(rule.id, path), "{}", says(rule, example));
        }
    }
}

/// "An object with deletionTimestamp: refusals become advice."
#[test]
fn nothing_is_refused_of_an_object_that_is_being_deleted() {
    for (rule, example, path) in refused() {
        let mut object = scan(example.new);
        object["metadata"]["deletionTimestamp"] = json!("2026-11-24T11:59:00Z");
        let mut create = judged(rule, &object, None);
        create["request"]["operation"] = json!("CREATE");
        for review in [judged(rule, &object, example.old.map(scan).as_ref()), judged(rule, &object, None), create] {
            let found = found(&review);
            assert_eq!(found.refused, [].into(), "{}", says(rule, example));
            // What the old object alone makes wrong is not found without it.
            assert!(found.has_advised(rule.id, path) || example.old.is_some(), "{}", says(rule, example));
        }
    }
}
