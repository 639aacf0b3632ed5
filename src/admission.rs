//! From the bytes of an AdmissionReview to the bytes of its answer: [`answer`] is the one function that everything
//! leads to.
//!
//! It cannot fail and cannot wait: clock, rules and settings enter as values.

pub mod patch;
pub mod reply;
pub mod review;
pub mod settings;

use std::panic::{AssertUnwindSafe, catch_unwind};

use time::OffsetDateTime;

use crate::engine::{self, Action, Change, Downgrade, Findings, Part, Rule, Severity};
use crate::scan::Member;
use reply::Reply;
use review::{Operation, Request, Review, Target};
pub use settings::{FaultPolicy, Override, ReviewSettings};

/// Limit of a body: 8 MiB. Two objects of the API server's 3 MiB and 2 MiB for the rest. It is a choice: Go may escape
/// `<`, `>` and `&` to six bytes each, so a legal object could in theory exceed it.
pub const BODY_MAX_BYTES: usize = 8 << 20;

/// The most memory that a review takes while it is judged, besides its body: 20 MiB. The decoded strings together are
/// no longer than the body; the rest is 20,000 conditions in each object and, at the mutating webhook, in a copy. The
/// worst known bodies take 19.0 MB (`cargo bench -- worst`), and a test compares them with the limit.
pub const JUDGEMENT_MAX_BYTES: usize = 20 << 20;

/// The two webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Webhook {
    Validating,
    Mutating,
}

impl Webhook {
    pub const BOTH: [Webhook; 2] = [Webhook::Validating, Webhook::Mutating];

    pub fn name(self) -> &'static str {
        match self {
            Webhook::Validating => "validating",
            Webhook::Mutating => "mutating",
        }
    }
}

/// Why a review was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The body is no AdmissionReview v1 that can be judged.
    BadRequest,
    /// The body exceeds [`BODY_MAX_BYTES`].
    TooLarge,
    /// The deadline passed before the body was read, or judged.
    Timeout,
    /// Too many reviews are in flight.
    TooManyRequests,
    /// A rule panicked.
    Internal,
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Fault::BadRequest => "bad-request",
            Fault::TooLarge => "too-large",
            Fault::Timeout => "timeout",
            Fault::TooManyRequests => "too-many-requests",
            Fault::Internal => "internal",
        }
    }
}

/// Everything that an answer depends on besides the bytes.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub webhook: Webhook,
    pub now: OffsetDateTime,
    pub rules: &'a [Rule],
    pub settings: &'a ReviewSettings,
}

/// What an answer does with the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// The write is allowed, with a patch.
    Mutate,
    Deny,
    /// The review was not judged: the [`FaultPolicy`] says what becomes of the write.
    Error(Fault),
}

impl Decision {
    pub fn name(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Mutate => "mutate",
            Decision::Deny => "deny",
            Decision::Error(_) => "error",
        }
    }
}

/// What metrics and logs may know of a review: never the object's contents.
#[derive(Debug)]
pub struct Summary {
    pub decision: Decision,
    pub operation: &'static str,
    /// The resource and subresource, or `other`.
    pub resource: &'static str,
    pub findings: Vec<RuleFinding>,
    /// The rules whose mutations wrote something.
    pub mutations: Vec<&'static str>,
    /// None where the write was plainly allowed, since nothing is logged then.
    pub request: Option<RequestInfo>,
}

/// What is counted of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleFinding {
    pub rule: &'static str,
    pub severity: Severity,
    pub action: Action,
    pub downgraded: Option<Downgrade>,
}

/// What a log line says of a request.
#[derive(Debug, Default)]
pub struct RequestInfo {
    pub uid: String,
    pub group: String,
    pub version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub user: String,
}

/// The answer to one request. `http` is 200 wherever a uid was found (except under [`FaultPolicy::FailurePolicy`]);
/// otherwise the body is a `Status` that says what is wrong. Either is one line of JSON.
#[derive(Debug)]
pub struct Answer {
    pub http: u16,
    /// Whether the answer lets the request pass; false too where no review is answered.
    pub is_allowed: bool,
    pub body: Vec<u8>,
    pub summary: Summary,
}

/// Judges or mutates one review. Only the first [`BODY_MAX_BYTES`] + 1 bytes of `body` matter.
pub fn answer(body: &[u8], context: &Context<'_>) -> Answer {
    match decode(body, context) {
        Ok(review) => answer_review(review, context),
        Err(answer) => *answer,
    }
}

