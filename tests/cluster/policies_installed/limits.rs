//! The largest objects that the API server takes, and values that are expensive to read: policies evaluate them without
//! errors and in a bounded time, or say that they do not judge them.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use scan_admission::admission::ReviewSettings;
use scan_admission::policies;
use scan_admission::rules::RULES;
use serde_json::{Map, Value, json};

use super::printed::Printed;
use crate::break_glass;
use crate::controlplane::{Kubectl, Namespace, User};
use crate::scan;

/// Somewhat less than etcd's limit of 1.5 MiB for a request, which has the object once.
const STORED_MAX_BYTES: usize = 1_400_000;

/// The API server's limit for the body of a request.
const BODY_MAX_BYTES: usize = 3 << 20;

const TIME: &str = "2020-11-20T08:00:00Z";

/// The process that evaluates policies.
struct Evaluator {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Evaluator {
    fn start(program: &Path) -> Self {
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut evaluator = Evaluator { child, stdin, stdout };
        let policies = policies::objects(RULES, &ReviewSettings::default(), false);
        writeln!(evaluator.stdin, "{}", json!({"policies": policies})).unwrap();
        evaluator
    }

    /// Returns the result and the processor time that it took.
    fn evaluate(&mut self, request: &Value) -> (Value, Duration) {
        let start = cpu(self.child.id());
        writeln!(self.stdin, "{request}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        (serde_json::from_str(&line).unwrap(), cpu(self.child.id()) - start)
    }
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the processor time of a process so far.
pub fn cpu(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name of the program, in parentheses, may have spaces. 100 ticks are a second on every Linux.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// The four conditions of a scan that has succeeded.
fn conditions() -> Value {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": TIME});
    json!([
        condition("Scanning", "False", "JobFinished", "The scan job terminated"),
        condition("Succeeded", "True", "JobFinished", "The scan job finished"),
        condition("SendingResults", "True", "Sent", "The results are sent"),
        condition("PolicySucceeded", "True", "EvaluationPassed", "No CVEs were found that violated the policy"),
    ])
}

fn many(count: usize, member: impl Fn(usize) -> Value) -> Value {
    (0..count).map(|index| (format!("member{index}"), member(index))).collect::<Map<_, _>>().into()
}

/// Statuses with many entries or members.
fn many_members(count: usize) -> Vec<(String, Value)> {
    let list = |entry: &dyn Fn(usize) -> Value| Value::from((0..count).map(entry).collect::<Vec<_>>());
    let of = |kind: &str| json!({"type": kind, "status": "True", "reason": "Sent", "message": "m", "lastTransitionTime": TIME});
    let numbers = |offset: usize| many(count, |index| json!(index + offset));
    let mut members = numbers(0);
    json_patch::merge(&mut members, &json!({"phase": "Completed", "conditions": conditions()}));
    let mut wide = conditions();
    wide.as_array_mut().unwrap().iter_mut().for_each(|entry| json_patch::merge(entry, &numbers(0)));
    let lists = [
        ("other types", list(&|index| of(&format!("Type{index}")))),
        ("one type", list(&|_| of("Succeeded"))),
        ("malformed entries", list(&|_| json!({"type": "Succeeded", "status": "yes"}))),
        ("empty entries", list(&|_| json!({}))),
        ("nulls", list(&|_| Value::Null)),
        ("wide entries", wide),
    ];
    let statuses = [
        ("numbers in cveCount", json!({"cveCount": numbers(0)})),
        ("texts in cveCount", json!({"cveCount": many(count, |_| json!("a"))})),
        ("both counts", json!({"cveCount": numbers(0), "CVECount": numbers(1)})),
        ("artifacts", json!({"conditions": conditions(), "artifact": numbers(0), "compliantArtifact": numbers(1)})),
        (
            "sources",
            json!({"conditions": conditions(), "artifact": {"blob": numbers(0)}, "compliantArtifact": {"blob": numbers(1)}}),
        ),
        ("scanner", json!({"scannedBy": {"scanner": numbers(0)}})),
        ("status", members),
    ];
    let lists = lists.into_iter().map(|(name, list)| (name, json!({"conditions": list})));
    let all = lists.chain(statuses);
    all.map(|(name, mut status)| {
        status["phase"] = json!("Completed");
        (format!("{count}: {name}"), status)
    })
    .collect()
}

/// Statuses with a long text in each member that a rule reads.
fn long_texts(length: usize, letter: &str) -> Vec<(String, Value)> {
    let text = letter.repeat(length);
    let mut all = Vec::new();
    for member in ["phase", "metadataUrl", "scannedAt", "scannedBy", "artifact", "cveCount", "observedGeneration"] {
        all.push((format!("{length}: {member}"), json!({"conditions": conditions(), member: text})));
    }
    for start in ["https://", "https://example.com/", "http://[", "https://a@", "https://%41"] {
        all.push((
            format!("{length}: {start}"),
            json!({"conditions": conditions(), "metadataUrl": format!("{start}{text}")}),
        ));
    }
    for member in ["type", "status", "reason", "message", "error", "lastTransitionTime"] {
        for index in 0..4 {
            let mut list = conditions();
            list[index][member] = json!(text);
            all.push((format!("{length}: {member} of {index}"), json!({"phase": "Failed", "conditions": list})));
        }
    }
    for [start, end] in [
        ["Policy violated because of ", " CVEs"],
        ["An error has occurred", ""],
        ["Vulnerabilities that failed OPA policy: ", ""],
    ] {
        let mut list = conditions();
        let changes =
            json!({"status": "False", "reason": "EvaluationFailed", "message": format!("{start}{text}{end}")});
        json_patch::merge(&mut list[3], &changes);
        all.push((format!("{length}: {start}"), json!({"phase": "Failed", "conditions": list})));
    }
    for image in [
        text.clone(),
        format!("ghcr.io/{text}"),
        format!("{text}:v1"),
        format!("a@sha256:{text}"),
        "a/".repeat(length / 2),
        "a.".repeat(length / 2) + "b/c",
    ] {
        let artifacts = json!({"phase": "Completed", "conditions": conditions(),
            "artifact": {"registry": {"image": image}}, "compliantArtifact": {"registry": {"image": format!("{image}x")}}});
        all.push((format!("{length}: image {}", image.chars().take(12).collect::<String>()), artifacts));
    }
    let digits = "9".repeat(length);
    all.push((format!("{length}: fraction"), json!({"scannedAt": format!("2020-11-20T08:00:00.{digits}Z")})));
    all.push((format!("{length}: key"), json!({"cveCount": {text.as_str(): 1, "low": "x"}})));
    all
}

/// The requests that write a status: over none, over itself, and over another one.
fn requests(status: &Value, managed: usize) -> Vec<Value> {
    let entry = json!({"manager": "controller", "operation": "Update", "time": "2026-11-24T12:00:00Z"});
    let mut new = scan("large");
    new["metadata"]["managedFields"] = Value::from(vec![entry; managed]);
    new["status"] = status.clone();
    let mut none = new.clone();
    none.as_object_mut().unwrap().remove("status");
    let mut other = new.clone();
    for entry in other["status"]["conditions"].as_array_mut().into_iter().flatten().filter(|entry| entry.is_object()) {
        entry["reason"] = json!("Another");
    }
    let request = |operation: &str, subresource: &str, old: Option<&Value>| {
        json!({"operation": operation, "resource": "sourcescans", "subresource": subresource, "kind": "SourceScan",
            "object": new, "oldObject": old, "user": "somebody", "namespace": "default"})
    };
    vec![
        request("UPDATE", "status", Some(&none)),
        request("UPDATE", "status", Some(&new)),
        request("UPDATE", "status", Some(&other)),
        request("CREATE", "", None),
    ]
}

pub fn large_objects_are_evaluated(program: &Path) {
    let mut evaluator = Evaluator::start(program);
    let mut all: Vec<(String, Value, usize)> = Vec::new();
    for count in [16, 17, 64, 65, 20_000] {
        all.extend(many_members(count).into_iter().map(|(name, status)| (name, status, 1)));
        let late = json!({"phase": "Complete", "scannedAt": "2027-01-01T00:00:00Z"});
        all.push((format!("{count}: managed fields"), late, count));
    }
    for (length, letter) in [(1024, "a"), (1025, "é"), (32_768, "a"), (32_769, "é"), (1_000_000, "a")] {
        all.extend(long_texts(length, letter).into_iter().map(|(name, status)| (name, status, 1)));
    }
    let mut wrong = Vec::new();
    let mut slowest = (Duration::ZERO, String::new());
    // The first request waits until the policies are compiled.
    evaluator.evaluate(&requests(&json!({}), 1)[0]);
    for (name, status, managed) in &all {
        for request in requests(status, *managed) {
            let (result, time) = evaluator.evaluate(&request);
            let errors = errors(&result);
            if !errors.is_empty() {
                wrong.push(format!("{name}: {}: {errors:?}", request["operation"]));
            }
            slowest = slowest.max((time, name.clone()));
        }
    }
    eprintln!("{} objects, the slowest in {:?} of processor time: {}", all.len(), slowest.0, slowest.1);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Returns the errors of all expressions.
fn errors(result: &Value) -> Vec<String> {
    let lists = ["matchErrors", "variableErrors", "messageErrors", "annotationErrors", "mutationErrors"];
    let errors = lists.iter().flat_map(|list| result[list].as_array().into_iter().flatten());
    let validations = result["validations"].as_array().into_iter().flatten();
    let all = errors.chain(validations.filter(|validation| validation.get("error").is_some()));
    let cut = |error: &Value| error.to_string().chars().take(300).collect();
    all.map(cut).chain(result["error"].as_str().map(str::to_owned)).collect()
}

/// A name, a status of about this many bytes, and the warning that it gets.
type Growing<'a> = (&'a str, &'a dyn Fn(usize) -> Value, &'a str);

pub fn large_objects_are_stored(namespace: &Namespace<'_>) {
    let entry = |index: usize| {
        json!({"type": format!("Type{index}"), "status": "True", "reason": "Sent", "lastTransitionTime": TIME,
            "message": "m".repeat(700)})
    };
    let entry_bytes = entry(1000).to_string().len() + 1;
    let list = |bytes: usize| Value::from((0..bytes / entry_bytes).map(entry).collect::<Vec<_>>());
    let text = |bytes: usize| "a".repeat(bytes);
    let url = |bytes: usize| format!("https://example.com/{}", text(bytes));
    // The second one of each is larger than etcd takes, so the policies judge it and it is not stored.
    let cases: [Growing<'_>; 3] = [
        ("conditions", &|bytes| json!({"conditions": list(bytes)}), "[condition-fields]"),
        ("text", &|bytes| json!({"metadataUrl": url(bytes)}), ""),
        ("members", &|bytes| many(bytes / 30, |index| json!(index)), ""),
    ];
    for (name, status, warning) in cases {
        break_glass(namespace).args(["create", "-f", "-"]).input(scan(name).to_string()).run().ok();
        for (bytes, is_stored) in [(STORED_MAX_BYTES, true), (BODY_MAX_BYTES - 100_000, false)] {
            let mut object = scan(name);
            object["status"] = status(bytes);
            let replace = |kubectl: Kubectl| {
                let start = Instant::now();
                let arguments = ["replace", "--subresource=status", "-f", "-"];
                (kubectl.args(arguments).input(object.to_string()).run(), start.elapsed())
            };
            let (_, without) = replace(break_glass(namespace));
            let (output, with) = replace(namespace.kubectl(User::ScanController));
            eprintln!("{name} of {} bytes: {with:.1?}, without policies {without:.1?}", object.to_string().len());
            let printed = Printed::of(&output.stderr);
            let case = format!("{name} of {bytes}: {:.600}", output.stderr);
            assert!(!output.stderr.contains("resulted in error") && printed.denied.is_empty(), "{case}");
            assert_eq!(output.code == Some(0), is_stored, "{case}");
            let is_too_large = ["larger than max", "too large"].iter().any(|text| output.stderr.contains(text));
            assert!(is_stored || is_too_large, "{case}");
            assert!(output.stderr.contains(warning), "{case}");
        }
    }
}
