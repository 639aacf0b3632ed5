//! Writes the examples of all rules with kubectl, and compares the findings and the stored objects with the webhooks.

use std::collections::BTreeMap;

use scan_admission::admission::ReviewSettings;
use scan_admission::engine::{Cel, Example, Expectation, Part, Rule};
use scan_admission::rules::RULES;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::in_process::{Answers, Write};
use super::install::listed;
use super::printed::Printed;
use crate::break_glass;
use crate::controlplane::{Kubectl, KubectlOutput, Namespace, User};
use crate::support::reviews::scan;

/// Examples that this test does not write, by rule and number, and why.
const NOT_HERE: &[(&str, &str)] = &[("transition-time.3", "its time is at most two seconds before the request")];

/// A time that is written for lack of another is at most this far from the end of the test, in seconds.
const TEST_MAX_SECONDS: i64 = 1800;

struct Case {
    rule: &'static Rule,
    example: &'static Example,
    name: String,
    new: Value,
    old: Option<Value>,
}

impl Case {
    fn new(rule: &'static Rule, index: usize, example: &'static Example, namespace: &str) -> Self {
        let name = format!("{}.{index}", rule.id);
        let object = |members: &str| {
            // The times of the examples must have passed on whatever day the test runs.
            let mut object = scan(&members.replace("\"2026-", "\"2020-"));
            json_patch::merge(&mut object, &json!({"metadata": {"name": name, "namespace": namespace}}));
            object
        };
        let (new, old) = (object(example.new), example.old.map(object));
        Case { rule, example, name, new, old }
    }

    fn is_of_status(&self) -> bool {
        self.rule.part == Part::Status
    }

    /// The scan before the status is written, as it is created.
    fn first(&self) -> Value {
        let mut first = self.new.clone();
        first.as_object_mut().unwrap().remove("status");
        if self.is_second() {
            first["spec"]["scanTemplate"] = json!("another");
        }
        first
    }

    /// Whether the scan is of generation 2, which takes one edit.
    fn is_second(&self) -> bool {
        self.new["metadata"]["generation"] == 2
    }

    fn write(&self, namespace: &Namespace<'_>) -> KubectlOutput {
        let arguments = if self.is_of_status() {
            &["replace", "--subresource=status", "-f", "-"][..]
        } else {
            // Some examples have fields that belong to the other kind.
            &["create", "--validate=ignore", "-f", "-"]
        };
        namespace.kubectl(User::ScanController).args(arguments).input(self.new.to_string()).run()
    }

    /// Returns the answers of the webhooks to the write. The object in a request has the metadata and the spec of the
    /// stored one.
    fn answers(&self, namespace: &str, stored: Option<&Value>) -> Answers {
        let new = stored.map_or_else(
            || self.new.clone(),
            |stored| {
                let mut new = stored.clone();
                new["status"] = self.new["status"].clone();
                new
            },
        );
        let user = User::ScanController.username();
        let settings = &ReviewSettings::default();
        Write { new, old: stored, is_status: self.is_of_status(), namespace, user, groups: &[], settings }.answers()
    }
}

/// Every example of every rule with a twin. Rights are off without status writers.
fn cases(namespace: &str) -> Vec<Case> {
    let rules = RULES.iter().filter(|rule| !matches!(rule.cel, Cel::Never(_)) && rule.part != Part::Writer);
    let all = rules.flat_map(|rule| {
        rule.examples.iter().enumerate().map(|(index, example)| Case::new(rule, index, example, namespace))
    });
    all.filter(|case| NOT_HERE.iter().all(|(name, _)| *name != case.name)).collect()
}

