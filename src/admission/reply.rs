//! The reply: allowed or refused in the form that kubectl and the API's clients show best.

use serde::Serialize;

use super::review::{Request, Review};
use super::{Answer, Context, Door, Fault, FaultPolicy, Policy, Summary, Verdict, patch};
use crate::law::{Finding, Findings, Operation, Severity};
use crate::scan::json::printable;
use crate::scan::{Field, GROUP, Kind};

/// The API server cuts warnings to 256 runes each once those of all webhooks exceed 4,096 in all, and drops the rest.
const WARNING_MAX_RUNES: usize = 256;
/// The rest is for what the mutating door says of the same request: at most two totals in two spellings were put right.
const WARNINGS_MAX_RUNES: usize = 4096 - 4 * 160;
const WARNINGS_MAX: usize = 16;
/// Of what a mend has replaced, so that its warning has room for what it was set to.
const WAS_MAX_CHARS: usize = 64;
/// Room for `and 99999999 more warnings`, since findings are bounded far below.
const MORE_MAX_RUNES: usize = 32;
/// What Kubernetes lets a name have.
const NAME_MAX_CHARS: usize = 253;

#[derive(Serialize)]
struct AdmissionReview<'r> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'r str,
    response: Response<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'r> {
    uid: &'r str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    audit_annotations: Annotations<'r>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'r [String],
}

/// Keys without `/`: the API server puts the webhook's name and a `/` before them.
#[derive(Serialize)]
struct Annotations<'r> {
    decision: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    rules: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    mended: String,
    /// In words: nothing else tells them.
    #[serde(skip_serializing_if = "String::is_empty")]
    audited: String,
    /// The digest of the configuration.
    #[serde(skip_serializing_if = "str::is_empty")]
    config: &'r str,
}

#[derive(Serialize)]
struct Status<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(rename = "apiVersion", skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    status: &'static str,
    message: String,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'r>>,
    code: u16,
}

#[derive(Serialize)]
struct Details<'r> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
    #[serde(rename = "retryAfterSeconds", skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

#[derive(Serialize)]
struct Cause {
    reason: &'static str,
    message: String,
    field: String,
}

/// The reply to a review that was judged or mended.
pub struct Reply<'r> {
    request: &'r Request<'r>,
    policy: &'r Policy,
    pub warnings: Vec<String>,
    audited: Vec<String>,
    patch: Option<String>,
    refusal: Option<(Kind, Vec<Cause>)>,
    summary: Summary,
}

impl<'r> Reply<'r> {
    pub fn new(request: &'r Request<'r>, policy: &'r Policy) -> Self {
        let (warnings, audited) = (Vec::new(), Vec::new());
        let summary = summary(request, Verdict::Allowed);
        Reply { request, policy, warnings, audited, patch: None, refusal: None, summary }
    }

    /// Takes what the mends wrote. What replaces something is told.
    pub fn mend(&mut self, operations: &[Operation]) {
        if operations.is_empty() {
            return;
        }
        self.summary.verdict = Verdict::Mended;
        self.patch = Some(patch::encode(operations));
        for operation in operations {
            if !self.summary.mended.contains(&operation.rule) {
                self.summary.mended.push(operation.rule);
            }
            // An empty string says nothing, so there is nothing to tell; as a count it is malformed.
            let is_said = |was: &&String| *was != "\"\"" || matches!(operation.field, Field::Count(..));
            if let Some(was) = operation.was.as_ref().filter(is_said) {
                let was = printable(was, WAS_MAX_CHARS);
                let message = format!("was {was}, set to {}", operation.value.as_str());
                self.warnings.push(warning(&operation.field.to_string(), &message, operation.rule));
            }
        }
    }

