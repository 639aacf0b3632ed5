//! The examples of the rules as whole scans, and their findings in the words that clients get.

use serde_json::{Value, json};

use crate::engine::rule::EXAMPLE_WRITER;
use crate::engine::{Change, Example, Findings, Rule, validate};
use crate::scan::{Container, Kind, Scan, reader, time};

/// The time at which examples are judged. It is later than all times in them, except those that are meant to be in the future.
pub const NOW: &str = "2026-11-24T12:00:00Z";

/// Returns `path: message [rule-id]` for each finding of the rule.
pub fn findings(rule: &Rule, example: &Example) -> Vec<String> {
    let new = object(example.new);
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == new["kind"]).unwrap_or(Kind::SourceScan);
    let user = new["user"].as_str().unwrap_or(EXAMPLE_WRITER).to_owned();
    let [new, old] = [Some(new), example.old.map(object)].map(|object| object.unwrap_or_default().to_string());
    let [Ok(new), Ok(old)] = [&new, &old].map(|text| reader::read::<Container<'_, Scan<'_>>>(text)) else {
        return Vec::new();
    };
    let Some(new) = new.present() else { return Vec::new() };
    let Some(now) = time::parse(NOW) else { return Vec::new() };
    let writers = [EXAMPLE_WRITER.to_owned()];
    let change = Change::new(kind, new, old.present(), now).with_user(&user, &writers);
    let mut findings = Findings::default();
    validate(std::slice::from_ref(rule), rule.part, &change, &mut findings);
    let line =
        |finding: &crate::engine::Finding<'_>| format!("{}: {} [{}]", finding.field, finding.explained(), rule.id);
    findings.list().iter().map(line).collect()
}

/// Returns a valid scan with the members of an example.
pub fn object(members: &str) -> Value {
    let mut object = json!({
        "apiVersion": "scanning.apps.tanzu.vmware.com/v1beta1",
        "kind": "SourceScan",
        "metadata": {"name": "sample", "namespace": "default", "generation": 1},
        "spec": {"blob": {"url": "https://example.com/code.tar.gz"}, "scanTemplate": "blob-source-scan-template"},
    });
    merge(&mut object, parsed(members));
    object
}

/// Merges members into a value as RFC 7386 says: null removes a member.
fn merge(into: &mut Value, members: Value) {
    match (into, members) {
        (Value::Object(into), Value::Object(members)) => {
            for (name, value) in members {
                if value.is_null() {
                    into.remove(&name);
                } else {
                    merge(into.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (into, Value::Object(members)) => {
            *into = json!({});
            merge(into, Value::Object(members));
        }
        (into, value) => *into = value,
    }
}

/// Parses the JSON of an example. A test makes sure that it is valid.
pub fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or(Value::Null)
}
