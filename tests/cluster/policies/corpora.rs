//! Cases of the states of RULES §7, of the lifecycles, and of the examples of all rules.

use std::env;

use scan_admission::engine::Part;
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use super::case::{Case, Request};
use crate::support::reviews::scan;
use crate::support::states::lifecycles::{lifecycles, warned_lifecycles};
use crate::support::states::{self, Kind, Spelling};
use crate::support::status_edits::updates;

const KINDS: [Kind; 2] = [Kind::SourceScan, Kind::ImageScan];
const SPELLINGS: [Spelling; 2] = [Spelling::Wire, Spelling::Documented];

/// Returns the step through a list of which one in so many is tried. With a number in POLICIES, it is so many times as
/// many, and all with POLICIES=all.
pub fn share(step: usize) -> usize {
    match env::var("POLICIES").as_deref() {
        Err(_) => step,
        Ok("all") => 1,
        Ok(times) => step.div_ceil(times.parse().expect("POLICIES is a number or \"all\"")),
    }
}

fn without_status(object: &Value) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove("status");
    object
}

/// Returns the captured updates of a status as they were sent.
pub fn captured() -> impl Iterator<Item = Case> {
    updates().into_iter().map(|captured| {
        let review = serde_json::from_str(&captured.text).expect("a captured review is JSON");
        Case::captured(&captured.name, &review)
    })
}

/// Returns every state with both kinds and both spellings. The old object has no status, or is the same or in another
/// state.
pub fn product() -> impl Iterator<Item = Case> {
    let all: Vec<states::State> = states::all().collect();
    let variants = KINDS.into_iter().flat_map(|kind| SPELLINGS.map(|spelling| (kind, spelling)));
    variants.enumerate().flat_map(move |(first, (kind, spelling))| {
        let all = all.clone();
        // Each variant has another share of the states.
        (first % share(5)..all.len()).step_by(share(5)).map(move |at| {
            let object = all[at].object(kind, spelling);
            // The factor is a prime, so that the old states are a permutation of the new ones.
            let old = match at % 4 {
                0 => without_status(&object),
                1 => object.clone(),
                _ => all[(at * 7919 + 5) % all.len()].object(kind, spelling),
            };
            Case::update(format!("{kind:?} {spelling:?} {:?}", all[at]), object, old)
        })
    })
}

/// Returns states with conditions of older generations, with other relations of the generations, and with other artifacts.
pub fn generations_and_artifacts() -> impl Iterator<Item = Case> {
    let older = states::Case::of_generations().chain(states::Case::of_other_artifacts());
    let older = older.enumerate().map(|(at, case)| (KINDS[at % 2], case));
    let all = older.chain(states::Case::of_artifacts()).step_by(share(97));
    all.enumerate().map(|(at, (kind, case))| {
        let object = case.object(kind, SPELLINGS[at / 2 % 2]);
        let old = if at % 3 == 0 { object.clone() } else { without_status(&object) };
        Case::update(format!("{kind:?} {case:?}"), object, old)
    })
}

/// Returns every step of every lifecycle, forwards and backwards.
pub fn steps() -> impl Iterator<Item = Case> {
    let all = lifecycles().into_iter().chain(warned_lifecycles());
    let all = all.flat_map(|lifecycle| {
        let title = format!("{} {:?} {:?}", lifecycle.name, lifecycle.kind, lifecycle.spelling);
        let case = |one: &Value, other: &Value| Case::update(title.clone(), one.clone(), other.clone());
        lifecycle
            .steps
            .windows(2)
            .flat_map(|pair| [case(&pair[1], &pair[0]), case(&pair[0], &pair[1])])
            .collect::<Vec<_>>()
    });
    all.step_by(share(5))
}

/// Returns every example of every rule with its old object, and as every other request; and the updates of [`RARE`].
pub fn examples() -> impl Iterator<Item = Case> {
    let of_rules = RULES.iter().flat_map(|rule| {
        rule.examples.iter().flat_map(|example| {
            let title = format!("{}: {}", rule.id, example.title);
            let mut new = scan(example.new);
            new.as_object_mut().unwrap().remove("user");
            let old = example.old.map_or_else(|| without_status(&new), scan);
            let case = Case::update(title, new.clone(), old.clone());
            let mut all = vec![
                Case::update(format!("{} (deleted)", case.title), deleted(&new), old.clone()),
                Case::update(format!("{} (unchanged)", case.title), new.clone(), new.clone()),
                Case::update(format!("{} (reverted)", case.title), old, new),
                case.clone().sent_as(Request::Update),
                case.clone().sent_as(Request::Create),
            ];
            if rule.part != Part::Writer {
                all.insert(0, case);
            }
            all
        })
    });
    of_rules.chain(rare())
}

fn deleted(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]["deletionTimestamp"] = json!("2026-11-24T11:00:00Z");
    object
}

/// Updates of a status that random objects have shown to be judged in different ways: the old status and the new one.
const RARE: &[(&str, &str, &str)] = &[
    (
        "a source without a value is removed",
        r#"{"phase": "Failed", "compliantArtifact": {"blob": {}, "git": {"url": "a"}}}"#,
        r#"{"phase": "Failed", "compliantArtifact": {"git": {"url": "a"}}}"#,
    ),
    (
        "a source without a value is added",
        r#"{"phase": "Failed", "compliantArtifact": {"git": {"url": "a"}}}"#,
        r#"{"phase": "Failed", "compliantArtifact": {"blob": {"url": ""}, "git": {"url": "a"}}}"#,
    ),
    (
        "a source is replaced by what is no object",
        r#"{"phase": "Failed", "compliantArtifact": {"blob": {}, "git": {"url": "a"}}}"#,
        r#"{"phase": "Failed", "compliantArtifact": {"blob": [], "git": {"url": "a"}}}"#,
    ),
    (
        "a condition loses one of two members",
        r#"{"conditions": [{"message": []}, {"lastTransitionTime": "2026-11-20T08:03:00Z"}]}"#,
        r#"{"conditions": [{}]}"#,
    ),
    (
        "two members count less than a later one",
        r#"{"conditions": [{"message": "a"}, {"reason": "A", "lastTransitionTime": "2026-11-20T08:03:00Z"}]}"#,
        r#"{"conditions": [{}]}"#,
    ),
    (
        "one of three conditions is removed",
        r#"{"conditions": [{"reason": "Error"}, {}, {"lastTransitionTime": "2026-11-20T08:00:00Z"}]}"#,
        r#"{"conditions": [{}, {}]}"#,
    ),
    (
        "one of the totals is high enough",
        r#"{}"#,
        r#"{"CVECount": {"critical": 0}, "cveCount": {"total": 192}, "conditions": [{"type": "PolicySucceeded",
            "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs",
            "lastTransitionTime": "2026-11-20T08:03:00Z"}]}"#,
    ),
    (
        "the first of the totals is too low",
        r#"{}"#,
        r#"{"CVECount": {"critical": 9}, "cveCount": {"total": 2}, "conditions": [{"type": "PolicySucceeded",
            "status": "False", "reason": "EvaluationFailed", "message": "Policy violated because of 7 CVEs",
            "lastTransitionTime": "2026-11-20T08:03:00Z"}]}"#,
    ),
];

/// Returns the updates of [`RARE`].
fn rare() -> impl Iterator<Item = Case> {
    RARE.iter().map(|(title, old, new)| {
        let [new, old] = [new, old].map(|status| scan(&format!(r#"{{"status": {status}}}"#)));
        Case::update(*title, new, old)
    })
}