    /// Takes the findings: any refusal refuses, advice becomes warnings.
    pub fn judge(&mut self, kind: Kind, findings: &Findings<'_>) {
        let mut causes = Vec::new();
        for finding in findings.list() {
            if finding.is_audited {
                self.summary.audited.push(finding.rule);
                self.audited.push(advice(finding));
                continue;
            }
            self.summary.findings.push((finding.rule, finding.severity, finding.softened));
            match finding.severity {
                Severity::Refuse => causes.push(cause(finding)),
                Severity::Advise => self.warnings.push(advice(finding)),
            }
        }
        if !causes.is_empty() {
            self.summary.verdict = Verdict::Refused;
            self.refusal = Some((kind, causes));
        }
    }

    pub fn answer(mut self) -> Answer {
        let uid = self.request.uid();
        let Some(uid) = uid.as_deref() else {
            return unanswerable(
                self.summary,
                400,
                "BadRequest",
                "request.uid is missing, so no review can be answered",
            );
        };
        bound(&mut self.audited);
        let name = self.request.name();
        let is_allowed = self.refusal.is_none();
        if self.summary.verdict != Verdict::Allowed {
            self.summary.identity = Some(self.request.identity());
        }
        let help = &self.policy.help;
        if !is_allowed && !help.is_empty() {
            // kubectl prints the causes and the warnings of a refusal, not its message; the first is never cut off.
            self.warnings.insert(0, format!("help: {help}"));
        }
        bound(&mut self.warnings);
        let status = self.refusal.take().map(|(kind, causes)| invalid(kind, &name, causes, help));
        let response = Response {
            uid,
            allowed: is_allowed,
            status,
            patch_type: self.patch.as_ref().map(|_| "JSONPatch"),
            patch: self.patch,
            audit_annotations: annotations(&self.summary, &self.audited, self.policy),
            warnings: &self.warnings,
        };
        encode("admission.k8s.io/v1", response, self.summary)
    }
}

/// The reply to a review that cannot be judged: with its uid, where one was found.
pub fn fault(review: &Review<'_>, fault: Fault, words: &str, context: &Context<'_>) -> Answer {
    let mut summary = summary(&review.request, Verdict::Fault(fault));
    summary.identity = Some(review.request.identity());
    let (code, reason) = match fault {
        Fault::Unreadable => (400, "BadRequest"),
        Fault::TooBig => (413, "RequestEntityTooLarge"),
        Fault::TooLate => (504, "Timeout"),
        Fault::TooBusy => (429, "TooManyRequests"),
        Fault::Internal => (500, "InternalError"),
    };
    let uid = review.request.uid();
    let (Some(uid), false) =
        (uid.as_deref(), context.policy.faults == FaultPolicy::FailurePolicy && context.door == Door::Validate)
    else {
        let http = if matches!(fault, Fault::Unreadable | Fault::TooBig) && uid.is_none() { code } else { 503 };
        return unanswerable(summary, http, reason, words);
    };
    let is_allowed = context.door == Door::Mutate || context.policy.faults == FaultPolicy::Allow;
    let mut warnings = Vec::new();
    let mut status = None;
    if is_allowed {
        let warned: String = format!("not judged, but allowed: {words}").chars().take(WARNING_MAX_RUNES).collect();
        warnings.push(warned);
    } else {
        let retry_after_seconds = (fault == Fault::TooBusy).then_some(1);
        let details = retry_after_seconds.map(|_| Details {
            name: "",
            group: "",
            kind: "",
            causes: Vec::new(),
            retry_after_seconds,
        });
        status = Some(failure(code, reason, words.to_owned(), details));
    }
    // A client of another version understands only its own.
    let api_version = review.api_version.string().value();
    let api_version = api_version.as_deref().filter(|version| version.starts_with("admission.k8s.io/"));
    let response = Response {
        uid,
        allowed: is_allowed,
        status,
        patch: None,
        patch_type: None,
        audit_annotations: annotations(&summary, &[], context.policy),
        warnings: &warnings,
    };
    encode(api_version.unwrap_or("admission.k8s.io/v1"), response, summary)
}

fn summary(request: &Request<'_>, verdict: Verdict) -> Summary {
    Summary {
        verdict,
        operation: request.operation(),
        resource: request.resource(),
        findings: Vec::new(),
        audited: Vec::new(),
        mended: Vec::new(),
        identity: None,
    }
}