/// Decodes a review that can be judged. An error is the answer to one that cannot.
pub fn decode<'a>(body: &'a [u8], context: &Context<'_>) -> Result<Review<'a>, Box<Answer>> {
    if body.len() > BODY_MAX_BYTES {
        return Err(Box::new(fault(body, Fault::TooLarge, context)));
    }
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            let lossy = String::from_utf8_lossy(body);
            let message = format!("the review is not UTF-8 at byte {}", error.valid_up_to());
            return Err(Box::new(reply::fault(&review::decode(&lossy).0, Fault::BadRequest, &message, context)));
        }
    };
    let (review, end) = review::decode(text);
    match end {
        Ok(()) => Ok(review),
        Err(message) => Err(Box::new(reply::fault(&review, Fault::BadRequest, &message, context))),
    }
}

/// Judges or mutates a review that was decoded. A rule that panics is a fault, and ends nothing else.
pub fn answer_review(mut review: Review<'_>, context: &Context<'_>) -> Answer {
    if context.webhook == Webhook::Mutating {
        review.request.restore_metadata_and_spec();
    }
    let review = &review;
    let answer = catch_unwind(AssertUnwindSafe(|| match review.target() {
        Ok(target) => judge(&review.request, target, context),
        Err(message) => reply::fault(review, Fault::BadRequest, &message, context),
    }));
    answer.unwrap_or_else(|_| reply::fault(review, Fault::Internal, message(Fault::Internal), context))
}

/// Answers a review that is not judged, with the uid that is found in what was read of it.
pub fn fault(body: &[u8], fault: Fault, context: &Context<'_>) -> Answer {
    // A body is cut where a limit fell, so its last character may be too.
    let text = String::from_utf8_lossy(&body[..body.len().min(BODY_MAX_BYTES)]);
    let (review, _) = review::decode(&text);
    reply::fault(&review, fault, message(fault), context)
}

fn message(fault: Fault) -> &'static str {
    match fault {
        Fault::BadRequest => "the review cannot be read",
        Fault::TooLarge => "the review exceeds the limit of 8 MiB: make the object smaller",
        Fault::Timeout => "the review was not judged before its deadline: try again, or raise timeoutSeconds",
        Fault::TooManyRequests => "too many reviews are in flight: try again in a second",
        Fault::Internal => "a rule failed on this review: this is a bug in scan-admission, please report it",
    }
}

fn judge(request: &Request<'_>, target: Target<'_>, context: &Context<'_>) -> Answer {
    let settings = context.settings;
    let mut reply = Reply::new(request, settings);
    match target {
        Target::Nothing => {}
        Target::Other(warning) => reply.warnings.push(warning),
        Target::Scan { kind, operation, is_status, new, old } => {
            let user = request.user();
            let groups = if settings.needs_groups() { request.groups() } else { Vec::new() };
            let modes = settings.modes(request.namespace(), user, &groups);
            let change =
                Change::new(kind, new, old, context.now).with_user(user, &settings.status_writers).with_modes(&modes);
            let validate = |parts: Vec<Part>, reply: &mut Reply<'_>| {
                let mut findings = Findings::default();
                parts.into_iter().for_each(|part| engine::validate(context.rules, part, &change, &mut findings));
                reply.validate(kind, &findings);
            };
            match (context.webhook, operation) {
                (Webhook::Validating, _) => validate(parts(operation, is_status, &change), &mut reply),
                (Webhook::Mutating, Operation::Create) => validate(vec![Part::Create], &mut reply),
                (Webhook::Mutating, Operation::Update) if is_status => {
                    // A user who may not write a status is denied any difference, so an unchanged status is not
                    // mutated.
                    if change.may_write_status() || old.is_none_or(|old| !old.has_same_status(new)) {
                        reply.mutate(&engine::mutate(context.rules, &change).operations);
                    }
                }
                (Webhook::Mutating, Operation::Update) => {}
            }
        }
    }
    reply.answer()
}

/// The parts of a scan that the validating webhook judges.
fn parts(operation: Operation, is_status: bool, change: &Change<'_>) -> Vec<Part> {
    let is_new_status = || match change.old {
        // An update of the object itself changes the status only where the CRD has no status subresource. Otherwise
        // both are the same, and their rules must not block an edit of the spec or of the finalizers.
        Some(old) if operation == Operation::Update => !change.new.has_same_status(old),
        _ => !matches!(change.new.status, Member::Absent),
    };
    // Comparing two statuses costs time, and nearly every write is an update of the status by a user who may write one.
    let is_new_status = (!is_status || !change.may_write_status()) && is_new_status();
    let mut parts = Vec::new();
    if !is_status {
        parts.push(Part::Spec);
    }
    if is_status || is_new_status {
        parts.push(Part::Status);
    }
    if !change.may_write_status() && is_new_status {
        parts.push(Part::Writer);
    }
    parts
}
