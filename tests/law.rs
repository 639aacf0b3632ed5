//! The law's own tests: every example of every rule is one, and the captured reviews pass both doors.

#[path = "support/objects.rs"]
mod objects;

use objects::{answer, patch, patched, review, scan};
use scan_admission::admission::Door;
use scan_admission::law::{Change, EXAMPLE_WRITER, Findings, Operation, Part, RULES, Rule, Severity, Verdict, judge};
use scan_admission::scan::{Kind, Member, Scan, reader};
use serde_json::Value;

/// Hands a change to `ask` as the engine would see it.
fn with_change<T>(new: &Value, old: Option<&Value>, ask: impl FnOnce(&Change<'_>) -> T) -> T {
    let (text, old) = (new.to_string(), old.map(Value::to_string));
    let scan: Member<Scan<'_>> = reader::read(&text).unwrap();
    let old: Option<Member<Scan<'_>>> = old.as_ref().map(|old| reader::read(old).unwrap());
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == new["kind"]).unwrap();
    let user = new["user"].as_str().unwrap_or(EXAMPLE_WRITER);
    let writers = [EXAMPLE_WRITER.to_owned()];
    let change = Change::new(kind, scan.is().unwrap(), old.as_ref().map(|old| old.is().unwrap()), objects::now());
    ask(&change.written_by(user, &writers))
}

/// What one rule finds at one object.
fn findings(rule: &Rule, new: &Value, old: Option<&Value>) -> Vec<(Severity, String)> {
    with_change(new, old, |change| {
        let mut findings = Findings::default();
        judge(std::slice::from_ref(rule), rule.part, change, &mut findings);
        findings.list().iter().map(|finding| (finding.severity, finding.field.to_string())).collect()
    })
}

#[test]
fn every_example_is_judged_as_it_says() {
    for rule in RULES {
        for example in rule.examples {
            let new = scan(example.new);
            let old = example.old.map(scan);
            let found = findings(rule, &new, old.as_ref());
            let says = format!("{}: {}: {found:?}", rule.id, example.says);
            match example.verdict {
                Verdict::Passes => assert!(found.is_empty(), "{says}"),
                Verdict::Advised(field) => assert_eq!(found, [(Severity::Advise, field.to_owned())], "{says}"),
                Verdict::Refused(field) => assert_eq!(found, [(Severity::Refuse, field.to_owned())], "{says}"),
                Verdict::Mended(expected) => {
                    let operations = mend(rule, &new, old.as_ref());
                    let made: Value =
                        serde_json::from_str(&scan_admission::admission::patch::to_json(&operations)).unwrap();
                    assert_eq!(made, serde_json::from_str::<Value>(expected).unwrap(), "{says}");
                }
            }
        }
    }
}

fn mend(rule: &Rule, new: &Value, old: Option<&Value>) -> Vec<Operation> {
    with_change(new, old, |change| scan_admission::law::mend(std::slice::from_ref(rule), change).1)
}

#[test]
fn every_rule_has_a_broken_and_a_kept_example_and_one_of_its_mend() {
    for rule in RULES {
        let has = |verdict: fn(&Verdict) -> bool| rule.examples.iter().any(|example| verdict(&example.verdict));
        assert!(has(|verdict| *verdict == Verdict::Passes), "{} has no example that passes", rule.id);
        assert!(
            has(|verdict| matches!(verdict, Verdict::Refused(_) | Verdict::Advised(_))),
            "{} has no example that is broken",
            rule.id
        );
        assert_eq!(has(|verdict| matches!(verdict, Verdict::Mended(_))), rule.mend.is_some(), "{}", rule.id);
    }
}

#[test]
fn every_example_passes_both_doors_as_a_review() {
    for rule in RULES {
        for example in rule.examples {
            let (new, old) = (scan(example.new), example.old.map(scan));
            let (_, body) = answer(&review(&new, old.as_ref()), Door::Validate);
            // The status writers are configured for examples only, and a spec is not judged on the status subresource.
            let is_judged = rule.id != "status-writer" && rule.part == Part::Status;
            if is_judged && matches!(example.verdict, Verdict::Refused(_)) {
                assert_eq!(body["response"]["allowed"], false, "{}: {}", rule.id, example.says);
                assert!(body["response"]["status"]["message"].as_str().unwrap().contains(&format!("[{}]", rule.id)));
            }
            let (_, body) = answer(&review(&new, old.as_ref()), Door::Mutate);
            assert_eq!(body["response"]["allowed"], true, "{}: {}", rule.id, example.says);
            let mended = patched(&new, &body);
            let (_, again) = answer(&review(&mended, old.as_ref()), Door::Mutate);
            assert_eq!(patch(&again), serde_json::json!([]), "{}: {}", rule.id, example.says);
        }
    }
}

#[test]
fn captured_reviews_are_allowed_without_a_word_or_a_patch() {
    let mut count = 0;
    for file in std::fs::read_dir("tests/fixtures/reviews").unwrap() {
        let path = file.unwrap().path();
        let review: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for door in [Door::Validate, Door::Mutate] {
            let (answer, body) = answer(&review, door);
            assert_eq!(answer.http, 200, "{path:?}");
            assert_eq!(body["response"]["uid"], review["request"]["uid"], "{path:?}");
            assert_eq!(body["response"]["allowed"], true, "{path:?}: {body}");
            assert!(body["response"]["patch"].is_null(), "{path:?}: {body}");
        }
        count += 1;
    }
    assert!(count > 100, "{count}");
}
