//! Tests of RULES §2 "What each condition may say": every condition with every reason, message and error, against its
//! row.

use serde_json::json;

use crate::findings::found;
use crate::support::reviews::{review, scan};

const STATUSES: [&str; 3] = ["True", "False", "Unknown"];
const REASONS: [&str; 7] =
    ["JobStarted", "JobFinished", "Error", "EvaluationPassed", "EvaluationFailed", "ResultsSent", "jobstarted"];
const ERRORS: [&str; 2] = ["", "exit 1"];

const RUNNING: &str = "The scan job is running";
const TERMINATED: &str = "The scan job terminated";
const PASSED: &str = "No CVEs were found that violated the policy";

/// The valid messages of PolicySucceeded=False.
const VIOLATED: [&str; 5] = [
    "Policy violated because of 1 CVE",
    "Policy violated because of 1 CVEs",
    "Policy violated because of 7 CVEs",
    "Policy violated because of 10 CVEs",
    "Policy violated because of 1234567 CVEs",
];

/// "a warning: `No non-compliant vulnerabilities found`, `No noncompliant vulnerabilities found`, …"
const OLD_PASSED: [&str; 2] = ["No non-compliant vulnerabilities found", "No noncompliant vulnerabilities found"];
const OLD_VIOLATED: [&str; 2] =
    ["Vulnerabilities that failed OPA policy: CVE-2026-1", "Vulnerabilities that failed OPA policy: a: b, c"];

const OTHERS: [&str; 24] = [
    "The scan job finished",
    "Scan completed. Found 3 CVE(s): CVE-2026-1",
    "the scan job is running",
    "The scan job is running.",
    "The scan job is running ",
    " The scan job terminated",
    "The scan job terminated\n",
    "No CVEs were found that violated the policy.",
    "No CVEs were found",
    "No noncompliant vulnerabilities found.",
    "no noncompliant vulnerabilities found",
    "vulnerabilities that failed OPA policy: a",
    "Policy violated because of 0 CVEs",
    "Policy violated because of 2 CVE",
    "Policy violated because of -1 CVEs",
    "Policy violated because of 1.5 CVEs",
    "Policy violated because of many CVEs",
    "Policy violated because of  CVEs",
    "Policy violated because of 7 CVEs.",
    "Policy violated because of 7 cves",
    "policy violated because of 7 CVEs",
    "An error has not occurred",
    "an error has occurred",
    "漢字",
];

const OCCURRED: [&str; 3] =
    ["An error has occurred", "An error has occurred: rego_parse_error", "An error has occurred while evaluating"];

fn messages() -> Vec<&'static str> {
    let all = [&[""][..], &[RUNNING, TERMINATED, PASSED], &VIOLATED, &OLD_PASSED, &OLD_VIOLATED, &OTHERS, &OCCURRED];
    all.concat()
}

/// How a message fits its row.
#[derive(Clone, Copy, PartialEq)]
enum Fit {
    Valid,
    /// "three old policy messages, which are a warning"
    Old,
    Contradicts,
}

struct Row {
    /// The only valid reason; None where any reason is valid.
    reason: Option<&'static str>,
    message: fn(&str) -> Fit,
    /// Whether `error` must be empty.
    is_error_empty: bool,
    /// Whether message and error lack a text that the row asks for.
    is_text_missing: fn(message: &str, error: &str) -> bool,
}

impl Row {
    fn new(
        reason: Option<&'static str>,
        message: fn(&str) -> Fit,
        is_error_empty: bool,
        is_text_missing: fn(&str, &str) -> bool,
    ) -> Row {
        Row { reason, message, is_error_empty, is_text_missing }
    }
}

fn any(_: &str) -> Fit {
    Fit::Valid
}

fn valid_if(is_valid: bool) -> Fit {
    if is_valid { Fit::Valid } else { Fit::Contradicts }
}

fn passed(message: &str) -> Fit {
    if OLD_PASSED.contains(&message) { Fit::Old } else { valid_if(message == PASSED) }
}

