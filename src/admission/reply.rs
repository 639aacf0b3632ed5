//! The reply: a write is allowed or denied in the form that kubectl and the API's clients show best.

use serde::Serialize;

use super::review::{Request, Review};
use super::{Answer, Context, Decision, Fault, FaultPolicy, ReviewSettings, RuleFinding, Summary, Webhook, patch};
use crate::engine::{Action, Finding, Findings, PatchOperation};
use crate::scan::json::printable;
use crate::scan::{Field, GROUP, Kind};

/// The API server cuts warnings to 256 runes each once those of all webhooks exceed 4,096 in all, and drops the rest.
const WARNING_MAX_RUNES: usize = 256;
/// The rest is for what the mutating webhook says of the same request: at most two totals in two spellings are
/// replaced.
const WARNINGS_MAX_RUNES: usize = 4096 - 4 * 160;
const WARNINGS_MAX: usize = 16;
/// Of what a mutation replaced, so that its warning has room for what it was set to.
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
    status: Option<ReplyStatus<'r>>,
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
    mutations: String,
    /// The findings themselves: nothing else shows them.
    #[serde(skip_serializing_if = "String::is_empty")]
    audited: String,
    /// The digest of the configuration.
    #[serde(skip_serializing_if = "str::is_empty")]
    config: &'r str,
}

#[derive(Serialize)]
struct ReplyStatus<'r> {
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

/// Why a write is denied.
struct DenialCauses {
    kind: Kind,
    causes: Vec<Cause>,
}

/// The reply to a review that was judged or mutated.
pub struct Reply<'r> {
    request: &'r Request<'r>,
    settings: &'r ReviewSettings,
    pub warnings: Vec<String>,
    audited: Vec<String>,
    patch: Option<String>,
    denial: Option<DenialCauses>,
    summary: Summary,
}

impl<'r> Reply<'r> {
    pub fn new(request: &'r Request<'r>, settings: &'r ReviewSettings) -> Self {
        let (warnings, audited) = (Vec::new(), Vec::new());
        let summary = summary(request, Decision::Allow);
        Reply { request, settings, warnings, audited, patch: None, denial: None, summary }
    }

    /// Takes what the mutations wrote. The client is warned of what was replaced.
    pub fn mutate(&mut self, operations: &[PatchOperation]) {
        if operations.is_empty() {
            return;
        }
        self.summary.decision = Decision::Mutate;
        self.patch = Some(patch::encode(operations));
        for operation in operations {
            if !self.summary.mutations.contains(&operation.rule) {
                self.summary.mutations.push(operation.rule);
            }
            // An empty string counts as absent, so nothing was replaced; as a count it is malformed.
            let is_replaced = |was: &&String| *was != "\"\"" || matches!(operation.field, Field::Count { .. });
            if let Some(was) = operation.old_value.as_ref().filter(is_replaced) {
                let was = printable(was, WAS_MAX_CHARS);
                let message = format!("was {was}, set to {}", operation.value.to_json());
                self.warnings.push(warning(&operation.field.to_string(), &message, operation.rule));
            }
        }
    }

    /// Takes the findings: one that denies is enough to deny the write.
    pub fn validate(&mut self, kind: Kind, findings: &Findings<'_>) {
        let mut causes = Vec::new();
        for finding in findings.list() {
            let Finding { rule, severity, action, downgraded, .. } = *finding;
            self.summary.findings.push(RuleFinding { rule, severity, action, downgraded });
            match action {
                Action::Deny => causes.push(cause(finding)),
                Action::Warn => self.warnings.push(finding_warning(finding)),
                Action::Audit => self.audited.push(finding_warning(finding)),
            }
        }
        if !causes.is_empty() {
            self.summary.decision = Decision::Deny;
            self.denial = Some(DenialCauses { kind, causes });
        }
    }

    pub fn answer(mut self) -> Answer {
        let Some(uid) = self.request.uid() else {
            return unanswerable(
                self.summary,
                400,
                "BadRequest",
                "request.uid is missing, so no review can be answered",
            );
        };
        bound(&mut self.audited);
        let name = self.request.name();
        let is_allowed = self.denial.is_none();
        if self.summary.decision != Decision::Allow {
            self.summary.request = Some(self.request.info());
        }
        let help = &self.settings.help;
        if !is_allowed && !help.is_empty() {
            // kubectl prints the causes and the warnings of a denial, not its message; the first is never cut off.
            self.warnings.insert(0, format!("help: {help}"));
        }
        bound(&mut self.warnings);
        let status = self.denial.take().map(|denial| invalid(denial, name, help));
        let response = Response {
            uid,
            allowed: is_allowed,
            status,
            patch_type: self.patch.as_ref().map(|_| "JSONPatch"),
            patch: self.patch,
            audit_annotations: annotations(&self.summary, &self.audited, self.settings),
            warnings: &self.warnings,
        };
        encode("admission.k8s.io/v1", response, self.summary)
    }
}

