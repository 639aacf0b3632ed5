//! The fields that are changed, and JSON values that are plausible there. An empty text removes the field.

type Fields = (&'static [&'static str], &'static [&'static str]);

pub const FIELDS: &[Fields] = &[
    (&["status/phase"], PHASES),
    (
        &[
            "status/conditions/0/status",
            "status/conditions/1/status",
            "status/conditions/2/status",
            "status/conditions/3/status",
        ],
        STATUSES,
    ),
    (
        &[
            "status/conditions/0/type",
            "status/conditions/1/type",
            "status/conditions/3/type",
            "status/conditions/4/type",
        ],
        TYPES,
    ),
    (
        &[
            "status/conditions/0/reason",
            "status/conditions/1/reason",
            "status/conditions/2/reason",
            "status/conditions/3/reason",
        ],
        REASONS,
    ),
    (
        &[
            "status/conditions/0/message",
            "status/conditions/1/message",
            "status/conditions/2/message",
            "status/conditions/3/message",
            "status/conditions/1/error",
            "status/conditions/2/error",
            "status/conditions/3/error",
            "status/conditions/0/error",
        ],
        MESSAGES,
    ),
    (
        &[
            "status/conditions/0/lastTransitionTime",
            "status/conditions/1/lastTransitionTime",
            "status/conditions/2/lastTransitionTime",
            "status/conditions/3/lastTransitionTime",
            "status/scannedAt",
        ],
        TIMES,
    ),
    (
        &[
            "status/observedGeneration",
            "status/conditions/0/observedGeneration",
            "status/conditions/1/observedGeneration",
            "status/conditions/2/observedGeneration",
            "status/conditions/3/observedGeneration",
            "metadata/generation",
        ],
        GENERATIONS,
    ),
    (
        &[
            "status/conditions/0",
            "status/conditions/1",
            "status/conditions/2",
            "status/conditions/3",
            "status/conditions/4",
        ],
        ENTRIES,
    ),
    (
        &[
            "status/cveCount/critical",
            "status/cveCount/high",
            "status/cveCount/low",
            "status/cveCount/total",
            "status/cveCount/CRITICAL",
            "status/cveCount/CVETOTAL",
            "status/cveCount/negligible",
            "status/CVECount/critical",
            "status/CVECount/CRITICAL",
            "status/CVECount/UNKNOWN",
            "status/CVECount/total",
            "status/CVECount/CVETOTAL",
        ],
        NUMBERS,
    ),
    (&["status/cveCount", "status/CVECount"], COUNTS),
    (&["status/metadataUrl", "status/metadataURL", "spec/blob/url", "spec/git/url"], URLS),
    (
        &[
            "status/artifact/blob/url",
            "status/artifact/git/url",
            "status/compliantArtifact/blob/url",
            "status/compliantArtifact/blob/revision",
            "status/compliantArtifact/git/url",
        ],
        URLS,
    ),
    (&["status/artifact/registry/image", "status/compliantArtifact/registry/image", "spec/registry/image"], IMAGES),
    (&["status/artifact", "status/compliantArtifact"], ARTIFACTS),
    (&["spec/scanPolicy", "spec/scanTemplate"], NAMES),
    (
        &[
            "status/scannedBy/scanner/name",
            "status/scannedBy/scanner/version",
            "status/scannedBy/name",
            "status/scannedBy/version",
            "status/scannedBy/scanner",
            "status/scannedBy",
        ],
        NAMES,
    ),
    (&["status", "status/conditions", "status/artifact/blob", "status/compliantArtifact/registry", "status/x"], SHAPES),
];

