//! Reviews of plausible scans: a state of the table or a step of a lifecycle, with a few fields changed in the new or the
//! old object or in both. The first choice of each list is the plain one, which is taken where the bytes end.

mod values;

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use serde_json::{Value, json};

use super::super::state_rules::Expected;
use super::super::states::lifecycles::{Lifecycle, lifecycles, warned_lifecycles};
use super::super::states::{self, Case, Compliant, Kind, Observed, Spelling, State};
use values::{FIELDS, WRONG};

const CONTROLLER: &str = "system:serviceaccount:scan-link-system:scan-link-controller";

static STATES: LazyLock<Vec<State>> = LazyLock::new(|| states::all().collect());
static LIFECYCLES: LazyLock<Vec<Lifecycle>> = LazyLock::new(|| [lifecycles(), warned_lifecycles()].concat());

/// A review and the settings that it is answered with.
pub struct Sent {
    pub review: Value,
    pub writers: Vec<String>,
    /// The findings by the table of states, if the review is one of its cases.
    pub expected: Option<Expected>,
}

pub fn sent(bytes: &[u8]) -> Sent {
    // No choice is from an empty list, and none fails where the bytes end.
    build(&mut Unstructured::new(bytes)).expect("a review")
}

fn build(u: &mut Unstructured<'_>) -> Result<Sent> {
    let (case, kind, spelling) = case(u)?;
    let (mut new, mut old) = (case.object(kind, spelling), case.object(kind, spelling));
    old.as_object_mut().expect("an object").remove("status");
    let base = u.int_in_range(0..=5)?;
    match base {
        0 | 1 => {}
        2 => old = new.clone(),
        3 => {
            let (other, ..) = self::case(u)?;
            old["status"] = other.object(kind, spelling)["status"].clone();
        }
        _ => {
            let steps = &u.choose(&LIFECYCLES)?.steps;
            let step = u.int_in_range(1..=steps.len() - 1)?;
            (new, old) = (steps[step].clone(), steps[step - 1].clone());
        }
    }
    let edits = u.int_in_range(0..=6)?;
    for _ in 0..edits {
        edit(u, &mut new, &mut old)?;
    }
    let request = u.int_in_range(0..=15)?;
    let (operation, sub_resource) = match request {
        0..=11 => ("UPDATE", "status"),
        12 | 13 => ("UPDATE", ""),
        14 => ("CREATE", ""),
        _ => ("CREATE", "status"),
    };
    // In an update of the status the API server takes all else from the old object.
    if sub_resource == "status" && base < 4 {
        (old["metadata"], old["spec"]) = (new["metadata"].clone(), new["spec"].clone());
    }
    let is_deleting = u.ratio(1, 16)?;
    if is_deleting {
        new["metadata"]["deletionTimestamp"] = json!("2026-11-24T00:00:00Z");
    }
    let writers = match u.int_in_range(0..=15)? {
        14 => vec![CONTROLLER.to_owned()],
        15 => vec!["somebody".to_owned()],
        _ => Vec::new(),
    };
    let is_case = base < 2 && edits == 0 && request < 12 && !is_deleting && writers.is_empty();
    let review = json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "1f661b25-f893-42af-8e36-d8c81ef6d774",
            "kind": {"group": "scanning.apps.tanzu.vmware.com", "version": "v1beta1", "kind": new["kind"]},
            "subResource": sub_resource,
            "name": "sample",
            "namespace": "default",
            "operation": operation,
            "userInfo": {"username": CONTROLLER},
            "object": new,
            "oldObject": if operation == "CREATE" { json!(null) } else { old },
        },
    });
    Ok(Sent { review, writers, expected: is_case.then(|| case.facts().expected()) })
}

/// Chooses a state, its generations and its artifacts.
fn case(u: &mut Unstructured<'_>) -> Result<(Case, Kind, Spelling)> {
    let state = *u.choose(&STATES)?;
    let mut case = state.case();
    let mut kind = *u.choose(&[Kind::SourceScan, Kind::ImageScan])?;
    let spelling = *u.choose(&[Spelling::Wire, Spelling::Documented])?;
    if u.ratio(1, 4)? {
        case.observed = *u.choose(&Observed::ALL)?;
        let conditions = state.conditions();
        for (older, condition) in case.older.iter_mut().zip(conditions) {
            *older = condition.is_some() && u.ratio(1, 4)?;
        }
    }
    if u.ratio(1, 4)? {
        let compliant = *u.choose(&Compliant::ALL)?;
        kind = compliant.kind();
        case.compliant = Some(compliant);
    }
    // It would be compared with compliantArtifact, too.
    case.is_artifact_of_another = case.compliant.is_none() && u.ratio(1, 8)?;
    Ok((case, kind, spelling))
}

/// Changes a field of the new object, of the old one, or of both.
fn edit(u: &mut Unstructured<'_>, new: &mut Value, old: &mut Value) -> Result<()> {
    let is_in = *u.choose(&[[true, true], [true, false], [false, true], [true, true]])?;
    let objects = [new, old].into_iter().zip(is_in).filter(|(_, is)| *is).map(|(object, _)| object);
    match u.int_in_range(0..=9)? {
        8 => {
            let (entry, other) = (u.int_in_range(0..=4)?, u.int_in_range(0..=4)?);
            let is_swap = u.arbitrary()?;
            objects.for_each(|object| move_entry(object, entry, other, is_swap));
        }
        number => {
            let (fields, values) = *u.choose(FIELDS)?;
            let field = *u.choose(fields)?;
            let json = *u.choose(if number == 9 { WRONG } else { values })?;
            let value = (!json.is_empty()).then(|| serde_json::from_str::<Value>(json).expect("JSON"));
            objects.for_each(|object| write(object, field, value.clone()));
        }
    }
    Ok(())
}

/// Swaps two conditions, or adds a copy of one.
fn move_entry(object: &mut Value, entry: usize, other: usize, is_swap: bool) {
    let list = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    let Some(list) = list.filter(|list| list.len() > entry) else { return };
    if is_swap {
        let other = other % list.len();
        list.swap(entry, other);
    } else {
        list.push(list[entry].clone());
    }
}

/// Writes or removes the value at a path. Absent objects on the path are added; a path through another value is left.
fn write(object: &mut Value, path: &str, value: Option<Value>) {
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let target = match object {
        Value::Null => {
            *object = json!({first: null});
            &mut object[first]
        }
        Value::Object(members) if rest.is_none() && value.is_none() => {
            members.remove(first);
            return;
        }
        Value::Object(members) => members.entry(first).or_insert(Value::Null),
        Value::Array(list) => {
            let Ok(index) = first.parse::<usize>() else { return };
            if rest.is_none() && value.is_none() {
                if index < list.len() {
                    list.remove(index);
                }
                return;
            }
            if index >= list.len() {
                list.push(Value::Null);
            }
            let index = index.min(list.len() - 1);
            &mut list[index]
        }
        _ => return,
    };
    match rest {
        Some(rest) => write(target, rest, value),
        None => *target = value.unwrap_or(Value::Null),
    }
}
