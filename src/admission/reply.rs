//! The reply to a review: the decision, warnings, causes and patch, in the form that kubectl and other clients show
//! best.

use serde::Serialize;

use super::event::{EventReason, EventReasons, StatusEvent};
use super::review::{Request, Review};
use super::{Answer, Context, Decision, Fault, FaultPolicy, ReviewSettings, RuleFinding, Summary, Webhook, patch};
use crate::engine::{Action, Finding, Findings, PatchOperation};
use crate::scan::json::printable;
use crate::scan::{GROUP, Kind};

/// Longest warning. If the warnings of all webhooks together exceed 4,096 runes, the API server cuts each to 256 runes
/// and drops those beyond the limit.
const WARNING_MAX_RUNES: usize = 256;
/// All warnings of one webhook together. The remainder of the 4,096 is for the mutating webhook's warnings about the
/// same request: it replaces at most two totals in two spellings, and such a warning has at most 160 runes.
const WARNINGS_MAX_RUNES: usize = 4096 - 4 * 160;
const WARNINGS_MAX: usize = 16;
/// Room for `and 99999999 more warnings`; there can be far fewer findings than that.
const MORE_MAX_RUNES: usize = 32;
/// The limit of names in Kubernetes.
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

/// The audit annotations. Keys have no `/`, since the API server prefixes them with the webhook's name and a `/`.
#[derive(Serialize)]
struct Annotations<'r> {
    decision: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    rules: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    mutations: String,
    /// The findings whose action is [`Action::Audit`], which are shown nowhere else.
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

    /// Adds the writes of the mutations: the patch, and a warning for each value that was replaced.
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
            if let Some(message) = operation.replacement() {
                self.warnings.push(warning(&operation.field.to_string(), &message, operation.rule));
            }
        }
    }

    /// Adds the findings. The write is denied if the action of any is [`Action::Deny`].
    pub fn validate(&mut self, kind: Kind, findings: &Findings<'_>, events: EventReasons) {
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
        let is_denied = !causes.is_empty();
        if is_denied {
            self.summary.decision = Decision::Deny;
            self.denial = Some(DenialCauses { kind, causes });
        }
        let reason = match is_denied {
            true if events.denied => EventReason::StatusDenied,
            false if events.warned => EventReason::StatusWarned,
            _ => return,
        };
        self.summary.event = StatusEvent::new(reason, findings, || self.request.updated_scan());
    }

    /// Encodes the reply.
    pub fn answer(mut self) -> Answer {
        let Some(uid) = self.request.uid() else {
            let message = "request.uid is missing, so the review cannot be answered";
            return http_error(self.summary, 400, "BadRequest", message);
        };
        truncate(&mut self.audited, "findings");
        let name = self.request.name();
        let is_allowed = self.denial.is_none();
        if self.summary.decision != Decision::Allow {
            self.summary.request = Some(self.request.info());
        }
        let help = &self.settings.help;
        if !is_allowed && !help.is_empty() {
            // Of a denial, kubectl prints the causes and the warnings but not the message. The first warning is never
            // dropped.
            self.warnings.insert(0, format!("help: {help}"));
        }
        truncate(&mut self.warnings, "warnings");
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

/// Encodes the reply to a review that cannot be judged. Without a uid it is an HTTP error, and so it is at the validating
/// webhook under [`FaultPolicy::FailurePolicy`].
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
        let has_no_uid = review.request.uid().is_none();
        let http = if matches!(fault, Fault::BadRequest | Fault::TooLarge) && has_no_uid { code } else { 503 };
        return http_error(summary, http, reason, message);
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
    // A client understands only the version that it sent.
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
        event: None,
    }
}

fn encode(api_version: &str, response: Response<'_>, summary: Summary) -> Answer {
    let review = AdmissionReview { kind: "AdmissionReview", api_version, response };
    // Encoding cannot fail: that takes a map whose keys are not strings.
    let is_allowed = review.response.allowed;
    Answer { http: 200, is_allowed, body: serde_json::to_vec(&review).unwrap_or_default(), summary }
}

/// Encodes an HTTP error, for a review without a uid, or to let the failurePolicy of the registration decide.
fn http_error(summary: Summary, http: u16, reason: &'static str, message: &str) -> Answer {
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

/// Returns the status 422 Invalid. kubectl prints the causes, one a line, and API clients print the message, so both
/// list all errors.
fn invalid<'r>(denial: DenialCauses, name: &'r str, help: &str) -> ReplyStatus<'r> {
    let DenialCauses { kind, causes } = denial;
    let printable_name = printable(name, NAME_MAX_CHARS);
    let listed: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    let mut message = match listed.as_slice() {
        [one] => format!("{}.{GROUP} \"{printable_name}\" is invalid: {one}", kind.name()),
        all => format!("{}.{GROUP} \"{printable_name}\" is invalid: [{}]", kind.name(), all.join(", ")),
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

/// Returns a warning of at most [`WARNING_MAX_RUNES`]. A message that is too long is cut, but never the rule's id.
fn warning(field: &str, message: &str, rule: &str) -> String {
    let full = format!("{field}: {message}");
    let room = WARNING_MAX_RUNES - rule.len() - " []".len();
    if full.chars().count() <= room {
        return format!("{full} [{rule}]");
    }
    let cut: String = full.chars().take(room - 1).collect();
    format!("{cut}… [{rule}]")
}

/// Truncates the warnings to those that the API server shows in full. The last one then says how many more there are. The
/// audited findings have the same limit.
fn truncate(warnings: &mut Vec<String>, noun: &str) {
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
        warnings.push(format!("and {more} more {noun}"));
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
        audited: audited.join("\n"),
        config: &settings.digest,
    }
}