/// Values of a wrong type, or that nothing allows.
pub const WRONG: &[&str] = &["", "null", r#""""#, "5", r#""x""#, "{}", "[]", "true", "-1", "1.5", r#"{"x": 1}"#];

const PHASES: &[&str] =
    &["", r#""Pending""#, r#""Scanning""#, r#""Completed""#, r#""Failed""#, r#""Error""#, r#""Complete""#];
const STATUSES: &[&str] = &[r#""True""#, r#""False""#, r#""Unknown""#, r#""true""#, ""];
const TYPES: &[&str] = &[
    r#""Scanning""#,
    r#""Succeeded""#,
    r#""SendingResults""#,
    r#""PolicySucceeded""#,
    r#""Ready""#,
    r#""example.com/Ready""#,
    r#""not a name""#,
    "",
];
const REASONS: &[&str] = &[
    "",
    r#""JobStarted""#,
    r#""JobFinished""#,
    r#""Error""#,
    r#""EvaluationPassed""#,
    r#""EvaluationFailed""#,
    r#""Other""#,
    r#""no reason""#,
];
const MESSAGES: &[&str] = &[
    "",
    r#""The scan job is running""#,
    r#""The scan job terminated""#,
    r#""The scan job finished""#,
    r#""No CVEs were found that violated the policy""#,
    r#""No noncompliant vulnerabilities found""#,
    r#""No non-compliant vulnerabilities found""#,
    r#""Vulnerabilities that failed OPA policy: CVE-2026-1""#,
    r#""Policy violated because of 7 CVEs""#,
    r#""Policy violated because of 1 CVEs""#,
    r#""Policy violated because of 1 CVE""#,
    r#""Policy violated because of 2 CVE""#,
    r#""Policy violated because of 0 CVEs""#,
    r#""Policy violated because of 999 CVEs""#,
    r#""An error has occurred""#,
    r#""An error has occurred: no such policy""#,
    r#""something else""#,
];
/// The current time of the tests is 2026-11-24T12:00:00Z, and the times of the states are those of 2026-11-20.
const TIMES: &[&str] = &[
    "",
    r#""2026-11-20T08:00:00Z""#,
    r#""2026-11-20T08:01:00Z""#,
    r#""2026-11-20T08:02:00Z""#,
    r#""2026-11-20T08:03:00Z""#,
    r#""2026-11-20T09:02:00+01:00""#,
    r#""2026-11-20T08:02:00.5Z""#,
    r#""2026-11-24T11:59:57Z""#,
    r#""2026-11-24T11:59:58Z""#,
    r#""2026-11-24T11:59:59Z""#,
    r#""2026-11-24T12:00:00Z""#,
    r#""2026-11-24T12:05:00Z""#,
    r#""2026-11-24T12:05:01Z""#,
    r#""2026-11-20t08:02:00z""#,
    r#""2026-11-20T08:02:60Z""#,
    r#""2026-02-30T08:02:00Z""#,
    r#""2026-11-20""#,
];
const GENERATIONS: &[&str] = &["", "1", "2", "3", "0", "9223372036854775807", "9223372036854775808"];
const ENTRIES: &[&str] = &[
    "",
    r#"{"type": "Scanning", "status": "True", "reason": "JobStarted", "message": "The scan job is running",
        "lastTransitionTime": "2026-11-20T08:02:00Z"}"#,
    r#"{"type": "Succeeded", "status": "True", "reason": "JobFinished", "lastTransitionTime": "2026-11-20T08:03:00Z"}"#,
    r#"{"type": "PolicySucceeded", "status": "False", "reason": "EvaluationFailed",
        "message": "Policy violated because of 7 CVEs", "lastTransitionTime": "2026-11-20T08:03:00Z"}"#,
    r#"{"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": "2026-11-20T08:03:00Z"}"#,
    r#"{"type": "Succeeded", "status": "True"}"#,
    r#"{"type": "PolicySucceeded", "status": "True", "reason": "EvaluationPassed"}"#,
    r#"{"type": "Scanning"}"#,
    r#"{"status": "True", "lastTransitionTime": "2026-11-20T08:03:00Z", "reason": "Ready"}"#,
];
const NUMBERS: &[&str] = &["", "0", "1", "7", "192", "193", "199", "9223372036854775807", "9223372036854775808"];
const COUNTS: &[&str] = &[
    "",
    r#"{"critical": 7, "high": 88, "medium": 92, "low": 5, "unknown": 0, "total": 192}"#,
    r#"{"CRITICAL": 7, "HIGH": 88, "MEDIUM": 92, "LOW": 5, "UNKNOWN": 0, "CVETOTAL": 192}"#,
    r#"{"critical": 1}"#,
    r#"{"total": 0}"#,
    r#"{"critical": null}"#,
    r#"{"critical": 1, "total": 3, "negligible": 2}"#,
];
const URLS: &[&str] = &[
    "",
    r#""https://example.com/code.tar.gz""#,
    r#""http://example.com/other.tar.gz""#,
    r#""ssh://git@example.com/code.git""#,
    r#""example.com/code""#,
    r#""https://""#,
];
const IMAGES: &[&str] = &[
    "",
    r#""registry.example.com/dev/hound@sha256:0000000000000000000000000000000000000000000000000000000000000001""#,
    r#""registry.example.com/dev/hound:v1@sha256:0000000000000000000000000000000000000000000000000000000000000001""#,
    r#""registry.example.com/dev/hound@sha256:0000000000000000000000000000000000000000000000000000000000000002""#,
    r#""registry.example.com/dev/hound:v1""#,
    r#""registry.example.com/dev/hound:v2""#,
    r#""REGISTRY.example.com/dev/hound:v1""#,
    r#""registry.example.com/dev/hound""#,
    r#""dev/hound:v1""#,
    r#""docker.io/dev/hound:v1""#,
    r#""index.docker.io/dev/hound:v1""#,
    r#""localhost/hound:v1""#,
    r#""registry.example.com:5000/hound:v1""#,
    r#""Not An Image""#,
];
const ARTIFACTS: &[&str] = &[
    "",
    r#"{"blob": {"url": "https://example.com/code.tar.gz", "revision": "main/1"}}"#,
    r#"{"git": {"url": "https://example.com/code.git"}}"#,
    r#"{"registry": {"image": "registry.example.com/dev/hound:v1"}}"#,
    r#"{"blob": {}}"#,
    r#"{"x": 1}"#,
];
const NAMES: &[&str] = &["", r#""name""#, r#""v1""#];
const SHAPES: &[&str] = &["", "{}", "[]", "null"];
