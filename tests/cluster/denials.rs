//! Compares what kubectl prints for every denial and warning with tests/fixtures/cluster/denials.txt, byte for byte.

use std::fmt::Write as _;
use std::{env, fs};

use scan_admission::engine::{Example, Expectation, Part};
use scan_admission::rules::RULES;
use serde_json::{Value, json};

use crate::controlplane::{Kubectl, KubectlOutput, Namespace, User};
use crate::{Test, break_glass, scan};

pub const TESTS: &[(&str, Test)] =
    &[("kubectl-prints-every-denial-as-recorded", kubectl_prints_every_denial_as_recorded)];

const RECORD: &str = "tests/fixtures/cluster/denials.txt";

/// Rules that can deny, but do not in this test, and why.
const NOT_HERE: &[(&str, &str)] = &[("status-writer", "off unless status writers are configured, and none are")];

/// One write of a scan.
struct Case {
    /// The rule, or the name of a case that belongs to no single rule.
    head: &'static str,
    description: String,
    part: Part,
    old: Option<Value>,
    new: Value,
    /// The field at which the rule denies, if it does.
    denied: Option<&'static str>,
}

impl Case {
    fn of_example(rule: &'static str, part: Part, example: &Example) -> Self {
        let name =
            format!("{rule}.{}", example.title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        let denied = if let Expectation::Denies(path) = example.expect { Some(path) } else { None };
        let object = |members: &str| {
            let mut object = scan(&name);
            // The times of the examples must have passed on whatever day the test runs.
            json_patch::merge(&mut object, &serde_json::from_str(&members.replace("\"2026-", "\"2020-")).unwrap());
            object
        };
        let (old, new) = (example.old.map(object), object(example.new));
        assert!(
            old.is_none() || matches!(part, Part::Status | Part::Writer),
            "{name}: only a status may have an old object in this test"
        );
        Case { head: rule, description: example.title.to_owned(), part, old, new, denied }
    }

    /// A case with a status that is no example of a rule.
    fn of_status(description: &str, status: Value) -> Self {
        let mut new = scan(&description.replace(' ', "-"));
        new["status"] = status;
        Case { head: "words", description: description.to_owned(), part: Part::Status, old: None, new, denied: None }
    }

    /// The scan before the case: without a status, and of generation 1.
    fn first(&self) -> Value {
        let mut first = self.new.clone();
        let members = first.as_object_mut().unwrap();
        members.remove("status");
        if self.is_second() {
            first["spec"]["scanTemplate"] = json!("another");
        }
        first
    }

    /// Whether the scan is of generation 2, which takes one edit.
    fn is_second(&self) -> bool {
        self.new["metadata"]["generation"] == 2
    }

    fn run(&self, namespace: &Namespace<'_>) -> KubectlOutput {
        let controller = namespace.kubectl(User::ScanController);
        let arguments = match self.part {
            Part::Status | Part::Writer => &["replace", "--subresource=status", "-f", "-"][..],
            // Some examples have fields that belong to the other kind.
            Part::Spec | Part::Create => &["create", "--validate=ignore", "-f", "-"],
        };
        controller.args(arguments).input(self.new.to_string()).run()
    }

    /// The entry in the record: the write, and what kubectl printed.
    fn text(&self, printed: &KubectlOutput) -> String {
        let members = |object: &Value| match self.part {
            Part::Status | Part::Writer => json!({"status": object["status"]}).to_string(),
            Part::Spec | Part::Create => json!({"spec": object["spec"], "status": object["status"]}).to_string(),
        };
        let call = if matches!(self.part, Part::Status | Part::Writer) {
            "kubectl replace --subresource=status"
        } else {
            "kubectl create"
        };
        let mut text = format!("## {}: {}\n", self.head, self.description);
        if let Some(old) = &self.old {
            writeln!(text, "there: {}", members(old)).unwrap();
        }
        writeln!(text, "{call}: {}", members(&self.new)).unwrap();
        for (name, lines) in [("stdout", &printed.stdout), ("stderr", &printed.stderr)] {
            for line in lines.lines() {
                writeln!(text, "{name}| {line}").unwrap();
            }
        }
        writeln!(text, "exit {}", printed.code.unwrap()).unwrap();
        text
    }
}

/// Returns all examples that a rule denies or warns about, and the cases that belong to no single rule.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for rule in RULES.iter().filter(|rule| NOT_HERE.iter().all(|(id, _)| *id != rule.id)) {
        let broken = rule
            .examples
            .iter()
            .filter(|example| matches!(example.expect, Expectation::Denies(_) | Expectation::Warns(_)));
        cases.extend(broken.map(|example| Case::of_example(rule.id, rule.part, example)));
    }
    cases.extend(other_cases());
    cases
}