pub fn are_judged_as_expected(namespace: &Namespace<'_>) {
    let cases = cases(&namespace.name);
    prepare(&cases, namespace);
    let before = stored(namespace);
    let mut wrong = Vec::new();
    let mut answers = Vec::new();
    for case in &cases {
        let old = before.get(&case.name);
        let expected = case.answers(&namespace.name, old);
        let output = case.write(namespace);
        let printed = Printed::of(&output.stderr);
        let mut differences = differences(case, &expected, &printed);
        if output.code != Some(i32::from(!printed.denied.is_empty())) {
            differences.push(format!("exit {:?}", output.code));
        }
        if let Some(old) = case.old.as_ref().filter(|old| old["status"] != before[&case.name]["status"]) {
            differences.push(format!("the old status {} is stored as {}", old["status"], before[&case.name]["status"]));
        }
        add(case, differences, &output.stderr, &mut wrong);
        answers.push((case, expected, printed.denied.is_empty()));
    }
    let after = stored(namespace);
    let annotations = annotations(namespace);
    for (case, expected, is_written) in answers {
        let stored = after.get(&case.name).unwrap_or(&Value::Null);
        if is_written && case.is_of_status() {
            add(case, status_differences(case, &expected.object, stored), "", &mut wrong);
        } else if !is_written {
            let status = before.get(&case.name).map_or(&Value::Null, |old| &old["status"]);
            assert_eq!(&stored["status"], status, "{}: a denied write is stored", case.name);
            let policy = if case.is_of_status() { "scan-errors" } else { "scan-spec-errors" };
            let rules = listed(|rule| expected.denied.contains_key(rule));
            let found = &annotations[&case.name][format!("{policy}/rules")];
            if *found != rules {
                wrong.push(format!("{}: the audit annotation is {found}, and {rules} deny", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    for rule in RULES.iter().filter(|rule| rule.mutate.is_some()) {
        assert!(cases.iter().any(|case| case.rule.id == rule.id), "{} has no case", rule.id);
    }
}

fn add(case: &Case, differences: Vec<String>, stderr: &str, wrong: &mut Vec<String>) {
    if !differences.is_empty() {
        wrong.push(format!("{}: {}: {}\n{stderr}", case.name, case.example.title, differences.join("\n  ")));
    }
}

/// Creates all objects that the cases need, without being judged.
fn prepare(cases: &[Case], namespace: &Namespace<'_>) {
    let write = |kubectl: Kubectl, items: Vec<Value>| {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        kubectl.args(["--validate=ignore", "-f", "-"]).input(list.to_string()).run().ok();
    };
    let cases = || cases.iter().filter(|case| case.is_of_status());
    write(break_glass(namespace).args(["create"]), cases().map(Case::first).collect());
    let second = cases().filter(|case| case.is_second()).map(|case| case.new.clone()).collect();
    write(break_glass(namespace).args(["replace"]), second);
    let old = cases().filter_map(|case| case.old.clone()).collect();
    write(break_glass(namespace).args(["replace", "--subresource=status"]), old);
}

/// Returns the scans of the namespace by name.
fn stored(namespace: &Namespace<'_>) -> BTreeMap<String, Value> {
    let get =
        namespace.kubectl(User::Admin).args(["get", "sourcescans,imagescans", "--show-managed-fields", "-o", "json"]);
    let mut list: Value = serde_json::from_str(get.run().ok()).unwrap();
    let items = list["items"].as_array_mut().unwrap().drain(..);
    items.map(|item| (item["metadata"]["name"].as_str().unwrap().to_owned(), item)).collect()
}

/// Returns the audit annotations of the last write of each scan.
fn annotations(namespace: &Namespace<'_>) -> BTreeMap<String, Value> {
    let events = namespace.cluster.audit().into_iter();
    let own = events.filter(|event| {
        event["objectRef"]["namespace"] == namespace.name && event["verb"] != "get" && event["verb"] != "list"
    });
    // The name of a new object that is denied is only in the message.
    let name = |event: &Value| {
        let message = event["responseStatus"]["message"].as_str().and_then(|text| text.split('"').nth(1));
        event["objectRef"]["name"].as_str().or(message).unwrap_or_default().to_owned()
    };
    own.map(|event| (name(&event), event["annotations"].clone())).collect()
}

/// Compares what kubectl prints with the expectation of the example, and with the answers of the webhooks.
fn differences(case: &Case, expected: &Answers, printed: &Printed) -> Vec<String> {
    let mut all = Vec::new();
    let (id, example) = (case.rule.id, case.example);
    let names = |messages: Option<&Vec<String>>, path: &str| {
        messages.is_some_and(|list| list.iter().any(|message| message.starts_with(&format!("{path}: "))))
    };
    let (denied, warned) = (printed.denied.get(id), printed.warned.get(id));
    let others_deny = !printed.denied.is_empty() && denied.is_none();
    let is_expected = match example.expect {
        Expectation::Passes => denied.is_none() && warned.is_none(),
        Expectation::Warns(path) => denied.is_none() && names(warned, path),
        // The audit annotation lists the rule if another one is shown.
        Expectation::Denies(path) => names(denied, path) || others_deny && names(expected.denied.get(id), path),
        Expectation::Mutates(_) => denied.is_none(),
    };
    let is_corrected = expected.is_mutated
        && !expected.denied.contains_key(id)
        && !expected.warned.contains_key(id)
        && warned.is_none();
    if !is_expected && !(is_corrected && denied.is_none()) {
        all.push(format!("{:?} is expected of {id}", example.expect));
    }
    // A policy shows the first rule that denies.
    let is_shown = match printed.denied.first_key_value() {
        None => expected.denied.is_empty(),
        Some((rule, messages)) => expected.denied.get(rule) == Some(messages),
    };
    if !is_shown {
        all.push(format!("the webhook denies {:?}, the policies {:?}", expected.denied, printed.denied));
    }
    if printed.warned != expected.warned {
        all.push(format!("the webhook warns {:?}, the policies {:?}", expected.warned, printed.warned));
    }
    let is_first_line = |line: &String| line.ends_with(" replaced") || line.ends_with(" created");
    all.extend(printed.others.iter().filter(|line| !is_first_line(line)).map(|line| format!("another line: {line}")));
    all
}

/// Compares the stored status with that of the mutating webhook, and with the patch of the example.
fn status_differences(case: &Case, expected: &Value, stored: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let [expected, status] = [expected, stored].map(|object| without_now(&object["status"]));
    if expected != status {
        all.push(format!("the webhook writes {expected}, the policies {status}"));
    }
    let Expectation::Mutates(patch) = case.example.expect else { return all };
    let patch: Value = serde_json::from_str(patch).unwrap();
    for operation in patch.as_array().unwrap() {
        let path = operation["path"].as_str().unwrap();
        let found = stored.pointer(path);
        let is_time = path.ends_with("Time") || path.ends_with("scannedAt");
        let is_written = if is_time { found.is_some() } else { found == Some(&operation["value"]) };
        if !is_written {
            all.push(format!("{operation} is stored as {found:?}"));
        }
    }
    all
}

/// Replaces the times of the test run.
fn without_now(value: &Value) -> Value {
    let is_now = |text: &str| {
        let age = OffsetDateTime::parse(text, &Rfc3339).map(|time| (OffsetDateTime::now_utc() - time).whole_seconds());
        age.is_ok_and(|age| (-10..TEST_MAX_SECONDS).contains(&age))
    };
    match value {
        Value::String(text) if is_now(text) => json!("now"),
        Value::Array(entries) => entries.iter().map(without_now).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), without_now(value))).collect(),
        _ => value.clone(),
    }
}