fn encode(api_version: &str, response: Response<'_>, summary: Summary) -> Answer {
    let review = AdmissionReview { kind: "AdmissionReview", api_version, response };
    // Only a map with keys that are no strings could fail here, and there is none.
    let is_allowed = review.response.allowed;
    Answer { http: 200, is_allowed, body: serde_json::to_vec(&review).unwrap_or_default(), summary }
}

/// An HTTP error where no review can be answered, or where failurePolicy shall decide.
fn unanswerable(summary: Summary, http: u16, reason: &'static str, words: &str) -> Answer {
    let status =
        Status { kind: Some("Status"), api_version: Some("v1"), ..failure(http, reason, words.to_owned(), None) };
    Answer { http, is_allowed: false, body: serde_json::to_vec(&status).unwrap_or_default(), summary }
}

fn failure<'r>(code: u16, reason: &'static str, message: String, details: Option<Details<'r>>) -> Status<'r> {
    Status { kind: None, api_version: None, status: "Failure", message, reason, details, code }
}

/// 422 Invalid: kubectl prints the causes, one a line, and clients of the API the message, so both list everything.
fn invalid<'r>(kind: Kind, name: &'r str, causes: Vec<Cause>, help: &str) -> Status<'r> {
    let shown = printable(name, NAME_MAX_CHARS);
    let listed: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    let mut message = match listed.as_slice() {
        [one] => format!("{}.{GROUP} \"{shown}\" is invalid: {one}", kind.name()),
        all => format!("{}.{GROUP} \"{shown}\" is invalid: [{}]", kind.name(), all.join(", ")),
    };
    if !help.is_empty() {
        message += &format!("; help: {help}");
    }
    let details = Details { name, group: GROUP, kind: kind.name(), causes, retry_after_seconds: None };
    failure(422, "Invalid", message, Some(details))
}

fn cause(finding: &Finding<'_>) -> Cause {
    Cause {
        reason: "FieldValueInvalid",
        message: format!("{} [{}]", finding.message, finding.rule),
        field: finding.field.to_string(),
    }
}

fn advice(finding: &Finding<'_>) -> String {
    let field = finding.field.to_string();
    match finding.softened {
        None => warning(&field, &finding.message, finding.rule),
        Some(why) => warning(&field, &format!("{} ({})", finding.message, why.words()), finding.rule),
    }
}

/// One warning of at most 256 runes; the rule's id is kept whole.
fn warning(field: &str, message: &str, rule: &str) -> String {
    let said = format!("{field}: {message}");
    let room = WARNING_MAX_RUNES - rule.len() - " []".len();
    if said.chars().count() <= room {
        return format!("{said} [{rule}]");
    }
    let cut: String = said.chars().take(room - 1).collect();
    format!("{cut}… [{rule}]")
}

/// Keeps as many warnings as the API server shows, and says how many there are beyond.
fn bound(warnings: &mut Vec<String>) {
    let mut runes = 0;
    let kept = warnings
        .iter()
        .take(WARNINGS_MAX)
        .take_while(|warning| {
            runes += warning.chars().count();
            runes <= WARNINGS_MAX_RUNES - MORE_MAX_RUNES
        })
        .count();
    let more = warnings.len() - kept;
    if more > 0 {
        warnings.truncate(kept);
        warnings.push(format!("and {more} more"));
    }
}

fn annotations<'r>(summary: &Summary, audited: &[String], policy: &'r Policy) -> Annotations<'r> {
    let decision = match summary.verdict {
        Verdict::Allowed => "allow",
        Verdict::Mended => "mend",
        Verdict::Refused => "refuse",
        Verdict::Fault(_) => "fault",
    };
    let mut rules: Vec<&str> = Vec::new();
    for (rule, ..) in &summary.findings {
        if !rules.contains(rule) {
            rules.push(rule);
        }
    }
    Annotations {
        decision,
        rules: rules.join(","),
        mended: summary.mended.join(","),
        audited: audited.join("; "),
        config: &policy.digest,
    }
}