/// Returns the cases that no example of a single rule covers.
fn other_cases() -> Vec<Case> {
    let conditions = |count: usize, length: usize| -> Vec<Value> {
        let name = |index| format!("T{index}-{}", "t".repeat(length));
        (0..count)
            .map(|index| {
                json!({"type": name(index), "status": "True", "reason": "Other", "lastTransitionTime": "2020-11-20T08:03:00Z"})
            })
            .collect()
    };
    let counts = json!({"critical": 1, "high": 22, "total": 22});
    let mut image = Case::of_status("an image", json!({"phase": "Complete", "cveCount": counts}));
    let registry = json!({"registry": {"image": "ghcr.io/team/app:v1"}, "blob": null});
    json_patch::merge(&mut image.new, &json!({"kind": "ImageScan", "spec": registry}));
    vec![
        image,
        Case::of_status(
            "several faults",
            json!({
            "phase": "Complete", "scannedAt": "yesterday", "metadataUrl": "store", "cveCount": {"low": "1"},
            "conditions": [{"type": "Succeeded", "status": "yes"}, null]}),
        ),
        Case::of_status(
            "a denial with warnings and a mutation",
            json!({
            "phase": "Pending", "scannedAt": "yesterday", "cveCount": counts}),
        ),
        Case::of_status("warnings and a mutation", json!({"phase": "Pending", "cveCount": counts})),
        Case::of_status("more warnings than are shown", json!({"phase": "Pending", "conditions": conditions(20, 1)})),
        Case::of_status(
            "longer warnings than are shown",
            json!({"phase": "Pending", "conditions": conditions(20, 240)}),
        ),
        Case::of_status(
            "longer warnings than are shown and mutations",
            json!({
            "phase": "Pending", "conditions": conditions(20, 240), "cveCount": counts, "CVECount": {"LOW": 1, "CVETOTAL": "2".repeat(300)}}),
        ),
        Case::of_status("quotes", json!({"phase": "the \"Completed\" phase's \\ end"})),
        Case::of_status("markup", json!({"phase": "<b>Completed</b> & more"})),
        Case::of_status(
            "control characters",
            json!({
            "phase": "Com\u{1b}[31mpleted\u{7}\u{7f}\r\n\tnext\u{0}", "metadataUrl": "a\u{202e}b\u{2028}c\u{200b}d\u{85}e"}),
        ),
        Case::of_status(
            "other scripts",
            json!({"phase": "Terminé – 完了 ✓ 🎉", "conditions": [
            {"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed", "message": "Keine Lücken gefunden",
                "lastTransitionTime": "2020-11-20T08:03:00Z"}]}),
        ),
        Case::of_status(
            "warnings in other scripts and with control characters",
            json!({"phase": "Pending", "cveCount": {
            "low": 1, "\u{1b}[31m\"négligé\"\n<b>": 2}}),
        ),
        Case::of_status("a long value", json!({"phase": "Completed".repeat(40)})),
    ]
}

/// Creates all objects that the cases need.
fn prepare(cases: &[Case], namespace: &Namespace<'_>) {
    let write = |kubectl: Kubectl, items: Vec<Value>| {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        kubectl.args(["-f", "-"]).input(list.to_string()).run().ok();
    };
    let cases = || cases.iter().filter(|case| case.part == Part::Status);
    let controller = || namespace.kubectl(User::ScanController);
    write(controller().args(["create"]), cases().map(Case::first).collect());
    write(
        controller().args(["replace"]),
        cases().filter(|case| case.is_second()).map(|case| case.new.clone()).collect(),
    );
    let replace = break_glass(namespace).args(["replace", "--subresource=status"]);
    write(replace, cases().filter_map(|case| case.old.clone()).collect());
}

fn kubectl_prints_every_denial_as_recorded(namespace: &Namespace<'_>) {
    let cases = cases();
    prepare(&cases, namespace);
    let mut record = "# What kubectl prints, on a real API server with the webhooks installed.\n\
                     # Written by `UPDATE=1 cargo test --test cluster`.\n"
        .to_owned();
    let mut denying = Vec::new();
    let mut wrong = Vec::new();
    for case in &cases {
        let printed = case.run(namespace);
        record += &format!("\n{}", case.text(&printed));
        let Some(path) = case.denied else { continue };
        let of_rule = format!(" [{}]", case.head);
        let is_explained =
            |line: &str, what: &str| line.contains(&format!("{path}: {what}")) && line.ends_with(&of_rule);
        let is_mutated = printed.stderr.lines().any(|line| line.starts_with("Warning: ") && is_explained(line, "was "));
        let is_denied = printed.stderr.lines().any(|line| !line.starts_with("Warning: ") && is_explained(line, ""));
        match printed.code {
            Some(1) if is_denied => denying.push(case.head),
            // The mutating webhook has already corrected the status.
            Some(0) if is_mutated => {}
            _ => wrong.push(format!("{}: {}: {printed:?}", case.head, case.description)),
        }
    }
    assert!(wrong.is_empty(), "neither denied nor mutated:\n{}", wrong.join("\n"));
    for rule in RULES {
        let can_deny = rule.examples.iter().any(|example| matches!(example.expect, Expectation::Denies(_)));
        let is_here = NOT_HERE.iter().all(|(id, _)| *id != rule.id);
        assert_eq!(can_deny && is_here, denying.contains(&rule.id), "{} on the API server", rule.id);
    }
    assert!(NOT_HERE.iter().all(|(id, why)| !why.is_empty() && RULES.iter().any(|rule| rule.id == *id)));

    if env::var_os("UPDATE").is_some() {
        fs::write(RECORD, &record).unwrap();
    }
    let committed = fs::read_to_string(RECORD).unwrap_or_default();
    let differ = record.lines().zip(committed.lines()).find(|(printed, committed)| printed != committed);
    assert!(
        record == committed,
        "kubectl's output differs from {RECORD} ({differ:?}): run UPDATE=1 cargo test --test cluster and review the difference"
    );
}