/// The reply to a review that cannot be judged: with its uid, where one was found.
pub fn fault(review: &Review<'_>, fault: Fault, message: &str, context: &Context<'_>) -> Answer {
    let mut summary = summary(&review.request, Decision::Error(fault));
    summary.request = Some(review.request.info());
    let (code, reason) = match fault {
        Fault::BadRequest => (400, "BadRequest"),
        Fault::TooLarge => (413, "RequestEntityTooLarge"),
        Fault::Timeout => (504, "Timeout"),
        Fault::TooManyRequests => (429, "TooManyRequests"),
        Fault::Internal => (500, "InternalError"),
    };
    let (Some(uid), false) = (
        review.request.uid(),
        context.settings.faults == FaultPolicy::FailurePolicy && context.webhook == Webhook::Validating,
    ) else {
        let is_unnamed = review.request.uid().is_none();
        let http = if matches!(fault, Fault::BadRequest | Fault::TooLarge) && is_unnamed { code } else { 503 };
        return unanswerable(summary, http, reason, message);
    };
    let is_allowed = context.webhook == Webhook::Mutating || context.settings.faults == FaultPolicy::Allow;
    let mut warnings = Vec::new();
    let mut status = None;
    if is_allowed {
        let warning: String = format!("not judged, but allowed: {message}").chars().take(WARNING_MAX_RUNES).collect();
        warnings.push(warning);
    } else {
        let retry_after_seconds = (fault == Fault::TooManyRequests).then_some(1);
        let details = retry_after_seconds.map(|_| Details {
            name: "",
            group: "",
            kind: "",
            causes: Vec::new(),
            retry_after_seconds,
        });
        status = Some(failure(code, reason, message.to_owned(), details));
    }
    // A client of another version understands only its own.
    let api_version = review.api_version.string().value();
    let api_version = api_version.filter(|version| version.starts_with("admission.k8s.io/"));
    let response = Response {
        uid,
        allowed: is_allowed,
        status,
        patch: None,
        patch_type: None,
        audit_annotations: annotations(&summary, &[], context.settings),
        warnings: &warnings,
    };
    encode(api_version.unwrap_or("admission.k8s.io/v1"), response, summary)
}

fn summary(request: &Request<'_>, decision: Decision) -> Summary {
    Summary {
        decision,
        operation: request.operation(),
        resource: request.resource(),
        findings: Vec::new(),
        mutations: Vec::new(),
        request: None,
    }
}

fn encode(api_version: &str, response: Response<'_>, summary: Summary) -> Answer {
    let review = AdmissionReview { kind: "AdmissionReview", api_version, response };
    // Only a map with keys that are no strings could fail here, and there is none.
    let is_allowed = review.response.allowed;
    Answer { http: 200, is_allowed, body: serde_json::to_vec(&review).unwrap_or_default(), summary }
}

/// An HTTP error where no review can be answered, or where failurePolicy shall decide.
fn unanswerable(summary: Summary, http: u16, reason: &'static str, message: &str) -> Answer {
    let status = ReplyStatus {
        kind: Some("Status"),
        api_version: Some("v1"),
        ..failure(http, reason, message.to_owned(), None)
    };
    Answer { http, is_allowed: false, body: serde_json::to_vec(&status).unwrap_or_default(), summary }
}

fn failure<'r>(code: u16, reason: &'static str, message: String, details: Option<Details<'r>>) -> ReplyStatus<'r> {
    ReplyStatus { kind: None, api_version: None, status: "Failure", message, reason, details, code }
}

/// 422 Invalid: kubectl prints the causes, one a line, and clients of the API the message, so both list everything.
fn invalid<'r>(denial: DenialCauses, name: &'r str, help: &str) -> ReplyStatus<'r> {
    let DenialCauses { kind, causes } = denial;
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
        reason: finding.error.reason.name(),
        message: format!("{} [{}]", finding.error.message, finding.rule),
        field: finding.field.to_string(),
    }
}

fn finding_warning(finding: &Finding<'_>) -> String {
    warning(&finding.field.to_string(), &finding.explained(), finding.rule)
}

/// One warning of at most 256 runes; the rule's id is kept whole.
fn warning(field: &str, message: &str, rule: &str) -> String {
    let whole = format!("{field}: {message}");
    let room = WARNING_MAX_RUNES - rule.len() - " []".len();
    if whole.chars().count() <= room {
        return format!("{whole} [{rule}]");
    }
    let cut: String = whole.chars().take(room - 1).collect();
    format!("{cut}… [{rule}]")
}

/// Keeps as many warnings as the API server shows, and says how many there are beyond.
fn bound(warnings: &mut Vec<String>) {
    let mut runes = 0;
    let fitting = warnings
        .iter()
        .take(WARNINGS_MAX)
        .take_while(|warning| {
            runes += warning.chars().count();
            runes <= WARNINGS_MAX_RUNES - MORE_MAX_RUNES
        })
        .count();
    let more = warnings.len() - fitting;
    if more > 0 {
        warnings.truncate(fitting);
        warnings.push(format!("and {more} more warnings"));
    }
}

fn annotations<'r>(summary: &Summary, audited: &[String], settings: &'r ReviewSettings) -> Annotations<'r> {
    let mut rules: Vec<&str> = Vec::new();
    for finding in summary.findings.iter().filter(|finding| finding.action != Action::Audit) {
        if !rules.contains(&finding.rule) {
            rules.push(finding.rule);
        }
    }
    Annotations {
        decision: summary.decision.name(),
        rules: rules.join(","),
        mutations: summary.mutations.join(","),
        audited: audited.join("; "),
        config: &settings.digest,
    }
}
