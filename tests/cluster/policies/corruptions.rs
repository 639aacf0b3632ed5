//! Cases of the captured reviews with one corrupted field, in the new object, in both, and in the old one.

use std::fs;

use serde_json::{Value, json};

use super::case::{Case, NOW, Request};
use super::corpora::share;
use super::values::values;
use crate::support::count_names::{DOCUMENTED_COUNTS, WIRE_COUNTS};
use crate::support::review_edits::Captured;
use crate::support::status_edits::updates;

/// Returns each captured update with each value in each field that it has, and without the field.
pub fn fields() -> impl Iterator<Item = Case> {
    let all = updates().into_iter().flat_map(|captured| {
        let object = &captured.lean["request"]["object"];
        pointers(object).into_iter().flat_map(move |pointer| {
            let name = pointer.rsplit('/').next().unwrap().to_owned();
            let values = values(&name).into_iter().map(Some).chain([None]);
            values.map(move |value| (captured, pointer.clone(), value))
        })
    });
    // 211 and the number of the values have no common factor, so that each value is in each field of some review.
    all.step_by(share(211)).flat_map(|(captured, pointer, value)| {
        let title =
            format!("{}: {pointer} = {}", captured.name, value.as_ref().map_or("none".to_owned(), Value::to_string));
        let edit = |object: &mut Value| write(object, &pointer, value.clone());
        corrupted(captured, &title, edit)
    })
}

/// Returns the pointers of what a policy may read, from the status itself to its innermost members.
fn pointers(object: &Value) -> Vec<String> {
    fn collect(path: &str, value: &Value, all: &mut Vec<String>) {
        all.push(path.to_owned());
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| collect(&format!("{path}/{key}"), value, all));
            }
            Value::Array(entries) => {
                entries.iter().enumerate().for_each(|(at, value)| collect(&format!("{path}/{at}"), value, all));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    for key in ["/spec", "/status"] {
        collect(key, object.pointer(key).unwrap_or(&Value::Null), &mut all);
    }
    all
}

fn write(object: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match (object.pointer_mut(parent), value) {
        (Some(Value::Object(members)), Some(value)) => drop(members.insert(key.to_owned(), value)),
        (Some(Value::Object(members)), None) => drop(members.remove(key)),
        (Some(Value::Array(entries)), value) => {
            let at: usize = key.parse().unwrap();
            match value {
                Some(value) if at < entries.len() => entries[at] = value,
                None if at < entries.len() => drop(entries.remove(at)),
                _ => {}
            }
        }
        _ => {}
    }
}

/// Returns a captured update with an edit in the new object, in both objects, and in the old one.
fn corrupted(captured: &Captured, title: &str, edit: impl Fn(&mut Value)) -> Vec<Case> {
    let request = &captured.lean["request"];
    let (new, old) = (request["object"].clone(), request["oldObject"].clone());
    let (mut corrupted_new, mut corrupted_old) = (new.clone(), old.clone());
    edit(&mut corrupted_new);
    edit(&mut corrupted_old);
    let case =
        |what: &str, new: &Value, old: &Value| Case::update(format!("{title} ({what})"), new.clone(), old.clone());
    vec![
        case("new", &corrupted_new, &old),
        case("same", &corrupted_new, &corrupted_new),
        case("both", &corrupted_new, &corrupted_old),
        case("old", &new, &corrupted_new),
        case("as an update of the object", &corrupted_new, &old).sent_as(Request::Update),
        case("as a creation", &corrupted_new, &old).sent_as(Request::Create),
    ]
}

/// Returns each captured update with each change of its list of conditions and of its spellings.
pub fn structures() -> impl Iterator<Item = Case> {
    let all = updates().into_iter().flat_map(|captured| STRUCTURES.iter().map(move |change| (captured, change)));
    all.step_by(share(17)).flat_map(|(captured, (title, edit))| {
        let apply = |object: &mut Value| {
            if object["status"].is_object() {
                edit(&mut object["status"]);
            }
        };
        corrupted(captured, &format!("{}: {title}", captured.name), apply)
    })
}

/// Returns each captured update with a wrong member in each condition, where the old object has the same conditions twice.
pub fn repeated_before() -> impl Iterator<Item = Case> {
    let wrong = [("reason", "Wrong"), ("message", "wrong"), ("error", "wrong"), ("status", "Maybe")];
    let all = updates().into_iter().flat_map(move |captured| wrong.map(|wrong| (captured, wrong)));
    all.step_by(share(5)).map(|(captured, (key, value))| {
        let mut new = captured.lean["request"]["object"].clone();
        each_list(&mut new["status"], |list| set(list, key, &json!(value)));
        let mut old = new.clone();
        each_list(&mut old["status"], |list| list.extend(list.clone()));
        Case::update(format!("{}: a wrong {key}, repeated before", captured.name), new, old)
    })
}

