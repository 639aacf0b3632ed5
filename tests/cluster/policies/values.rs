//! Values for the fields of a scan: plausible ones, wrong ones, and those at the edge of being legal.

use serde_json::{Value, json};

/// Texts of JSON that are of the wrong type for most fields, or hard to read.
const WRONG: &[&str] = &[
    "null",
    r#""""#,
    "{}",
    "[]",
    r#""x""#,
    "1",
    "-1",
    "0",
    "1.5",
    "true",
    "[null]",
    "[{}]",
    r#"{"": null}"#,
    r#"{"a": 1}"#,
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "100000000000000000000",
    r#"" ""#,
    r#""é漢字🦀""#,
    r#""\u0000\u001b\n""#,
];

const TIMES: &[&str] = &[
    "2024-02-29T00:00:00Z",
    "2024-02-30T00:00:00Z",
    "2023-02-29T00:00:00Z",
    "2024-01-01t00:00:00Z",
    "2024-01-01T00:00:00z",
    "2016-12-31T23:59:60Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "2024-01-01T24:00:00Z",
    "2024-01-01T00:00:00+24:00",
    "2024-01-01T00:00:00+99:99",
    "2024-01-01T00:00:00+0100",
    "2024-01-01T00:00:00",
    "2024-01-01 00:00:00Z",
    "2024-01-01",
    "2026-11-20T8:01:00Z",
    "2026-11-20T08:01:00.Z",
    "2026-11-20T08:01:00,5Z",
    "2026-11-20T08:01:00.1234567891Z",
    "2026-11-20T09:01:00.5+01:00",
    "2026-11-20T08:01:00-00:00",
    "2026-11-20T08:00:00Z",
    "2026-11-20T08:01:00Z",
    "2026-11-20T08:03:00Z",
    "2026-11-24T11:59:57Z",
    "2026-11-24T11:59:58Z",
    "2026-11-24T12:00:00Z",
    "2026-11-24T12:00:00.5Z",
    "2026-11-24T12:05:00Z",
    "2026-11-24T12:05:00.5Z",
    "2026-11-24T12:05:01Z",
];

const PHASES: &[&str] = &["Pending", "Scanning", "Completed", "Failed", "Error", "completed", "Complete", "Unknown"];

const TYPES: &[&str] = &[
    "Scanning",
    "Succeeded",
    "SendingResults",
    "PolicySucceeded",
    "succeeded",
    "example.com/Ready",
    "a/b/c",
    "-a",
    "Ready",
];

const STATUSES: &[&str] = &["True", "False", "Unknown", "true", "Maybe"];

const REASONS: &[&str] = &[
    "JobStarted",
    "JobFinished",
    "Error",
    "EvaluationPassed",
    "EvaluationFailed",
    "Other",
    "1st",
    "two words",
    "Ends:",
    "Ends_",
    "A,b:c_d",
];

const MESSAGES: &[&str] = &[
    "The scan job is running",
    "The scan job terminated",
    "The scan job finished",
    "No CVEs were found that violated the policy",
    "No noncompliant vulnerabilities found",
    "No non-compliant vulnerabilities found",
    "Vulnerabilities that failed OPA policy: CVE-1",
    "Vulnerabilities that failed OPA policy:",
    "Policy violated because of 0 CVEs",
    "Policy violated because of 1 CVEs",
    "Policy violated because of 1 CVE",
    "Policy violated because of 2 CVE",
    "Policy violated because of 3 CVEs",
    "Policy violated because of 03 CVEs",
    "Policy violated because of +3 CVEs",
    "Policy violated because of 500 CVEs",
    "Policy violated because of 9223372036854775807 CVEs",
    "Policy violated because of 9223372036854775808 CVEs",
    "Policy violated because of  CVEs",
    "Policy violated because of 3 CVEs.",
    "An error has occurred",
    "An error has occurred: no policy",
    "An error has occured",
];

const URLS: &[&str] = &[
    "https://example.com/code.tar.gz",
    "https://example.com",
    "HTTPS://EXAMPLE.com:8443/a?b#c",
    "http://user:password@[::1]:80/",
    "http://",
    "http:///path",
    "http:path",
    "https://:80/",
    "https://example.com:port/",
    "https://exa mple.com/",
    "https://example.com/%zz",
    "https://example.com/a b",
    "https://[::1/",
    "ftp://example.com/",
    "//example.com/",
    "example.com",
    "git@example.com:a/b.git",
    "ssh://git@example.com/a.git",
];

const DIGEST: &str = "@sha256:0000000000000000000000000000000000000000000000000000000000000001";

const IMAGES: &[&str] = &[
    "nginx",
    "nginx:1.27",
    "library/nginx",
    "docker.io/library/nginx:1.27",
    "index.docker.io/library/nginx",
    "registry-1.docker.io/library/nginx",
    "registry.hub.docker.com/library/nginx",
    "Registry.Example.com/dev/hound",
    "registry.example.com/dev/hound",
    "registry.example.com:5000/dev/hound:v1",
    "localhost/hound",
    "Localhost/hound",
    "example/Hound",
    "example.com/",
    "/hound",
    "hound:",
    "hound@sha256:1",
    "hound:tag:tag",
    "https://example.com/hound",
    "a//b",
    "two words",
];

fn strings(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| json!(text)).collect()
}

/// Returns values for a member of this name.
pub fn values(name: &str) -> Vec<Value> {
    let mut all: Vec<Value> = WRONG.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    all.extend(match name {
        "lastTransitionTime" | "scannedAt" => {
            let long =
                [1003, 1004, 1005, 1006].map(|digits| json!(format!("2026-11-20T08:01:00.{}Z", "7".repeat(digits))));
            [strings(TIMES), long.into()].concat()
        }
        "phase" => strings(PHASES),
        "type" => [strings(TYPES), vec![json!("x".repeat(316)), json!("x".repeat(64))]].concat(),
        "status" => strings(STATUSES),
        "reason" => [strings(REASONS), vec![json!("x".repeat(1024)), json!("x".repeat(1025))]].concat(),
        "message" | "error" => [strings(MESSAGES), vec![json!("漢".repeat(32768)), json!("x".repeat(32769))]].concat(),
        "url" | "metadataUrl" | "metadataURL" => strings(URLS),
        "image" => [strings(IMAGES), vec![json!(format!("registry.example.com/dev/hound{DIGEST}"))]].concat(),
        "observedGeneration" => vec![json!(2), json!(3)],
        _ => vec![json!(2), json!("2"), json!("scan-policy")],
    });
    all
}