fn violated(message: &str) -> Fit {
    if OLD_VIOLATED.contains(&message) { Fit::Old } else { valid_if(VIOLATED.contains(&message)) }
}

/// Returns the row of §2 for a condition with this status. The rows are in the order of §2; some statuses have no row.
fn row(name: &str, status: &str) -> Option<Row> {
    let no_message = |message: &str, _: &str| message.is_empty();
    let not_both = |message: &str, error: &str| message.is_empty() || error.is_empty();
    let neither = |message: &str, error: &str| message.is_empty() && error.is_empty();
    let row = match (name, status) {
        ("Scanning", "True") => Row::new(Some("JobStarted"), |it| valid_if(it == RUNNING), true, no_message),
        ("Scanning", "False") => Row::new(Some("JobFinished"), |it| valid_if(it == TERMINATED), true, no_message),
        ("Succeeded", "True") => Row::new(Some("JobFinished"), any, true, |_, _| false),
        ("Succeeded", "False") => Row::new(Some("Error"), any, false, neither),
        ("SendingResults", "True") => Row::new(None, any, true, |_, _| false),
        ("SendingResults", _) => Row::new(None, any, false, neither),
        ("PolicySucceeded", "True") => Row::new(Some("EvaluationPassed"), passed, true, no_message),
        ("PolicySucceeded", "False") => Row::new(Some("EvaluationFailed"), violated, false, no_message),
        ("PolicySucceeded", "Unknown") => {
            Row::new(Some("Error"), |it| valid_if(it.starts_with("An error has occurred")), false, not_both)
        }
        _ => return None,
    };
    Some(row)
}

#[test]
fn every_condition_is_judged_by_its_row() {
    let (mut legal, mut differ) = (0, Vec::new());
    for (name, rule) in [
        ("Scanning", "scanning-vocabulary"),
        ("Succeeded", "succeeded-vocabulary"),
        ("SendingResults", "sending-results-vocabulary"),
        ("PolicySucceeded", "policy-vocabulary"),
    ] {
        for (status, reason) in STATUSES.into_iter().flat_map(|status| REASONS.map(|reason| (status, reason))) {
            for (message, error) in messages().into_iter().flat_map(|message| ERRORS.map(|error| (message, error))) {
                let entry = json!({"type": name, "status": status, "reason": reason, "message": message, "error": error,
                    "lastTransitionTime": "2026-11-20T08:01:00Z"});
                // With the phase Scanning, none of these conditions is an error of another rule.
                let object = scan(&json!({"status": {"phase": "Scanning", "conditions": [entry]}}).to_string());
                let found = found(&review(&object, None));
                let [denied, warned] = found.of(rule);
                let path = |member: &str| format!("status.conditions[{name}].{member}");
                let Some(row) = row(name, status) else {
                    if !denied.contains(&path("status").as_str()) {
                        differ.push(format!("{entry}: {denied:?}"));
                    }
                    continue;
                };
                let fit = if message.is_empty() { Fit::Valid } else { (row.message)(message) };
                let expected: Vec<String> = [
                    ("error", row.is_error_empty && !error.is_empty()),
                    ("message", fit == Fit::Contradicts),
                    ("reason", row.reason.is_some_and(|is| is != reason)),
                ]
                .into_iter()
                .filter(|member| member.1)
                .map(|member| path(member.0))
                .collect();
                // "nothing said where the row says should", or an old message: a warning at the condition or at a
                // member of it.
                let is_warned = fit == Fit::Old || (row.is_text_missing)(message, error);
                if denied != expected || warned.is_empty() == is_warned {
                    differ.push(format!("{entry}: {denied:?} {warned:?}, not {expected:?} {is_warned}"));
                }
                legal += usize::from(expected.is_empty() && !is_warned);
            }
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ[..differ.len().min(20)].join("\n"));
    assert!(legal > 500, "{legal}");
}