type Structure = (&'static str, fn(&mut Value));

const STRUCTURES: &[Structure] = &[
    ("each condition twice", |status| each_list(status, |list| list.extend(list.clone()))),
    ("the first condition twice", |status| each_list(status, |list| list.extend(list.first().cloned()))),
    ("a second condition that differs", |status| {
        each_list(status, |list| {
            let mut second = list.first().cloned().unwrap_or_default();
            second["status"] = json!("Unknown");
            list.push(second);
        });
    }),
    ("the conditions in reverse", |status| each_list(status, |list| list.reverse())),
    ("the last condition first", |status| {
        each_list(status, |list| {
            let last = list.pop();
            list.splice(..0, last);
        });
    }),
    ("without the first condition", |status| each_list(status, |list| drop(list.drain(..1.min(list.len()))))),
    ("null before the conditions", |status| each_list(status, |list| list.insert(0, Value::Null))),
    ("an empty condition", |status| each_list(status, |list| list.insert(0, json!({})))),
    ("a condition that is a text", |status| each_list(status, |list| list.insert(0, json!("Succeeded")))),
    ("a condition of an unknown type", |status| {
        each_list(status, |list| {
            let time = "2026-11-20T08:01:00Z";
            list.push(json!({"type": "Ready", "status": "True", "reason": "Ok", "lastTransitionTime": time}));
        });
    }),
    ("all conditions without a reason", |status| each_list(status, |list| without(list, "reason"))),
    ("all conditions without a time", |status| each_list(status, |list| without(list, "lastTransitionTime"))),
    ("all conditions without a message", |status| each_list(status, |list| without(list, "message"))),
    ("counts in both spellings", |status| respell(status, 0)),
    ("different counts in both spellings", |status| respell(status, 1)),
    ("both spellings within the counts", |status| respell_within(status, 0)),
    ("both spellings within the counts that differ", |status| respell_within(status, 1)),
    ("another numeric count", |status| status["cveCount"]["negligible"] = json!(3)),
    ("another count that is a text", |status| status["cveCount"]["negligible"] = json!("3")),
    ("counts whose sum overflows", |status| status["cveCount"] = json!({"high": i64::MAX, "low": 1, "total": 5})),
    ("counts in the other spelling whose sum overflows", |status| {
        status["CVECount"] = json!({"HIGH": i64::MAX, "LOW": 1, "CVETOTAL": 5});
    }),
    ("the largest sum", |status| status["cveCount"] = json!({"high": i64::MAX, "low": 0, "total": i64::MAX})),
    ("the metadata URL in both spellings", |status| status["metadataURL"] = status["metadataUrl"].clone()),
    ("another metadata URL", |status| status["metadataURL"] = json!("https://example.com/")),
    ("the scanner without its object", |status| status["scannedBy"] = status["scannedBy"]["scanner"].clone()),
    ("a condition of a later generation", |status| {
        each_list(status, |list| set(list, "observedGeneration", &json!(9)))
    }),
    ("conditions of an earlier generation", |status| {
        status["observedGeneration"] = json!(5);
        each_list(status, |list| set(list, "observedGeneration", &json!(4)));
    }),
    ("conditions of this very second", |status| {
        each_list(status, |list| set(list, "lastTransitionTime", &json!(NOW)));
    }),
];

fn each_list(status: &mut Value, edit: impl Fn(&mut Vec<Value>)) {
    if let Some(list) = status["conditions"].as_array_mut() {
        edit(list);
    }
}

fn without(list: &mut [Value], key: &str) {
    list.iter_mut().filter_map(Value::as_object_mut).for_each(|entry| drop(entry.remove(key)));
}

fn set(list: &mut [Value], key: &str, value: &Value) {
    list.iter_mut()
        .filter_map(Value::as_object_mut)
        .for_each(|entry| drop(entry.insert(key.to_owned(), value.clone())));
}

/// Adds the counts in the other spelling, each with `more` added.
fn respell(status: &mut Value, more: i64) {
    let mut other = json!({});
    for (wire, documented) in WIRE_COUNTS.iter().zip(DOCUMENTED_COUNTS) {
        if let Some(count) = status["cveCount"][wire].as_i64() {
            other[documented] = json!(count + more);
        }
    }
    status["CVECount"] = other;
}

fn respell_within(status: &mut Value, more: i64) {
    for (wire, documented) in WIRE_COUNTS.iter().zip(DOCUMENTED_COUNTS) {
        if let Some(count) = status["cveCount"][wire].as_i64() {
            status["cveCount"][documented] = json!(count + more);
        }
    }
}

/// Returns each text of `tests/fixtures/times.txt` as a time of a condition and as `scannedAt`.
pub fn times() -> impl Iterator<Item = Case> {
    let fixture = fs::read_to_string("tests/fixtures/times.txt").unwrap();
    let texts: Vec<Value> =
        fixture.lines().map(|line| serde_json::from_str(line.split('\t').next().unwrap()).unwrap()).collect();
    let captured = *updates()
        .iter()
        .rev()
        .find(|captured| captured.lean["request"]["object"]["status"]["scannedAt"].is_string())
        .unwrap();
    let (new, old) = (captured.lean["request"]["object"].clone(), captured.lean["request"]["oldObject"].clone());
    texts.into_iter().step_by(share(17)).flat_map(move |text| {
        ["/status/scannedAt", "/status/conditions/1/lastTransitionTime"].map(|pointer| {
            let mut new = new.clone();
            write(&mut new, pointer, Some(text.clone()));
            Case::update(format!("{pointer} = {text}"), new, old.clone())
        })
    })
}
